"""What is listed as due and as silent: from its very time on, and nothing of a run that is being stopped."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import RetryTier, RunSubmission, StepReclaimed, clock
from cascade_flow.dynamodb import keys
from cascade_flow.model.states import StepRef
from cascade_flow.operations.queue import Queue
from cascade_flow.operations.steps import Slot
from cascade_flow.operations.worker_protocol import WorkerProtocol
from clauses.stage import AGAIN, RUN, asking, begun, branch_of, claimed, dies, dying, reported, run_of
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

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


def test_of_what_is_due_it_is_told_since_when_how_urgent_it_is_and_which_attempt(world: World) -> None:
    begun(world, step("a"), step("b", "a", retry=[RetryTier(delay_ms=60_000, jitter=0)]), priority=3)
    reported(world, claimed(world, "a"))
    reported(world, claimed(world, "b", branch="a"), AGAIN)
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    told = StepRef(workflow_slug="flow", run_id=RUN, step_id="b", attempt_number=2, available_at_us=due_us, priority=3)
    assert world.observer.list_scheduled_steps(available_before_us=due_us) == [told]


def test_what_of_a_pool_is_due_later_is_listed_for_later(world: World) -> None:
    begun(world, step("a", executor="gpu", retry=[RetryTier(delay_ms=60_000, jitter=0)]))
    held = WorkerProtocol(world.backend.runtime).claim_next("machine-1", slot=Slot(), pool="gpu")
    assert held is not None
    reported(world, held, AGAIN)
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    for until_us, there in ((due_us - 1, []), (due_us, ["a"])):
        assert listed(world, available_before_us=until_us) == there
    assert listed(world) == []


def test_what_waits_for_a_pool_is_read_eight_at_a_time_and_no_sooner_than_asked_for(world: World) -> None:
    world.register([step("a", executor="gpu")])
    for _ in range(9):
        world.submit()
    late, asked = asking(world)
    waiting = iter(Queue(late.runtime).claimable("gpu", workflow_slug=None))
    counts = []
    for _ in range(9):
        next(waiting)
        counts.append(len(asked))
    assert counts == [2] * 8 + [3]


def test_who_loses_a_step_is_told_the_threshold(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    heard_us = branch_of(world, "a").started_at_us
    assert heard_us is not None
    with at(heard_us + MINUTE_US + 1_000_000):
        [ref] = world.another().reclaim_stale_steps(MINUTE_US, "reaper")
    [event] = [each for each in world.observer.load_events("flow", RUN) if isinstance(each, StepReclaimed)]
    assert (ref.step_id, ref.attempt_number) == ("a", 1)
    assert (event.reclaimed_by, event.stale_threshold_us) == ("reaper", MINUTE_US)
    assert event.stale_duration_us == MINUTE_US + 1_000_000


def test_what_has_waited_for_long_is_listed_for_the_time_at_which_it_was_due(world: World) -> None:
    """Each sweep looks farther ahead by then."""
    begun(world, step("a"))
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    for _ in range(20):
        world.clock.pause_us(TIMING.horizon_us)
        world.sweep()
    looked_at_us = branch_of(world, "a").due_us
    assert looked_at_us is not None
    assert looked_at_us > due_us + TIMING.horizon_us
    assert listed(world, available_before_us=due_us) == ["a"]


def test_what_is_due_much_later_is_listed_for_then(world: World) -> None:
    begun(world, step("a", delay_ms=3_000_000))
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    assert due_us > clock.now_us() + 2 * TIMING.horizon_us
    assert (listed(world), listed(world, available_before_us=due_us)) == ([], ["a"])


def test_what_is_halted_still_is_not_listed_though_its_run_goes_on_again(world: World) -> None:
    """The index showed it before its run was stopped, and it is looked at before it is revived."""
    begun(world, step("a"), step("b"))

    def stopped_and_half_revived() -> None:
        world.observer.cancel_run(RUN)
        dies(lambda: dying(world, "TransactWriteItems", at=2).retry_run(RUN))

    late = pausing(world, "BatchGetItem", stopped_and_half_revived)
    assert late.list_scheduled_steps() == []
    assert (run_of(world).status, branch_of(world, "b").halt) == ("running", "stop")


def test_what_nobody_can_read_keeps_no_silent_step_from_being_taken_away(world: World) -> None:
    for slug in ("flow", "gone"):
        world.register([step("a")], slug=slug)
        run_id = world.backend.submit_run(RunSubmission(workflow_slug=slug)).run_id
        claimed(world, "a", run_id=run_id)
    world.clock.pause_us(MINUTE_US)
    [version] = world.observer.list_workflow_versions("gone")
    table = world.observer.runtime.ledger.table
    table.delete(keys.version("gone", version.version_id))
    taken = world.another().reclaim_stale_steps(MINUTE_US - 1_000_000, "reaper")
    assert [ref.workflow_slug for ref in taken] == ["flow"]


def test_a_join_that_waits_is_not_listed_and_before_the_beginning_nothing_is(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    reported(world, claimed(world, "a"))
    assert branch_of(world, "j").status == "open"
    assert (listed(world), listed(world, available_before_us=0)) == (["b"], [])


def test_who_asks_for_work_is_given_the_most_urgent_of_those_at_both_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.queue._OF_EACH_END", 1)
    world.register([step("a")])
    for number, priority in enumerate((0, 3, 0, 5)):
        world.submit(run_id=f"r{number}", priority=priority)
        world.clock.pause_us(1_000)
    found = Queue(world.observer.runtime).claimable(None, workflow_slug=None)
    assert [live.run.run_id for live in found] == ["r3", "r0", "r1", "r2"]


def unbegun(world: World, *run_ids: str, in_us: int) -> None:
    """Runs that nobody starts: their entries lie at the time at which they were to begin."""
    for run_id in run_ids:
        world.submit(run_id=run_id, available_at=clock.now_us() + in_us)


def test_runs_that_wait_to_begin_hide_no_step_from_who_asks_for_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them lie before it, and behind it: of each end it is steps that are counted."""
    monkeypatch.setattr("cascade_flow.operations.queue._OF_EACH_END", 3)
    monkeypatch.setattr("cascade_flow.operations.queue._MOST_LOOKED_AT", 12)
    world.register([step("a")])
    unbegun(world, *(f"before-{number}" for number in range(7)), in_us=1_000_000)
    world.clock.pause_us(2_000_000)
    world.submit(run_id=RUN)
    unbegun(world, *(f"behind-{number}" for number in range(7)), in_us=MINUTE_US)
    found = Queue(world.observer.runtime).claimable(None, workflow_slug=None)
    assert [live.run.run_id for live in found] == [RUN]


@pytest.mark.parametrize(("there", "ends"), [(2, 1), (3, 2), (9, 2)])
def test_who_asks_for_work_reads_few_entries_at_once_and_of_one_end_where_that_is_all(
    world: World, monkeypatch: pytest.MonkeyPatch, there: int, ends: int
) -> None:
    monkeypatch.setattr("cascade_flow.operations.queue._OF_EACH_END", 3)
    world.register([step("a")])
    for _ in range(there):
        world.submit()
    client, queries = world.store.another_client(), list[tuple[bool, int]]()

    def noted(request: Request, send: Send) -> Answer:
        if "IndexName" in request.body:
            queries.append((request.body.get("ScanIndexForward", True), request.body["Limit"]))
        return send(request)

    wire_of(client).add(noted, floor=Floor.SCHEDULE)
    assert next(iter(Queue(world.another(client).runtime).claimable(None, workflow_slug=None)), None) is not None
    assert {limit for _, limit in queries} == {3}
    assert len({is_forwards for is_forwards, _ in queries}) == ends
