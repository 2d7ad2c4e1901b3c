"""The attempts of a step, as a test looks at them: folded from its events and its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow.engine.waits import reason_in
from cascade_flow.model.events import (
    StepCompleted,
    StepEvent,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.parts import StepError
from cascade_flow.testing.places import Line

_END_OF_AN_ATTEMPT = (StepCompleted, StepFailed, StepSkipped, StepReclaimed)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a step. `status` is "running", "completed", "failed", "skipped", "died" or "postponed": it raised
    `Later`, with this `reason`.
    """

    number: int
    status: str
    worker: str
    error: StepError | None = None
    retry_at_us: int | None = None
    """When another was due after it failed, or was not ready."""
    started_at_us: int = 0
    reason: str | None = None


def attempts_of(events: Sequence[StepEvent], lines: Sequence[Line]) -> tuple[Attempt, ...]:
    """Those that were begun, in order."""
    return tuple(_attempt(events, lines, each) for each in events if isinstance(each, StepStarted))


def _attempt(events: Sequence[StepEvent], lines: Sequence[Line], started: StepStarted) -> Attempt:
    number = started.attempt_number
    ends = [e for e in events if isinstance(e, _END_OF_AN_ATTEMPT) and e.attempt_number == number]
    failed = next((each for each in ends if isinstance(each, StepFailed)), None)
    reason = None if ends else _postponed(events, lines, number)
    return Attempt(
        number=number,
        status=_status(ends) if reason is None else "postponed",
        worker=started.worker_id,
        error=None if failed is None else failed.error,
        retry_at_us=_retry_us(events, number) if failed or reason is not None else None,
        started_at_us=int(started.timestamp_us),
        reason=reason,
    )


def _postponed(events: Sequence[StepEvent], lines: Sequence[Line], number: int) -> str | None:
    """What the attempt said that was not ready; None where it said nothing of the kind."""
    mine = [line.message for line in lines if line.attempt == number]
    return reason_in(mine[-1]) if mine and _retry_us(events, number) is not None else None


def _retry_us(events: Sequence[StepEvent], number: int) -> int | None:
    scheduled = [e for e in events if isinstance(e, StepScheduled) and e.attempt_number == number + 1]
    return int(scheduled[0].available_at_us) if scheduled else None


def _status(ends: list[Any]) -> str:
    kinds = {type(each) for each in ends}
    if StepReclaimed in kinds or any(isinstance(e, StepFailed) and e.failure_reason == "worker-crash" for e in ends):
        return "died"
    names = {StepCompleted: "completed", StepFailed: "failed", StepSkipped: "skipped"}
    return next((name for kind, name in names.items() if kind in kinds), "running")
