"""What a step's events tell of its attempts and their logs. An attempt is known from its StepStarted on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cascade_flow.model.events import Event, LogEntry, StepCompleted, StepFailed, StepStarted
from cascade_flow.model.states import AttemptMetadata, AttemptStatus


def extract_logs(events: Iterable[Event]) -> list[LogEntry]:
    """The log lines among the events, in the given order."""
    return [event for event in events if isinstance(event, LogEntry)]


def current_attempt_number(events: Iterable[Event]) -> int:
    """How often the step was started."""
    return sum(1 for event in events if event.type == "StepStarted")


def extract_attempt_metadata(events: Iterable[Event]) -> list[AttemptMetadata]:
    """One entry for each attempt of a step that was started, ascending by attempt number."""
    attempts: dict[int, AttemptMetadata] = {}
    for event in events:
        if transition := TRANSITIONS.get(event.type):
            transition(attempts, event)
    return [attempts[number] for number in sorted(attempts)]


Attempts = dict[int, AttemptMetadata]


def _started(attempts: Attempts, event: StepStarted) -> None:
    number = event.attempt_number
    known = attempts.get(number) or AttemptMetadata(
        attempt_number=number, status="running", start_time=event.timestamp_us, has_logs=False, log_count=0
    )
    attempts[number] = known.model_copy(update={"start_time": event.timestamp_us})


def _completed(attempts: Attempts, event: StepCompleted) -> None:
    _end(attempts, event, "completed")


def _failed(attempts: Attempts, event: StepFailed) -> None:
    _end(attempts, event, "failed")


def _end(attempts: Attempts, event: StepCompleted | StepFailed, status: AttemptStatus) -> None:
    if attempt := attempts.get(event.attempt_number):
        changes = {"status": status, "end_time": event.timestamp_us, "resource_usage": event.resource_usage}
        if attempt.start_time:
            changes["duration"] = event.timestamp_us - attempt.start_time
        attempts[event.attempt_number] = attempt.model_copy(update=changes)


def _logged(attempts: Attempts, event: LogEntry) -> None:
    if attempt := attempts.get(event.attempt_number):
        changes = {"has_logs": True, "log_count": attempt.log_count + 1}
        attempts[event.attempt_number] = attempt.model_copy(update=changes)


TRANSITIONS: Mapping[str, Callable[[Attempts, Any], None]] = {
    "StepStarted": _started,
    "StepCompleted": _completed,
    "StepFailed": _failed,
    "LogEntry": _logged,
}
