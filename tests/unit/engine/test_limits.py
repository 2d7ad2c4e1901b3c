"""Who gets the places of a limit that are free: decided without a table."""

from __future__ import annotations

import pytest

from cascade_flow.engine.limit_findings import waited_for
from cascade_flow.engine.limits import HandOut, Holder, Place, Standing, Waiter, Waiting
from cascade_flow.engine.state import Limit
from unit.engine.facts import NOW_US


def waiter(run_id: str, at_most: int = 2) -> Waiter:
    return Waiter(0, Holder(run_id, "a", "a", 1), at_most)


def test_each_of_those_in_line_is_handed_a_place_of_its_own() -> None:
    line = waiter("r1"), waiter("r2"), waiter("r3")
    assert [*Standing({}, line).hand_outs(NOW_US)] == [HandOut(0, line[0]), HandOut(1, line[1])]


def test_whose_number_leaves_no_place_holds_up_all_behind() -> None:
    taken = {0: Place(Holder("r0", "a", "a", 1), NOW_US + 1)}
    assert not [*Standing(taken, (waiter("r1", at_most=1), waiter("r2", at_most=2))).hand_outs(NOW_US)]


@pytest.mark.parametrize(("before", "said"), [(None, "many before it"), (0, "0 before it"), (7, "7 before it")])
def test_who_waits_for_a_place_is_told_how_many_wait_before(before: int | None, said: str) -> None:
    waiting = Waiting(Limit("stripe", 3), taken=3, before=before)
    assert waited_for(waiting, NOW_US) == f"a place of stripe (3 of 3 taken, {said})"
