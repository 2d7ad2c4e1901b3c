"""When a join is worth a look, and what stands beyond what: of branches that are made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.joins import (
    awaited_branches,
    beyond,
    completed_steps,
    is_full,
    one_to_ask,
    open_join,
    reached,
)
from cascade_flow.engine.state import Branch, BranchStatus, Commit, Owed
from unit.engine.facts import NOW_US, facts_of, step
from unit.engine.openings import scheduled

FACTS = facts_of(step("a"), step("b", "a"), step("c"), step("j", "b", "c"), run_attempt=2, started_at_us=NOW_US + 500)
GRAPH = FACTS.graph
A = Branch("a", "ended", "b", last_us=NOW_US - 9)
C = Branch("c", "parked", "c", last_us=NOW_US - 5)
JOIN = Branch("j", "open", "j", arrived=2)


@pytest.mark.parametrize(("arrived", "full"), [(1, False), (2, True), (3, True)])
def test_a_join_is_full_also_where_somebody_was_counted_twice(arrived: int, full: bool) -> None:
    assert is_full(GRAPH, replace(JOIN, arrived=arrived)) is full
    assert not is_full(GRAPH, replace(JOIN, arrived=arrived, status="scheduled"))


@pytest.mark.parametrize(
    ("status", "at", "is_beyond", "is_reached"),
    [
        ("scheduled", "a", False, False),
        ("ended", "a", False, False),
        ("running", "b", False, True),
        ("ended", "b", True, True),
        ("parked", "b", True, True),
        ("failed", "b", False, True),
        ("skipping", "b", False, False),
        ("open", "b", False, False),
    ],
)
def test_a_branch_is_beyond_a_step_that_is_over(
    status: BranchStatus, at: str, is_beyond: bool, is_reached: bool
) -> None:
    branch = Branch("a", status, at)
    for known in (branch, replace(branch, owed=Owed(("j",)))):
        assert (beyond(GRAPH, known, "b"), reached(GRAPH, known, "b")) == (is_beyond, is_reached)


def test_a_branch_is_awaited_once_however_many_of_its_steps_are() -> None:
    graph = facts_of(step("a"), step("b", "a"), step("c"), step("j", "c", "a", "b")).graph
    assert awaited_branches(graph, "j") == ("c", "a")
    assert [is_full(graph, replace(JOIN, arrived=arrived)) for arrived in (2, 3)] == [False, True]


BUSY_A, BUSY_C = Branch("a", "running", "b"), Branch("c", "running", "c")


@pytest.mark.parametrize(
    ("branches", "arrived", "asked"),
    [
        ((BUSY_A, BUSY_C), 2, "a"),
        ((A, BUSY_C), 2, "c"),
        ((BUSY_A, C), 2, "a"),
        ((A, C), 2, None),
        ((BUSY_A, BUSY_C), 1, None),
        ((BUSY_A,), 2, None),
        ((replace(BUSY_A, status="scheduled"), BUSY_C), 2, None),
        ((BUSY_A, replace(BUSY_C, status="skipping")), 2, None),
        ((replace(BUSY_A, looks=True), BUSY_C), 2, None),
        ((BUSY_A, replace(BUSY_C, looks=True)), 2, None),
        ((replace(A, looks=True), BUSY_C), 2, "c"),
    ],
)
def test_who_fills_a_join_asks_the_first_that_is_still_at_work_where_nobody_looks_anyway(
    branches: tuple[Branch, ...], arrived: int, asked: str | None
) -> None:
    found = one_to_ask(GRAPH, replace(JOIN, arrived=arrived), {branch.name: branch for branch in branches})
    assert (found and found.name) == asked


@pytest.mark.parametrize(("own_us", "begins_us"), [(NOW_US + 600, NOW_US + 600), (0, NOW_US + 500)])
def test_a_join_goes_on_after_all_that_was_told_of_itself(own_us: int, begins_us: int) -> None:
    commit = open_join(FACTS, replace(JOIN, last_us=own_us), {"a": A, "c": C}, now_us=NOW_US)
    assert commit is not None
    assert begins_us < commit.after.last_us <= begins_us + GRAPH.modulus


def test_what_was_skipped_before_on_a_branch_is_not_what_the_join_waited_for() -> None:
    commit = open_join(FACTS, JOIN, {"a": replace(A, skipped={"a": "a"}), "c": C}, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.status, commit.after.skipped) == ("scheduled", {})


def test_nothing_is_beyond_that_is_not_there() -> None:
    assert not beyond(GRAPH, None, "a")
    assert not reached(GRAPH, None, "a")


def test_what_was_skipped_has_not_completed() -> None:
    skipped = replace(A, skipped={"b": "b"})
    assert completed_steps(GRAPH, [skipped, C, Branch("$", "ended", "$")]) == 2


def test_a_join_that_opens_belongs_to_the_attempt_that_opens_it() -> None:
    commit = open_join(FACTS, JOIN, {"a": A, "c": C}, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.run_attempt, commit.after.status, commit.checks_run) == (2, "scheduled", True)
    assert commit.after.last_us > FACTS.started_at_us


def test_a_join_stays_open_while_one_is_still_to_come() -> None:
    assert open_join(FACTS, JOIN, {"a": replace(A, status="running"), "c": C}, now_us=NOW_US) is None
    assert open_join(FACTS, JOIN, {"a": A}, now_us=NOW_US) is None


def test_a_join_is_skipped_for_the_first_that_it_names() -> None:
    skipped = {"a": replace(A, skipped={"b": "a"}), "c": replace(C, skipped={"c": "c"})}
    commit = open_join(FACTS, JOIN, skipped, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.status, commit.after.skipped, commit.events) == ("skipping", {"j": "a"}, ())
    assert commit.after.last_us == max(FACTS.started_at_us, C.last_us)


JOINING = facts_of(step("a"), step("b"), step("j", "b", "a"), run_attempt=2, priority=6, started_at_us=NOW_US - 90)
FIRST, SECOND = (Branch(name, "ended", name, last_us=NOW_US + us) for name, us in (("a", 40), ("b", 20)))
WAITING = Branch("j", "open", "j", arrived=2, seq=3, due_us=NOW_US + 9)


def test_a_join_opens() -> None:
    at_us = NOW_US + 43
    ready = {"status": "scheduled", "run_attempt": 2, "priority": 6, "available_at_us": NOW_US, "last_us": at_us}
    commit, other = (
        open_join(JOINING, WAITING, {each.name: each for each in known}, now_us=NOW_US)
        for known in ((FIRST, SECOND), (SECOND, FIRST))
    )
    assert commit == other, "it is later than both, whichever is known first"
    assert at_us % JOINING.graph.modulus == JOINING.graph.residue("j")
    events = (scheduled(at_us, "j", "dependency-satisfied"),)
    assert commit == Commit(WAITING, replace(WAITING, **ready), events, checks_run=True)


def test_a_join_gives_way_to_any_skip_unless_it_does_not() -> None:
    known = {"a": replace(FIRST, skipped={"a": "z"}), "b": SECOND}
    ready: dict[str, Any] = {"run_attempt": 2, "priority": 6, "last_us": NOW_US + 40}
    skipping = replace(WAITING, status="skipping", skipped={"j": "z"}, **ready)
    assert open_join(JOINING, WAITING, known, now_us=NOW_US) == Commit(WAITING, skipping, checks_run=True)
    stays = facts_of(step("a"), step("b"), step("j", "b", "a", skip_cascades=False))
    commit = open_join(stays, WAITING, known, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.status, commit.after.skipped) == ("scheduled", {})
