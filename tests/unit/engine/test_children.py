"""What a step tells whose work runs of their own do, where it fails and where it is tried again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.children import MADE_AT_ONCE, collecting, failed, is_worth_a_look, release, seen
from cascade_flow.engine.commands import Revive
from cascade_flow.engine.decide import decide
from cascade_flow.engine.families import Expand
from cascade_flow.engine.state import Branch, Family, Up
from cascade_flow.model.events import LogEntry, StepError, StepFailed, StepScheduled, StepStarted
from cascade_flow.model.workflows import ChildrenDefinition
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step

FACTS = facts_of(step("a"), step("m", "a", children=ChildrenDefinition(kind="map", over="a")), run_attempt=2)
FAMILY = Family(3, 3, 3, 1, 3, made=3, lost=1, out=((1, 2),))
WAITING = Branch("a", "waiting", "m", arrived=2, family=FAMILY, last_us=NOW_US - 50)


def test_it_fails_after_as_long_as_it_has_waited() -> None:
    now = replace(WAITING, last_us=NOW_US - 10)
    commit = failed(FACTS, WAITING, now, StepError(message="too many"), now_us=NOW_US)
    [told] = commit.events
    assert isinstance(told, StepFailed)
    assert (told.duration_us, told.terminal, commit.before) == (50, True, WAITING)


def test_what_had_failed_is_begun_again_after_what_it_depends_on() -> None:
    commit = decide(FACTS, replace(WAITING, status="failed"), Revive(), now_us=NOW_US)
    scheduled, started = commit.events
    assert isinstance(scheduled, StepScheduled)
    assert isinstance(started, StepStarted)
    assert (scheduled.attempt_number, started.attempt_number, started.dependencies) == (2, 2, ["a"])
    assert commit.after.family == replace(FAMILY, made=0, lost=0, out=())
    assert (commit.after.status, commit.after.arrived) == ("waiting", 0)
    assert (commit.after.attempts_before, commit.after.last_us) == (1, int(started.timestamp_us))


def test_who_has_handed_items_out_is_looked_at_soon() -> None:
    """Nobody else releases its children, should who is to do that be gone."""
    held = Branch("a", "running", "m", attempt=2, lease_us=NOW_US + 5, due_us=NOW_US + 5)
    commit = decide(FACTS, held, Expand(FAMILY), now_us=NOW_US)
    assert (commit.after.status, commit.after.due_us) == ("waiting", NOW_US + TIMING.grace_us)


@pytest.mark.parametrize(("children", "said"), [(1, "1 run over"), (2, "2 runs over"), (1_200, "1,200 runs over")])
def test_who_collects_says_of_how_many(children: int, said: str) -> None:
    line = collecting(
        FACTS, WAITING, replace(WAITING, family=replace(FAMILY, children=children)), now_us=NOW_US
    ).events[0]
    assert isinstance(line, LogEntry)
    assert said in line.message


def test_who_is_to_collect_is_looked_at_after_a_grace_however_late_nobody_needed_to_look() -> None:
    late = replace(WAITING, due_us=NOW_US + 100 * TIMING.silence_us)
    assert collecting(FACTS, late, late, now_us=NOW_US).after.due_us == NOW_US + TIMING.grace_us


@pytest.mark.parametrize(
    ("status", "run_attempt", "is_over"),
    [
        *(("completed", 1, True), ("completed", 2, True), ("failed", 1, False), ("failed", 2, True)),
        *(("failed", 3, True), ("running", 2, False)),
    ],
)
def test_only_a_good_end_outlasts_the_attempt_of_the_run(status: Any, run_attempt: int, is_over: bool) -> None:
    child = run_of(status=status, run_attempt=run_attempt, up=Up("run", "a", "m", 1, is_item=True))
    after = seen(FACTS, WAITING, {1: child}, 1).family
    assert after == replace(FAMILY, out=((2, 2),) if is_over else FAMILY.out, lost=1 + (is_over and status == "failed"))


@pytest.mark.parametrize(
    ("at_once", "out", "is_worth"),
    [
        *((1, 1, False), (1, 0, True), (2, 2, False), (2, 1, True)),
        *((4, 4, False), (4, 3, False), (4, 2, True), (4, 1, True), (4, 0, True), (4, -1, True)),
        *((5, 5, False), (5, 4, False), (5, 3, True), (5, 2, False), (5, 1, True)),
        *((40, 31, False), (40, 30, True), (40, 29, False), (40, 10, True), (40, 9, True)),
    ],
)
def test_an_end_is_worth_a_look_where_it_fills_a_release_or_few_are_out(at_once: int, out: int, is_worth: bool) -> None:
    family = replace(FAMILY, children=1_000, at_once=at_once, made=100)
    assert is_worth_a_look(replace(WAITING, family=family, arrived=100 - out)) is is_worth


def test_each_end_is_worth_a_look_when_all_are_made_and_none_where_nobody_waits() -> None:
    family = replace(FAMILY, children=100, at_once=40, made=100)
    assert is_worth_a_look(replace(WAITING, family=family, arrived=61))
    assert not is_worth_a_look(replace(WAITING, family=None))


MANY = Family(90, 90, 90, 1, 40, made=8, out=((0, 7),))
SOON_US = NOW_US + TIMING.silence_us


@pytest.mark.parametrize(("at_once", "most"), [(40, MADE_AT_ONCE), (12, 4), (8, 0)])
def test_of_the_free_places_as_many_are_filled_as_one_transaction_makes(at_once: int, most: int) -> None:
    now = replace(WAITING, family=replace(MANY, at_once=at_once))
    made = release(FACTS, now, {}, now_us=NOW_US)
    assert made.born == tuple(range(8, 8 + most))
    assert made.after.family == replace(MANY, at_once=at_once, made=8 + most, out=((0, 7 + most),))


@pytest.mark.parametrize(
    ("due_us", "look_us"),
    [
        (None, SOON_US),
        (NOW_US - 1, SOON_US),
        (NOW_US, SOON_US),
        (NOW_US + 1, NOW_US + 1),
        (SOON_US, SOON_US),
        (SOON_US + 1, SOON_US),
    ],
)
def test_who_is_released_is_looked_after_within_a_silence_and_not_at_once(due_us: int | None, look_us: int) -> None:
    """What is still to come of an entry stays; one that is over would be met by every sweep."""
    now = replace(WAITING, family=MANY, due_us=due_us)
    assert release(FACTS, now, {}, now_us=NOW_US).after.due_us == look_us


@pytest.mark.parametrize(("lease_us", "grace_us", "silence_us"), [(7, 5, 7), (5, 7, 7)])
def test_a_silence_is_the_longer_of_lease_and_grace(lease_us: int, grace_us: int, silence_us: int) -> None:
    facts = replace(FACTS, timing=replace(TIMING, lease_us=lease_us, grace_us=grace_us))
    assert release(facts, replace(WAITING, family=MANY), {}, now_us=NOW_US).after.due_us == NOW_US + silence_us
