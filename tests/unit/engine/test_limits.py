"""Who gets the places of a limit that are free: decided without a table."""

from __future__ import annotations

from hashlib import sha256

import pytest

from cascade_flow import RunLimit, StepLimit, UndoDefinition
from cascade_flow.engine.limit_findings import waited_for
from cascade_flow.engine.limits import (
    HandOut,
    Holder,
    Place,
    Standing,
    Turn,
    Waiter,
    Waiting,
    key_values,
    limit_of,
    limit_of_runs,
    pack_limit,
    unpack_limit,
)
from cascade_flow.engine.state import Branch, Limit
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
    other = Waiter(0, Holder("r2", "b", "b", 1), 3)
    standing = Standing({}, (*line, other))
    assert Waiting.for_place(limit, standing, other.holder, NOW_US) == Waiting(limit, taken=0, before=2)


def test_a_step_needs_what_it_declares_by_the_key_of_its_run() -> None:
    rate = StepLimit(name="openai", at_most=5, per_ms=60_000, key="customer")
    assert limit_of(step("a", limit=rate), {"customer": "c7"}) == Limit("openai#c7", 5, 60_000_000)
    assert limit_of(step("a", limit=StepLimit(name="db", at_most=2)), {"customer": "c7"}) == Limit("db", 2)
    assert limit_of(step("a"), {}) is None
    assert limit_of(step("a", limit=StepLimit(name="db", at_most=2, per_ms=5)), {}) == Limit("db", 2, 5_000)


def test_a_key_is_the_same_in_whatever_order_its_parts_are_said() -> None:
    limited = step("a", limit=StepLimit(name="db", at_most=2, key="by"))
    one, other = (key_values([limited], text) for text in ('{"by": {"x": 1, "y": 2}}', '{"by": {"y": 2, "x": 1}}'))
    assert one == other == {"by": '{"x": 1, "y": 2}'}


@pytest.mark.parametrize(("before", "said"), [(None, "many before it"), (0, "0 before it"), (7, "7 before it")])
def test_who_waits_for_a_place_is_told_how_many_wait_before(before: int | None, said: str) -> None:
    waiting = Waiting(Limit("stripe", 3), taken=3, before=before)
    assert waited_for(waiting, NOW_US) == f"a place of stripe (3 of 3 taken, {said})"


def test_who_holds_a_place_is_the_attempt_of_a_step_or_of_a_run() -> None:
    """The attempt as it is told, also of one that the retry policy doesn't count."""
    assert Holder.of("r", Branch("a", "running", "b", 4, attempts_before=2)) == Holder("r", "a", "b", 4)
    assert Holder.of_run("r", 3) == Holder("r", "", "", 3)


def test_of_a_limit_nobody_has_looked_at_nothing_is_taken() -> None:
    limit = Limit("db", 2)
    assert Waiting(limit) == Waiting(limit, taken=0, before=0, turn_us=None)
    assert Place(None, 5) == Place(None, 5, since_us=0)


def held(by: str | None, in_us: int) -> Place:
    return Place(None if by is None else waiter(by).holder, NOW_US + in_us)


@pytest.mark.parametrize(
    ("places", "at_most", "free"),
    [
        ({}, 1, 0),
        ({0: held("r", 1)}, 1, None),
        ({0: held("r", 0)}, 1, 0),
        ({0: held(None, 9)}, 1, 0),
        ({0: held("r", 1)}, 2, 1),
        ({1: held("r", 1)}, 2, 0),
        ({5: held("r", 1)}, 1, None),
        ({5: held("r", 1)}, 2, 0),
        ({0: held("r", 0), 1: held("s", 1)}, 2, 0),
    ],
)
def test_a_place_is_free_that_nobody_holds_any_more(places: dict[int, Place], at_most: int, free: int | None) -> None:
    assert Standing(places).free_place(at_most, NOW_US) == free


def test_somebodys_places_are_those_of_this_attempt_in_their_order() -> None:
    mine = waiter("r").holder
    others = {4: Place(mine._replace(attempt=2), NOW_US + 1), 5: Place(mine._replace(step="b"), NOW_US + 1)}
    places = {3: held("r", 1), 1: held("r", 1), 0: held("r", 0), 2: held("s", 1), **others}
    assert Standing(places).places_of(mine, NOW_US) == [1, 3]


