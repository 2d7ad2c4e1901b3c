"""Waiting for time (protocol.md §12): who brings a delayed step to its time, and what that asks of others."""

from __future__ import annotations

import pytest

from cascade_flow import LogEntry, RetryTier, StaleAttemptError, StepFailed, clock
from cascade_flow.engine.commands import Command, KeepCheckpoint, Postpone
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.operations.checkpoints import recorded
from cascade_flow.operations.steps import HeldAttempt
from clauses.stage import (
    AGAIN,
    AT_ONCE,
    FATAL,
    RUN,
    begun,
    branch_of,
    claimed,
    dies,
    done,
    dying,
    ended,
    found,
    going_on,
    is_refused,
    reported,
    run_of,
    silent,
)
from simulation import TIMING, World, step
from testbed.faults import faults, nowhere

MINUTE_US, HALF_AN_HOUR_MS = 60_000_000, 1_800_000


def waits_from(world: World, name: str) -> int:
    """When this step, the next of its branch, may be claimed."""
    return int(branch_of(world, name).available_at_us or 0)


def swept_at(world: World, time_us: int) -> dict[str, int]:
    """What a sweep does then."""
    world.clock.pause_us(max(0, time_us - clock.now_us()))
    return dict(world.sweep())


def test_a_message_carries_a_short_wait_and_no_sweep_looks_meanwhile(world: World) -> None:
    begun(world, step("a"), step("b", "a", delay_ms=60_000))
    held = reported(world, claimed(world, "a"), going_on())
    assert not held.running, "who completes the cause starts it"
    due_us = waits_from(world, "a")
    [*_, wake] = world.mailbox.wakes
    assert (wake.step, 0 <= wake.available_at_us - due_us < 1_000_000) == ("b", True)
    assert swept_at(world, due_us - 1_000) == {}
    world.clock.pause_us(1_000)
    assert claimed(world, "b", branch="a").running
    ended(world)


def test_the_index_holds_a_long_wait_until_a_message_can_carry_the_rest(world: World) -> None:
    """One look, well before its time: so it starts at its time, however late the sweep."""
    begun(world, step("a"), step("b", "a", delay_ms=HALF_AN_HOUR_MS))
    done(world, "a")
    world.mailbox.wakes.clear()
    due_us = waits_from(world, "a")
    assert swept_at(world, due_us - LONGEST_DELAY_US - MINUTE_US) == {}
    assert swept_at(world, due_us - LONGEST_DELAY_US + MINUTE_US) == {"looked at": 1, "waits handed over": 1}
    [wake] = world.mailbox.wakes
    assert (wake.step, 0 <= wake.available_at_us - due_us < 1_000_000) == ("b", True)
    assert swept_at(world, due_us - 1_000) == {}
    assert branch_of(world, "a").due_us == due_us + TIMING.grace_us
    ended(world)


def test_a_message_that_is_lost_costs_a_delayed_step_a_grace(world: World) -> None:
    begun(world, step("a", delay_ms=60_000))
    world.mailbox.wakes.clear()
    assert swept_at(world, waits_from(world, "a") + TIMING.grace_us) == {"looked at": 1, "wake-ups repeated": 1}
    ended(world)


def test_who_dies_before_what_it_owes_keeps_no_fork_waiting_for_a_delayed_step(world: World) -> None:
    forks = [step(f"f{number}", "a") for number in range(AT_ONCE + 1)]
    begun(world, step("a"), step("b", "a", delay_ms=HALF_AN_HOUR_MS), *forks)
    held, dead = claimed(world, "a"), dying(world, "TransactWriteItems", at=2)
    dies(lambda: reported(world, held, by=dead))
    assert found(world, f"f{AT_ONCE}") is None
    swept_at(world, clock.now_us() + TIMING.grace_us)
    assert found(world, f"f{AT_ONCE}") is not None


def test_a_delayed_step_of_a_cancelled_run_waits_on_when_that_is_tried_again(world: World) -> None:
    begun(world, step("a"), step("b", "a", delay_ms=60_000))
    done(world, "a")
    due_us = waits_from(world, "a")
    world.observer.cancel_run(RUN)
    assert branch_of(world, "a").due_us is None
    world.mailbox.wakes.clear()
    world.backend.retry_run(RUN)
    assert (waits_from(world, "a"), branch_of(world, "a").due_us) == (due_us, due_us + TIMING.grace_us)
    assert [wake.step for wake in world.mailbox.wakes] == ["b"]
    ended(world)


