"""The replay of a step's older, smaller view. It knows four events; every failure fails it, terminal or not.

It has no incremental reducer: a record is never stored, and doesn't hold the attempt number that its zombie rule needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import StepCompleted, StepEvent, StepFailed, StepSkipped, StepStarted
from cascade_flow.model.states import StateChange, StepRecord, StepStatus

Changes = dict[str, Any]
"""Fields of the record and their new values; None clears a field."""


def project_step_record(events: Iterable[StepEvent]) -> StepRecord:
    """The record of one step after its events, which are given in order. EventInvalidError where there are none."""
    history = list(events)
    record, attempt_number = _pending(history), 1
    for event in history:
        if isinstance(event, StepCompleted | StepFailed) and event.attempt_number < attempt_number:
            record = record.model_copy(update=_zombie(record, event, attempt_number))
        elif transition := TRANSITIONS.get(event.type):
            record = record.model_copy(update=transition(record, event))
        if isinstance(event, StepStarted):
            attempt_number = event.attempt_number
    return record


def _pending(history: list[StepEvent]) -> StepRecord:
    if not history or history[0].category != "step":
        raise EventInvalidError("A step's record needs events of the step: the first is none, or there are none.")
    first = history[0]
    return StepRecord(step_id=first.step_id, run_id=first.run_id, status="pending", dependencies=[], state_changes=[])


def _started(record: StepRecord, event: StepStarted) -> Changes:
    return {
        "status": "running",
        "start_time": event.timestamp_us,
        "dependencies": event.dependencies,
        "state_changes": _noted(record, event, "running", f"attempt {event.attempt_number} begun"),
    }


def _completed(record: StepRecord, event: StepCompleted) -> Changes:
    message = f"attempt {event.attempt_number} completed"
    return {**_ended(record, event, "completed", message), "output": event.output, "error": None}


def _failed(record: StepRecord, event: StepFailed) -> Changes:
    message = f"attempt {event.attempt_number} failed: {event.error.message}"
    return {**_ended(record, event, "failed", message), "error": event.error}


def _skipped(record: StepRecord, event: StepSkipped) -> Changes:
    return {**_ended(record, event, "skipped", f"skipped: {event.reason}"), "error": None}


def _ended(
    record: StepRecord, event: StepCompleted | StepFailed | StepSkipped, status: StepStatus, message: str
) -> Changes:
    return {
        "status": status,
        "end_time": event.timestamp_us,
        "duration": event.duration_us,
        "state_changes": _noted(record, event, status, message),
    }


def _zombie(record: StepRecord, event: StepCompleted | StepFailed, attempt_number: int) -> Changes:
    message = f"{event.type} of attempt {event.attempt_number} ignored: the current one is {attempt_number}"
    return {"state_changes": _noted(record, event, record.status, message)}


def _noted(record: StepRecord, event: StepEvent, status: StepStatus, message: str) -> list[StateChange]:
    return [*record.state_changes, StateChange(status=status, timestamp=event.timestamp_us, message=message)]


TRANSITIONS: Mapping[str, Callable[[StepRecord, Any], Changes]] = {
    "StepStarted": _started,
    "StepCompleted": _completed,
    "StepFailed": _failed,
    "StepSkipped": _skipped,
}
