"""What a step's events tell of its attempts and logs."""

from __future__ import annotations

from cascade_flow.model.events import (
    Event,
    LogEntry,
    StepCheckpoint,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepStarted,
)
from cascade_flow.projection import current_attempt_number, extract_attempt_metadata, extract_logs
from unit.projection.told import BEGUN, BROKEN, DONE, of, usage

HISTORY: list[Event] = [
    of(StepScheduled, 1, attempt=1, available_at_us=1, reason="initial"),
    of(LogEntry, 5, attempt=2, stream="stdout", message="before its start"),
    of(StepStarted, 10, attempt=2, **BEGUN),
    of(LogEntry, 11, attempt=2, stream="stdout", message="m"),
    of(StepStarted, 12, attempt=2, **BEGUN),
    of(LogEntry, 13, attempt=2, stream="stderr", message="m"),
    of(StepStarted, 14, attempt=1, **BEGUN),
    of(StepCheckpoint, 15, attempt=2, name="n", sequence_number=0, data="1"),
    of(LogEntry, 10, attempt=2, stream="stdout", message="told late"),
    of(StepFailed, 20, attempt=2, terminal=False, **BROKEN),
    of(StepCompleted, 25, attempt=1, **DONE),
    of(StepFailed, 30, attempt=3, terminal=True, **BROKEN),
    of(StepStarted, 0, attempt=6, **BEGUN),
    of(StepCompleted, 8, attempt=6, **DONE),
]


def test_attempts_are_known_from_their_start_on_and_ascend() -> None:
    used = usage(9).to_wire()
    assert [attempt.to_wire() for attempt in extract_attempt_metadata(HISTORY)] == [
        {
            "attemptNumber": 1,
            "status": "completed",
            "startTime": 14,
            "endTime": 25,
            "duration": 11,
            "hasLogs": False,
            "logCount": 0,
            "resourceUsage": used,
        },
        {
            "attemptNumber": 2,
            "status": "failed",
            "startTime": 12,
            "endTime": 20,
            "duration": 8,
            "hasLogs": True,
            "logCount": 3,
            "resourceUsage": used,
        },
        {
            "attemptNumber": 6,
            "status": "completed",
            "startTime": 0,
            "endTime": 8,
            "hasLogs": False,
            "logCount": 0,
            "resourceUsage": used,
        },
    ]


def test_logs_come_in_the_order_of_the_events() -> None:
    assert [(log.timestamp_us, log.message) for log in extract_logs(HISTORY)] == [
        (5, "before its start"),
        (11, "m"),
        (13, "m"),
        (10, "told late"),
    ]


def test_the_current_attempt_is_the_number_of_starts() -> None:
    assert current_attempt_number(HISTORY) == 4
    assert current_attempt_number([]) == 0
