"""How events move a run's state: the table, the reducer and the replay. Step events change nothing here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.model.states import RunState

Changes = dict[str, Any]
"""Fields of the state and their new values."""


def evolve_run(state: RunState | None, event: Event) -> RunState:
    """The state after `event`; None stands for a run of which nothing has happened yet.

    Raises EventInvalidError where the first event is no RunSubmitted.
    """
    if state is None:
        return _pending(event)
    transition = TRANSITIONS.get(event.type)
    return state.model_copy(update=transition(event)) if transition else state


def project_run_state(events: Iterable[Event], workflow_slug: str) -> RunState:
    """The state of a run after its events. EventInvalidError where none of them is its RunSubmitted.

    The state begins at the first RunSubmitted, wherever that stands; the others are then applied in the given order.
    """
    history = list(events)
    submitted = next((event for event in history if event.type == "RunSubmitted"), None)
    if submitted is None:
        raise EventInvalidError("A run's state begins at its RunSubmitted: there is none among the events.")
    state = reduce(evolve_run, history, _pending(submitted))
    return state.model_copy(update={"workflow_slug": workflow_slug})


def version_id_of(events: Iterable[Event]) -> str:
    """The version that the run was started with; "unknown" where it wasn't started."""
    return next((event.version_id for event in events if event.type == "WorkflowStarted"), "unknown")


def _pending(event: Event) -> RunState:
    if not isinstance(event, RunSubmitted):
        raise EventInvalidError(f"A run's state begins at its RunSubmitted: {event.type} came first.")
    return RunState(
        run_id=event.run_id,
        workflow_slug=event.workflow_slug,
        status="pending",
        available_at=event.available_at_us,
        priority=event.priority,
        workflow_attempt_number=1,
        created_at=event.timestamp_us,
        timeout=event.timeout_us,
        idempotency_key=event.idempotency_key,
        metadata=event.metadata,
        tags=event.tags,
        input=event.input,
    )


def _started(event: WorkflowStarted) -> Changes:
    return {"status": "running", "started_at": event.timestamp_us}


def _completed(event: WorkflowCompleted) -> Changes:
    return {"status": "completed", "completed_at": event.timestamp_us}


def _failed(event: WorkflowFailed) -> Changes:
    return {"status": "failed", "completed_at": event.timestamp_us}


def _cancelled(event: WorkflowCancelled) -> Changes:
    return {"status": "cancelled", "completed_at": event.timestamp_us}


def _retried(event: WorkflowRetryStarted) -> Changes:
    return {"status": "pending", "workflow_attempt_number": event.workflow_attempt_number}


TRANSITIONS: Mapping[str, Callable[[Any], Changes]] = {
    "WorkflowStarted": _started,
    "WorkflowCompleted": _completed,
    "WorkflowFailed": _failed,
    "WorkflowCancelled": _cancelled,
    "WorkflowRetryStarted": _retried,
}
