"""Steps of pools through the contract's operations, and in their order on every server."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, StepDefinition
from cascade_flow.operations.steps import Slot
from cascade_flow.operations.worker_protocol import WorkerProtocol
from checker import check_run
from contract.outside import FLOW, Outside, register, step, submit, sweep
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")
POOL = "gpu-box"


def pooled(id: str, *dependencies: str) -> StepDefinition:
    return step(id, *dependencies, executor=POOL)


def next_run(backend: DynamoDBBackend, pool: str | None = POOL, **wish: Any) -> str | None:
    """The run of which a worker gets a step that asks for a pool."""
    held = WorkerProtocol(backend.runtime).claim_next("machine-1", slot=Slot(), pool=pool, **wish)
    return None if held is None else held.run.run_id


def test_a_step_of_a_pool_is_listed_claimed_and_reported_as_any_other(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), pooled("b", "a"), step("c", "b"))
    run.do("a")
    assert [each.executor for each in backend.get_workflow_steps(FLOW)] == [None, POOL, None]
    assert [ref.step_id for ref in backend.list_scheduled_steps(workflow_slug=FLOW)] == ["b"]
    assert backend.is_step_claimable(FLOW, run.run_id, "b")
    assert backend.get_queue_depth().scheduled_steps == 1
    run.do("b", "c")
    assert check_run(backend, run.run_id).status == "completed"


def test_what_waits_for_a_pool_is_claimed_by_priority_and_then_by_age(backend: DynamoDBBackend) -> None:
    register(backend, pooled("a"))
    wishes = {"low": -5, "old": 0, "new": 0, "highest": 2**53 - 1, "higher": 2**53 - 2, "lowest": 1 - 2**53}
    for run_id, priority in wishes.items():
        submit(backend, run_id=run_id, priority=priority)
    assert next_run(backend, None) is None
    order = ["highest", "higher", "old", "new", "low", "lowest"]
    assert [ref.run_id for ref in backend.list_scheduled_steps()] == order
    assert [next_run(backend) for _ in order] == order
    assert next_run(backend) is None


def test_what_was_lost_by_a_worker_of_a_pool_waits_for_it_again(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, pooled("a"))
    assert next_run(backend) == run.run_id
    time.pause_us(TIMING.lease_us + 1)
    assert [ref.step_id for ref in backend.reclaim_stale_steps(TIMING.lease_us, "reaper")] == ["a"]
    sweep(backend)
    assert next_run(backend) == run.run_id
    run.complete("a", 2)
    assert check_run(backend, run.run_id).status == "completed"
