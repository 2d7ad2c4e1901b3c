"""Each time to the microsecond: what is so from now on is so now, and what is so for longer than that is not so yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cascade_flow import RunNotRetryableError, StepLimit, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.decide import last_seen_us
from cascade_flow.engine.runs import latest_end_us
from cascade_flow.operations.sweep import Sweep
from clauses.stage import RUN, begun, branch_of, claimed, is_refused, run_of
from contract.called import FLOW, Called
from simulation import TickingClock, World, step

LONG_US = 7_000_000


@contextmanager
def at(time_us: int) -> Iterator[None]:
    """Time stands still here."""
    with clock.use(TickingClock(time_us, tick_us=0)):
        yield


def attended(world: World, branch: str = "") -> None:
    Sweep(world.backend.runtime, name="reaper").attend(RUN, branch)


def reclaimed(world: World) -> int:
    return len(world.backend.reclaim_stale_steps(LONG_US, "reaper"))


def test_who_was_silent_for_as_long_as_one_may_be_keeps_the_step(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    seen_us = last_seen_us(branch_of(world, "a"))
    with at(seen_us + LONG_US):
        assert reclaimed(world) == 0
    with at(seen_us + LONG_US + 1):
        assert reclaimed(world) == 1


def test_a_callers_worker_too(world: World) -> None:
    run = Called.with_step(world.backend)
    run.take("a")
    [started] = run.events("StepStarted")
    with at(int(started.timestamp_us) + LONG_US):
        assert reclaimed(world) == 0
    with at(int(started.timestamp_us) + LONG_US + 1):
        assert reclaimed(world) == 1


def test_what_is_due_now_is_taken_however_far_ahead_the_index_looks(world: World) -> None:
    due_us = clock.now_us() + LONG_US
    begun(world, step("a", delay_ms=LONG_US // 1_000))
    ready_us = branch_of(world, "a").ready_us
    assert ready_us >= due_us
    far: dict[str, Any] = {keys.DUE_TIME: ready_us + 1_000 * LONG_US}
    world.observer.runtime.ledger.table.write([Update(keys.branch(RUN, "a"), None, set=far)])
    with at(ready_us - 1):
        assert is_refused(world, "a")
    with at(ready_us):
        assert claimed(world, "a").running


def test_what_is_limited_by_rate_is_taken_when_its_time_has_come(world: World) -> None:
    slow = StepLimit(name="slow", at_most=1, per_ms=60_000)
    begun(world, step("a", delay_ms=LONG_US // 1_000, limit=slow))
    with at(branch_of(world, "a").ready_us - 1):
        assert is_refused(world, "a")
    with at(branch_of(world, "a").ready_us):
        assert claimed(world, "a").running


def test_a_lease_is_over_when_its_time_has_come(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    over_us = int(branch_of(world, "a").lease_us or 0)
    with at(over_us - 1):
        attended(world, "a")
    assert branch_of(world, "a").status == "running"
    with at(over_us):
        attended(world, "a")
    assert branch_of(world, "a").attempt == 2


def test_a_run_is_over_at_its_deadline(world: World) -> None:
    begun(world, step("a"))
    deadline_us = run_of(world).deadline_us
    with at(deadline_us - 1):
        attended(world)
    assert run_of(world).status == "running"
    with at(deadline_us):
        attended(world)
    assert run_of(world).status == "failed"


def test_a_run_begins_when_its_time_has_come(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + LONG_US)
    available_us = run_of(world).available_at_us
    with at(available_us - 1):
        attended(world)
    assert run_of(world).status == "pending"
    with at(available_us):
        attended(world)
    assert run_of(world).status == "running"


def test_what_is_due_by_then_is_listed_for_then(world: World) -> None:
    begun(world, step("a"))
    due_us = int(branch_of(world, "a").available_at_us or 0)
    assert len(world.backend.list_scheduled_steps(available_before_us=due_us)) == 1
    assert world.backend.list_scheduled_steps(available_before_us=due_us - 1) == []


def test_what_a_caller_has_scheduled_for_then_is_due_then(world: World) -> None:
    run, due_us = Called.new(world.backend), clock.now_us() + LONG_US
    run.schedule("a", available_at_us=due_us)
    assert len(world.backend.list_scheduled_steps(available_before_us=due_us)) == 1
    assert world.backend.list_scheduled_steps(available_before_us=due_us - 1) == []
    with at(due_us - 1):
        assert not world.backend.is_step_claimable(FLOW, run.run_id, "a")
        assert run.claim("a") is None
    with at(due_us):
        assert world.backend.is_step_claimable(FLOW, run.run_id, "a")
        assert run.claim("a") is not None


def test_a_run_of_which_no_time_is_left_is_not_tried_again(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    last_us = latest_end_us(world.backend.runtime.facts(run_of(world)), run_of(world))
    with at(last_us), pytest.raises(RunNotRetryableError, match="expires too soon"):
        world.backend.retry_run(RUN)
    with at(last_us - 1):
        assert world.backend.retry_run(RUN).status == "running"
