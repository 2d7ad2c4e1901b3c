"""Times that are right by construction: in small numbers, where each microsecond shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.commands import Complete
from cascade_flow.engine.decide import decide
from cascade_flow.engine.event_writer import EventWriter, rendered, tick
from cascade_flow.engine.state import Branch
from cascade_flow.model.events import StepHeartbeat, StepStarted, WorkflowStarted
from unit.engine.facts import facts_of, step, told

FACTS = facts_of(step("a"), step("b", "a"), step("c", "a", "b"))
"""Times of the run are 0 modulo 4, those of `a` and `b` 1, those of `c` 2."""
HELD = Branch("c", "running", "c", worker="w", started_at_us=20, heartbeat_us=33, slot_index=1, last_us=10)
HOLDER = {"step_id": "c", "worker_id": "w", "attempt_number": 1, "slot_index": 1}
STARTS = {"version_id": "v", "workflow_attempt_number": 1, "has_input": False, "has_input_schema": False}


@pytest.mark.parametrize(("at_us", "residue", "first_us"), [(8, 0, 8), (9, 0, 12), (11, 0, 12), (9, 1, 9), (10, 1, 13)])
def test_the_first_time_that_belongs_to_a_residue(at_us: int, residue: int, first_us: int) -> None:
    assert tick(at_us, modulus=4, residue=residue) == first_us


@pytest.mark.parametrize(
    ("now_us", "after_us", "at_us", "written_us"),
    [(20, 0, None, 20), (21, 0, None, 24), (20, 20, None, 24), (20, 30, None, 32), (20, 0, 9, 12), (20, 12, 9, 16)],
)
def test_an_event_is_as_late_as_its_time_and_later_than_the_last(
    now_us: int, after_us: int, at_us: int | None, written_us: int
) -> None:
    writer = EventWriter.of_run(FACTS, now_us=now_us, after_us=after_us)
    event = writer.write(WorkflowStarted, at_us=at_us, **STARTS)
    assert event == told(WorkflowStarted, written_us, **STARTS)
    assert (writer.events, writer.last_us) == ([event], written_us)


BEGUN = [
    told(StepStarted, 22, dependencies=["a", "b"], **HOLDER),
    told(StepHeartbeat, 34, **HOLDER),
]


def test_what_a_branch_holds_is_written_as_its_next_commit_will() -> None:
    assert rendered(FACTS, HELD) == BEGUN
    assert rendered(FACTS, replace(HELD, started_at_us=None, heartbeat_us=None)) == []


def test_a_sign_of_life_is_told_also_where_the_start_was_told_before() -> None:
    """A checkpoint has taken the start in; then the worker went on beating."""
    assert rendered(FACTS, replace(HELD, started_at_us=None)) == BEGUN[1:]


@pytest.mark.parametrize("heartbeat_us", [3, 20, 21])
def test_a_sign_of_life_is_told_that_seems_older_than_the_start(heartbeat_us: int) -> None:
    """By a clock that has gone back since."""
    _, beat = rendered(FACTS, replace(HELD, heartbeat_us=heartbeat_us))
    assert beat == told(StepHeartbeat, 26, **HOLDER)


@pytest.mark.parametrize("started_at_us", [3, 10])
def test_a_start_is_told_that_seems_older_than_what_was_told_before(started_at_us: int) -> None:
    start, _ = rendered(FACTS, replace(HELD, started_at_us=started_at_us))
    assert start == told(StepStarted, 14, dependencies=["a", "b"], **HOLDER)


def test_what_is_begun_is_the_step_where_the_branch_stands() -> None:
    [start, beat] = rendered(FACTS, replace(HELD, name="a", step="b"))
    said = HOLDER | {"step_id": "b"}
    assert (start, beat) == (told(StepStarted, 21, dependencies=["a"], **said), told(StepHeartbeat, 33, **said))


@pytest.mark.parametrize(("told_us", "last_us"), [(0, 34), (33, 34), (35, 35)])
def test_what_is_taken_in_ends_with_the_newest_line(told_us: int, last_us: int) -> None:
    writer = EventWriter.of(FACTS, HELD, now_us=90, told_us=told_us)
    writer.take_in(HELD)
    assert (writer.events, writer.last_us, writer.now_us) == (BEGUN, last_us, 90)


def test_where_no_line_was_told_nothing_is_later_for_it() -> None:
    """At the very first time: a line at no time would be one at any other."""
    branch = Branch("a", "running", "a")
    writer = EventWriter.of(FACTS, branch, now_us=0)
    writer.take_in(branch)
    assert writer.last_us == 0
    assert decide(FACTS, branch, Complete("1", 1), now_us=0).events[0].timestamp_us == 1
    assert decide(FACTS, branch, Complete("1", 1), now_us=0, told_us=1).events[0].timestamp_us == 5
