"""What a step's events tell of its attempts and logs."""

from __future__ import annotations

from typing import Any

from cascade_flow.model.events import LogEntry, StepCompleted, StepEvent, StepScheduled, StepStarted
from cascade_flow.projection import current_attempt_number, extract_attempt_metadata, extract_logs

IDS: dict[str, Any] = {"workflow_slug": "w", "run_id": "r", "step_id": "s"}


def started(us: int, attempt: int) -> StepStarted:
    return StepStarted(timestamp_us=us, **IDS, worker_id="ann", dependencies=[], attempt_number=attempt)


def completed(us: int, attempt: int) -> StepCompleted:
    return StepCompleted(timestamp_us=us, **IDS, output="1", duration_us=1, attempt_number=attempt, export_output=False)


def logged(us: int, attempt: int, message: str = "m") -> LogEntry:
    return LogEntry(timestamp_us=us, **IDS, stream="stderr", message=message, attempt_number=attempt)


HISTORY: list[StepEvent] = [
    StepScheduled(timestamp_us=1, **IDS, available_at_us=1, reason="initial", attempt_number=1),
    started(20, 2),
    logged(21, 2, "late"),
    started(10, 1),
    logged(11, 1, "early"),
    logged(12, 1),
    completed(15, 1),
    logged(30, 3, "of no known attempt"),
    completed(31, 3),
]


def test_attempts_are_known_from_their_start_on_and_ascend() -> None:
    assert [attempt.to_wire() for attempt in extract_attempt_metadata(HISTORY)] == [
        {
            "attemptNumber": 1,
            "status": "completed",
            "startTime": 10,
            "endTime": 15,
            "duration": 5,
            "hasLogs": True,
            "logCount": 2,
        },
        {"attemptNumber": 2, "status": "running", "startTime": 20, "hasLogs": True, "logCount": 1},
    ]


def test_logs_come_in_the_order_of_the_events() -> None:
    assert [log.message for log in extract_logs(HISTORY)] == ["late", "early", "m", "of no known attempt"]


def test_the_current_attempt_is_the_number_of_starts() -> None:
    assert current_attempt_number(HISTORY) == 2
    assert current_attempt_number([]) == 0
