"""What is due and what is silent on caller-driven runs: listed while it is live, claimed once, reclaimed whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow import DynamoDBBackend, clock
from cascade_flow.operations.steps import Slot
from cascade_flow.operations.worker_protocol import WorkerProtocol
from contract.called import FLOW, Called
from contract.outside import Outside, step
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")


def test_a_claim_starts_the_attempt(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    claim = run.claim("a", dependencies=["x"], slot_index=2, worker_concurrency=4)
    assert claim is not None
    assert claim.attempt_number == 1
    [started] = run.events("StepStarted")
    assert (started.worker_id, started.dependencies, started.slot_index) == (run.name, ["x"], 2)
    assert replace(run, name="worker-2").claim("a") is None
    assert run.claim("a") is None
    assert run.claim("b") is None


def test_a_claim_takes_the_scheduled_attempt(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.schedule("a", 5)
    assert run.take("a") == 5


def test_what_is_due_is_listed_by_rank(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called.new(backend)
    engine = Outside.at(backend, step("e"), priority=1)
    run.schedule("late", available_at_us=clock.now_us() + 10_000_000)
    run.schedule("a")
    run.schedule("b", priority=5)
    assert run.due() == [(run.run_id, "b"), (engine.run_id, "e"), (run.run_id, "a")]
    assert run.due(limit=1) == [(run.run_id, "b")]
    assert run.due(workflow_slug="bills") == []
    assert run.due(available_before_us=clock.now_us() + 20_000_000)[-1] == (run.run_id, "late")
    assert not backend.is_step_claimable(FLOW, run.run_id, "late")
    assert run.claim("late") is None
    time.pause_us(10_000_000)
    assert backend.is_step_claimable(FLOW, run.run_id, "late")


def test_whoever_names_no_priority_comes_last(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.schedule("none")
    run.schedule("low", priority=-5)
    run.schedule("usual", priority=0)
    assert [step_id for _, step_id in run.due()] == ["usual", "low", "none"]


def test_what_is_taken_is_listed_no_more(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.take("a")
    assert run.due() == []
    run.retry("a")
    [ref] = backend.list_scheduled_steps()
    assert (ref.step_id, ref.attempt_number) == ("a", 2)


def test_an_ended_run_lists_nothing_until_it_goes_on(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    run.give_up()
    assert run.due() == []
    run.try_again()
    assert run.due() == [(run.run_id, "a")]
    assert run.take("a") == 1


def test_a_worker_of_the_engine_is_given_none_of_a_callers_steps(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    assert WorkerProtocol(backend.runtime).claim_next("worker-1", slot=Slot()) is None
    assert run.take("a") == 1


def test_silent_steps_are_scheduled_again(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called.with_step(backend)
    run.schedule("b", priority=3)
    run.schedule("c")
    run.take("a")
    run.take("b")
    time.pause_us(60_000_000)
    run.beat("a")
    [taken] = backend.reclaim_stale_steps(30_000_000, "reaper")
    assert (taken.run_id, taken.step_id, taken.attempt_number) == (run.run_id, "b", 1)
    assert run.kinds("b") == ["StepScheduled", "StepStarted", "StepReclaimed", "StepScheduled"]
    reclaimed, again = run.events("StepReclaimed")[0], run.events("StepScheduled")[-1]
    assert (reclaimed.original_worker_id, reclaimed.reclaimed_by) == (run.name, "reaper")
    assert reclaimed.stale_duration_us > reclaimed.stale_threshold_us == 30_000_000
    assert (again.attempt_number, again.reason, again.priority) == (2, "retry", 3)
    assert backend.reclaim_stale_steps(30_000_000, "reaper-2") == []
    assert run.take("b") == 2


def test_both_drivers_steps_are_reclaimed(backend: DynamoDBBackend, time: TickingClock) -> None:
    run, engine = Called.with_step(backend), Outside.at(backend, step("e"))
    run.take("a")
    engine.take("e")
    time.pause_us(60_000_000)
    assert {ref.step_id for ref in backend.reclaim_stale_steps(30_000_000, "reaper")} == {"a", "e"}


def test_steps_of_an_ended_run_are_not_reclaimed(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Called.with_step(backend)
    run.take("a")
    run.give_up()
    time.pause_us(60_000_000)
    assert backend.reclaim_stale_steps(30_000_000, "reaper") == []
