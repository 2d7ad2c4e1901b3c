"""A stop: intention, two equal looks, halts, one terminal event of the attempt that it was meant for (§7)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import pytest

from cascade_flow import (
    DynamoDBBackend,
    RetryTier,
    RunNotCancellableError,
    StaleAttemptError,
    StepStarted,
    WorkflowCancelled,
    WorkflowFailed,
    clock,
)
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.engine.state import Stop
from cascade_flow.engine.stop import halting, terminal_event
from cascade_flow.errors import PayloadTooLargeError
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.stops import Stops
from cascade_flow.wake import Wake
from clauses.stage import (
    AGAIN,
    AT_ONCE,
    FATAL,
    RUN,
    asking,
    begun,
    branch_of,
    claimed,
    counting,
    dies,
    done,
    dying,
    ended,
    found,
    going_on,
    in_pages,
    is_refused,
    item_of,
    reported,
    run_of,
    silent,
    told_before,
)
from faults.moments import pausing, unanswered
from shapes import chain
from simulation import TIMING, World, step


@pytest.mark.parametrize("page", range(1, 12))
def test_one_clean_query_is_no_snapshot(world: World, page: int) -> None:
    """Step z's fork lies before it, where a query that has come to z does not look any more."""
    begun(world, step("z"), step("y", "z"), step("a", "z", skip_cascades=False), step("m"))
    world.script = {"z": ["skip"]}
    held = claimed(world, "z")
    late = in_pages(world, lambda: reported(world, held, world.act(held, "worker-1")), page=page)
    late.cancel_run(RUN)
    assert found(world, "a") is None or branch_of(world, "a").halt == "stop"
    assert is_refused(world, "a")
    assert world.check(RUN).status == "cancelled"


def test_who_claims_between_a_stops_look_and_its_end_is_seen(world: World) -> None:
    begun(world, step("a"), step("b"))
    late = pausing(world, "TransactWriteItems", lambda: claimed(world, "a"))
    late.cancel_run(RUN)
    checked = world.check(RUN)
    assert checked.status == "cancelled"
    assert (checked.count(StepStarted, "a"), branch_of(world, "a").halt) == (1, "stop")


def test_a_stop_does_not_end_what_another_has_stopped_otherwise(world: World) -> None:
    begun(world, step("a"), step("b"))
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN), at=2)
    reported(world, claimed(world, "a"), FATAL, by=late)
    assert world.check(RUN).status == "cancelled"


