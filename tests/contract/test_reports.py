"""What workers report is stored with all that follows from it, or refused with what is true now."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    Checkpoint,
    CheckpointRef,
    DynamoDBBackend,
    EventInvalidError,
    InvalidIdError,
    LogEntry,
    PayloadTooLargeError,
    ResourceSnapshot,
    RetryTier,
    RunNotFoundError,
    StaleAttemptError,
    StepNotFoundError,
    clock,
)
from contract.called import Called
from contract.outside import ERROR, FLOW, USAGE, Outside, register, step, sweep
from simulation import TIMING, TickingClock
from testbed.faults import Crash, Kind, Plan, faults
from testbed.servers import Store

pytestmark = pytest.mark.servers("all")

SNAPSHOT = ResourceSnapshot(memory_bytes=84_123_648, cpu_time_us=169_134)


def checkpoint(run: Outside, step_id: str, attempt: int = 1, **options: Any) -> None:
    given: dict[str, Any] = {"name": "page", "sequence_number": 0, "data": '{"page":1}', **options}
    run.backend.save_step_checkpoint(run.slug, run.run_id, step_id, Checkpoint(attempt_number=attempt, **given))


def checkpoint_failed(run: Outside, step_id: str, attempt: int = 1) -> None:
    run.backend.save_step_checkpoint_failed(
        run.slug, run.run_id, step_id, name="page", sequence_number=0, attempt_number=attempt, error=ERROR
    )


def fail_for_good(run: Outside, step_id: str, attempt: int) -> None:
    run.fail(step_id, attempt, terminal=True)


REPORTS: Sequence[Callable[[Outside, str, int], None]] = (
    Outside.beat,
    Outside.complete,
    Outside.fail,
    fail_for_good,
    Outside.skip,
    checkpoint,
    checkpoint_failed,
)


WORKS = [report for report in REPORTS if report not in (fail_for_good, Outside.skip)]
"""What only who works on an attempt may say; the rest is `test_reports_without_work`'s too."""


def refused(
    run: Outside,
    step_id: str = "a",
    attempt: int = 1,
    *,
    reports: Sequence[Callable[[Outside, str, int], None]] = REPORTS,
    why: str = "no longer held",
) -> None:
    """Whatever is reported is stale, and changes nothing."""
    before = run.events(), run.backend.get_run(run.run_id)
    for report in reports:
        with pytest.raises(StaleAttemptError, match=why):
            report(run, step_id, attempt)
    assert (run.events(), run.backend.get_run(run.run_id)) == before


