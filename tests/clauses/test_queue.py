"""What is listed as due and as silent: from its very time on, and nothing of a run that is being stopped."""

from __future__ import annotations

from typing import Any

from cascade_flow import RetryTier, clock
from cascade_flow.operations.steps import Slot
from cascade_flow.operations.worker_protocol import WorkerProtocol
from clauses.stage import AGAIN, RUN, begun, branch_of, claimed, dies, dying, reported, run_of
from simulation import TIMING, TickingClock, World, step

MINUTE_US = 60_000_000


def at(time_us: int) -> Any:
    """Every reading of the clock is this."""
    return clock.use(TickingClock(time_us, tick_us=0))


def listed(world: World, **wanted: Any) -> list[str]:
    return [ref.step_id for ref in world.observer.list_scheduled_steps(**wanted)]


def test_what_is_due_is_listed_and_given_from_its_very_time_on(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(delay_ms=60_000, jitter=0)]))
    reported(world, claimed(world, "a"), AGAIN)
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    workers = WorkerProtocol(world.another().runtime)
    for now_us, there in ((due_us - 1, []), (due_us, ["a"])):
        assert listed(world, available_before_us=now_us) == there
        with at(now_us):
            assert listed(world) == there
            held = workers.claim_next("worker-2", slot=Slot())
        assert [held.branch.step] * bool(held) == there if held else not there


def test_a_step_is_silent_where_its_worker_was_heard_of_longer_ago_than_is_said(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    heard_us = branch_of(world, "a").started_at_us
    assert heard_us is not None
    for late_us, found in ((0, []), (1, ["a"])):
        with at(heard_us + MINUTE_US + late_us):
            taken = world.another().reclaim_stale_steps(MINUTE_US, "reaper")
        assert [ref.step_id for ref in taken] == found


def test_of_a_run_that_is_being_stopped_nothing_is_listed(world: World) -> None:
    """Whoever stops it dies as soon as that is said: its branches know nothing of it yet."""
    begun(world, step("a"), step("b"))
    claimed(world, "a")
    dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(RUN))
    assert (run_of(world).stop is None, branch_of(world, "b").halt) == (False, None)
    assert listed(world) == []
    world.clock.pause_us(2 * TIMING.lease_us)
    assert world.another().reclaim_stale_steps(TIMING.lease_us, "reaper") == []
