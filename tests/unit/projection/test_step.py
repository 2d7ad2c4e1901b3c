"""The replay rules of a step's state, one by one, as the wire contract words them."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    ErrorFingerprints,
    LogEntry,
    ResourceUsage,
    RunSubmitted,
    StepCheckpoint,
    StepCompleted,
    StepError,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.states import StepState
from cascade_flow.projection import evolve_step, project_step_record, project_step_state

IDS: dict[str, Any] = {"workflow_slug": "w", "run_id": "r", "step_id": "s"}
ERROR = StepError(message="no")
FINGERPRINTS = ErrorFingerprints(
    name_hash="n", message_hash="m", stack_exact_hash="e", stack_normalized_hash="o", stack_portable_hash="p"
)
USAGE = ResourceUsage(
    peak_memory_bytes=1,
    cpu_time_user_us=1,
    cpu_time_system_us=1,
    cpu_time_total_us=2,
    voluntary_context_switches=0,
    involuntary_context_switches=0,
)


def scheduled(us: int, attempt: int = 1, **given: Any) -> StepScheduled:
    known = {"reason": "initial", "available_at_us": us, "attempt_number": attempt}
    return StepScheduled(timestamp_us=us, **{**IDS, **known, **given})


def started(us: int, attempt: int = 1, worker: str = "ann") -> StepStarted:
    return StepStarted(timestamp_us=us, **IDS, worker_id=worker, dependencies=["a"], attempt_number=attempt)


def completed(us: int, attempt: int = 1) -> StepCompleted:
    ended: dict[str, Any] = {"duration_us": 7, "attempt_number": attempt, "resource_usage": USAGE}
    return StepCompleted(timestamp_us=us, **IDS, **ended, output='"out"', export_output=True)


def failed(us: int, attempt: int = 1, *, terminal: bool) -> StepFailed:
    return StepFailed(
        timestamp_us=us,
        **IDS,
        error=ERROR,
        error_fingerprints=FINGERPRINTS,
        duration_us=7,
        attempt_number=attempt,
        terminal=terminal,
        next_retry_at_us=None if terminal else us + 10,
        failure_reason="exhausted-retries" if terminal else "execution-error",
        resource_usage=USAGE,
    )


def skipped(us: int) -> StepSkipped:
    return StepSkipped(timestamp_us=us, **IDS, skip_type="primary", reason="rain", duration_us=7, attempt_number=1)


def reclaimed(us: int) -> StepReclaimed:
    stale: dict[str, Any] = {"last_heartbeat_us": 2, "stale_threshold_us": 1, "stale_duration_us": us - 2}
    return StepReclaimed(
        timestamp_us=us, **IDS, **stale, original_worker_id="ann", reclaimed_by="sweep", attempt_number=1
    )


def beat(us: int) -> StepHeartbeat:
    return StepHeartbeat(timestamp_us=us, **IDS, worker_id="bob", attempt_number=1)


def state_after(*events: StepEvent) -> StepState:
    return project_step_state(events, "w")


def diary(state: StepState) -> list[tuple[str, int]]:
    return [(change.status, change.timestamp) for change in state.state_changes]


def test_a_scheduled_step_knows_when_and_why() -> None:
    state = state_after(scheduled(1, priority=3))
    assert (state.status, state.available_at, state.schedule_reason) == ("scheduled", 1, "initial")
    assert (state.attempt_number, state.scheduled_at, state.priority) == (1, 1, 3)


def test_scheduling_clears_what_the_last_attempt_left() -> None:
    state = state_after(scheduled(1), started(2), beat(3), failed(4, terminal=False), scheduled(5, 2, reason="retry"))
    assert (state.claimed_by, state.last_heartbeat, state.start_time, state.resource_usage) == (None,) * 4
    assert (state.error, state.terminal, state.next_retry_at) == (ERROR, False, 14)


def test_a_started_step_runs() -> None:
    state = state_after(scheduled(1), started(2))
    assert (state.status, state.start_time, state.claimed_by) == ("running", 2, "ann")
    assert state.dependencies == ["a"]


def test_a_heartbeat_changes_no_status() -> None:
    state = state_after(scheduled(1), started(2), beat(3))
    assert (state.status, state.claimed_by, state.last_heartbeat) == ("running", "bob", 3)
    assert diary(state) == [("scheduled", 1), ("running", 2)]


def test_completion_clears_the_error() -> None:
    state = state_after(scheduled(1), started(2), failed(3, terminal=False), completed(4))
    assert (state.status, state.end_time, state.duration, state.output) == ("completed", 4, 7, '"out"')
    assert (state.export_output, state.resource_usage) == (True, USAGE)
    assert (state.error, state.terminal, state.next_retry_at) == (None, None, None)


def test_a_terminal_failure_fails_the_step() -> None:
    state = state_after(scheduled(1), started(2), failed(3, terminal=True))
    assert (state.status, state.end_time, state.duration, state.error) == ("failed", 3, 7, ERROR)
    assert (state.terminal, state.resource_usage) == (True, USAGE)


def test_another_failure_leaves_the_status() -> None:
    state = state_after(scheduled(1), started(2), failed(3, terminal=False))
    assert (state.status, state.terminal, state.next_retry_at, state.end_time) == ("running", False, 13, None)
    assert diary(state)[-1] == ("running", 3)


def test_a_skip_clears_the_error() -> None:
    state = state_after(scheduled(1), started(2), failed(3, terminal=False), skipped(4))
    assert (state.status, state.end_time, state.duration) == ("skipped", 4, 7)
    assert (state.error, state.terminal, state.next_retry_at) == (None, None, None)


def test_a_reclaimed_step_runs_until_it_is_scheduled() -> None:
    state = state_after(scheduled(1), started(2), reclaimed(9))
    assert (state.status, state.was_reclaimed) == ("running", True)
    assert (state.reclaimed_from, state.reclaimed_by) == ("ann", "sweep")
    assert diary(state)[-1] == ("scheduled", 9)


@pytest.mark.parametrize("zombie", [completed(5, 1), failed(5, 1, terminal=True), failed(5, 1, terminal=False)])
def test_a_zombie_leaves_a_note_and_nothing_else(zombie: StepEvent) -> None:
    before = state_after(scheduled(1), started(2), scheduled(3, 2), started(4, 2, "bob"))
    after = evolve_step(before, zombie)
    assert diary(after) == [*diary(before), ("running", 5)]
    assert after.model_copy(update={"state_changes": before.state_changes}) == before


@pytest.mark.parametrize(
    "event",
    [
        StepRetrying(timestamp_us=5, **IDS, attempt_number=1, next_attempt=2, error=ERROR),
        StepCheckpoint(timestamp_us=5, **IDS, name="n", sequence_number=0, attempt_number=1, data="1"),
        LogEntry(timestamp_us=5, **IDS, stream="stdout", message="m", attempt_number=1),
    ],
)
def test_other_events_change_nothing(event: StepEvent) -> None:
    before = state_after(scheduled(1))
    assert evolve_step(before, event) == before


def test_a_step_begins_as_pending() -> None:
    state = evolve_step(None, LogEntry(timestamp_us=5, **IDS, stream="stdout", message="m", attempt_number=1))
    assert (state.status, state.attempt_number, state.dependencies, state.state_changes) == ("pending", 1, [], [])


def test_the_state_belongs_to_the_workflow_that_is_named() -> None:
    assert project_step_state([scheduled(1)], "other").workflow_slug == "other"
    assert evolve_step(None, scheduled(1)).workflow_slug == "w"


def test_nothing_and_foreign_events_have_no_state() -> None:
    submitted = RunSubmitted(
        timestamp_us=1,
        workflow_slug="w",
        run_id="r",
        version_id="v",
        available_at_us=1,
        priority=0,
        has_input_schema=False,
    )
    with pytest.raises(EventInvalidError, match="at least one event"):
        project_step_state([], "w")
    with pytest.raises(EventInvalidError, match="RunSubmitted"):
        project_step_state([submitted], "w")  # type: ignore[list-item]
    with pytest.raises(EventInvalidError):
        project_step_record([])


def test_a_record_fails_with_every_failure_and_keeps_the_error_at_a_start() -> None:
    record = project_step_record([scheduled(1), started(2), failed(3, terminal=False), started(5, 2)])
    assert (record.status, record.error, record.end_time) == ("running", ERROR, 3)
    assert [change.status for change in record.state_changes] == ["running", "failed", "running"]


def test_a_record_knows_zombies_by_their_starts_only() -> None:
    assert project_step_record([started(1), scheduled(2, 2), completed(3, 1)]).status == "completed"
    zombied = project_step_record([started(1), started(2, 2), completed(3, 1)])
    assert (zombied.status, zombied.output, len(zombied.state_changes)) == ("running", None, 3)


def test_a_record_forgets_its_error_when_it_ends_well() -> None:
    assert project_step_record([started(1), failed(2, terminal=True), skipped(3)]).error is None
    assert project_step_record([started(1), failed(2, terminal=True), completed(3)]).output == '"out"'
