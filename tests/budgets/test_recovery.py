"""After an outage of the queue all is set going again within three sweeps of a minute (issue 10; docs/recovery.md)."""

from __future__ import annotations

import pytest

from budgets.recovery import MINUTE_US, Recovery, recovery
from cascade_flow.dynamodb import keys

ALL = 100_000
SWEEPS = 3
PART = 10_000
"""Enough for all shards to be given away; what they take is in proportion."""


def must_have_recovered(found: Recovery) -> None:
    assert len(found.woken) == found.entries
    assert found.done["steps reclaimed"] == found.dead
    assert not any(swept.failures for swept in found.sweeps)


def must_have_been_met_once(found: Recovery) -> None:
    """No two reapers have done the same."""
    done = found.done
    assert done["wake-ups repeated"] + done["steps reclaimed"] == done["looked at"] == found.entries, done


def test_a_wake_up_takes_no_more_than_its_budget_of_requests() -> None:
    found = recovery(3_000, dead=0)
    must_have_recovered(found)
    must_have_been_met_once(found)
    assert found.requests_an_entry <= 1.2
    assert found.requests["UpdateItem"] == found.entries


def test_a_tenth_of_an_outage_is_made_up_for_in_a_tenth_of_the_time() -> None:
    found = recovery(PART)
    must_have_recovered(found)
    must_have_been_met_once(found)
    assert found.reapers == keys.written().due
    assert found.took_us <= SWEEPS * MINUTE_US * PART / ALL


@pytest.mark.slow
def test_an_outage_with_a_hundred_thousand_live_branches_is_made_up_for_within_three_sweeps() -> None:
    found = recovery(ALL)
    must_have_recovered(found)
    assert found.minutes <= SWEEPS
    assert found.requests_an_entry <= 1.2
