"""How events move a step's state: the table, the reducer and the replay.

A completion or failure of an attempt below the state's is a zombie's: it leaves an entry in the diary, nothing else.
No other event is judged here; whether an event may happen at all is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    StepCompleted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.states import StateChange, StepState, StepStatus

Changes = dict[str, Any]
"""Fields of the state and their new values; None clears a field."""


def evolve_step(state: StepState | None, event: StepEvent) -> StepState:
    """The state after `event`; None stands for a step of which nothing has happened yet."""
    if state is None:
        state = _pending(event)
    transition = TRANSITIONS.get(event.type)
    return state.model_copy(update=transition(state, event)) if transition else state


def project_step_state(events: Iterable[StepEvent], workflow_slug: str) -> StepState:
    """The state of one step after its events, which are given in order. EventInvalidError where there are none."""
    state = reduce(evolve_step, events, None)
    if state is None:
        raise EventInvalidError("A step's state needs at least one event of the step: there is none.")
    return state.model_copy(update={"workflow_slug": workflow_slug})


def _pending(event: StepEvent) -> StepState:
    if event.category != "step":
        raise EventInvalidError(f"A step's state is made of step events: {event.type} is none.")
    return StepState(
        step_id=event.step_id,
        run_id=event.run_id,
        workflow_slug=event.workflow_slug,
        status="pending",
        attempt_number=1,
        dependencies=[],
        state_changes=[],
    )


def _scheduled(state: StepState, event: StepScheduled) -> Changes:
    return {
        "status": "scheduled",
        "available_at": event.available_at_us,
        "schedule_reason": event.reason,
        "attempt_number": event.attempt_number,
        "scheduled_at": event.timestamp_us,
        "priority": event.priority,
        "claimed_by": None,
        "last_heartbeat": None,
        "start_time": None,
        "resource_usage": None,
        "state_changes": _noted(state, event, "scheduled", f"attempt {event.attempt_number} scheduled: {event.reason}"),
    }


def _started(state: StepState, event: StepStarted) -> Changes:
    return {
        "status": "running",
        "start_time": event.timestamp_us,
        "dependencies": event.dependencies,
        "attempt_number": event.attempt_number,
        "claimed_by": event.worker_id,
        "resource_usage": None,
        "state_changes": _noted(state, event, "running", f"attempt {event.attempt_number} begun by {event.worker_id}"),
    }


def _heartbeat(state: StepState, event: StepHeartbeat) -> Changes:
    return {"claimed_by": event.worker_id, "last_heartbeat": event.timestamp_us}


def _completed(state: StepState, event: StepCompleted) -> Changes:
    if event.attempt_number < state.attempt_number:
        return _zombie(state, event)
    return {
        "status": "completed",
        "end_time": event.timestamp_us,
        "duration": event.duration_us,
        "output": event.output,
        "export_output": event.export_output,
        "resource_usage": event.resource_usage,
        **_NO_ERROR,
        "state_changes": _noted(state, event, "completed", f"attempt {event.attempt_number} completed"),
    }


def _failed(state: StepState, event: StepFailed) -> Changes:
    if event.attempt_number < state.attempt_number:
        return _zombie(state, event)
    return _failed_for_good(state, event) if event.terminal else _failed_for_now(state, event)


def _failed_for_good(state: StepState, event: StepFailed) -> Changes:
    message = f"attempt {event.attempt_number} failed for good ({event.failure_reason}): {event.error.message}"
    return {
        "status": "failed",
        "end_time": event.timestamp_us,
        "duration": event.duration_us,
        "error": event.error,
        "terminal": True,
        "resource_usage": event.resource_usage,
        "state_changes": _noted(state, event, "failed", message),
    }


def _failed_for_now(state: StepState, event: StepFailed) -> Changes:
    message = f"attempt {event.attempt_number} failed, another follows: {event.error.message}"
    return {
        "error": event.error,
        "terminal": False,
        "next_retry_at": event.next_retry_at_us,
        "resource_usage": event.resource_usage,
        "state_changes": _noted(state, event, "running", message),
    }


def _skipped(state: StepState, event: StepSkipped) -> Changes:
    origin = "" if event.skip_type == "primary" else f" in cascade from {event.cascaded_from}"
    return {
        "status": "skipped",
        "end_time": event.timestamp_us,
        "duration": event.duration_us,
        **_NO_ERROR,
        "state_changes": _noted(state, event, "skipped", f"skipped{origin}: {event.reason}"),
    }


def _reclaimed(state: StepState, event: StepReclaimed) -> Changes:
    message = f"attempt {event.attempt_number} taken from {event.original_worker_id} by {event.reclaimed_by}"
    return {
        "was_reclaimed": True,
        "reclaimed_from": event.original_worker_id,
        "reclaimed_by": event.reclaimed_by,
        "state_changes": _noted(state, event, "scheduled", message),
    }


def _zombie(state: StepState, event: StepCompleted | StepFailed) -> Changes:
    message = f"{event.type} of attempt {event.attempt_number} ignored: the current one is {state.attempt_number}"
    return {"state_changes": _noted(state, event, state.status, message)}


def _noted(state: StepState, event: StepEvent, status: StepStatus, message: str) -> list[StateChange]:
    return [*state.state_changes, StateChange(status=status, timestamp=event.timestamp_us, message=message)]


_NO_ERROR: Changes = {"error": None, "terminal": None, "next_retry_at": None}

TRANSITIONS: Mapping[str, Callable[[StepState, Any], Changes]] = {
    "StepScheduled": _scheduled,
    "StepStarted": _started,
    "StepHeartbeat": _heartbeat,
    "StepCompleted": _completed,
    "StepFailed": _failed,
    "StepSkipped": _skipped,
    "StepReclaimed": _reclaimed,
}
