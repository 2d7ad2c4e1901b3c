"""Who gets the places of a limit that are free: decided without a table."""

from __future__ import annotations

import pytest

from cascade_flow import StepLimit
from cascade_flow.engine.limit_findings import waited_for
from cascade_flow.engine.limits import HandOut, Holder, Place, Standing, Waiter, Waiting, key_values, limit_of
from cascade_flow.engine.state import Limit
from unit.engine.facts import NOW_US, step


def waiter(run_id: str, at_most: int = 2) -> Waiter:
    return Waiter(0, Holder(run_id, "a", "a", 1), at_most)


def test_each_of_those_in_line_is_handed_a_place_of_its_own() -> None:
    line = waiter("r1"), waiter("r2"), waiter("r3")
    assert [*Standing({}, line).hand_outs(NOW_US)] == [HandOut(0, line[0]), HandOut(1, line[1])]


def test_whose_number_leaves_no_place_holds_up_all_behind() -> None:
    taken = {0: Place(Holder("r0", "a", "a", 1), NOW_US + 1)}
    assert not [*Standing(taken, (waiter("r1", at_most=1), waiter("r2", at_most=2))).hand_outs(NOW_US)]


def test_who_has_a_place_is_handed_no_other() -> None:
    line = waiter("r1"), waiter("r2")
    assert [*Standing({0: Place(line[0].holder, NOW_US + 1)}, line).hand_outs(NOW_US)] == [HandOut(1, line[1])]


def test_a_place_is_free_at_the_latest_when_the_first_that_is_taken_is() -> None:
    """One that was given back, or whose time is over, is free by now: nobody need come for it later."""
    over = {0: Place(None, 0), 1: Place(waiter("r1").holder, NOW_US)}
    assert Standing(over).next_free_us(NOW_US) == NOW_US
    taken = {number: Place(waiter("r2").holder, NOW_US + number) for number in (7, 5)}
    assert Standing(over | taken).next_free_us(NOW_US) == NOW_US + 5


def test_who_waits_for_a_place_stands_in_line_or_was_not_counted_yet() -> None:
    """Only who has none waits for one, and only those that are taken are in its way."""
    limit, line = Limit("stripe", 3), (waiter("r1"), waiter("r2"))
    places = {
        0: Place(waiter("r0").holder, NOW_US + 1),
        1: Place(waiter("r3").holder, NOW_US + 1),
        2: Place(waiter("r2").holder, NOW_US),
    }
    standing = Standing(places, line)
    assert Waiting.for_place(limit, standing, line[1].holder, NOW_US) == Waiting(limit, taken=2, before=1)
    assert Waiting.for_place(limit, standing, waiter("r9").holder, NOW_US) == Waiting(limit, taken=2, before=None)
    assert Waiting.for_place(limit, standing, waiter("r0").holder, NOW_US) is None


def test_a_step_needs_what_it_declares_by_the_key_of_its_run() -> None:
    rate = StepLimit(name="openai", at_most=5, per_ms=60_000, key="customer")
    assert limit_of(step("a", limit=rate), {"customer": "c7"}) == Limit("openai#c7", 5, 60_000_000)
    assert limit_of(step("a", limit=StepLimit(name="db", at_most=2)), {}) == Limit("db", 2)
    assert limit_of(step("a"), {}) is None


def test_a_key_is_the_same_in_whatever_order_its_parts_are_said() -> None:
    limited = step("a", limit=StepLimit(name="db", at_most=2, key="by"))
    one, other = (key_values([limited], text) for text in ('{"by": {"x": 1, "y": 2}}', '{"by": {"y": 2, "x": 1}}'))
    assert one == other == {"by": '{"x": 1, "y": 2}'}


@pytest.mark.parametrize(("before", "said"), [(None, "many before it"), (0, "0 before it"), (7, "7 before it")])
def test_who_waits_for_a_place_is_told_how_many_wait_before(before: int | None, said: str) -> None:
    waiting = Waiting(Limit("stripe", 3), taken=3, before=before)
    assert waited_for(waiting, NOW_US) == f"a place of stripe (3 of 3 taken, {said})"
