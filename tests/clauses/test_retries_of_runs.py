"""A run is tried again: whatever is failed, halted or parked goes on, in the next attempt and under it (§7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow import (
    ConflictError,
    RetryTier,
    RunSubmission,
    StaleAttemptError,
    StepFailed,
    StepScheduled,
    WorkflowRetryStarted,
    clock,
)
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.runs import started_again
from cascade_flow.engine.state import Branch, Facts, Run
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.steps import HeldAttempt, Steps
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
    going_on,
    item_of,
    reported,
    run_of,
    silent,
    told_before,
)
from faults.moments import pausing
from simulation import World, step

ONCE = [RetryTier(max_attempts=1)]
TWICE = [RetryTier(max_attempts=2, delay_ms=0, jitter=0)]


def test_what_failed_goes_on_and_what_was_halted_and_what_was_parked_too(world: World) -> None:
    begun(world, step("a"), step("b"), step("b2", "b"), step("c"), step("d"))
    parked, lost = claimed(world, "b"), claimed(world, "d")
    reported(world, claimed(world, "a"), FATAL)
    reported(world, parked)
    silent(world)
    world.sweep()
    before = {name: (branch_of(world, name).status, branch_of(world, name).halt) for name in ("a", "b", "c", "d")}
    assert before == {
        "a": ("failed", None),
        "b": ("parked", "park"),
        "c": ("scheduled", "stop"),
        "d": ("running", "stop"),
    }
    assert lost.branch.status == "running"
    world.backend.retry_run(RUN)
    world.check(RUN)
    now = {name: branch_of(world, name) for name in ("a", "b", "c", "d")}
    assert {(branch.status, branch.halt, branch.run_attempt) for branch in now.values()} == {("scheduled", None, 2)}
    assert [(branch.step, branch.attempt) for branch in now.values()] == [("a", 2), ("b2", 1), ("c", 1), ("d", 2)]
    ended(world)


def test_a_retry_of_the_run_gives_the_step_its_tries_again(world: World) -> None:
    begun(world, step("a", retry=TWICE))
    for attempt in (1, 2):
        reported(world, claimed(world, "a", attempt), AGAIN)
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    for attempt in (3, 4):
        assert run_of(world).status == "running"
        reported(world, claimed(world, "a", attempt), AGAIN)
    ends = [event.terminal for event in ended(world, "failed").events if isinstance(event, StepFailed)]
    assert ends == [False, True, False, True]


def test_who_dies_in_a_retry_leaves_it_to_the_sweep(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=2).retry_run(RUN))
    assert run_of(world).reviving
    silent(world)
    assert world.sweep()["retries resumed"] == 1
    assert not run_of(world).reviving
    ended(world)


def test_of_two_who_try_a_run_again_one_is_refused(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    late = pausing(world, "TransactWriteItems", lambda: world.observer.retry_run(RUN))
    with pytest.raises(ConflictError):
        late.retry_run(RUN)
    assert run_of(world).run_attempt == 2
    assert ended(world).count(WorkflowRetryStarted) == 1


def test_nothing_is_revived_once_the_run_is_stopped_again(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.backend.cancel_run(RUN)
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN), at=2)
    late.retry_run(RUN)
    assert branch_of(world, "a").halt == branch_of(world, "b").halt == "stop"
    assert world.check(RUN).status == "cancelled"


def test_the_note_that_all_is_revived_comes_too_late_for_a_run_that_has_ended(world: World) -> None:
    begun(world, step("a", export_output=True))
    world.backend.cancel_run(RUN)
    late = pausing(world, "UpdateItem", lambda: done(world, "a"))
    late.retry_run(RUN)
    assert world.check(RUN).status == "completed"


def test_what_a_zombie_knows_of_the_attempt_before_is_not_scheduled_in_it(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    held = claimed(world, "a")
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    with pytest.raises(Exception, match="no longer held"):
        reported(world, held)
    assert world.check(RUN).count(StepScheduled, "b") == 0


def test_who_read_the_run_before_its_retry_fails_it_in_the_attempt_of_its_branch(world: World) -> None:
    begun(world, step("a", retry=ONCE))
    reported(world, claimed(world, "a"), FATAL)
    known = run_of(world)
    world.backend.retry_run(RUN)
    held = replace(claimed(world, "a", 2), run=known, facts=world.backend.runtime.facts(known))
    reported(world, held, FATAL)
    assert (run_of(world).status, run_of(world).run_attempt) == ("failed", 2)
    world.check(RUN)


def test_two_revivals_of_one_branch_are_one(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=2).retry_run(RUN))
    late = pausing(world, "TransactWriteItems", lambda: revived_and_claimed(world))
    Retries(late.runtime).revive(run_of(world))
    assert branch_of(world, "a").status == "running"
    world.check(RUN)


def revived_and_claimed(world: World) -> None:
    Retries(world.observer.runtime).revive(run_of(world))
    claimed(world, "a", worker="heir")


def test_a_retrys_events_overwrite_nothing_in_the_log(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    run, runtime = run_of(world), world.backend.runtime
    facts = replace(runtime.facts(run), run_attempt=2)
    again = started_again(facts, run, [], None, now_us=clock.now_us())
    first_us = int(again.events[0].timestamp_us)
    told = told_before(world, first_us)
    with pytest.raises(RunRefused):
        runtime.run_ledger.try_again(run, again.run, again.events)
    assert items.to_records(item_of(world, keys.commit(RUN, first_us))) == told


def test_a_run_that_was_stopped_before_it_started_makes_its_roots(world: World) -> None:
    begun(world, step("a"), step("b"), available_at=clock.now_us() + 60_000_000)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    assert branch_of(world, "a").status == branch_of(world, "b").status == "scheduled"
    ended(world)


def test_roots_that_were_owed_when_the_run_was_stopped_are_made(world: World) -> None:
    roots = [f"r{number:02d}" for number in range(AT_ONCE + 2)]
    world.register([step(root) for root in roots])
    late = dying(world, "TransactWriteItems", at=2)
    dies(lambda: late.submit_run(RunSubmission(workflow_slug="flow", run_id=RUN)))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    assert branch_of(world, roots[-1]).run_attempt == 2
    ended(world)


def test_what_parked_by_itself_goes_on(world: World) -> None:
    """It was told by the run, and not by a halt, that nothing goes on."""
    begun(world, step("a"), step("b"), step("j", "a", "b"), step("k", "j"))
    done(world, "a", "b")
    held = claimed(world, "j")
    reported(world, held, going_on())
    late = pausing(world, "Query", lambda: reported(world, claimed_k(world)))
    late.cancel_run(RUN)
    assert (branch_of(world, "j").status, branch_of(world, "j").halt) == ("parked", None)
    world.backend.retry_run(RUN)
    ended(world)


def claimed_k(world: World) -> HeldAttempt:
    """Step k is in the hands of who has done j."""
    branch = branch_of(world, "j")
    run = run_of(world)
    return HeldAttempt(world.backend.runtime.facts(run), run, branch)


def test_what_was_tried_before_is_each_steps_own(world: World) -> None:
    begun(world, step("a", retry=TWICE), step("b", "a", retry=TWICE))
    for attempt in (1, 2):
        reported(world, claimed(world, "a", attempt), AGAIN)
    world.backend.retry_run(RUN)
    reported(world, claimed(world, "a", 3))
    for attempt in (1, 2):
        assert run_of(world).status == "running"
        reported(world, claimed(world, "b", attempt, branch="a"), AGAIN)
    assert world.check(RUN).status == "failed"


def test_a_run_that_timed_out_has_time_again(world: World) -> None:
    begun(world, step("a"), timeout=60_000_000)
    world.clock.pause_us(60_000_000)
    world.sweep()
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    assert run_of(world).deadline_us == pytest.approx(clock.now_us() + 60_000_000, abs=1_000_000)
    ended(world)


def test_an_open_join_that_the_sweep_let_go_is_looked_at_again(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b", export_output=True))
    done(world, "a")
    world.backend.cancel_run(RUN)
    silent(world)
    world.sweep()
    assert branch_of(world, "j").due_us is None
    world.backend.retry_run(RUN)
    assert (branch_of(world, "j").status, branch_of(world, "j").run_attempt) == ("open", 2)
    world.check(RUN)
    held = claimed(world, "b")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))
    ended(world)


def test_a_join_that_waits_again_does_not_keep_the_note(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    done(world, "a")
    reported(world, claimed(world, "b"), FATAL)
    world.backend.retry_run(RUN)
    assert branch_of(world, "j").status == "open"
    assert not run_of(world).reviving


def test_a_run_that_ends_while_it_is_revived_keeps_no_note(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=2).retry_run(RUN))
    assert run_of(world).reviving
    world.backend.cancel_run(RUN)
    assert (run_of(world).status, run_of(world).reviving, run_of(world).stop) == ("cancelled", False, None)


def test_a_retry_says_which_steps_it_lets_go(world: World) -> None:
    """What failed and what was stopped; not what is done, nor what nobody had scheduled."""
    begun(world, step("done"), step("failed"), step("waits"), step("later", "waits"))
    done(world, "done")
    reported(world, claimed(world, "failed"), FATAL)
    world.backend.retry_run(RUN, "now")
    [event] = [event for event in world.check(RUN).events if isinstance(event, WorkflowRetryStarted)]
    assert sorted(event.retried_steps) == ["failed", "waits"]
    assert (event.workflow_attempt_number, event.previous_attempt_number, event.reason) == (2, 1, "now")


def test_where_others_are_quicker_each_time_the_note_stays_for_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    with monkeypatch.context() as patch:
        patch.setattr(Retries, "_revive", lambda *_: None)
        world.backend.retry_run(RUN)
    assert run_of(world).reviving
    silent(world)
    assert world.sweep()["retries resumed"] == 1
    ended(world)


@pytest.mark.parametrize("error", [StaleAttemptError, ConflictError, BranchRefused])
def test_a_branch_that_could_not_be_revived_at_first_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    begun(world, step("a"), step("b"))
    world.backend.cancel_run(RUN)
    revive, tried = Steps.revive, list[str]()

    def revived(steps: Steps, facts: Facts, run: Run, branch: Branch) -> None:
        tried.append(branch.name)
        if len(tried) == 1:
            raise error(branch) if error is BranchRefused else error()
        revive(steps, facts, run, branch)

    monkeypatch.setattr(Steps, "revive", revived)
    again = Retries(world.backend.runtime).retry(RUN, None)
    assert tried == ["a", "b", "a"]
    assert {branch_of(world, name).status for name in "ab"} == {"scheduled"}
    assert (again, again.reviving) == (run_of(world), False)


def test_a_retry_names_steps_and_not_their_branches(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    reported(world, claimed(world, "a"))
    reported(world, claimed(world, "b", branch="a"), FATAL)
    world.backend.retry_run(RUN, "now")
    [event] = [event for event in world.check(RUN).events if isinstance(event, WorkflowRetryStarted)]
    assert event.retried_steps == ["b"]


def test_what_had_failed_for_good_has_failed_no_more_once_its_run_is_tried_again(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"), FATAL)
    assert [failed.step_id for failed in world.observer.get_failed_steps("flow", RUN)] == ["a"]
    world.backend.retry_run(RUN)
    assert world.observer.get_failed_steps("flow", RUN) == []
