"""What a step's events tell of its attempts, for people: who ran each, for how long, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from cascade_flow.engine.waits import reason_in
from cascade_flow.model.events import (
    LogEntry,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepStarted,
)
from cascade_flow.model.parts import ResourceUsage, StepError, StepFailureReason
from cascade_flow.records import dataclass, replace

AttemptStatus = Literal["running", "completed", "failed", "reclaimed", "postponed"]


@dataclass(frozen=True)
class Attempt:
    """One attempt, from its start on; `reclaimed` is one that was taken from a worker that fell silent, `postponed` one
    that wasn't ready, for a `reason`.
    """

    number: int
    status: AttemptStatus
    worker_id: str
    started_us: int
    ended_us: int | None = None
    usage: ResourceUsage | None = None
    error: StepError | None = None
    failure_reason: StepFailureReason | None = None
    next_retry_us: int | None = None
    reclaimed_by: str | None = None
    reason: str | None = None

    @property
    def duration_us(self) -> int | None:
        return None if self.ended_us is None else self.ended_us - self.started_us


def attempts_in(events: Iterable[StepEvent]) -> list[Attempt]:
    """The attempts of one step, ascending by number. Events in order; of ends without a start nothing is known."""
    found: dict[int, Attempt] = {}
    before: StepEvent | None = None
    for event in events:
        if isinstance(event, StepStarted):
            found[event.attempt_number] = _started(event)
        elif isinstance(event, StepScheduled) and isinstance(before, LogEntry):
            _postpone(found, before, event)
        elif (end := _ENDS.get(type(event))) is not None and (known := found.get(_number(event))) is not None:
            found[known.number] = replace(known, ended_us=event.timestamp_us, **end(event))
        before = event
    return [found[number] for number in sorted(found)]


def _started(event: StepStarted) -> Attempt:
    return Attempt(event.attempt_number, "running", event.worker_id, event.timestamp_us)


def _postpone(found: dict[int, Attempt], line: LogEntry, scheduled: StepScheduled) -> None:
    """An attempt is postponed in one commit: the line that says why, then the next one's schedule."""
    reason, known = reason_in(line.message), found.get(line.attempt_number)
    if reason is not None and known is not None and scheduled.attempt_number == known.number + 1:
        over = replace(known, status="postponed", ended_us=line.timestamp_us, reason=reason)
        found[known.number] = replace(over, next_retry_us=scheduled.available_at_us)


def _number(event: Any) -> int:
    return int(event.attempt_number)


def _completed(event: StepCompleted) -> dict[str, Any]:
    return {"status": "completed", "usage": event.resource_usage}


def _failed(event: StepFailed) -> dict[str, Any]:
    return {
        "status": "failed",
        "usage": event.resource_usage,
        "error": event.error,
        "failure_reason": event.failure_reason,
        "next_retry_us": event.next_retry_at_us,
    }


def _reclaimed(event: StepReclaimed) -> dict[str, Any]:
    return {"status": "reclaimed", "reclaimed_by": event.reclaimed_by}


_ENDS: Mapping[type[Any], Callable[[Any], dict[str, Any]]] = {
    StepCompleted: _completed,
    StepFailed: _failed,
    StepReclaimed: _reclaimed,
}
