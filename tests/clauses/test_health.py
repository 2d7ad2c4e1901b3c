"""Whether the engine can work: the one thing that it can't do anything without is tried, and named where it fails."""

from __future__ import annotations

import pytest

from cascade_flow.errors import UnhealthyError
from cascade_flow.operations import health
from clauses.stage import asking
from simulation import World
from testbed.faults import Kind, faults, only


def test_who_can_read_the_table_is_well_at_one_request(world: World) -> None:
    by, asked = asking(world)
    health.check(by.runtime)
    assert asked == ["GetItem"]


def test_who_can_not_read_the_table_says_which_check_failed_and_how(world: World) -> None:
    table = world.observer.runtime.ledger.table
    with faults(only({"GetItem"}, lambda *_: Kind.THROTTLE), table.client), pytest.raises(UnhealthyError) as unwell:
        health.check(world.observer.runtime)
    assert tuple(unwell.value.facts["checks"]) == health.CHECKS
    assert str(unwell.value) == f"the table can't be read: {unwell.value.facts['checks']['table']}"
