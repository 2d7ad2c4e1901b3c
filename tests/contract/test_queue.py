"""What is due is listed, and what fell silent is taken away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow import DynamoDBBackend, RetryTier, StaleAttemptError, clock
from contract.outside import FLOW, Outside, register, step, submit, sweep
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")


def listed(backend: DynamoDBBackend, **filters: object) -> list[str]:
    return [ref.run_id for ref in backend.list_scheduled_steps(**filters)]  # type: ignore[arg-type]


def test_what_is_due_is_listed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), priority=2)
    [ref] = backend.list_scheduled_steps()
    assert (ref.workflow_slug, ref.run_id, ref.step_id, ref.attempt_number) == (FLOW, run.run_id, "a", 1)
    assert ref.priority == 2
    assert ref.available_at_us is not None
    run.take("a")
    assert backend.list_scheduled_steps() == []


def test_the_important_come_first_and_then_the_patient(backend: DynamoDBBackend) -> None:
    register(backend)
    for run_id, priority in {"none": None, "low": -5, "high": 9, "zero": 0, "higher": 10, "late": 9}.items():
        submit(backend, run_id=run_id, priority=priority)
    assert listed(backend) == ["higher", "high", "late", "none", "zero", "low"]
    assert listed(backend, limit=2) == ["higher", "high"]


def test_a_list_may_be_of_one_workflow(backend: DynamoDBBackend) -> None:
    register(backend, slug="bill")
    register(backend)
    bill, order = submit(backend, "bill"), submit(backend)
    assert listed(backend, workflow_slug="bill") == [bill]
    assert listed(backend, workflow_slug=FLOW) == [order]
    assert listed(backend, workflow_slug="unknown") == []


def test_what_is_due_later_is_listed_for_later(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a", retry=[RetryTier(delay_ms=300_000, jitter=0)]))
    run.fail("a", run.take("a"))
    assert listed(backend) == []
    assert listed(backend, available_before_us=clock.now_us() + 299_000_000) == []
    assert listed(backend, available_before_us=clock.now_us() + 300_000_000) == [run.run_id]
    time.pause_us(300_000_000)
    assert listed(backend) == [run.run_id]


@pytest.mark.parametrize("minutes", [1, 10, 24 * 60])
def test_what_nobody_takes_stays_listed(backend: DynamoDBBackend, time: TickingClock, minutes: int) -> None:
    run = Outside.at(backend, step("a"), timeout=7 * 86_400_000_000)
    for _ in range(3):
        time.pause_us(minutes * 20_000_000)
        sweep(backend)
        assert listed(backend) == [run.run_id]


def test_what_is_over_is_not_listed(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), step("b"))
    cancelled, failed = (Outside(backend, submit(backend)) for _ in range(2))
    backend.cancel_run(cancelled.run_id)
    failed.fail("a", failed.take("a"), terminal=True)
    assert listed(backend) == []


def test_a_silent_worker_loses_its_step(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), priority=4)
    run.do("a")
    run.take("b")
    started_us = run.events("StepStarted")[-1].timestamp_us
    time.pause_us(TIMING.lease_us + 5_000_000)
    [ref] = backend.reclaim_stale_steps(TIMING.lease_us, "reaper-1")
    assert (ref.workflow_slug, ref.run_id, ref.step_id) == (FLOW, run.run_id, "b")
    reclaimed, scheduled = run.events()[-2:]
    assert (reclaimed.type, reclaimed.original_worker_id, reclaimed.reclaimed_by) == (
        "StepReclaimed",
        "worker-1",
        "reaper-1",
    )
    assert (reclaimed.attempt_number, reclaimed.stale_threshold_us) == (1, TIMING.lease_us)
    assert reclaimed.last_heartbeat_us == started_us
    assert reclaimed.stale_duration_us >= TIMING.lease_us
    assert (scheduled.type, scheduled.reason, scheduled.attempt_number, scheduled.priority) == (
        "StepScheduled",
        "retry",
        2,
        4,
    )
    with pytest.raises(StaleAttemptError):
        run.complete("b")
    assert replace(run, name="worker-2").take("b") == 2


def test_a_step_is_reclaimed_once(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    time.pause_us(TIMING.lease_us * 2)
    found = [backend.reclaim_stale_steps(TIMING.lease_us, f"reaper-{number}") for number in range(3)]
    assert [len(refs) for refs in found] == [1, 0, 0]
    assert run.kinds().count("StepReclaimed") == 1


def test_only_the_silent_are_reclaimed(backend: DynamoDBBackend, time: TickingClock) -> None:
    register(backend, step("a"), step("b", "a"))
    silent, beating, waiting, over = (Outside(backend, submit(backend)) for _ in range(4))
    for run in (silent, beating, over):
        run.take("a")
    time.pause_us(6_000_000)
    beating.beat("a")
    over.complete("a")
    time.pause_us(6_000_000)
    assert [ref.run_id for ref in backend.reclaim_stale_steps(9_000_000, "reaper")] == [silent.run_id]
    assert "StepReclaimed" not in waiting.kinds()


def test_a_step_that_kills_its_workers_fails(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a", retry=[RetryTier(max_attempts=2)]))
    for _ in range(2):
        run.take("a")
        time.pause_us(TIMING.lease_us + 1_000_000)
        backend.reclaim_stale_steps(TIMING.lease_us, "reaper")
    assert run.status == "failed"
    assert run.kinds()[-3:] == ["StepReclaimed", "StepFailed", "WorkflowFailed"]
    _, failed, ended = run.events()[-3:]
    assert (failed.failure_reason, failed.terminal, ended.failure_reason) == ("worker-crash", True, "worker-crash")


def test_a_reclaimed_step_completes_after_all(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    time.pause_us(TIMING.lease_us + 1)
    backend.reclaim_stale_steps(TIMING.lease_us, "reaper")
    run.complete("a", run.take("a"))
    assert run.status == "completed"
    assert run.kinds("a") == [
        "StepScheduled",
        "StepStarted",
        "StepReclaimed",
        "StepScheduled",
        "StepStarted",
        "StepCompleted",
    ]
