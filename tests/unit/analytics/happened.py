"""Short words for events of the past, for tests of what is computed from them."""

from __future__ import annotations

from typing import Any

from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
)

IDS: dict[str, Any] = {"workflow_slug": "w", "run_id": "r"}
STEP: dict[str, Any] = {**IDS, "step_id": "s"}


def scheduled(us: int, attempt: int = 1, *, available_us: int, **ids: Any) -> StepScheduled:
    given = {**STEP, **ids}
    return StepScheduled(
        timestamp_us=us, **given, available_at_us=available_us, reason="initial", attempt_number=attempt
    )


def started(us: int, attempt: int = 1, worker: str = "ann", **given: Any) -> StepStarted:
    return StepStarted(timestamp_us=us, **{**STEP, **given}, worker_id=worker, dependencies=[], attempt_number=attempt)


def beat(us: int, attempt: int = 1, worker: str = "ann", **given: Any) -> StepHeartbeat:
    return StepHeartbeat(timestamp_us=us, **{**STEP, **given}, worker_id=worker, attempt_number=attempt)


def completed(us: int, attempt: int = 1, *, took_us: int = 1, **ids: Any) -> StepCompleted:
    given = {**STEP, **ids}
    return StepCompleted(
        timestamp_us=us, **given, output="1", duration_us=took_us, attempt_number=attempt, export_output=False
    )


def failed(
    us: int,
    attempt: int = 1,
    *,
    terminal: bool = False,
    reason: Any = "execution-error",
    message: str = "no",
    took_us: int = 1,
    **given: Any,
) -> StepFailed:
    error = given.pop("error", StepError(message=message))
    return StepFailed(
        timestamp_us=us,
        **{**STEP, **given},
        error=error,
        error_fingerprints=compute_error_fingerprints(error),
        duration_us=took_us,
        attempt_number=attempt,
        terminal=terminal,
        failure_reason=reason,
    )


def retrying(us: int, attempt: int = 1, **ids: Any) -> StepRetrying:
    given, error = {**STEP, **ids}, StepError(message="no")
    return StepRetrying(timestamp_us=us, **given, attempt_number=attempt, next_attempt=attempt + 1, error=error)


def skipped(us: int, **ids: Any) -> StepSkipped:
    given = {**STEP, **ids}
    return StepSkipped(timestamp_us=us, **given, skip_type="primary", reason="", duration_us=9, attempt_number=1)


def reclaimed(us: int, worker: str = "ann", *, silent_us: int = 1, **ids: Any) -> StepReclaimed:
    return StepReclaimed(
        timestamp_us=us,
        **{**STEP, **ids},
        original_worker_id=worker,
        reclaimed_by="reaper",
        last_heartbeat_us=us - silent_us,
        stale_threshold_us=1,
        stale_duration_us=silent_us,
        attempt_number=1,
    )


def run_completed(us: int, *, took_us: int = 1, **ids: Any) -> WorkflowCompleted:
    given = {**IDS, **ids}
    return WorkflowCompleted(
        timestamp_us=us, **given, workflow_attempt_number=1, output="{}", duration_us=took_us, total_steps=1
    )


def run_failed(us: int, *, took_us: int = 1, **ids: Any) -> WorkflowFailed:
    return WorkflowFailed(
        timestamp_us=us,
        **{**IDS, **ids},
        workflow_attempt_number=1,
        error=StepError(message="no"),
        duration_us=took_us,
        completed_steps=0,
        failure_reason="step-failed",
    )


def run_cancelled(us: int, *, took_us: int = 1, **ids: Any) -> WorkflowCancelled:
    given = {**IDS, **ids}
    return WorkflowCancelled(
        timestamp_us=us, **given, workflow_attempt_number=1, duration_us=took_us, completed_steps=0
    )
