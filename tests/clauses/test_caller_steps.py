"""Runs of other engines: what is told of a step, with all that was said of it, and from which very moment on."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import Checkpoint, StaleAttemptError, StepError, StepScheduled, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine.state import Run
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.operations.caller_steps import CallerSteps
from clauses.test_callers import MINUTE_US, by, checked, others, under_way
from contract.called import Called
from faults.moments import pausing
from simulation import BEGIN_US, TickingClock, World


def at(time_us: int) -> Any:
    """Every reading of the clock is this."""
    return clock.use(TickingClock(time_us, tick_us=0))


def test_what_is_due_is_due_from_its_very_time_on(world: World) -> None:
    due_us = BEGIN_US + MINUTE_US
    run = Called.new(world.backend)
    run.schedule("a", available_at_us=due_us)
    for now_us, there in ((due_us - 1, []), (due_us, [(run.run_id, "a")])):
        assert run.due(available_before_us=now_us) == there
        with at(now_us):
            assert (run.due(), run.backend.is_step_claimable(run.slug, run.run_id, "a")) == (there, bool(there))
    with at(due_us):
        assert run.take("a") == 1


def test_what_is_due_is_told_whole(world: World) -> None:
    run, due_us = Called.new(world.backend), clock.now_us()
    run.schedule("a", 3, available_at_us=due_us, priority=-2)
    [ref] = world.backend.list_scheduled_steps()
    told = ref.model_dump()
    place = {"workflow_slug": run.slug, "run_id": run.run_id, "step_id": "a"}
    assert told == {**place, "attempt_number": 3, "available_at_us": due_us, "priority": -2}


def test_a_step_is_silent_where_its_worker_was_heard_of_longer_ago_than_is_said(world: World) -> None:
    run = under_way(world)
    run.take("a")
    world.clock.pause_us(MINUTE_US)
    run.beat("a")
    [heard] = run.events("StepHeartbeat")
    for late_us, found in ((0, []), (1, ["a"])):
        with at(int(heard.timestamp_us) + MINUTE_US + late_us):
            taken = world.backend.reclaim_stale_steps(MINUTE_US, "reaper")
        assert [ref.step_id for ref in taken] == found
    [reclaimed] = run.events("StepReclaimed")
    assert (reclaimed.last_heartbeat_us, reclaimed.stale_duration_us) == (heard.timestamp_us, MINUTE_US + 1)
    assert (reclaimed.stale_threshold_us, reclaimed.attempt_number) == (MINUTE_US, 1)


def test_a_worker_that_was_heard_of_just_before_and_fell_silent_again_is_told_of_as_it_is_now(world: World) -> None:
    run = under_way(world)
    run.take("a")
    world.clock.pause_us(MINUTE_US)

    def meanwhile() -> None:
        others(world, run).beat("a")
        world.clock.pause_us(MINUTE_US)

    late = pausing(world, "BatchGetItem", meanwhile, at=2)
    assert len(late.reclaim_stale_steps(MINUTE_US // 2, "reaper")) == 1
    [heard], [reclaimed] = run.events("StepHeartbeat"), run.events("StepReclaimed")
    assert reclaimed.last_heartbeat_us == heard.timestamp_us


def test_what_else_is_told_of_a_step_is_no_sign_of_its_workers_life(world: World) -> None:
    run = under_way(world)
    run.take("a")
    [began] = run.events("StepStarted")
    world.clock.pause_us(MINUTE_US)
    half = Checkpoint(name="half", sequence_number=0, attempt_number=1, data="1")
    run.backend.save_step_checkpoint(run.slug, run.run_id, "a", half)
    assert len(world.backend.reclaim_stale_steps(MINUTE_US // 2, "reaper")) == 1
    [reclaimed] = run.events("StepReclaimed")
    assert reclaimed.last_heartbeat_us == began.timestamp_us


@pytest.mark.parametrize("broken", [keys.run("broken"), keys.branch("broken", "a")], ids=["its run", "it"])
def test_a_step_that_nobody_can_read_keeps_no_other_from_its_worker(world: World, broken: keys.Key) -> None:
    for name in ("broken", "whole"):
        Called.with_step(world.backend, run_id=name)
    item = world.observer.runtime.ledger.table.get(broken)
    assert item is not None
    world.observer.runtime.ledger.table.write([Put({**item, "e": b"\x63", "z": b"\x63"})])
    assert [ref.run_id for ref in world.backend.list_scheduled_steps()] == ["whole"]


def test_a_step_that_can_not_be_taken_away_keeps_no_other_with_its_silent_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broken", "whole"):
        Called.with_step(world.backend, run_id=name).take("a")
    world.clock.pause_us(MINUTE_US)
    reclaim = CallerSteps._reclaim

    def broken(by: CallerSteps, run: Run, *known: Any) -> bool:
        if run.run_id == "broken":
            raise ValueError("it can't be read")
        return reclaim(by, run, *known)

    monkeypatch.setattr(CallerSteps, "_reclaim", broken)
    assert [ref.run_id for ref in world.backend.reclaim_stale_steps(MINUTE_US // 2, "reaper")] == ["whole"]


def test_what_is_taken_from_a_silent_worker_is_due_at_once_and_as_urgent_as_before(world: World) -> None:
    run = Called.new(world.backend)
    run.schedule("a", 4, priority=7)
    run.take("a")
    world.clock.pause_us(MINUTE_US)
    before_us = clock.now_us()
    [ref] = world.backend.reclaim_stale_steps(MINUTE_US // 2, "reaper")
    again = run.events("StepScheduled")[-1]
    assert isinstance(again, StepScheduled)
    assert before_us < again.available_at_us < again.timestamp_us
    assert (ref.attempt_number, again.attempt_number, again.priority, again.reason) == (4, 5, 7, "retry")


@pytest.mark.parametrize("scheduled", [1, 5])
def test_who_starts_a_step_without_a_claim_begins_the_attempt_after_those_that_began(
    world: World, scheduled: int
) -> None:
    run = Called.new(world.backend)
    run.schedule("a", scheduled)
    assert [run.begin("a"), run.begin("a")] == [1, 2]


def test_who_tries_again_tells_by_which_policy(world: World) -> None:
    run = under_way(world)
    run.take("a")
    run.retry("a", delay_us=3_000, max_retries=3, total_policies=2, policy_index=1, attempt_in_policy=2, priority=7)
    [failed], [retrying], scheduled = run.events("StepFailed"), run.events("StepRetrying"), run.events("StepScheduled")
    assert (failed.attempt_number, failed.next_retry_at_us) == (1, scheduled[-1].available_at_us)
    assert (retrying.attempt_number, retrying.next_attempt, retrying.error) == (1, 2, failed.error)
    assert (retrying.max_retries, retrying.total_policies, retrying.policy_index) == (3, 2, 1)
    assert (scheduled[-1].attempt_in_policy, scheduled[-1].policy_index, scheduled[-1].priority) == (2, 1, 7)
    assert (scheduled[-1].retry_delay_ms, scheduled[-1].reason) == (3, "retry")


def test_an_attempt_that_was_scheduled_anew_meanwhile_is_ended_by_nobody_who_held_it(world: World) -> None:
    run = under_way(world)
    run.take("a")

    def meanwhile() -> None:
        world.clock.pause_us(MINUTE_US)
        world.observer.reclaim_stale_steps(MINUTE_US // 2, "reaper")
        others(world, run).schedule("a", 1)

    with pytest.raises(StaleAttemptError):
        by(run, pausing(world, "TransactWriteItems", meanwhile)).complete("a")
    assert "StepCompleted" not in checked(world, run)


STACK = 'Traceback (most recent call last):\n  File "/app/src/a.py", line 1, in work\n    raise ValueError("no")'


@pytest.mark.parametrize("error", [StepError(message="no", stack=STACK), StepError(name="ValueError", message="no")])
def test_an_error_is_of_one_kind_whether_its_step_is_tried_again_or_not(world: World, error: StepError) -> None:
    run = under_way(world)
    run.take("a")
    run.retry("a", error=error)
    run.fail("a", run.take("a"), error=error, terminal=True)
    assert [event.error_fingerprints for event in run.events("StepFailed")] == [compute_error_fingerprints(error)] * 2