def test_all_in_line_who_have_a_place_are_there_in_vain() -> None:
    line = tuple(waiter(f"r{number}") for number in range(4))
    places = {0: held("r1", 1), 1: held("r3", 1), 2: held("r0", 0)}
    assert Standing(places, line).needless(NOW_US) == [line[1], line[3]]


@pytest.mark.parametrize(("line", "is_next"), [("", True), ("r", True), ("rs", True), ("sr", False), ("s", False)])
def test_who_is_the_first_in_line_is_next(line: str, is_next: bool) -> None:
    assert Standing({}, tuple(waiter(id) for id in line)).is_next(waiter("r").holder) is is_next


@pytest.mark.parametrize(
    ("at_most", "per_us", "free_us", "turn"),
    [
        (5, 100, 0, Turn(NOW_US, NOW_US + 20)),
        (3, 10, NOW_US - 1, Turn(NOW_US, NOW_US + 4)),
        (3, 10, NOW_US + 7, Turn(NOW_US + 7, NOW_US + 11)),
        (1, 10, NOW_US, Turn(NOW_US, NOW_US + 10)),
    ],
)
def test_turns_are_spaced_so_that_no_time_holds_too_many(at_most: int, per_us: int, free_us: int, turn: Turn) -> None:
    assert Turn.after(Limit("openai", at_most, per_us), free_us, NOW_US) == turn


@pytest.mark.parametrize(
    ("key", "input", "id"),
    [
        (None, '{"by": "c7"}', "@flow"),
        ("by", '{"by": "c7"}', "@flow#c7"),
        ("by.id", '{"by": {"id": 7}}', "@flow#7"),
        ("by", None, "@flow#null"),
        ("by", '{"by": 0}', "@flow#0"),
        ("by", '{"by": ""}', "@flow#"),
    ],
)
def test_runs_of_a_workflow_share_a_limit_by_key(key: str | None, input: str | None, id: str) -> None:
    for skips in (False, True):
        assert limit_of_runs("flow", RunLimit(at_most=3, key=key, skips=skips), input) == Limit(id, 3)
    assert limit_of_runs("flow", None, input) is None


LONG = "x" * 129


@pytest.mark.parametrize(
    ("path", "input", "value"),
    [
        ("by", '{"by": "c7"}', "c7"),
        ("by", '{"by": 7}', "7"),
        ("by", '{"by": null}', "null"),
        ("by", "{}", "null"),
        ("by", '"by"', "null"),
        ("by", '{"by": 0}', "0"),
        ("by", '{"by": ""}', ""),
        ("by", '{"by": false}', "false"),
        ("by", '{"by": []}', "[]"),
        ("by", '{"by": {}}', "{}"),
        ("by", None, "null"),
        ("by.id", '{"by": {"id": "c7"}}', "c7"),
        ("by.id", '{"by": "c7"}', "null"),
        ("by.id", '{"by.id": "c7"}', "null"),
        ("by", f'{{"by": "{LONG[1:]}"}}', LONG[1:]),
        ("by", f'{{"by": "{LONG}"}}', f"sha256:{sha256(LONG.encode()).hexdigest()}"),
    ],
)
def test_a_limit_is_kept_by_what_the_input_has_there(path: str, input: str | None, value: str) -> None:
    limited = step("a", limit=StepLimit(name="db", at_most=2, key=path))
    assert key_values([limited], input) == {path: value}


def test_what_undoes_is_limited_by_keys_of_its_own() -> None:
    undo = UndoDefinition(id="u", name="u", limit=StepLimit(name="hotel", at_most=1, key="to"))
    steps = [step("a", limit=StepLimit(name="db", at_most=2, key="by"), undo=undo), step("b")]
    steps.append(step("c", limit=StepLimit(name="db", at_most=2)))
    assert key_values(steps, '{"by": "c7", "to": "Rome", "or": 1}') == {"by": "c7", "to": "Rome"}


@pytest.mark.parametrize(
    ("limit", "line"),
    [(Limit("db", 2), "2:db"), (Limit("openai#c:7", 5, 60), "5/60:openai#c:7"), (Limit("a/b", 1), "1:a/b")],
)
def test_a_limit_goes_into_a_line_and_back(limit: Limit, line: str) -> None:
    assert pack_limit(limit) == line
    assert unpack_limit(line) == limit
