"""Waiting for time (protocol.md §12): who brings a delayed step to its time, and what that asks of others."""

from __future__ import annotations

from cascade_flow import clock
from cascade_flow.engine.state import LONGEST_DELAY_US
from clauses.stage import AT_ONCE, RUN, begun, branch_of, claimed, dies, done, dying, ended, found, going_on, reported
from simulation import TIMING, World, step

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
