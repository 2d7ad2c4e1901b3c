"""The replay rules of a run's state: what each event changes of one that is full, and what several do together."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.model.states import RunState
from cascade_flow.projection import changes_state, evolve_run, project_run_state, version_id_of
from unit.projection.told import ERROR, changes, named, run_event

RUN = RunState(
    run_id="r",
    workflow_slug="w",
    status="failed",
    available_at=11,
    priority=2,
    workflow_attempt_number=1,
    created_at=12,
    started_at=13,
    completed_at=14,
    timeout=15,
    idempotency_key="k",
    metadata={"m": 1},
    tags=["t"],
    input="[1]",
)
SUBMITTED = run_event(
    RunSubmitted, version_id="v0", available_at_us=91, priority=3, has_input_schema=False, input="[2]", timeout_us=92,
    idempotency_key="l", metadata={"n": 2}, tags=["u"],
)  # fmt: skip
STARTED = run_event(WorkflowStarted, version_id="v1", has_input_schema=False, has_input=True)
RUN_CHANGES: list[tuple[Event, dict[str, Any]]] = [
    (STARTED, {"status": "running", "started_at": 90}),
    (
        run_event(WorkflowCompleted, output="{}", duration_us=1, total_steps=1),
        {"status": "completed", "completed_at": 90},
    ),
    (
        run_event(WorkflowFailed, error=ERROR, duration_us=1, completed_steps=0, failure_reason="timeout"),
        {"completed_at": 90},
    ),
    (
        run_event(WorkflowCancelled, duration_us=1, completed_steps=0),
        {"status": "cancelled", "completed_at": 90},
    ),
    (
        run_event(WorkflowRetryStarted, previous_attempt_number=1, retried_steps=[]),
        {"status": "pending", "workflow_attempt_number": 2},
    ),
    (run_event(WorkflowResumed, version_id="v", original_run_id="q", resumed_steps=1, pending_steps=1), {}),
]
ENDS = ("WorkflowCompleted", "WorkflowCancelled")


@pytest.mark.parametrize(("event", "expected"), RUN_CHANGES, ids=named)
def test_what_an_event_changes_of_a_run(event: Any, expected: dict[str, Any]) -> None:
    assert changes(RUN, evolve_run(RUN, event)) == expected
    assert changes_state(event) == bool(expected)


def test_a_run_fails() -> None:
    running = RUN.model_copy(update={"status": "running"})
    [failed] = [event for event, _ in RUN_CHANGES if event.type == "WorkflowFailed"]
    assert changes(running, evolve_run(running, failed)) == {"status": "failed", "completed_at": 90}


def test_a_submission_makes_a_run() -> None:
    assert changes_state(SUBMITTED)
    assert evolve_run(RUN, SUBMITTED) == RUN
    assert evolve_run(None, SUBMITTED) == RunState(
        run_id="r",
        workflow_slug="w",
        status="pending",
        available_at=91,
        priority=3,
        workflow_attempt_number=1,
        created_at=90,
        timeout=92,
        idempotency_key="l",
        metadata={"n": 2},
        tags=["u"],
        input="[2]",
    )


def test_the_first_submission_counts_wherever_it_stands_and_the_slug_that_is_asked_for() -> None:
    second = SUBMITTED.model_copy(update={"priority": 99, "timestamp_us": 95})
    state = project_run_state([STARTED, SUBMITTED, second], "other")
    assert (state.status, state.started_at, state.priority, state.created_at) == ("running", 90, 3, 90)
    assert state.workflow_slug == "other"


def test_events_are_applied_in_the_order_in_which_they_are_given() -> None:
    completed, cancelled = (event for event, _ in RUN_CHANGES if event.type in ENDS)
    earlier = cancelled.model_copy(update={"timestamp_us": 80})
    state = project_run_state([SUBMITTED, completed, earlier], "w")
    assert (state.status, state.completed_at) == ("cancelled", 80)


def test_the_first_start_says_the_version() -> None:
    again = STARTED.model_copy(update={"version_id": "v2"})
    assert version_id_of([SUBMITTED, STARTED, again]) == "v1"
    assert version_id_of([SUBMITTED]) == "unknown"


def test_a_run_that_is_retried_is_pending_again() -> None:
    failed, retried = (event for event, _ in RUN_CHANGES if event.type in ("WorkflowFailed", "WorkflowRetryStarted"))
    state = project_run_state([SUBMITTED, STARTED, failed, retried], "w")
    assert (state.status, state.workflow_attempt_number, state.completed_at) == ("pending", 2, 90)


def test_no_run_without_its_submission() -> None:
    with pytest.raises(EventInvalidError, match="RunSubmitted"):
        project_run_state([STARTED], "w")
    with pytest.raises(EventInvalidError, match="WorkflowStarted came first"):
        evolve_run(None, STARTED)
