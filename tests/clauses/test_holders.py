"""Who names an attempt speaks for it only while it is held (§4); and the lists of what is due and silent (§8)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import pytest

from cascade_flow import (
    DynamoDBBackend,
    LogEntry,
    RunNotCancellableError,
    RunNotRetryableError,
    StaleAttemptError,
    StepCheckpoint,
    StepStarted,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.ledger import Snapshot
from cascade_flow.engine.commands import KeepCheckpoint, SkipStep
from cascade_flow.operations.steps import Steps
from cascade_flow.records import replace
from cascade_flow.wake import Wake
from clauses.stage import (
    AGAIN,
    DONE,
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
    reported,
    run_of,
    silent,
)
from contract.outside import Outside
from faults.moments import pausing
from shapes import chain
from simulation import TIMING, World, step

LARGE = [f"line {number}" for number in range(3_000)]


def outside(world: World, *, name: str = "worker-1", by: DynamoDBBackend | None = None) -> Outside:
    """A worker that is no part of the engine."""
    return Outside(by or world.backend, RUN, "flow", name)


def test_nobody_beats_for_another(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    with pytest.raises(StaleAttemptError):
        outside(world, name="worker-2").beat("a")
    outside(world).beat("a")


@pytest.mark.parametrize(("step_id", "attempt"), [("a", 2), ("a", 1)], ids=["to come", "that is over"])
def test_nobody_speaks_for_an_attempt(world: World, step_id: str, attempt: int) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    if attempt == 1:
        silent(world)
        world.sweep()
        claimed(world, "a", 2)
    with pytest.raises(StaleAttemptError):
        outside(world).complete(step_id, attempt)
    assert branch_of(world, "a").status == "running"


def test_nobody_speaks_for_an_earlier_step_of_a_branch(world: World) -> None:
    begun(world, *chain(3))
    reported(world, claimed(world, "s0"))
    claimed(world, "s1", branch="s0")
    with pytest.raises(StaleAttemptError):
        outside(world).complete("s0")
    assert branch_of(world, "s0").step == "s1"


def test_nobody_speaks_for_what_is_gone(world: World) -> None:
    """It has expired."""
    begun(world, step("a"))
    held = claimed(world, "a")
    world.observer.runtime.ledger.table.delete(keys.branch(RUN, "a"))
    with pytest.raises(StaleAttemptError):
        reported(world, held)


def test_a_step_that_is_done_anew_is_known_by_the_run_that_did_it_first(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"), FATAL)
    new = world.backend.resume_run(RUN).run_id
    held = claimed(world, "a", run_id=new)
    assert (held.run.run_id, held.first_run_id) == (new, RUN)


def test_of_what_was_given_a_worker_keeps_what_is_still_asked_for(world: World) -> None:
    begun(world, step("s0", export_output=True), *(step(f"s{n}", f"s{n - 1}") for n in (1, 2, 3)))
    held = claimed(world, "s0")
    for _ in range(3):
        held = reported(world, held, going_on())
    assert sorted(held.known) == ["s0", "s2"]


def test_nobody_completes_what_nobody_has_begun(world: World) -> None:
    begun(world, step("a"))
    with pytest.raises(StaleAttemptError):
        outside(world).complete("a")
    assert branch_of(world, "a").status == "scheduled"


def test_nobody_speaks_for_what_is_stopped(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    line = LogEntry(
        timestamp_us=clock.now_us(),
        workflow_slug="flow",
        run_id=RUN,
        step_id="a",
        attempt_number=1,
        stream="stdout",
        message="too late",
    )
    world.backend.cancel_run(RUN)
    with pytest.raises(StaleAttemptError):
        outside(world).complete("a", logs=[line])
    assert world.backend.load_step_logs("flow", RUN, "a") == []
    assert world.check(RUN).status == "cancelled"


def test_nobody_speaks_for_what_a_run_has_never_come_to(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"))
    world.backend.cancel_run(RUN)
    with pytest.raises(StaleAttemptError, match="the step was never scheduled"):
        outside(world).complete("c")


def test_who_claims_a_step_of_a_run_that_is_gone_gets_nothing(world: World) -> None:
    begun(world, step("a"))
    late = pausing(world, "BatchGetItem", lambda: world.observer.runtime.ledger.table.delete(keys.run(RUN)))
    assert Steps(late.runtime).claim(Wake(RUN, "a", "a", 1), "worker-1") is None


def test_who_has_stored_a_part_of_the_work_knows_what_it_was_given(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    held = reported(world, claimed(world, "a"), going_on())
    assert (held.branch.step, held.known) == ("b", {"a": '"done"'})
    assert reported(world, held, KeepCheckpoint("part", 0, "1")).known == held.known


@pytest.mark.parametrize("known", [{}, {"a": '"known"'}, {"a": '"known"', "b": '"known"'}])
def test_what_a_worker_knows_is_not_read_and_what_it_does_not_know_is(world: World, known: dict[str, str]) -> None:
    begun(world, step("a"), step("b"), step("c", "a", "b"), input=7)
    done(world, "a", "b")
    given = Steps(world.backend.runtime).inputs(replace(claimed(world, "c"), known=known))
    told = known if len(known) == 2 else {"a": '"done"', "b": '"done"'}
    assert (given.input, given.outputs) == ("7", told)


def test_who_has_read_the_run_before_its_retry_reports_in_the_attempt_after_it(world: World) -> None:
    """Its own facts, and what it tells whoever it wakes, are of the attempt before."""
    begun(world, step("a"), step("b", "a"))
    before = run_of(world)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    held = claimed(world, "a", branch_of(world, "a").attempt)
    after = reported(world, replace(held, run=before, facts=world.backend.runtime.facts(before)))
    assert (after.run.run_attempt, after.facts.run_attempt) == (2, 2)


def test_nobody_speaks_without_work_for_another_attempt(world: World) -> None:
    begun(world, step("a"))
    with pytest.raises(StaleAttemptError):
        outside(world).skip("a", 2)
    assert branch_of(world, "a").status == "scheduled"


def test_what_is_said_without_work_of_a_stopped_step_is_refused(world: World) -> None:
    begun(world, step("a"))
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN))
    with pytest.raises(StaleAttemptError):
        Steps(late.runtime).report_without_work(run_of(world), "a", 1, SkipStep("no need", 0))
    assert world.check(RUN).status == "cancelled"


def test_a_large_output_that_is_refused_overwrites_none_that_was_stored(world: World) -> None:
    begun(world, step("a", export_output=True))
    claimed(world, "a")
    late = pausing(world, "PutItem", lambda: outside(world).complete("a", 1, LARGE))
    with pytest.raises(StaleAttemptError):
        outside(world, by=late).complete("a", 1, LARGE[::-1])
    [over] = outside(world).events("StepCompleted")
    assert over.output.startswith('["line 0"')


def test_who_was_silent_for_longer_is_reclaimed_on_demand_and_nobody_else(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us)
    claimed(world, "b")
    taken = world.backend.reclaim_stale_steps(TIMING.lease_us // 2, "reaper")
    assert [(ref.step_id, ref.attempt_number) for ref in taken] == [("a", 1)]
    assert (branch_of(world, "a").attempt, branch_of(world, "b").attempt) == (2, 1)


def test_who_beats_is_not_silent(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us)
    Steps(world.backend.runtime).heartbeat(held)
    assert world.backend.reclaim_stale_steps(TIMING.lease_us // 2, "reaper") == []


def test_who_beats_before_it_is_taken_away_is_not_told_of_as_taken(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us)
    late = pausing(world, "UpdateItem", lambda: Steps(world.observer.runtime).heartbeat(held))
    assert late.reclaim_stale_steps(TIMING.lease_us // 2, "reaper") == []
    assert branch_of(world, "a").attempt == 1


def test_what_is_told_to_park_while_it_is_looked_at_is_not_taken_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read in one request is not of one moment: here the run is as it was before, the step as it is after."""
    begun(world, step("x"), step("a"))
    claimed(world, "a")
    failing = claimed(world, "x")
    world.clock.pause_us(TIMING.lease_us // 2 + 1)
    Steps(world.backend.runtime).heartbeat(failing)
    late = world.another(world.store.another_client())
    read = late.runtime.ledger.snapshot

    def torn(places: Iterable[tuple[str, str]]) -> Snapshot:
        before = read(wanted := list(places))
        if branch_of(world, "x").status == "running":
            reported(world, failing, FATAL)
        after = read(wanted)
        return Snapshot({key: (before if key == keys.run(RUN) else after).items[key] for key in after.items})

    monkeypatch.setattr(late.runtime.ledger, "snapshot", torn)
    assert late.reclaim_stale_steps(TIMING.lease_us // 2, "reaper") == []
    assert branch_of(world, "a").halt == "park"


def test_what_has_waited_for_long_is_listed_for_when_it_became_due(world: World) -> None:
    begun(world, step("a"))
    due_us = int(branch_of(world, "a").available_at_us or 0)
    for _ in range(2):
        world.clock.pause_us(TIMING.horizon_us)
        world.sweep()
    assert int(branch_of(world, "a").due_us or 0) > due_us + TIMING.horizon_us
    assert [ref.step_id for ref in world.backend.list_scheduled_steps(available_before_us=due_us)] == ["a"]


@pytest.mark.parametrize("halted", [True, False])
def test_nothing_is_reclaimed_on_demand_while_its_run_stops(world: World, halted: bool) -> None:
    begun(world, step("x"), step("a"))
    claimed(world, "a")
    failing = claimed(world, "x")
    if halted:
        reported(world, failing, FATAL)
    else:
        dies(lambda: reported(world, failing, FATAL, by=dying(world, "Query")))
    world.clock.pause_us(TIMING.lease_us // 2)
    assert world.backend.reclaim_stale_steps(1, "reaper") == []
    assert branch_of(world, "a").status == "running"


def test_what_is_due_is_listed_and_nothing_else(world: World) -> None:
    begun(world, step("a"), step("b"), step("c"), priority=3)
    claimed(world, "a")
    reported(world, claimed(world, "b"), AGAIN)
    assert [(ref.step_id, ref.priority) for ref in world.backend.list_scheduled_steps()] == [("c", 3)]
    world.clock.pause_us(3_600_000_000 - TIMING.silence_us)
    assert {ref.step_id for ref in world.backend.list_scheduled_steps()} == {"b", "c"}
    world.backend.cancel_run(RUN)
    assert world.backend.list_scheduled_steps() == []


def test_a_cancellation_takes_over_a_run_that_is_failing(world: World) -> None:
    begun(world, step("x"), step("a"))
    claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    assert run_of(world).status == "running"
    world.backend.cancel_run(RUN)
    assert world.check(RUN).status == "cancelled"


def test_a_timeout_takes_over_nothing(world: World) -> None:
    begun(world, step("x"), step("a"), timeout=TIMING.lease_us // 2)
    claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    world.clock.pause_us(TIMING.lease_us // 2)
    world.sweep()
    assert getattr(ended(world, "failed").events[-1], "failure_reason", None) == "step-failed"


def test_what_has_ended_is_neither_cancelled_nor_stopped(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"), DONE)
    with pytest.raises(RunNotCancellableError):
        world.backend.cancel_run(RUN)
    with pytest.raises(RunNotRetryableError):
        world.backend.retry_run(RUN)
    assert run_of(world).status == "completed"


def test_a_run_whose_stop_waits_is_looked_at_after_a_lease(world: World) -> None:
    begun(world, step("x"), step("a"))
    claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    world.clock.pause_us(TIMING.grace_us)
    world.sweep()
    assert run_of(world).status == "running"
    assert int(run_of(world).due_us or 0) == pytest.approx(clock.now_us() + TIMING.lease_us, abs=10_000)


def test_a_run_that_waits_for_its_time_is_looked_at_then(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 600_000_000)
    assert run_of(world).due_us == run_of(world).available_at_us
    world.clock.pause_us(600_000_000)
    assert world.sweep()["runs started"] == 1
    assert run_of(world).due_us == run_of(world).deadline_us


def test_a_run_whose_roots_are_made_is_looked_at_at_its_deadline(world: World) -> None:
    begun(world, *(step(f"r{number}") for number in range(5)))
    assert (run_of(world).owed, run_of(world).due_us) == (None, run_of(world).deadline_us)


def test_a_run_that_is_revived_is_looked_at_at_its_deadline(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    assert (run_of(world).reviving, run_of(world).due_us) == (False, run_of(world).deadline_us)


def test_a_zombie_keeps_no_checkpoint(world: World) -> None:
    begun(world, step("a"))
    zombie = claimed(world, "a")
    silent(world)
    world.sweep()
    heir = claimed(world, "a", 2, worker="heir")
    with pytest.raises(StaleAttemptError):
        reported(world, zombie, KeepCheckpoint("half", 0, '"by the zombie"'))
    kept = reported(world, heir, KeepCheckpoint("half", 0, '"by the heir"'))
    reported(world, reported(world, kept, KeepCheckpoint("rest", 1, "1")))
    checked = ended(world)
    data = [event.data for event in checked.events if isinstance(event, StepCheckpoint)]
    assert (data, checked.count(StepStarted)) == (['"by the heir"', "1"], 2)


def test_a_large_checkpoint_is_put_aside(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"), KeepCheckpoint("part", 0, secrets.token_hex(2_000)))
    stored = world.observer.runtime.ledger.table.query(keys.Span(keys.run(RUN).pk, "P#a#1#", "P#a#1#~"))
    assert len(list(stored)) == 1
    assert len(str(branch_of(world, "a").tail[-1])) < 1_000


def test_nobody_waits_for_a_step_of_a_run_that_has_ended(world: World) -> None:
    """Whoever speaks of it is told what is true, and not to come again."""
    begun(world, *chain(2))
    with pytest.raises(StaleAttemptError, match="not scheduled yet"):
        outside(world).complete("s1", 1, 1)
    world.backend.cancel_run(RUN)
    with pytest.raises(StaleAttemptError, match="no longer held") as refused:
        outside(world).complete("s1", 1, 1)
    assert "not scheduled yet" not in str(refused.value)
