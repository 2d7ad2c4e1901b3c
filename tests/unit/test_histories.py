"""What a history makes of events and lines: whose effect has its cause, which steps there are, who has ended them."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.engine.state import Run
from cascade_flow.graph import Graph
from cascade_flow.model.events import (
    StepCompleted,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
)
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.history import StepLine, _ended_by_others, _steps_in, by_step, has_causes, log_entries
from cascade_flow.operations.history_copier import over_in
from unit.projection.told import BEGUN, BROKEN, BY_ITSELF, DONE, TAKEN, of, run_event

DIAMOND = {"a": "", "b": "", "c": "ab"}
GRAPH = Graph([StepDefinition(id=name, name=name, dependencies=[*before]) for name, before in DIAMOND.items()])


def due(name: str) -> Any:
    return of(StepScheduled, step_id=name, available_at_us=1, reason="initial")


def done(name: str) -> Any:
    return of(StepCompleted, step_id=name, **DONE)


def passed(name: str) -> Any:
    return of(StepSkipped, step_id=name, **BY_ITSELF)


@pytest.mark.parametrize(
    ("events", "has"),
    [
        ([], True),
        ([due("a"), due("b")], True),
        ([done("a"), done("b"), due("c")], True),
        ([done("b"), passed("a"), due("c")], True),
        ([done("a"), due("c")], False),
        ([passed("b"), due("c")], False),
        ([due("c"), done("a"), done("b")], False),
        ([done("a"), due("c"), done("b")], False),
        ([done("a"), of(StepFailed, step_id="b", terminal=True, **BROKEN), due("c")], False),
        ([of(StepStarted, step_id="c", **BEGUN)], True),
    ],
)
def test_a_step_that_is_due_has_the_ends_of_all_before_it_in_front_of_it(events: list[Any], has: bool) -> None:
    assert has_causes(GRAPH, events) is has


def test_events_are_told_by_step_in_the_order_in_which_they_came() -> None:
    events = [due("b"), due("a"), of(StepStarted, step_id="b", **BEGUN), done("b")]
    ended = run_event(WorkflowCancelled, reason="no", duration_us=1, completed_steps=1)
    found = by_step([events[0], ended, *events[1:]])
    assert [*found.items()] == [("b", [events[0], *events[2:]]), ("a", [events[1]])]


def test_of_a_callers_steps_that_is_known_which_their_starts_and_ends_have_told() -> None:
    events = [
        due("b"),
        due("a"),
        of(StepStarted, step_id="b", worker_id="ann", dependencies=["a"]),
        done("b"),
        due("b"),
    ]
    assert _steps_in(events) == {
        "b": StepDefinition(id="b", name="b", dependencies=["a"], export_output=True),
        "a": StepDefinition(id="a", name="a"),
    }
    assert [*_steps_in(events)] == ["b", "a"]


@pytest.mark.parametrize(
    ("event", "by_others"),
    [
        (of(StepReclaimed, **TAKEN), True),
        *(
            (of(StepFailed, terminal=True, **{**BROKEN, "failure_reason": reason}), by_others)
            for reason, by_others in {
                "execution-error": False,
                "timeout": False,
                "step-removed": False,
                "exhausted-retries": False,
                "worker-crash": True,
                "cancelled": True,
            }.items()
        ),
    ],
)
def test_an_attempt_is_ended_by_its_holder_or_by_others(event: Any, by_others: bool) -> None:
    assert _ended_by_others(event) is by_others


def test_a_line_is_an_event_of_its_attempt_as_it_was_written() -> None:
    run = Run("r", "w", "v", "running", 0, 0, 0, 0)
    [event] = log_entries(run, [StepLine(7, "a", 3, "stderr", "  hello ")])
    assert (event.run_id, event.workflow_slug, event.timestamp_us) == ("r", "w", 7)
    assert (event.step_id, event.attempt_number, event.stream, event.message) == ("a", 3, "stderr", "  hello ")


def test_what_is_over_says_where_its_skip_began() -> None:
    records: list[dict[str, Any]] = [
        {"type": "StepCompleted", "stepId": "a"},
        {"type": "StepSkipped", "stepId": "b"},
        {"type": "StepSkipped", "stepId": "c", "cascadedFrom": "b"},
        {"type": "StepScheduled", "stepId": "d"},
        {"type": "StepFailed", "stepId": "e"},
    ]
    assert over_in(records) == {"a": None, "b": "b", "c": "b"}
