"""What a worker elsewhere says of its attempt counts once, for that worker; who says it again is answered the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    Event,
    RetryTier,
    StaleAttemptError,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepError,
    StepFailed,
    StepSkipped,
    clock,
)
from cascade_flow.clock import SteppingClock, use
from cascade_flow.dynamodb.items import LogLine
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.operations.steps import Slot, Steps
from cascade_flow.operations.worker_outcomes import Attempt, Measures, Outcome, WorkerOutcomes
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.records import replace
from clauses.stage import RUN, begun, branch_of, claimed
from faults.moments import pausing
from simulation import TIMING, USAGE, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

ONCE = [RetryTier(max_attempts=1)]
MINE, THEIRS = Attempt(RUN, "a", "mine", 1), Attempt(RUN, "a", "theirs", 1)
MINUTE_US = 60_000_000
NO = StepError(name="ValueError", message="no")


def outcomes(world: World) -> WorkerOutcomes:
    return WorkerOutcomes(world.backend.runtime)


def later(world: World, *, at_us: int | None = None, delay_us: int | None = None) -> Outcome:
    return outcomes(world).postpone(MINE, "not yet", Measures(), at_us=at_us, delay_us=delay_us)


def completed(world: World, attempt: Attempt = MINE, *, next: Slot | None = None, took_us: int = 1) -> Outcome:
    return outcomes(world).complete(attempt, "1", Measures(duration_us=took_us), claims_next=next)


def test_a_checkpoint_that_is_said_again_is_stored_once_and_another_is_another(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    for data in ("1", "1", "2"):
        outcomes(world).keep_checkpoint(MINE, KeepCheckpoint("part", 0, data))
    assert world.check(RUN).count(StepCheckpoint) == 2


OTHERS: list[tuple[str, int, str | None]] = [("part", 1, "1"), ("other", 0, "1"), ("part", 0, "2"), ("part", 0, None)]


@pytest.mark.parametrize(("name", "number", "data"), OTHERS)
def test_what_differs_from_a_checkpoint_in_anything_is_another(
    world: World, name: str, number: int, data: str | None
) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    for kept in (KeepCheckpoint("part", 0, "1"), KeepCheckpoint(name, number, data, None if data else NO)):
        for _ in range(2):
            outcomes(world).keep_checkpoint(MINE, kept)
    told = [event for event in world.check(RUN).events if isinstance(event, StepCheckpoint | StepCheckpointFailed)]
    assert [(event.name, event.sequence_number) for event in told] == [("part", 0), (name, number)]


def test_the_same_checkpoint_of_another_attempt_is_another(world: World) -> None:
    begun(world, step("a"))
    for number in (1, 2):
        claimed(world, "a", number, worker="mine")
        outcomes(world).keep_checkpoint(Attempt(RUN, "a", "mine", number), KeepCheckpoint("part", 0, "1"))
        outcomes(world).let_go(Attempt(RUN, "a", "mine", number))
    assert world.check(RUN).count(StepCheckpoint) == 2


def test_a_checkpoint_that_is_said_again_after_another_is_stored_once(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    for number in (0, 1, 0):
        outcomes(world).keep_checkpoint(MINE, KeepCheckpoint("part", number, "1"))
    assert world.check(RUN).count(StepCheckpoint) == 2


def test_lines_are_those_of_the_attempt_that_has_said_them_also_where_no_policy_counts_it(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    assert later(world, delay_us=0).status == "scheduled"
    world.clock.pause_us(2_000_000)
    claimed(world, "a", 2, worker="mine")
    outcomes(world).log(Attempt(RUN, "a", "mine", 2), [(clock.now_us(), "stdout", "again")])
    found = world.observer.load_step_logs("flow", RUN, "a") or []
    assert [(each.attempt_number, each.message) for each in found] == [(1, "later: not yet"), (2, "again")]


def test_lines_are_stored_by_who_holds_the_attempt_and_once(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    lines: list[LogLine] = [(clock.now_us() + number, "stderr", f"line {number}") for number in range(2)]
    for _ in range(2):
        outcomes(world).log(MINE, lines)
    with pytest.raises(StaleAttemptError):
        outcomes(world).log(THEIRS, [(clock.now_us(), "stdout", "not mine")])
    found = world.observer.load_step_logs("flow", RUN, "a") or []
    assert [(each.attempt_number, each.stream, each.message) for each in found] == [
        (1, "stderr", "line 0"),
        (1, "stderr", "line 1"),
    ]


ENDS: dict[type[Event], Callable[[World, Measures], Outcome]] = {
    StepCompleted: lambda world, told: outcomes(world).complete(MINE, "1", told),
    StepFailed: lambda world, told: outcomes(world).fail(MINE, NO, told, reason="timeout", is_retryable=False),
    StepSkipped: lambda world, told: outcomes(world).skip(MINE, "no need", {"why": [1]}, told),
}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("took_us", [7, 0, None], ids=["as it says", "no time", "as it was seen"])
def test_how_long_a_step_took_is_told_by_its_worker_or_else_by_the_clock(
    world: World, kind: type[Event], took_us: int | None
) -> None:
    begun(world, step("a", retry=ONCE))
    claimed(world, "a", worker="mine")
    world.clock.pause_us(1_000_000)
    ENDS[kind](world, Measures(duration_us=took_us, usage=USAGE))
    [told] = [event for event in world.check(RUN).events if isinstance(event, kind)]
    seen_us = pytest.approx(1_000_000, abs=1_000)
    assert getattr(told, "duration_us", None) == (seen_us if took_us is None else took_us)
    assert getattr(told, "resource_usage", USAGE) == USAGE


def test_an_end_is_told_with_all_that_its_worker_says_of_it(world: World) -> None:
    begun(world, step("a", retry=ONCE), step("b"))
    claimed(world, "a", worker="mine")
    claimed(world, "b", worker="mine")
    ENDS[StepFailed](world, Measures())
    outcomes(world).skip(Attempt(RUN, "b", "mine", 1), "no need", {"why": [1]}, Measures())
    events = world.check(RUN).events
    [failed] = [event for event in events if isinstance(event, StepFailed)]
    [skipped] = [event for event in events if isinstance(event, StepSkipped)]
    assert (failed.error, failed.failure_reason, failed.terminal) == (NO, "timeout", True)
    assert (skipped.reason, skipped.metadata, skipped.skip_type) == ("no need", {"why": [1]}, "primary")


@pytest.mark.parametrize(("chance", "in_us"), [(0.0, 5_000_000), (0.5, 10_000_000), (1.0, 15_000_000)])
def test_when_a_failure_is_tried_again_is_left_to_chance_within_the_jitter(
    world: World, chance: float, in_us: int
) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=2, delay_ms=10_000, jitter=0.5)]))
    claimed(world, "a", worker="mine")
    by = WorkerOutcomes(replace(world.backend.runtime, chance=lambda: chance))
    told = by.fail(MINE, NO, Measures(), reason="execution-error", is_retryable=True)
    assert told.next_retry_at_us == pytest.approx(clock.now_us() + in_us, abs=10_000)


def test_a_result_is_later_than_the_last_line(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    told_us = clock.now_us() + MINUTE_US
    outcomes(world).complete(MINE, "1", Measures(told_us=told_us))
    [event] = [event for event in world.check(RUN).events if isinstance(event, StepCompleted)]
    assert event.timestamp_us > told_us


def test_an_attempt_that_a_clock_ahead_has_begun_took_no_time(world: World) -> None:
    begun(world, step("a"))
    with use(SteppingClock(clock.now_us() + MINUTE_US)):
        claimed(world, "a", worker="mine")
    outcomes(world).complete(MINE, "1", Measures())
    [event] = [event for event in world.check(RUN).events if isinstance(event, StepCompleted)]
    assert event.duration_us == 0


def test_what_is_let_go_is_no_try_and_said_again_it_is_for_the_same_time(world: World) -> None:
    begun(world, step("a", retry=ONCE))
    claimed(world, "a", worker="mine")
    first = outcomes(world).let_go(MINE)
    assert first == Outcome("scheduled", branch_of(world, "a").available_at_us)
    assert outcomes(world).let_go(MINE) == first


def test_nobody_lets_go_of_what_another_holds_or_has_let_go(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    with pytest.raises(StaleAttemptError):
        outcomes(world).let_go(THEIRS)
    first = outcomes(world).let_go(MINE)
    with pytest.raises(StaleAttemptError):
        outcomes(world).let_go(THEIRS)
    assert outcomes(world).let_go(MINE) == first


def test_a_heartbeat_keeps_nobody_from_letting_go(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a", worker="mine")
    late = pausing(world, "UpdateItem", lambda: Steps(world.observer.runtime).heartbeat(held))
    assert WorkerOutcomes(late.runtime).let_go(MINE).status == "scheduled"


def test_who_beats_ever_again_is_told_after_three_tries(world: World) -> None:
    begun(world, step("a"))
    held, late = [claimed(world, "a", worker="mine")], world.store.another_client()

    def beaten_first(request: Request, send: Send) -> Answer:
        if request.operation == "UpdateItem":
            held.append(Steps(world.observer.runtime).heartbeat(held[-1]))
        return send(request)

    wire_of(late).add(beaten_first, floor=Floor.SCHEDULE)
    with pytest.raises(StaleAttemptError):
        WorkerOutcomes(world.another(late).runtime).let_go(MINE)
    assert len(held) == 1 + 3


def test_what_has_ended_otherwise_is_not_let_go(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    completed(world)
    with pytest.raises(StaleAttemptError):
        outcomes(world).let_go(MINE)


def test_who_completes_a_step_holds_the_next_one_of_its_pool(world: World) -> None:
    begun(world, step("a", executor="gpu"), step("b", "a", executor="gpu"), step("c", "b", executor="cpu"))
    assert WorkerProtocol(world.backend.runtime).claim(RUN, "a", "mine", slot=Slot(), pool="gpu") is not None
    following = completed(world, next=Slot(2, 4)).next
    assert following is not None
    assert (following.branch.step, following.branch.worker) == ("b", "mine")
    assert (following.branch.slot_index, following.branch.worker_concurrency) == (2, 4)
    assert following.branch.lease_us == pytest.approx(clock.now_us() + TIMING.lease_us, abs=10_000)
    assert completed(world, Attempt(RUN, "b", "mine", 1), next=Slot()).next is None
    assert (branch_of(world, "a").step, branch_of(world, "a").status) == ("c", "scheduled")


def test_who_completes_again_holds_what_it_has_got_if_it_asks_and_nothing_of_others(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b"))
    claimed(world, "a", worker="mine")
    completed(world, next=Slot())
    again = completed(world, next=Slot(), took_us=2).next
    assert again is not None
    assert again.branch.step == "b"
    assert completed(world).next is None, "who doesn't ask gets nothing"
    mine = Attempt(RUN, "b", "mine", 1)
    completed(world, mine)
    claimed(world, "c", branch="a", worker="theirs")
    assert completed(world, mine, next=Slot()) == Outcome("completed")


def test_who_completes_a_later_step_of_a_branch_again_holds_what_it_has_got(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b"))
    claimed(world, "a", worker="mine")
    completed(world, next=Slot())
    told = [completed(world, Attempt(RUN, "b", "mine", 1), next=Slot()).next for _ in range(2)]
    assert [held and held.branch.step for held in told] == ["c", "c"]


def test_nobody_says_again_what_another_has_said(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "a", worker="mine")
    completed(world)
    with pytest.raises(StaleAttemptError):
        completed(world, THEIRS)


def test_who_says_again_that_it_is_not_ready_is_told_that_it_has_given_up(world: World) -> None:
    begun(world, step("a", poll_every_ms=1_000, give_up_after_ms=1_000), step("b"))
    world.clock.pause_us(MINUTE_US)
    claimed(world, "a", worker="mine")
    told = [outcomes(world).postpone(MINE, "not yet", Measures(), at_us=None, delay_us=None) for _ in range(2)]
    assert told == [Outcome("failed")] * 2


def test_who_has_given_up_has_said_nothing_else(world: World) -> None:
    begun(world, step("a", poll_every_ms=1_000, give_up_after_ms=1_000), step("b"))
    world.clock.pause_us(MINUTE_US)
    claimed(world, "a", worker="mine")
    later(world)
    with pytest.raises(StaleAttemptError):
        completed(world)
    with pytest.raises(StaleAttemptError):
        outcomes(world).fail(MINE, NO, Measures(), reason="execution-error", is_retryable=True)


@pytest.mark.parametrize("is_retryable", [True, False])
def test_what_has_failed_is_not_put_off_and_failing_again_is_answered_the_same(
    world: World, is_retryable: bool
) -> None:
    begun(world, step("a", poll_every_ms=1_000, retry=[RetryTier(max_attempts=2, delay_ms=5_000, jitter=0)]))
    claimed(world, "a", worker="mine")
    told = [
        outcomes(world).fail(MINE, NO, Measures(), reason="execution-error", is_retryable=is_retryable)
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert told[0].next_retry_at_us == (branch_of(world, "a").available_at_us if is_retryable else None)
    with pytest.raises(StaleAttemptError):
        later(world)


@pytest.mark.parametrize("when", ["at_us", "delay_us"])
def test_a_step_that_was_declared_to_ask_never_comes_again_when_it_says(world: World, when: str) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    with pytest.raises(ArgumentInvalidError):
        later(world)
    due_us = clock.now_us() + MINUTE_US
    told = [later(world, **{when: due_us if when == "at_us" else MINUTE_US}) for _ in range(2)]
    assert told[0] == told[1]
    assert told[0].next_retry_at_us == pytest.approx(due_us, abs=100_000)


def test_what_was_skipped_is_told_as_skipped(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="mine")
    assert [outcomes(world).skip(MINE, "no need", None, Measures()).status for _ in range(2)] == ["skipped"] * 2