def test_a_run_that_completes_meanwhile_is_not_stopped(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    late = pausing(world, "UpdateItem", lambda: reported(world, held))
    with pytest.raises(RunNotCancellableError):
        late.cancel_run(RUN)
    assert world.check(RUN).status == "completed"


def test_an_intention_is_for_the_runs_attempt_that_it_names(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    late = Stop("failed", run_attempt=1, reason="what has failed in attempt 1")
    now = run_of(world)
    with pytest.raises(RunRefused):
        world.backend.runtime.run_ledger.intend(now, late, due_us=clock.now_us())
    ended(world)


STOPS: dict[str, Callable[[DynamoDBBackend], object]] = {
    "cancelled": lambda by: by.cancel_run(RUN, "first"),
    "again": lambda by: by.cancel_run(RUN, "second"),
    "timeout": lambda by: Runs(by.runtime).time_out(by.runtime.run(RUN)),
}


@pytest.mark.parametrize(
    ("first", "second", "is_meant"),
    [
        ("cancelled", "again", "cancelled"),
        ("cancelled", "timeout", "cancelled"),
        ("timeout", "timeout", "timeout"),
        ("timeout", "cancelled", "cancelled"),
    ],
)
def test_of_two_stops_the_first_counts_but_a_persons_before_all_others(
    world: World, first: str, second: str, is_meant: str
) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    dies(lambda: STOPS[first](dying(world, "UpdateItem", after=True)))
    before = run_of(world)
    assert before.due_us == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000), "it is looked at soon"
    with patch.object(Stops, "carry_on"):
        STOPS[second](world.backend)
    stop = run_of(world).stop
    assert (stop and stop.kind, stop and stop.reason) == (is_meant, "first" if is_meant == "cancelled" else None)
    assert (run_of(world) == before) is (is_meant == first)


def test_a_stop_that_is_interrupted_is_resumed_by_the_sweep(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.backend.runtime.run_ledger.intend(
        run_of(world), Stop("cancelled", run_attempt=1), due_us=clock.now_us() + TIMING.grace_us
    )
    silent(world)
    assert world.sweep()["stops resumed"] == 1
    assert world.check(RUN).count(WorkflowCancelled) == 1


def test_a_step_may_finish_while_its_run_fails(world: World) -> None:
    begun(world, step("a"), step("b"), step("c"))
    sibling = claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    assert (run_of(world).status, branch_of(world, "b").halt, branch_of(world, "c").halt) == ("running", "park", "stop")
    reported(world, sibling)
    assert run_of(world).status == "failed", "who finishes last goes on with the stop"


def test_nobody_waits_for_a_worker_that_is_dead(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    silent(world)
    world.sweep()
    assert world.check(RUN).status == "failed"


def test_a_cancelled_run_waits_for_nobody(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "b")
    world.backend.cancel_run(RUN)
    assert world.check(RUN).status == "cancelled"


def test_a_halt_is_for_a_branch_as_it_was_seen(world: World) -> None:
    begun(world, step("a"), step("a2", "a"), step("b"))
    done(world, "b")
    seen = branch_of(world, "a")
    done(world, "a")
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.halt(RUN, seen, "stop", Stop("cancelled", run_attempt=1))
    assert branch_of(world, "a").halt is None


def test_a_halt_is_for_the_runs_attempt_that_is_to_stop(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.halt(RUN, branch_of(world, "a"), "stop", Stop("cancelled", run_attempt=1))
    ended(world)


def test_a_terminal_event_overwrites_nothing_in_the_log(world: World) -> None:
    begun(world, step("a"))
    run, ledger = run_of(world), world.backend.runtime.run_ledger
    stopping = ledger.intend(run, Stop("cancelled", run_attempt=1), due_us=clock.now_us() + TIMING.grace_us)
    facts = world.backend.runtime.facts(run)
    event = terminal_event(facts, stopping, Stop("cancelled", run_attempt=1), [], now_us=clock.now_us())
    told = told_before(world, int(event.timestamp_us))
    with pytest.raises(BranchRefused):
        ledger.finish(stopping, event, "cancelled", [])
    assert items.to_records(item_of(world, keys.commit(RUN, int(event.timestamp_us)))) == told


def test_what_goes_on_in_a_later_attempt_is_none_of_a_stops_business(world: World) -> None:
    begun(world, step("a"), step("b"))
    stop = Stop("failed", run_attempt=1)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    branches = [branch_of(world, "a"), replace(branch_of(world, "b"), run_attempt=1)]
    step_now = halting(run_of(world), stop, branches, now_us=clock.now_us())
    assert [branch.name for branch, _ in step_now.halts] == ["b"]


def test_a_stop_of_an_attempt_that_is_over_writes_nothing(world: World) -> None:
    begun(world, step("a"), step("b"))
    reported(world, claimed(world, "a"), FATAL)
    world.settle(RUN)
    run = run_of(world)
    world.backend.retry_run(RUN)
    backend, asked = asking(world)
    with pytest.raises(RunRefused):
        AfterCommit(backend.runtime).stops._round(backend.runtime.facts(run), run, Stop("failed", 1), again=True)
    assert {"UpdateItem", "TransactWriteItems"}.isdisjoint(asked)


def test_nobody_is_waited_for_beyond_the_runs_deadline(world: World) -> None:
    begun(world, step("a"), step("b"), timeout=TIMING.lease_us * 2)
    held = claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    for _ in range(3):
        world.clock.pause_us(TIMING.lease_us * 9 // 10)
        with suppress(StaleAttemptError):
            held = Steps(world.backend.runtime).heartbeat(held)
        world.sweep()
    assert world.check(RUN).status == "failed"


def test_who_owes_a_fork_is_stopped_at_once(world: World) -> None:
    """What is owed may not be made any more, and a step that can't say its last word keeps nobody waiting."""
    heads = [f"p{number:02d}" for number in range(AT_ONCE + 2)]
    begun(world, step("x"), step("a"), step("a2", "a"), *(step(head, "a") for head in heads))
    held = claimed(world, "a")
    dies(lambda: reported(world, held, going_on(), by=dying(world, "TransactWriteItems", at=2)))
    assert branch_of(world, "a").status == "running"
    reported(world, claimed(world, "x"), FATAL)
    assert branch_of(world, "a").halt == "stop"
    assert world.check(RUN).status == "failed"


def test_no_step_is_retried_while_its_run_fails(world: World) -> None:
    begun(world, step("x"), step("a"), step("b"))
    held = claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    reported(world, held, AGAIN)
    assert branch_of(world, "a").status == "failed"
    assert world.check(RUN).status == "failed"


def test_who_fails_for_good_and_dies_leaves_the_stop_to_the_sweep(world: World) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    dies(lambda: reported(world, held, FATAL, by=dying(world, "Query")))
    world.mailbox.wakes.clear()
    silent(world)
    assert world.sweep()["stops resumed"] == 1
    assert world.check(RUN).status == "failed"


def fatal(world: World) -> None:
    reported(world, claimed(world, "b"), FATAL)


def crash(world: World) -> None:
    claimed(world, "b")
    silent(world)
    world.sweep()


def timeout(world: World) -> None:
    world.clock.pause_us(TIMING.timeout_us)
    world.sweep()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (fatal, ("step-failed", "b", "no")),
        (
            crash,
            ("worker-crash", "b", "worker worker-1 fell silent in attempt 1, the last that the step's retry policy"),
        ),
        (timeout, ("timeout", None, "the run did not end before its deadline")),
    ],
)
def test_a_failed_run_says_why(world: World, end: Callable[[World], None], why: tuple[str, str | None, str]) -> None:
    begun(world, step("a"), step("b", retry=[RetryTier(max_attempts=1)]), step("c"))
    done(world, "a")
    end(world)
    [told] = [event for event in ended(world, "failed").events if isinstance(event, WorkflowFailed)]
    reason, failed_step, message = why
    assert (told.failure_reason, told.failed_step, told.completed_steps) == (reason, failed_step, 1)
    assert told.error.message.startswith(message)
    assert told.duration_us == pytest.approx(clock.now_us() - int(run_of(world).started_at_us or 0), abs=1_000_000)


def test_a_cancelled_run_says_why(world: World) -> None:
    begun(world, step("a"), step("b"))
    done(world, "a")
    world.backend.cancel_run(RUN, "no longer wanted")
    [told] = [event for event in ended(world, "cancelled").events if isinstance(event, WorkflowCancelled)]
    assert (told.reason, told.completed_steps) == ("no longer wanted", 1)


def test_who_learns_of_a_stop_from_a_lost_answer_reports_nothing_more(world: World) -> None:
    """Who asks again knows the own write by its nonce, and learns what came after it: a stop is the end (§4, §7)."""
    begun(world, *chain(3))
    held = claimed(world, "s0")
    late = unanswered(world, "UpdateItem", lambda: world.observer.cancel_run(RUN))
    held = reported(world, held, going_on(), by=late)
    assert (held.branch.step, held.branch.stopped, held.running) == ("s1", True, False)
    with pytest.raises(StaleAttemptError, match="being stopped or has ended"):
        reported(world, held, going_on(), by=late)
    assert world.check(RUN).status == "cancelled"


def test_what_is_claimed_from_a_lost_answer_is_nobodys(world: World) -> None:
    begun(world, step("a"))
    late = unanswered(world, "UpdateItem", lambda: world.observer.cancel_run(RUN))
    assert Steps(late.runtime).claim(Wake(RUN, "a", "a", 1), "worker-1") is None
    assert world.check(RUN).status == "cancelled"


@pytest.mark.parametrize("page", range(1, 14))
def test_one_clean_query_is_no_snapshot_also_where_somebody_is_waited_for(world: World, page: int) -> None:
    begun(world, step("z"), step("y", "z"), step("a", "z", skip_cascades=False), step("m"), step("w"))
    world.script = {"z": ["skip"]}
    held, failing = claimed(world, "z"), claimed(world, "m")
    claimed(world, "w")
    late = in_pages(world, lambda: reported(world, held, world.act(held, "worker-1")), page=page)
    reported(world, failing, FATAL, by=late)
    assert run_of(world).status == "running"
    assert found(world, "a") is None or branch_of(world, "a").halt == "stop"


def test_a_wide_run_is_stopped_in_transactions_of_25_items_at_most(world: World) -> None:
    begun(world, *(step(f"s{number:02d}") for number in range(30)))
    by, sizes = counting(world)
    by.cancel_run(RUN)
    assert run_of(world).status == "cancelled"
    assert max(sizes) <= 25


def test_a_run_that_has_ended_is_not_given_up(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    runtime = world.backend.runtime
    AfterCommit(runtime).stops.give_up(runtime.facts(run_of(world)), PayloadTooLargeError(bytes=2, limit=1))
    assert (run_of(world).status, run_of(world).stop) == ("cancelled", None)
    ended(world, "cancelled")


def test_a_run_that_another_stops_meanwhile_is_not_given_up(world: World) -> None:
    begun(world, step("a"))
    late = pausing(world, "UpdateItem", lambda: world.observer.cancel_run(RUN)).runtime
    AfterCommit(late).stops.give_up(late.facts(run_of(world)), PayloadTooLargeError(bytes=2, limit=1))
    ended(world, "cancelled")


def test_a_run_that_is_failing_fails_for_its_first_reason(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    stop, runtime = run_of(world).stop, world.backend.runtime
    assert stop is not None
    AfterCommit(runtime).stops.give_up(runtime.facts(run_of(world)), PayloadTooLargeError(bytes=2, limit=1))
    assert run_of(world).stop == stop
    silent(world)
    ended(world, "failed")


def test_a_run_that_is_given_up_says_what_could_not_be_stored(world: World) -> None:
    begun(world, step("a"), step("b"))
    runtime = world.backend.runtime
    AfterCommit(runtime).stops.give_up(runtime.facts(run_of(world)), PayloadTooLargeError(bytes=2, limit=1))
    assert run_of(world).status == "failed", "and no sweep is waited for"
    [failed] = [event for event in ended(world, "failed").events if isinstance(event, WorkflowFailed)]
    assert failed.error is not None
    assert failed.error.name == "PayloadTooLargeError"
    assert failed.error.message == str(PayloadTooLargeError(bytes=2, limit=1))


def test_who_forks_before_it_is_halted_leaves_nothing_that_can_be_claimed(world: World) -> None:
    """Also where a step may still finish, so that the stop does not come to its end."""
    begun(world, step("a"), step("b", "a"), step("p", "a"), step("w"), step("x"))
    held = claimed(world, "a")
    claimed(world, "w")
    late = pausing(world, "UpdateItem", lambda: reported(world, held, by=world.observer))
    reported(world, claimed(world, "x"), FATAL, by=late)
    assert (branch_of(world, "a").step, run_of(world).status) == ("b", "running")
    assert [branch_of(world, name).halt for name in ("a", "p", "w")] == ["stop", "stop", "park"]
    assert is_refused(world, "p")


def test_who_may_finish_and_stores_a_checkpoint_carries_no_stop_on(world: World) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    held = reported(world, held, KeepCheckpoint("c", 0, "1"))
    assert held.branch.halt == "park"
    late, sizes = counting(world)
    reported(world, held, KeepCheckpoint("c", 1, "2"), by=late)
    assert len(sizes) == 1


def test_who_gives_a_run_up_and_dies_leaves_it_to_the_sweep_in_a_grace(world: World) -> None:
    begun(world, step("a"))
    dead = dying(world, "Query").runtime
    dies(lambda: AfterCommit(dead).stops.give_up(dead.facts(run_of(world)), PayloadTooLargeError(bytes=2, limit=1)))
    assert run_of(world).due_us == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)
    silent(world)
    assert world.sweep()["stops resumed"] == 1
    ended(world, "failed")


MEANWHILE: list[tuple[Callable[[World], object], bool, str | None]] = [
    (lambda _: None, True, "stop"),
    (lambda world: claimed(world, "a"), False, "stop"),
    (lambda world: done(world, "a"), False, "stop"),
    (lambda world: reported(world, reported(world, claimed(world, "a"), going_on())), False, None),
]


@pytest.mark.parametrize(("others", "as_seen", "halt"), MEANWHILE, ids=["nobody", "claims", "goes on", "ends"])
def test_who_halts_a_branch_follows_it_and_tells_whether_it_was_as_seen(
    world: World, others: Callable[[World], object], as_seen: bool, halt: str | None
) -> None:
    begun(world, step("a"), step("b", "a"), step("x"))
    run, seen, stops = run_of(world), branch_of(world, "a"), AfterCommit(world.backend.runtime).stops
    others(world)
    assert stops._halt(run, Stop("cancelled", run_attempt=1), seen, "stop", frozenset()) is as_seen
    assert branch_of(world, "a").halt == halt


def test_who_moves_on_too_often_to_be_followed_is_not_taken_for_halted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._CHASES", 1)
    begun(world, step("a"), step("b", "a"), step("w"), step("x"))
    held = claimed(world, "a")
    claimed(world, "w")
    late = pausing(world, "UpdateItem", lambda: reported(world, held, by=world.observer))
    reported(world, claimed(world, "x"), FATAL, by=late)
    assert (branch_of(world, "a").step, branch_of(world, "a").halt, run_of(world).status) == ("b", "stop", "running")


def test_who_loses_the_answer_to_its_intention_knows_it_again(world: World) -> None:
    begun(world, step("a"))
    late, meant = unanswered(world, "UpdateItem", lambda: None), Stop("timeout", 1)
    assert late.runtime.run_ledger.intend(run_of(world), meant, due_us=clock.now_us()).stop == meant
    with pytest.raises(RunRefused):
        late.runtime.run_ledger.intend(replace(run_of(world), seq=0), meant, due_us=clock.now_us())
