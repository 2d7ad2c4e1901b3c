"""The steps of a caller-driven run: what is said is stored, and only who holds an attempt may speak of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    Checkpoint,
    CheckpointRef,
    ConfigurationError,
    DynamoDBBackend,
    EngineDrivenError,
    EventInvalidError,
    InvalidIdError,
    LogEntry,
    ResourceSnapshot,
    RunNotFoundError,
    StaleAttemptError,
    clock,
)
from cascade_flow.dynamodb import keys
from contract.called import ERROR, FLOW, USAGE, Called
from contract.outside import Outside, step
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")

CHECKPOINT = Checkpoint(name="half", sequence_number=0, attempt_number=1, data='{"rows":5}', label="Half")


def line(run: Outside, message: str, *, attempt: int = 1) -> LogEntry:
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": run.run_id, "step_id": "a"}
    said: dict[str, Any] = {"stream": "stdout", "message": message, "attempt_number": attempt}
    return LogEntry(timestamp_us=clock.now_us(), **place, **said)


def test_any_step_of_any_run_is_scheduled(backend: DynamoDBBackend) -> None:
    run = Called(backend, "run-1")
    run.schedule("group/sub/step", 4, reason="retry", retry_delay_ms=5, priority=2)
    [scheduled] = run.events()
    assert (scheduled.step_id, scheduled.attempt_number, scheduled.priority) == ("group/sub/step", 4, 2)
    assert (scheduled.reason, scheduled.retry_delay_ms) == ("retry", 5)
    assert backend.run_exists(FLOW, "run-1")


def test_an_attempt_is_the_number_of_starts(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    assert run.begin("a", slot_index=1, worker_concurrency=2) == 1
    run.fail("a", 1)
    assert run.begin("a") == 2
    assert run.begin("b") == 1


def test_a_held_step_completes(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    attempt = run.take("a")
    run.complete("a", attempt, {"rows": 3}, export_output=True, resource_usage=USAGE, logs=[line(run, "done")])
    assert run.kinds("a") == ["StepScheduled", "StepStarted", "LogEntry", "StepCompleted"]
    [completed] = run.events("StepCompleted")
    assert (completed.output, completed.export_output, completed.resource_usage) == ('{"rows":3}', True, USAGE)
    [record] = backend.load_run(FLOW, run.run_id)
    assert (record.status, record.output) == ("completed", '{"rows":3}')


def test_a_large_output_is_kept(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.complete("a", run.take("a"), list(range(5_000)))
    [record] = backend.load_run(FLOW, run.run_id)
    assert record.output is not None
    assert record.output.endswith("4999]")


def test_a_held_step_beats(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    run.beat("a", slot_index=0, resource_snapshot=ResourceSnapshot(memory_bytes=5))
    [beat] = run.events("StepHeartbeat")
    assert (beat.worker_id, beat.slot_index, beat.resource_snapshot.memory_bytes) == (run.name, 0, 5)


def test_a_step_fails_for_now_or_for_good(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    run.fail("a", next_retry_at_us=5)
    assert backend.get_failed_steps(FLOW, run.run_id) == []
    assert run.events("StepFailed")[0].next_retry_at_us == 5
    run.schedule("a", 2)
    run.fail("a", run.take("a"), terminal=True)
    [failed] = backend.get_failed_steps(FLOW, run.run_id)
    assert (failed.step_id, failed.error, failed.attempt_number) == ("a", ERROR, 2)
    assert run.status == "running", "nothing follows but what the caller says"


def test_a_retry_is_one_word(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    run.retry("a", max_retries=3, total_policies=2, policy_index=1, attempt_in_policy=2, priority=7)
    assert run.kinds("a")[-3:] == ["StepFailed", "StepRetrying", "StepScheduled"]
    retrying, scheduled = run.events("StepRetrying")[0], run.events("StepScheduled")[-1]
    assert (retrying.next_attempt, retrying.max_retries, retrying.total_policies) == (2, 3, 2)
    assert (scheduled.attempt_number, scheduled.priority, scheduled.policy_index) == (2, 7, 1)
    assert scheduled.attempt_in_policy == 2
    assert run.take("a") == 2


def test_a_retry_that_comes_too_late_leaves_nothing(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.complete("a", run.take("a"))
    before = run.events()
    with pytest.raises(StaleAttemptError):
        run.retry("a")
    assert run.events() == before


def test_a_step_is_skipped(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.schedule("b")
    run.take("a")
    run.skip("a", metadata={"why": "test"})
    run.skip("b")
    backend.save_step_skipped(
        FLOW,
        run.run_id,
        "c",
        skip_type="cascade",
        reason="a was skipped",
        duration_us=0,
        attempt_number=1,
        cascaded_from="a",
    )
    skipped = run.events("StepSkipped")
    assert [event.step_id for event in skipped] == ["a", "b", "c"]
    assert (skipped[0].metadata, skipped[2].skip_type, skipped[2].cascaded_from) == ({"why": "test"}, "cascade", "a")
    assert {record.status for record in backend.load_run(FLOW, run.run_id)} == {"skipped"}


def test_a_step_that_nobody_has_begun_can_fail_for_good(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    with pytest.raises(StaleAttemptError):
        run.fail("a")
    with pytest.raises(StaleAttemptError):
        run.fail("a", 2, terminal=True)
    run.fail("a", terminal=True, failure_reason="step-removed")
    assert run.claim("a") is None


def test_checkpoints_are_kept(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    backend.save_step_checkpoint(FLOW, run.run_id, "a", CHECKPOINT)
    nested = CHECKPOINT.model_copy(update={"parent_checkpoint": CheckpointRef(name="half", sequence_number=0)})
    backend.save_step_checkpoint(FLOW, run.run_id, "a", nested)
    backend.save_step_checkpoint_failed(
        FLOW, run.run_id, "a", name="rest", sequence_number=1, attempt_number=1, error=ERROR
    )
    first, second = run.events("StepCheckpoint")
    assert (first.data, first.label, second.parent_checkpoint) == (CHECKPOINT.data, "Half", nested.parent_checkpoint)
    assert run.events("StepCheckpointFailed")[0].error == ERROR


def late_words(run: Called) -> list[Callable[[], object]]:
    """All that a worker may say of attempt 1 of step a."""
    return [
        lambda: run.beat("a"),
        lambda: run.complete("a", logs=[line(run, "late")]),
        lambda: run.fail("a"),
        lambda: run.fail("a", terminal=True),
        lambda: run.skip("a"),
        lambda: run.retry("a"),
        lambda: run.backend.save_step_checkpoint(FLOW, run.run_id, "a", CHECKPOINT),
        lambda: run.backend.save_step_checkpoint_failed(
            FLOW, run.run_id, "a", name="x", sequence_number=0, attempt_number=1, error=ERROR
        ),
        lambda: run.reclaim("a"),
    ]


def assert_too_late(run: Called) -> None:
    before = run.events()
    for word in late_words(run):
        with pytest.raises(StaleAttemptError, match="nothing"):
            word()
    assert run.events() == before, "who comes too late writes nothing, no log line either"


def test_a_completed_attempt_is_held_no_more(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.complete("a", run.take("a"))
    assert_too_late(run)


def test_an_attempt_that_failed_is_held_no_more(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.fail("a", run.take("a"))
    assert_too_late(run)


def test_a_reclaimed_attempt_is_held_no_more(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    run.reclaim("a")
    assert run.events("StepReclaimed")[0].reclaimed_by == "reaper"
    assert_too_late(run)
    run.schedule("a", 2, reason="retry")
    assert_too_late(run)
    assert run.take("a") == 2
    assert_too_late(run)


def test_nothing_of_a_run_that_ended_is_held(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    backend.cancel_run(run.run_id)
    assert_too_late(run)


def test_another_worker_does_not_beat(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    with pytest.raises(StaleAttemptError, match="worker-1"):
        replace(run, name="worker-2").beat("a")
    with pytest.raises(StaleAttemptError, match="never scheduled"):
        run.beat("b")


def test_log_lines_are_stored_whenever_they_come(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.complete("a", run.take("a"))
    backend.save_step_logs(FLOW, run.run_id, "a", [line(run, "one"), line(run, "two", attempt=2)])
    logs = backend.load_step_logs(FLOW, run.run_id, "a")
    assert logs is not None
    assert [entry.message for entry in logs] == ["one", "two"]
    second = backend.load_step_logs(FLOW, run.run_id, "a", 2)
    assert second is not None
    assert [entry.message for entry in second] == ["two"]
    with pytest.raises(RunNotFoundError):
        backend.save_step_logs(FLOW, "unknown", "a", [])


def test_only_what_is_there_is_reported(backend: DynamoDBBackend) -> None:
    run = Called(backend, "unknown")
    for word in late_words(run):
        with pytest.raises(RunNotFoundError):
            word()
    with pytest.raises(RunNotFoundError):
        run.claim("a")
    with pytest.raises(RunNotFoundError):
        backend.is_step_claimable(FLOW, "unknown", "a")
    with pytest.raises(InvalidIdError):
        run.schedule("a#b")
    with pytest.raises(EventInvalidError, match="attempt"):
        run.schedule("a", 0)


def test_the_engine_does_it_itself(backend: DynamoDBBackend) -> None:
    run = Called(backend, Outside.at(backend, step("a")).run_id)
    before = run.events()
    for said, instead in (
        (lambda: run.schedule("a", 2), "schedules a step itself"),
        (lambda: run.begin("a"), "claim_scheduled_step"),
        (lambda: run.retry("a"), "save_step_failed"),
        (lambda: run.reclaim("a"), "sweep"),
    ):
        with pytest.raises(EngineDrivenError, match=instead):
            said()
    assert run.events() == before


def test_an_output_has_no_path_without_a_bucket(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    with pytest.raises(ConfigurationError, match="no bucket"):
        backend.get_step_output_path(FLOW, run.run_id, "a", 1)


def test_a_run_is_told_in_the_order_of_its_times(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called.with_step(backend)
    run.do("a")
    run.finish()
    kinds = ["RunSubmitted", "WorkflowStarted", "StepScheduled", "StepStarted", "StepCompleted", "WorkflowCompleted"]
    assert run.kinds() == kinds


def test_lines_without_text_share_no_item_without_end(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    blank = line(run, "")
    lines = [blank.model_copy(update={"timestamp_us": blank.timestamp_us + number}) for number in range(8_000)]
    backend.save_step_logs(FLOW, run.run_id, "a", lines)
    [_, *rest] = backend.runtime.ledger.table.query(keys.logs(run.run_id, "a", 1))
    assert rest, "of a hundred thousand such lines no item would hold all"
