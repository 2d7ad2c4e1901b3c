"""A claim: scheduled, this step, this attempt, due, no halt; one taker (protocol.md §4)."""

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, RetryTier, StepSkipped, StepStarted, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.commands import SkipStep
from cascade_flow.engine.state import Branch, Claimant
from cascade_flow.operations.claims import waits
from cascade_flow.operations.steps import Slot, Steps
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.wake import Wake
from clauses.stage import (
    AGAIN,
    RUN,
    begun,
    branch_of,
    claimed,
    done,
    is_refused,
    reported,
    run_of,
    silent,
)
from clauses.test_microseconds import at
from faults.moments import pausing, unanswered
from shapes import chain
from simulation import TIMING, World, step
from testbed.faults import Kind, faults, only

MINUTE_US = 60_000_000
A_SECOND_US = 1_000_000
"""The smallest delay of SQS."""
LATER = [RetryTier(max_attempts=3, delay_ms=5_000, jitter=0)]


def test_an_attempt_is_claimed_once(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    assert is_refused(world, "a")


def test_a_lease_is_as_long_as_its_claimant_says_however_late_somebody_looks(world: World) -> None:
    begun(world, step("a"))
    now_us = clock.now_us()
    claim = world.backend.runtime.ledger.claim
    held = claim(RUN, branch_of(world, "a"), Claimant("w", now_us + 5), now_us=now_us, look_us=now_us + 9 * MINUTE_US)
    assert held.lease_us == now_us + 5


def test_who_takes_what_was_to_be_looked_at_much_later_is_looked_at_when_it_must_have_spoken(world: World) -> None:
    begun(world, step("a"))
    far: dict[str, Any] = {keys.DUE_TIME: clock.now_us() + 99 * MINUTE_US}
    world.observer.runtime.ledger.table.write([Update(keys.branch(RUN, "a"), None, set=far)])
    claimed(world, "a")
    assert branch_of(world, "a").due_us == pytest.approx(clock.now_us() + TIMING.silence_us, abs=10_000)


@pytest.mark.parametrize(("lease_us", "grace_us"), [(9 * MINUTE_US, MINUTE_US), (MINUTE_US, 9 * MINUTE_US)])
def test_a_claim_lasts_for_a_lease_and_is_looked_at_after_the_longer_of_lease_and_grace(
    world: World, lease_us: int, grace_us: int
) -> None:
    timing = replace(TIMING, lease_us=lease_us, grace_us=grace_us)
    client = world.store.another_client()
    backend = DynamoDBBackend(world.store.table, client=client, queue=world.mailbox, timing=timing)
    begun(world, step("a"))
    far: dict[str, Any] = {keys.DUE_TIME: clock.now_us() + 99 * MINUTE_US}
    world.observer.runtime.ledger.table.write([Update(keys.branch(RUN, "a"), None, set=far)])
    with at(world.clock.now_us()):
        now_us, held = clock.now_us(), claimed(world, "a", by=backend).branch
    assert (held.lease_us, held.due_us) == (now_us + lease_us, now_us + 9 * MINUTE_US)


@pytest.mark.parametrize(
    ("now", "there"),
    [
        ({}, True),
        ({"status": "running"}, False),
        ({"step": "b"}, False),
        ({"attempt": 2}, False),
        ({"halt": "stop"}, False),
    ],
)
def test_an_attempt_is_there_to_be_taken_while_it_is_scheduled_and_not_halted(now: Any, there: bool) -> None:
    wanted = Branch("a", "scheduled", "a")
    assert waits(wanted, replace(wanted, **now)) is there


def test_a_message_of_an_earlier_step_claims_nothing(world: World) -> None:
    begun(world, *chain(2))
    done(world, "s0")
    assert branch_of(world, "s0").step == "s1"
    assert is_refused(world, "s0")
    claimed(world, "s1", branch="s0")


def test_a_message_of_an_earlier_attempt_claims_nothing(world: World) -> None:
    begun(world, step("a", retry=LATER))
    reported(world, claimed(world, "a"), AGAIN)
    world.clock.pause_us(5_000_000)
    assert is_refused(world, "a", 1)
    claimed(world, "a", 2)


def test_an_attempt_is_not_claimed_before_it_is_due(world: World) -> None:
    begun(world, step("a", retry=LATER))
    reported(world, claimed(world, "a"), AGAIN)
    world.mailbox.wakes.clear()
    assert is_refused(world, "a", 2)
    [again] = world.mailbox.wakes
    assert (again.step, again.attempt) == ("a", 2)
    assert 0 <= again.available_at_us - (branch_of(world, "a").available_at_us or 0) < A_SECOND_US


def test_nothing_is_claimed_once_cancel_run_has_returned(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    assert branch_of(world, "a").status == "scheduled", "only its halt forbids it"
    assert is_refused(world, "a")


def test_who_claims_again_with_another_look_sees_a_halt_that_came_between(world: World) -> None:
    begun(world, step("a"))
    seen = due.Entry(int(branch_of(world, "a").due_us or 0), keys.branch(RUN, "a"))
    due.look_later(world.observer.runtime.ledger.table, seen, clock.now_us() + 10 * TIMING.silence_us)
    late = pausing(world, "UpdateItem", lambda: world.observer.cancel_run(RUN), at=2)
    assert Steps(late.runtime).claim(Wake(RUN, "a", "a", 1), "late") is None
    assert world.check(RUN).count(StepStarted) == 0


def test_a_worker_that_has_claimed_late_is_looked_at_within_a_lease(world: World) -> None:
    begun(world, step("a"))
    for _ in range(12):
        silent(world)
        world.sweep()
    assert int(branch_of(world, "a").due_us or 0) > clock.now_us() + TIMING.silence_us, "the look lies far ahead"
    claimed(world, "a")
    silent(world)
    assert world.sweep()["steps reclaimed"] == 1


def test_a_claim_leaves_a_look_alone_that_comes_within_a_lease(world: World) -> None:
    begun(world, step("a"))
    seen, look_us = branch_of(world, "a"), clock.now_us() + TIMING.silence_us
    entry = due.Entry(int(seen.due_us or 0), keys.branch(RUN, "a"))
    due.look_later(world.observer.runtime.ledger.table, entry, look_us)
    claimed(world, "a")
    assert branch_of(world, "a").due_us == look_us


def test_who_read_before_a_claim_does_not_write_after_it(world: World) -> None:
    begun(world, step("a"), step("b"))
    speaker = pausing(world, "TransactWriteItems", lambda: claimed(world, "a"))
    Steps(speaker.runtime).report_without_work(run_of(world), "a", 1, SkipStep("no need", 0))
    checked = world.check(RUN)
    assert [checked.count(kind, "a") for kind in (StepStarted, StepSkipped)] == [1, 1], "a claim was overwritten"


def test_a_claim_whose_answer_was_lost_is_known_as_ones_own(world: World) -> None:
    begun(world, step("a"))
    plan = only({"UpdateItem"}, lambda *_: None if lost.happened else Kind.DROP_AFTER)
    with faults(lambda *_: None, world.store.client) as lost:
        lost.plan = plan
        claimed(world, "a")
    assert len(lost.happened) == 1


def test_a_claim_whose_answer_was_lost_is_ones_own_wherever_a_sweep_has_moved_it(world: World) -> None:
    """What waits for a pool is moved by its claim, and may be moved again before the claimer asks once more."""
    begun(world, step("a", executor="gpu"))

    def others() -> None:
        there = branch_of(world, "a")
        entry = due.Entry(there.due_us or 0, keys.branch(RUN, "a"))
        due.look_later(world.observer.runtime.ledger.table, entry, (there.due_us or 0) + 1, there)
        assert branch_of(world, "a").due_us == (there.due_us or 0) + 1

    late = WorkerProtocol(unanswered(world, "UpdateItem", others).runtime)
    held = late.claim_next("worker-1", slot=Slot(), pool="gpu")
    assert held is not None
    assert held.branch == branch_of(world, "a")


def test_an_attempt_is_claimed_from_the_microsecond_on_at_which_it_is_due(world: World) -> None:
    begun(world, step("a"))
    branch, ledger = branch_of(world, "a"), world.backend.runtime.ledger
    due_us, look_us = int(branch.available_at_us or 0), int(branch.due_us or 0)
    claimant = Claimant("worker-1", due_us + 9)
    with pytest.raises(BranchRefused):
        ledger.claim(RUN, branch, claimant, now_us=due_us - 1, look_us=look_us)
    with pytest.raises(BranchRefused):
        ledger.claim(RUN, branch, claimant, now_us=due_us, look_us=look_us - 1)
    assert ledger.claim(RUN, branch, claimant, now_us=due_us, look_us=look_us).started_at_us == due_us


@pytest.mark.parametrize("slot", [Slot(0, 1), Slot(3, 8), Slot(0), Slot()])
def test_a_claim_says_who_holds_the_attempt_where_and_until_when(world: World, slot: Slot) -> None:
    begun(world, step("a"))
    before = branch_of(world, "a")
    held = Steps(world.backend.runtime).claim(Wake(RUN, "a", "a", 1), "worker-1", slot=slot)
    assert held is not None
    begun_us = int(held.branch.started_at_us or 0)
    taken = replace(before, status="running", worker="worker-1", seq=before.seq + 1, started_at_us=begun_us)
    taken = replace(taken, slot_index=slot.index, worker_concurrency=slot.concurrency)
    assert replace(held.branch, lease_us=None) == taken
    assert int(held.branch.lease_us or 0) == pytest.approx(begun_us + TIMING.lease_us, abs=1_000)
    assert branch_of(world, "a") == held.branch
    [started] = [event for event in world.check(RUN).events if isinstance(event, StepStarted)]
    assert (started.worker_id, started.slot_index, started.worker_concurrency) == (
        "worker-1",
        slot.index,
        slot.concurrency,
    )
