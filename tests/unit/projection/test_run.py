"""The replay rules of a run's state, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    RunSubmitted,
    StepError,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.projection import evolve_run, project_run_state, version_id_of

IDS: dict[str, Any] = {"workflow_slug": "w", "run_id": "r"}
SUBMITTED = RunSubmitted(
    timestamp_us=1,
    **IDS,
    version_id="sha256:0",
    available_at_us=2,
    priority=3,
    input='{"a":1}',
    has_input_schema=True,
    timeout_us=9,
    idempotency_key="k",
    metadata={"m": 1},
    tags=["t"],
)
STARTED = WorkflowStarted(
    timestamp_us=5, **IDS, version_id="sha256:1", workflow_attempt_number=1, has_input_schema=True, has_input=True
)
COMPLETED = WorkflowCompleted(
    timestamp_us=7, **IDS, workflow_attempt_number=1, output="{}", duration_us=2, total_steps=1
)
FAILED = WorkflowFailed(
    timestamp_us=7,
    **IDS,
    workflow_attempt_number=1,
    error=StepError(message="no"),
    duration_us=2,
    completed_steps=0,
    failure_reason="step-failed",
)
CANCELLED = WorkflowCancelled(timestamp_us=7, **IDS, workflow_attempt_number=1, duration_us=2, completed_steps=0)
RETRIED = WorkflowRetryStarted(
    timestamp_us=8, **IDS, workflow_attempt_number=2, previous_attempt_number=1, retried_steps=["s"]
)
RESUMED = WorkflowResumed(timestamp_us=6, **IDS, version_id="v", original_run_id="q", resumed_steps=1, pending_steps=1)


def test_a_submitted_run_is_pending_with_all_that_was_said() -> None:
    assert project_run_state([SUBMITTED], "w").to_wire() == {
        "runId": "r",
        "workflowSlug": "w",
        "status": "pending",
        "availableAt": 2,
        "priority": 3,
        "workflowAttemptNumber": 1,
        "createdAt": 1,
        "timeout": 9,
        "idempotencyKey": "k",
        "metadata": {"m": 1},
        "tags": ["t"],
        "input": '{"a":1}',
    }


@pytest.mark.parametrize(("end", "status"), [(COMPLETED, "completed"), (FAILED, "failed"), (CANCELLED, "cancelled")])
def test_runs_start_and_end(end: WorkflowEvent, status: str) -> None:
    running = project_run_state([SUBMITTED, STARTED], "w")
    assert (running.status, running.started_at, running.completed_at) == ("running", 5, None)
    ended = evolve_run(running, end)
    assert (ended.status, ended.completed_at) == (status, 7)


def test_a_run_that_is_retried_is_pending_again() -> None:
    state = project_run_state([SUBMITTED, STARTED, FAILED, RETRIED], "w")
    assert (state.status, state.workflow_attempt_number, state.completed_at) == ("pending", 2, 7)


def test_other_events_and_a_second_submission_change_nothing() -> None:
    again = SUBMITTED.model_copy(update={"priority": 99})
    before = project_run_state([SUBMITTED, STARTED], "w")
    assert project_run_state([SUBMITTED, STARTED, again, RESUMED], "w") == before


def test_the_submission_may_stand_anywhere_in_a_history() -> None:
    assert project_run_state([STARTED, SUBMITTED], "w").status == "running"


def test_no_run_without_its_submission() -> None:
    with pytest.raises(EventInvalidError, match="RunSubmitted"):
        project_run_state([STARTED], "w")
    with pytest.raises(EventInvalidError, match="WorkflowStarted came first"):
        evolve_run(None, STARTED)


def test_the_version_is_the_one_that_was_started() -> None:
    assert version_id_of([SUBMITTED, STARTED]) == "sha256:1"
    assert version_id_of([SUBMITTED]) == "unknown"
