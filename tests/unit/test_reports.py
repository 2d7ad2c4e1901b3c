"""What a worker outside of the engine says, in both tongues: as a command of the engine's, and as a caller's event."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.engine.caller import draft
from cascade_flow.engine.commands import Complete, Fail, KeepCheckpoint, Postpone, SkipStep
from cascade_flow.engine.waits import line_of
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    CheckpointRef,
    LogEntry,
    ResourceSnapshot,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepSkipped,
)
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations import reports
from cascade_flow.operations.reports import Report
from cascade_flow.operations.steps import Slot
from simulation import USAGE

ERROR = StepError(name="ValueError", message="no", stack="Traceback …")
PARENT = CheckpointRef(name="all", sequence_number=5)
PLACE = {"step_id": "a", "attempt_number": 4}
SNAPSHOT = ResourceSnapshot(memory_bytes=1, cpu_time_us=2)


@pytest.mark.parametrize("export", [False, True])
def test_an_attempt_that_completes_says_what_it_gave_and_took(export: bool) -> None:
    said = reports.completion("a", 4, "[1]", duration_us=7, export_output=export, usage=USAGE)
    told: dict[str, Any] = {"output": "[1]", "duration_us": 7, "export_output": export, "resource_usage": USAGE}
    assert said == Report(Complete("[1]", 7, USAGE), draft(StepCompleted, **PLACE, **told))


@pytest.mark.parametrize("terminal", [False, True])
def test_an_attempt_that_fails_says_why_and_for_good_also_of_what_nobody_has_begun(terminal: bool) -> None:
    said = reports.failure(
        "a",
        4,
        ERROR,
        duration_us=7,
        terminal=terminal,
        reason="timeout",
        next_retry_at_us=9,
        usage=USAGE,
        chance=0.25,
    )
    told: dict[str, Any] = {"error": ERROR, "error_fingerprints": compute_error_fingerprints(ERROR), "duration_us": 7}
    why = {"terminal": terminal, "next_retry_at_us": 9, "failure_reason": "timeout", "resource_usage": USAGE}
    command = Fail(ERROR, "timeout", 7, retryable=not terminal, chance=0.25, resource_usage=USAGE)
    assert said == Report(command, draft(StepFailed, **PLACE, **told, **why), without_work=terminal)


@pytest.mark.parametrize("metadata", [None, {"why": "test"}])
def test_what_is_skipped_says_why_also_where_nobody_has_begun_it(metadata: dict[str, Any] | None) -> None:
    said = reports.skip("a", 4, reason="no need", duration_us=7, metadata=metadata, skip_type="primary")
    told: dict[str, Any] = {"reason": "no need", "duration_us": 7, "metadata": metadata, "skip_type": "primary"}
    command = SkipStep("no need", 7, metadata)
    assert said == Report(command, draft(StepSkipped, **PLACE, **told), without_work=True)


@pytest.mark.parametrize(("at_us", "delay_us"), [(8, None), (None, 9)])
def test_what_is_not_ready_says_when_it_comes_again(at_us: int | None, delay_us: int | None) -> None:
    said = reports.postponement("a", 4, "not yet", at_us=at_us, delay_us=delay_us)
    told = draft(LogEntry, **PLACE, stream="stdout", message=line_of("not yet"))
    assert line_of("not yet") != "not yet"
    assert said == Report(Postpone("not yet", 0, at_us, delay_us), told)


def test_a_part_that_is_done_says_all_that_is_kept_of_it() -> None:
    kept = {"name": "one", "sequence_number": 3, "data": "[1]", "label": "First", "parent_checkpoint": PARENT}
    said = reports.checkpoint("a", Checkpoint(attempt_number=4, **kept))
    command = KeepCheckpoint("one", 3, "[1]", label="First", parent=PARENT)
    assert said == Report(command, draft(StepCheckpoint, **PLACE, **kept))


def test_a_part_that_failed_says_which_and_why() -> None:
    said = reports.checkpoint_failure("a", 4, name="one", sequence_number=3, error=ERROR)
    told = draft(StepCheckpointFailed, **PLACE, name="one", sequence_number=3, error=ERROR)
    assert said == Report(KeepCheckpoint("one", 3, error=ERROR), told)


def test_a_heartbeat_says_who_is_at_work_where_and_with_what() -> None:
    said = reports.beat("a", "w", 4, slot=Slot(2, 8), resource_snapshot=SNAPSHOT)
    told = {"worker_id": "w", "slot_index": 2, "worker_concurrency": 8, "resource_snapshot": SNAPSHOT}
    assert said == draft(StepHeartbeat, **PLACE, **told)
