"""What a look at a step's children makes of it, whole: every field of the step, of its events and of a release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.children import (
    Release,
    collecting,
    ends,
    failed,
    items_lost,
    items_of,
    next_numbers,
    out_of,
    places_left,
    put_off,
    release,
    seen,
    tolerated,
)
from cascade_flow.engine.commands import Revive
from cascade_flow.engine.decide import decide
from cascade_flow.engine.families import Expand, definition_of
from cascade_flow.engine.state import Branch, Commit, Family, Run, Stop, Up
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import LogEntry, StepError, StepFailed, StepScheduled, StepStarted
from cascade_flow.model.workflows import ChildrenDefinition
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step
from unit.engine.held import AT, of

MAP = ChildrenDefinition(kind="map", over="a")
FACTS = facts_of(step("a"), step("m", "a", children=MAP), run_attempt=2, priority=6, deadline_us=NOW_US + 10**9)
FAMILY = Family(items=7, children=4, chunk=3, attempt=2, at_once=3, made=4, lost=1, out=((0, 0), (2, 3)))
WAITING = Branch(
    "a",
    "waiting",
    "m",
    attempt=3,
    attempts_before=1,
    run_attempt=2,
    seq=9,
    priority=4,
    arrived=1,
    family=FAMILY,
    skipped={"y": "y"},
    origin_us=NOW_US - 80,
    last_us=NOW_US - 50,
    due_us=NOW_US + 9,
)
LOOKED = replace(WAITING, family=replace(FAMILY, lost=2, out=()), last_us=AT + 4)
"""What a look has made of it: the last of its children has ended by a clock that is ahead."""
ERROR = StepError(name="ItemsFailed", message="too many")


def child(number: int, status: Any = "completed", **known: Any) -> Run:
    return run_of(status=status, run_attempt=2, up=Up("run", "a", "m", number, is_item=False), **known)


def test_a_step_fails_with_its_children_later_than_they() -> None:
    said = {
        "error": ERROR,
        "error_fingerprints": compute_error_fingerprints(ERROR),
        "failure_reason": "execution-error",
    }
    place = {"policy_index": 0, "attempt_in_policy": 2}
    event = of(StepFailed, AT + 6, "m", 3, duration_us=50, terminal=True, **said, **place)
    after = replace(LOOKED, status="failed", last_us=AT + 6, due_us=None)
    stop = Stop("failed", 2, "m", ERROR, "execution-error")
    found = failed(FACTS, WAITING, LOOKED, ERROR, now_us=NOW_US)
    assert found == Commit(WAITING, after, (event,), logged=True, stop=stop)


def test_nobody_has_waited_for_less_than_no_time() -> None:
    ahead = replace(WAITING, last_us=NOW_US + 9)
    [event] = failed(FACTS, ahead, ahead, ERROR, now_us=NOW_US).events
    assert isinstance(event, StepFailed)
    assert event.duration_us == 0


def test_who_collects_comes_next_and_no_policy_counts_it() -> None:
    line = of(LogEntry, AT + 6, "m", 3, stream="stdout", message="later: 4 runs over")
    plan = {"available_at_us": NOW_US, "reason": "retry", "retry_delay_ms": 0, "priority": 4}
    scheduled = of(StepScheduled, AT + 9, "m", 4, policy_index=0, attempt_in_policy=2, **plan)
    changed: dict[str, Any] = {"status": "scheduled", "attempt": 4, "attempts_before": 2, "available_at_us": NOW_US}
    after = replace(LOOKED, **changed, last_us=AT + 9, due_us=NOW_US + TIMING.grace_us)
    assert collecting(FACTS, WAITING, LOOKED, now_us=NOW_US) == Commit(WAITING, after, (line, scheduled))


@pytest.mark.parametrize(
    ("children", "out", "lost", "last_us"),
    [
        ([], ((0, 0), (2, 3)), 1, WAITING.last_us),
        ([child(0, last_us=AT + 5), child(2, "running", last_us=AT + 99)], ((2, 3),), 1, AT + 5),
        ([child(2, "failed", last_us=AT + 7), child(3, "failed", last_us=AT + 2)], ((0, 0),), 4, AT + 7),
        ([child(0, last_us=5), child(2, "failed", lost=1, last_us=9)], ((3, 3),), 2, WAITING.last_us),
    ],
    ids=["none", "one is over", "two failed", "all long ago"],
)
def test_what_is_found_over_is_read_no_more(
    children: list[Run], out: tuple[tuple[int, int], ...], lost: int, last_us: int
) -> None:
    """And what the step tells next is later than what is over, and than what it told before."""
    known = {each.up.number: each for each in children if each.up is not None}
    expected = replace(WAITING, family=replace(FAMILY, out=out, lost=lost), last_us=last_us)
    assert seen(FACTS, WAITING, known, 2) == expected


WIDE = replace(FAMILY, items=900, children=300, made=8, at_once=10, out=((0, 6),))


@pytest.mark.parametrize(
    ("known", "places"),
    [({}, 3), ({"at_once": 7}, 0), ({"at_once": 5}, 0), ({"made": 298}, 2), ({"made": 300}, 0), ({"out": ()}, 10)],
)
def test_how_many_may_be_released(known: dict[str, Any], places: int) -> None:
    assert places_left(replace(WIDE, **known)) == places


@pytest.mark.parametrize(
    ("made", "numbers"), [(8, range(8, 108)), (200, range(200, 300)), (201, range(201, 300)), (300, range(300, 300))]
)
def test_which_may_come_next(made: int, numbers: range) -> None:
    assert next_numbers(replace(WIDE, made=made)) == numbers


def test_a_release_passes_over_what_has_completed_and_tries_what_failed_again() -> None:
    """Also over what comes behind the last place; and no further than to the first that needs one more."""
    before = {number: child(number) for number in (8, 10, 13, 15)} | {n: child(n, "failed") for n in (9, 12)}
    found = release(FACTS, replace(WAITING, family=WIDE), before, now_us=NOW_US)
    family = replace(WIDE, made=14, out=((0, 6), (9, 9), (11, 12)))
    assert found == Release(replace(WAITING, family=family), (11,), (before[9], before[12]), 3)


def test_where_all_have_completed_nothing_is_out() -> None:
    full = replace(WAITING, family=replace(FAMILY, made=0, out=()))
    found = release(FACTS, full, {number: child(number) for number in range(4)}, now_us=NOW_US)
    assert found == Release(replace(full, family=replace(FAMILY, made=4, out=())), (), (), 4)


@pytest.mark.parametrize(
    ("arrived", "deadline_us", "due_us"),
    [(1, NOW_US + 10**9, NOW_US + 10**9), (0, NOW_US - 1, NOW_US + TIMING.grace_us), (2, NOW_US + 10**9, None)],
    ids=["all ends are known", "its run should be over", "one has ended that nobody found"],
)
def test_who_only_waits_is_looked_at_with_its_run(arrived: int, deadline_us: int, due_us: int | None) -> None:
    now = replace(WAITING, arrived=arrived)
    expected = None if due_us is None else replace(now, due_us=due_us)
    assert put_off(replace(FACTS, deadline_us=deadline_us), now, now_us=NOW_US) == expected


@pytest.mark.parametrize(
    ("made", "out", "ended"), [(4, ((0, 0), (2, 3)), 1), (3, ((0, 2),), 0), (4, (), 4), (0, (), 0)]
)
def test_how_many_have_ended_and_how_many_are_out(made: int, out: tuple[tuple[int, int], ...], ended: int) -> None:
    family = replace(FAMILY, made=made, out=out)
    assert (ends(family), out_of(family)) == (ended, made - ended)


def test_who_does_the_work_is_declared_by_the_step_where_the_branch_stands() -> None:
    assert definition_of(FACTS, WAITING) == MAP


@pytest.mark.parametrize(("items", "share", "most"), [(100, 0.29, 29), (99, 0.29, 28), (10, 0.05, 0), (3, 1.0, 3)])
def test_how_many_items_may_fail(items: int, share: float, most: int) -> None:
    """Of the items, however many of them a child does; and a share of a hundred is what it looks like."""
    family, definition = replace(FAMILY, items=items), MAP.model_copy(update={"tolerate": share})
    assert tolerated(family, definition) == most


@pytest.mark.parametrize(("number", "items"), [(0, range(2)), (2, range(4, 6)), (3, range(6, 7))])
def test_which_items_a_child_does(number: int, items: range) -> None:
    assert items_of(FAMILY, number, 2) == items


@pytest.mark.parametrize(
    ("ended", "lost"),
    [
        (child(0, lost=2), 0),
        (child(0, "failed"), 2),
        (child(3, "failed"), 1),
        (child(0, "cancelled", lost=1), 1),
        (child(0, "failed", lost=0), 0),
        (replace(child(0, "failed"), up=None), 0),
    ],
    ids=["completed", "failed", "the last, which is short", "said", "said to be none", "nobody's child"],
)
def test_how_many_items_a_child_has_lost(ended: Run, lost: int) -> None:
    assert items_lost(FAMILY, ended, 2) == lost


HELD = replace(
    WAITING,
    status="running",
    family=None,
    available_at_us=AT - 66,
    started_at_us=AT - 30,
    worker="w",
    lease_us=NOW_US + 10,
    slot_index=2,
)


def test_who_hands_items_out_waits_and_what_it_was_is_told() -> None:
    begun = of(StepStarted, AT - 30, "m", 3, worker_id="w", slot_index=2, dependencies=["a"])
    due_us = NOW_US + TIMING.grace_us
    after = replace(WAITING, arrived=0, last_us=AT - 30, due_us=due_us)
    assert decide(FACTS, HELD, Expand(FAMILY), now_us=NOW_US) == Commit(HELD, after, (begun,))


def test_who_waits_when_its_run_is_tried_again_waits_on() -> None:
    """It is the same attempt, which nobody has ended: its children are released anew."""
    halted = replace(WAITING, run_attempt=1, halt="stop")
    family = replace(FAMILY, made=0, lost=0, out=())
    after = replace(WAITING, family=family, arrived=0, due_us=NOW_US + TIMING.grace_us)
    assert decide(FACTS, halted, Revive(), now_us=NOW_US) == Commit(halted, after, checks_run=True)


def test_who_failed_when_its_run_is_tried_again_waits_in_its_next_attempt() -> None:
    lost = replace(WAITING, status="failed", run_attempt=1, due_us=None)
    plan = {"available_at_us": NOW_US, "reason": "retry", "priority": 4}
    begun = of(StepStarted, AT + 3, "m", 4, worker_id="children", dependencies=["a"])
    changed: dict[str, Any] = {"attempt": 4, "attempts_before": 3, "arrived": 0, "due_us": NOW_US + TIMING.grace_us}
    after = replace(WAITING, **changed, family=replace(FAMILY, made=0, lost=0, out=()), last_us=AT + 3)
    events = (of(StepScheduled, AT, "m", 4, **plan), begun)
    assert decide(FACTS, lost, Revive(), now_us=NOW_US) == Commit(lost, after, events, checks_run=True)
