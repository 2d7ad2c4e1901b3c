"""Who speaks for an attempt that is not its own is told what is true instead."""

from __future__ import annotations

import pytest

from cascade_flow.engine.state import Branch, Halt
from cascade_flow.operations.stale import not_yet, stale

HELD = Branch("a", "running", "b", attempt=1)


@pytest.mark.parametrize(("halt", "is_told"), [(None, False), ("stop", True), ("park", True)])
def test_what_the_branch_is_now_is_told_and_whether_it_goes_on(halt: Halt | None, is_told: bool) -> None:
    told = stale(HELD, Branch("a", "scheduled", "c", attempt=2, worker="other", halt=halt))
    why = "; its run is being stopped or has ended" if is_told else ""
    assert str(told) == (
        "attempt 1 of step 'b' is no longer held by this worker: the branch is scheduled at step 'c', attempt 2"
        f"{why}. Stop the work, nothing of it was stored"
    )
    assert told.facts == {"now": "scheduled"}


@pytest.mark.parametrize(("worker", "who"), [("mila", "mila"), (None, "this worker")])
def test_who_holds_it_no_more_is_named_or_meant(worker: str | None, who: str) -> None:
    held = Branch("a", "running", "b", attempt=3, worker=worker)
    told = f"attempt 3 of step 'b' is no longer held by {who}: the step was never scheduled"
    assert str(stale(held, None)) == told


def test_a_step_before_its_time_is_pending() -> None:
    assert not_yet("b").facts == {"now": "pending"}