def test_an_attempt_that_nobody_claimed_is_not_reported(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    refused(run, reports=WORKS)
    refused(run, attempt=2)
    refused(run, "b", why="not scheduled yet")


def test_an_attempt_that_is_over_is_not_reported(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.fail("a", run.take("a"))
    refused(run)
    time.pause_us(2_000_000)
    assert run.take("a") == 2
    refused(run)
    refused(run, attempt=3)
    run.complete("a", 2)
    refused(run, attempt=2)


def test_a_reclaimed_attempt_is_not_reported(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    time.pause_us(TIMING.lease_us + 1)
    assert len(backend.reclaim_stale_steps(TIMING.lease_us, "reaper")) == 1
    refused(run)


def test_an_attempt_of_a_cancelled_run_is_not_reported(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    backend.cancel_run(run.run_id)
    refused(run)


def test_only_what_is_there_is_reported(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), slug="bill")
    run = Outside.at(backend, step("a"))
    run.take("a")
    for report in REPORTS:
        with pytest.raises(StepNotFoundError):
            report(run, "x", 1)
        with pytest.raises(InvalidIdError):
            report(run, "a#b", 1)
        for stranger in (replace(run, run_id="unknown"), replace(run, slug="bill")):
            with pytest.raises(RunNotFoundError):
                report(stranger, "a", 1)
    assert run.kinds("a") == ["StepScheduled", "StepStarted"]


def test_a_heartbeat_is_its_workers_own(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    with pytest.raises(StaleAttemptError):
        replace(run, name="worker-2").beat("a")
    assert run.events("StepHeartbeat") == []


def test_of_heartbeats_the_latest_is_kept(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.claim("a", slot_index=1, worker_concurrency=2)
    run.beat("a")
    time.pause_us(1_000_000)
    run.beat("a", resource_snapshot=SNAPSHOT)
    run.complete("a")
    [beat] = run.events("StepHeartbeat")
    assert (beat.worker_id, beat.attempt_number, beat.resource_snapshot) == ("worker-1", 1, SNAPSHOT)
    assert (beat.slot_index, beat.worker_concurrency) == (1, 2)


def test_a_heartbeat_keeps_the_reaper_away(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    for _ in range(4):
        time.pause_us(TIMING.lease_us - 1_000_000)
        run.beat("a")
        assert backend.reclaim_stale_steps(TIMING.lease_us, "reaper") == []
    run.complete("a")
    assert run.status == "completed"


def test_an_output_comes_back(backend: DynamoDBBackend) -> None:
    for output in (None, 0, "text", [1, {"a": None}], {"é": 1.5}, [f"line {number}" for number in range(2_000)]):
        run = Outside.at(backend, step("a", export_output=True))
        run.complete("a", run.take("a"), output, resource_usage=USAGE)
        [completed], [ended] = run.events("StepCompleted"), run.events("WorkflowCompleted")
        assert json.loads(completed.output) == output
        assert (completed.export_output, completed.duration_us, completed.resource_usage) == (True, 1_000, USAGE)
        assert json.loads(ended.output) == {"a": output}
        assert (ended.total_steps, run.status) == (1, "completed")


def test_an_output_that_no_item_holds_is_refused(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    with pytest.raises(PayloadTooLargeError):
        run.complete("a", output=secrets.token_hex(400_000))
    run.complete("a", output="small")
    assert run.status == "completed"


def test_completion_schedules_what_follows(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"))
    run.do("a")
    assert run.kinds()[-3:] == ["StepStarted", "StepCompleted", "StepScheduled"]
    scheduled = run.events("StepScheduled")[-1]
    assert (scheduled.step_id, scheduled.reason, scheduled.attempt_number) == ("b", "dependency-satisfied", 1)


def test_logs_come_with_the_completion(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    line = LogEntry(
        timestamp_us=clock.now_us(),
        workflow_slug=FLOW,
        run_id=run.run_id,
        step_id="a",
        stream="stdout",
        message="hello",
        attempt_number=run.take("a"),
    )
    run.complete("a", logs=[line.model_copy(update={"timestamp_us": clock.now_us()})])
    assert [entry.message for entry in run.events("LogEntry")] == ["hello"]


def test_a_failure_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a", retry=[RetryTier(max_attempts=2, delay_ms=500, jitter=0.0)]), priority=3)
    run.fail("a", run.take("a"))
    failed, retrying, scheduled = run.events()[-3:]
    assert [event.type for event in (failed, retrying, scheduled)] == ["StepFailed", "StepRetrying", "StepScheduled"]
    assert (failed.error, failed.terminal, failed.failure_reason) == (ERROR, False, "execution-error")
    assert (failed.policy_index, failed.attempt_in_policy, failed.resource_usage) == (0, 1, USAGE)
    assert (retrying.attempt_number, retrying.next_attempt, retrying.max_retries) == (1, 2, 1)
    assert (retrying.total_policies, retrying.policy_index, retrying.error) == (1, 0, ERROR)
    assert (scheduled.attempt_number, scheduled.reason, scheduled.priority) == (2, "retry", 3)
    assert (scheduled.policy_index, scheduled.attempt_in_policy, scheduled.retry_delay_ms) == (0, 2, 500)
    assert scheduled.available_at_us == failed.next_retry_at_us
    assert 0 <= failed.timestamp_us - (scheduled.available_at_us - 500_000) < 10_000


@pytest.mark.parametrize(("kind", "stored"), [(Kind.CRASH_BEFORE, 0), (Kind.CRASH_AFTER, 3)])
def test_a_retry_is_stored_whole_or_not_at_all(
    backend: DynamoDBBackend, dynamodb: Store, kind: Kind, stored: int
) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    before = len(run.events())
    dying = DynamoDBBackend(dynamodb.table, client=dynamodb.another_client(), timing=TIMING)
    with faults(at_first_write(kind), dying.runtime.ledger.table.client), pytest.raises(Crash):
        replace(run, backend=dying).fail("a")
    assert len(run.events()) - before == stored


def at_first_write(kind: Kind) -> Plan:
    return lambda number, operation: kind if operation in ("UpdateItem", "TransactWriteItems") else None


def test_tiers_are_tried_in_turn(backend: DynamoDBBackend, time: TickingClock) -> None:
    tiers = [RetryTier(max_attempts=2, delay_ms=10, jitter=0.0), RetryTier(max_attempts=2, delay_ms=700, jitter=0.0)]
    run = Outside.at(backend, step("a", retry=tiers))
    for attempt in range(1, 5):
        assert run.take("a") == attempt
        run.fail("a", attempt)
        time.pause_us(10_000_000)
    places = [(event.policy_index, event.attempt_in_policy) for event in run.events("StepFailed")]
    assert places == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert [event.retry_delay_ms for event in run.events("StepScheduled")] == [None, 10, 20, 700]
    last = run.events("StepFailed")[-1]
    assert (last.terminal, last.failure_reason, last.next_retry_at_us) == (True, "exhausted-retries", None)
    assert run.status == "failed"


def test_a_failure_for_good_fails_the_run(backend: DynamoDBBackend) -> None:
    reasons = {"execution-error": "step-failed", "timeout": "step-failed", "worker-crash": "worker-crash"}
    for reason, of_the_run in reasons.items():
        run = Outside.at(backend, step("a"), step("b", "a"))
        run.fail("a", run.take("a"), terminal=True, failure_reason=reason)
        assert run.kinds()[-2:] == ["StepFailed", "WorkflowFailed"]
        failed, ended = run.events()[-2:]
        assert (failed.terminal, failed.failure_reason) == (True, reason)
        assert (ended.failed_step, ended.failure_reason, ended.error) == ("a", of_the_run, ERROR)
        assert run.claim("b") is None


def test_others_may_finish_when_one_has_failed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b"), step("c", "b"), step("d"))
    for each in ("a", "b"):
        run.take(each)
    run.fail("a", terminal=True)
    assert run.status == "running", "b is still at work"
    assert run.claim("d") is None
    run.complete("b")
    assert run.status == "failed"
    assert run.claim("c") is None
    assert [event.step_id for event in run.events("StepCompleted")] == ["b"]
    assert run.events("WorkflowFailed")[0].completed_steps == 1


def test_a_skip_skips_what_depends_on_it(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), step("e"))
    run.do("e")
    run.skip("a", run.take("a"), metadata={"why": "empty"})
    for _ in range(2):
        time.pause_us(TIMING.grace_us)
        sweep(backend)
    assert run.status == "completed"
    first, *others = run.events("StepSkipped")
    assert (first.step_id, first.skip_type, first.reason) == ("a", "primary", "nothing to do")
    assert first.metadata == {"why": "empty"}
    assert {(event.skip_type, event.cascaded_from) for event in others} == {("cascade", "a")}
    assert sorted(event.step_id for event in others) == ["b", "c", "d"]


def test_a_step_may_run_all_the_same(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a", skip_cascades=False, export_output=True), step("c", "b"))
    run.skip("a", run.take("a"))
    run.do("b", "c")
    assert run.status == "completed"
    assert json.loads(run.events("WorkflowCompleted")[0].output) == {"b": "b"}


def test_checkpoints_are_kept(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    checkpoint(run, "a", label="first page")
    run.beat("a")
    parent = CheckpointRef(name="page", sequence_number=0)
    checkpoint(run, "a", name="row", sequence_number=3, parent_checkpoint=parent, data=json.dumps("x" * 2_000))
    checkpoint_failed(run, "a")
    first, second = run.events("StepCheckpoint")
    assert (first.name, first.sequence_number, first.data, first.label) == ("page", 0, '{"page":1}', "first page")
    assert (second.parent_checkpoint, second.attempt_number) == (parent, 1)
    assert json.loads(second.data) == "x" * 2_000
    [failed] = run.events("StepCheckpointFailed")
    assert failed.error == ERROR
    run.complete("a")
    assert run.status == "completed"


def test_a_report_that_no_event_can_tell_of_is_refused(backend: DynamoDBBackend) -> None:
    for run in (Outside.at(backend, step("a")), Called.with_step(backend)):
        run.take("a")
        before = run.events()
        for report in (
            lambda run=run: run.complete("a", output=1, resource_usage="much"),
            lambda run=run: run.fail("a", failure_reason="bad luck"),
            lambda run=run: run.skip("a", cascaded_from=1, metadata={"why": float("nan")}),
            lambda run=run: backend.save_step_checkpoint_failed(
                run.slug, run.run_id, "a", name="page", sequence_number=-1, attempt_number=1, error=ERROR
            ),
        ):
            with pytest.raises((ArgumentInvalidError, EventInvalidError)):
                report()
        assert run.events() == before