NOT_READY = Postpone("no invoice", 1, delay_us=MINUTE_US)


def test_who_is_not_ready_comes_again_by_one_request_that_leaves_the_index_alone(world: World) -> None:
    begun(world, step("a"))
    held, due_us = claimed(world, "a"), branch_of(world, "a").due_us
    world.mailbox.wakes.clear()
    with faults(nowhere, world.store.client) as asked:
        reported(world, held, NOT_READY)
    assert [request.operation for request in asked.log] == ["UpdateItem"]
    branch = branch_of(world, "a")
    assert (branch.status, branch.attempt, branch.tried, branch.due_us) == ("scheduled", 2, 1, due_us)
    [wake] = world.mailbox.wakes
    assert (wake.attempt, 0 <= wake.available_at_us - waits_from(world, "a") < 1_000_000) == (2, True)
    assert is_refused(world, "a", 2), "it comes before its time"
    assert [event.message for event in ended(world).events if isinstance(event, LogEntry)] == ["later: no invoice"]


def test_the_policy_counts_what_failed_and_no_attempt_that_was_not_ready(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=2, delay_ms=0)]))
    said: list[Command] = [NOT_READY, AGAIN, NOT_READY, NOT_READY, AGAIN]
    for attempt, command in enumerate(said, start=1):
        world.clock.pause_us(MINUTE_US)
        reported(world, claimed(world, "a", attempt), command)
    [*_, failed] = [event for event in ended(world, "failed").events if isinstance(event, StepFailed)]
    assert (failed.attempt_number, failed.failure_reason) == (5, "exhausted-retries")


def test_what_was_stored_before_it_was_not_ready_stays(world: World) -> None:
    begun(world, step("a"))
    held = reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, "[1]"))
    reported(world, held, NOT_READY)
    world.clock.pause_us(MINUTE_US)
    again = claimed(world, "a", 2)
    [kept] = recorded(world.backend.runtime, again.facts, "a")
    assert (kept.place.name, kept.attempt) == ("part", 1)


def test_who_has_lost_the_attempt_is_not_heard(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    silent(world)
    world.sweep()
    with pytest.raises(StaleAttemptError):
        reported(world, held, NOT_READY)
    assert ended(world).count(LogEntry) == 0


def failing_beside(world: World) -> HeldAttempt:
    """A step that may finish while its run fails."""
    begun(world, step("a"), step("b"))
    held, other = claimed(world, "a"), claimed(world, "b")
    reported(world, other, FATAL)
    return held


def test_the_run_that_fails_does_not_wait_for_who_is_not_ready(world: World) -> None:
    """Who says so goes on with the stop, and it is no failure: a retry of the run lets the step come again."""
    held = failing_beside(world)
    assert branch_of(world, "a").halt == "park"
    world.mailbox.wakes.clear()
    reported(world, held, NOT_READY)
    assert (run_of(world).status, branch_of(world, "a").status) == ("failed", "scheduled")
    assert world.mailbox.wakes == [], "nobody may claim it"
    world.check(RUN)
    world.backend.retry_run(RUN)
    assert (branch_of(world, "a").attempt, branch_of(world, "a").halt) == (2, None)
    ended(world)


def test_who_dies_before_it_goes_on_with_the_stop_leaves_that_to_the_sweep(world: World) -> None:
    held = failing_beside(world)
    """It learns of the halt by its first request, and dies after its second."""
    dies(lambda: reported(world, held, NOT_READY, by=dying(world, "UpdateItem", at=2, after=True)))
    assert (run_of(world).status, branch_of(world, "a").status) == ("running", "scheduled")
    swept_at(world, int(branch_of(world, "a").due_us or 0))
    assert run_of(world).status == "failed"


def test_patience_has_an_end(world: World) -> None:
    """It is asked once more when that has come, and then fails for good."""
    begun(world, step("a", poll_every_ms=40_000, give_up_after_ms=60_000))
    since_us = waits_from(world, "a")
    for attempt in (1, 2, 3):
        world.clock.pause_us(max(0, waits_from(world, "a") - clock.now_us()))
        reported(world, claimed(world, "a", attempt), Postpone("no invoice", 1))
    assert clock.now_us() - since_us >= MINUTE_US
    [failed] = [event for event in ended(world, "failed").events if isinstance(event, StepFailed)]
    assert (failed.attempt_number, failed.failure_reason, failed.error.name) == (3, "timeout", "GaveUp")
