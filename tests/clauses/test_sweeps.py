"""The due index and the sweep: everything past due is looked at, acted on once, and moved on (protocol.md §8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from cascade_flow import RetryTier, RunSubmission, StaleAttemptError, StepFailed, StepReclaimed, ThrottledError, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.commands import SkipStep
from cascade_flow.engine.decide import last_seen_us
from cascade_flow.operations.attention import Attention
from cascade_flow.operations.lanes import OneByOne, Threads
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.sweep import Failure, Sweep, Swept
from cascade_flow.operations.tally import Tally
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
    dies,
    done,
    dying,
    ended,
    item_of,
    reported,
    run_of,
    silent,
    whole_table,
)
from faults.moments import pausing
from simulation import TIMING, World, step
from testbed.faults import Kind, faults, refusal
from testbed.wire import Answer, Floor, Request, Send, wire_of

ONCE = [RetryTier(max_attempts=1)]


def reaped(world: World) -> dict[str, int]:
    """What a sweep has done; what it woke is forgotten."""
    found = dict(world.sweep())
    world.mailbox.wakes.clear()
    return found


def test_who_waits_is_woken_again_after_a_grace_and_then_ever_more_rarely(world: World) -> None:
    begun(world, step("a"))
    assert reaped(world) == {}
    pauses = []
    for _ in range(8):
        world.clock.pause_us(max(0, int(branch_of(world, "a").due_us or 0) - clock.now_us()))
        assert reaped(world)["wake-ups repeated"] == 1
        pauses.append(int(branch_of(world, "a").due_us or 0) - clock.now_us())
        assert reaped(world) == {}, "it wakes at every look"
    assert pauses[0] == pytest.approx(TIMING.grace_us, abs=10_000)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(TIMING.horizon_us, abs=10_000)


def test_what_is_scheduled_for_later_is_looked_at_when_its_message_must_have_come(world: World) -> None:
    begun(world, step("a", retry=[RetryTier(max_attempts=2, delay_ms=60_000, jitter=0)]))
    reported(world, claimed(world, "a"), AGAIN)
    world.mailbox.wakes.clear()
    silent(world)
    assert dict(world.sweep()) == {"looked at": 1}
    assert world.mailbox.wakes == []
    assert branch_of(world, "a").due_us == (branch_of(world, "a").available_at_us or 0) + TIMING.grace_us


def test_a_worker_that_lives_is_left_alone(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us * 9 // 10)
    assert "steps reclaimed" not in reaped(world)
    assert branch_of(world, "a").due_us == branch_of(world, "a").lease_us


def test_a_step_is_reclaimed_once(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "a")
    silent(world)
    late = pausing(world, "UpdateItem", lambda: world.sweep(world.observer), at=1)
    world.sweep(late)
    checked = world.check(RUN)
    assert (checked.count(StepReclaimed, "a"), branch_of(world, "a").attempt) == (1, 2)


def test_a_step_whose_last_attempts_worker_is_dead_has_failed(world: World) -> None:
    begun(world, step("a", retry=ONCE))
    claimed(world, "a")
    silent(world)
    reaped(world)
    [failed] = [event for event in ended(world, "failed").events if isinstance(event, StepFailed)]
    assert (failed.failure_reason, failed.terminal) == ("worker-crash", True)


def test_an_entry_is_moved_from_where_it_was_seen_only(world: World) -> None:
    begun(world, step("a"))
    table, key = world.observer.runtime.ledger.table, keys.branch(RUN, "a")
    seen = due.Entry(int(branch_of(world, "a").due_us or 0), key)
    due.look_later(table, seen, seen.due_us + 7)
    due.look_later(table, seen, seen.due_us + 1_000_000)
    due.look_no_more(table, seen)
    assert branch_of(world, "a").due_us == seen.due_us + 7


def test_a_claim_keeps_a_sweep_from_looking_away(world: World) -> None:
    """A claim leaves the entry where it is: who has read the branch before would hide its worker's death."""
    begun(world, step("a"))
    known = branch_of(world, "a")
    seen = due.Entry(int(known.due_us or 0), keys.branch(RUN, "a"))
    claimed(world, "a")
    due.look_later(world.observer.runtime.ledger.table, seen, clock.now_us() + TIMING.horizon_us, known)
    assert branch_of(world, "a").due_us == seen.due_us


def test_who_is_woken_by_a_sweep_and_dies_is_found_within_a_lease(world: World) -> None:
    begun(world, step("a"))
    world.clock.pause_us(TIMING.horizon_us)
    world.sweep(pausing(world, "UpdateItem", lambda: claimed(world, "a")))
    assert branch_of(world, "a").status == "running"
    world.sweep()
    silent(world)
    assert world.sweep()["steps reclaimed"] == 1


def test_what_another_sweep_has_dealt_with_is_passed_over(world: World) -> None:
    begun(world, step("a"))
    silent(world)
    late = pausing(world, "BatchGetItem", world.sweep)
    assert dict(world.sweep(late)) == {"looked at": 1}
    assert len(world.mailbox.wakes) == 2, "the submission's, and one"


def test_a_run_that_another_sweep_has_dealt_with_is_passed_over_too(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 60_000_000)
    world.clock.pause_us(60_000_000)
    late, written = pausing(world, "BatchGetItem", world.sweep), list[str]()

    def noting(request: Request, send: Send) -> Answer:
        written.extend([request.operation] if "Update" in request.operation or "Write" in request.operation else [])
        return send(request)

    wire_of(late.runtime.ledger.table.client).add(noting, floor=Floor.FAULT)
    assert dict(world.sweep(late)) == {"looked at": 1}
    assert written == []
    assert run_of(world).status == "running"


def test_a_delayed_run_that_is_looked_at_early_is_looked_at_when_it_is_due(world: World) -> None:
    """By a sweep whose clock has gone back: it would begin at its deadline else."""
    begun(world, step("a"), available_at=clock.now_us() + 60_000_000)
    runtime, run = world.backend.runtime, run_of(world)
    entry = due.Entry(int(run.due_us or 0), keys.run(RUN))
    Attention(runtime, Tally(), name="reaper").attend(entry, runtime.ledger)
    assert run_of(world).due_us == run.available_at_us


def test_a_retry_at_which_others_were_quicker_is_looked_at_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=2).retry_run(RUN))
    silent(world)
    monkeypatch.setattr(Retries, "revive", lambda _, run: run)
    assert world.sweep()["retries resumed"] == 1
    assert int(run_of(world).due_us or 0) == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)


def test_roots_at_which_others_were_quicker_are_looked_at_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([step(f"r{number}") for number in range(AT_ONCE + 1)])
    late = dying(world, "TransactWriteItems", after=True)
    dies(lambda: late.submit_run(RunSubmission(workflow_slug="flow", run_id=RUN)))
    silent(world)
    monkeypatch.setattr(Runs, "make_owed_roots", lambda _, run: run)
    world.sweep()
    assert int(run_of(world).due_us or 0) == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)


def test_a_start_at_which_others_were_quicker_is_looked_at_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 60_000_000)
    world.clock.pause_us(60_000_000 + 3 * TIMING.grace_us)
    monkeypatch.setattr(Runs, "start", lambda _, run: run)
    world.sweep()
    assert int(run_of(world).due_us or 0) == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)


def test_a_join_of_a_run_that_has_ended_leaves_the_index(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    assert branch_of(world, "j").status == "open"
    silent(world)
    reaped(world)
    assert not {keys.DUE_SHARD, keys.DUE_TIME} & item_of(world, keys.branch(RUN, "j")).keys()


def test_a_reclaim_does_not_wait_behind_wake_ups(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.sweep._BATCH", 2)
    world.register([step("a")])
    for number in range(30):
        world.submit(run_id=f"run-{number}")
    world.clock.pause_us(1_000_000)
    world.submit(run_id=RUN)
    claimed(world, "a")
    silent(world)
    sent: list[int] = []
    late = pausing(world, "UpdateItem", lambda: sent.append(len(world.mailbox.wakes)))
    world.mailbox.wakes.clear()
    done = world.sweep(late)
    assert (done["steps reclaimed"], done["wake-ups repeated"], sent) == (1, 30, [0])


def test_wake_ups_are_sent_before_half_of_the_time_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what takes long to be found would be found by each sweep, and woken by none."""
    monkeypatch.setattr("cascade_flow.operations.sweep._BATCH", 2)
    unheard(world, 30)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 2_500)
    assert swept.left
    assert 1 <= swept.done["wake-ups repeated"] == len(world.mailbox.wakes) < 30


def test_wake_ups_wait_until_all_else_is_dealt_with(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.sweep._BATCH", 2)
    unheard(world, 6)
    sent: list[int] = []
    late = pausing(world, "BatchGetItem", lambda: sent.append(len(world.mailbox.wakes)), at=3)
    begun_us = clock.now_us()
    swept = Sweep(late.runtime, name="reaper").sweep(until_us=begun_us + 10**9)
    assert (sent, len(world.mailbox.wakes)) == ([0], 6)
    assert swept.took_ms <= (clock.now_us() - begun_us) // 1_000


def test_wake_ups_are_not_gathered_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.sweep._BATCH", 2)
    monkeypatch.setattr("cascade_flow.operations.sweep._GATHERED", 4)
    unheard(world, 6)
    sent: list[int] = []
    late = pausing(world, "BatchGetItem", lambda: sent.append(len(world.mailbox.wakes)), at=3)
    assert world.sweep(late)["wake-ups repeated"] == 6
    assert sent == [4]


def unheard(world: World, number: int) -> None:
    """So many runs whose wake-ups are lost."""
    world.register([step("a")])
    for each in range(number):
        world.submit(run_id=f"run-{each}")
    silent(world)
    world.mailbox.wakes.clear()


def behind(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Some runs whose wake-ups are lost, more in each shard than a page holds; and the shards, that of the oldest
    first.
    """
    monkeypatch.setattr(due, "PAGE", 2)
    world.register([step("a")])
    runs = [world.submit(run_id=f"late-{number}") for number in range(120)]
    silent(world)
    world.mailbox.wakes.clear()
    table = world.observer.runtime.ledger.table
    lines = [due.line(table, shard, until_us=clock.now_us()) for shard in due.due_shards(table)]
    assert all(line.is_long for line in lines)
    shards = [line.shard for line in sorted(lines, key=lambda line: line.first[0])]
    assert keys.due(runs[0]) == shards[0] != min(shards)
    return shards


@pytest.mark.parametrize("comes", [True, False])
def test_who_is_behind_calls_others_out_for_all_shards_but_the_oldest(
    world: World, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    oldest, *others = behind(world, monkeypatch)
    called: list[tuple[str, int]] = []

    def call_out(shard: str, until_us: int) -> bool:
        called.append((shard, until_us))
        return comes

    until_us = clock.now_us() + 10**9
    swept = Sweep(world.backend.runtime, name="reaper", call_out=call_out).sweep(until_us=until_us)
    assert sorted(called) == sorted((shard, until_us) for shard in others)
    assert swept.called_out == (len(others) if comes else 0)
    woken = {keys.due(wake.run_id) for wake in world.mailbox.wakes}
    assert woken == ({oldest} if comes else {oldest, *others})


def test_who_is_called_out_sweeps_its_shard_and_calls_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, shard, *_ = behind(world, monkeypatch)
    sweep = Sweep(world.backend.runtime, name="reaper", call_out=lambda *_: pytest.fail("it calls others"))
    swept = sweep.sweep(until_us=clock.now_us() + 10**9, shards=[shard])
    assert {keys.due(wake.run_id) for wake in world.mailbox.wakes} == {shard}
    assert swept.called_out == 0


def test_who_has_little_to_do_calls_nobody(world: World) -> None:
    world.register([step("a")])
    for number in range(40):
        world.submit(run_id=f"run-{number}")
    silent(world)
    sweep = Sweep(world.backend.runtime, name="reaper", call_out=lambda *_: pytest.fail("it calls others"))
    assert sweep.sweep(until_us=clock.now_us() + 10**9).done["wake-ups repeated"] == 40


def test_in_many_lanes_as_much_is_done_as_in_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([step("a", retry=ONCE), step("b")])
    runs = [world.submit(run_id=f"run-{number}") for number in range(40)]
    for run_id in runs[::2]:
        Steps(world.backend.runtime).claim(Wake(run_id, "a", "a", 1), "worker-1")
    silent(world)
    world.mailbox.wakes.clear()
    lanes, each = Threads(8), Threads.each
    widths: list[int] = []

    def noted(self: Threads, act: Any, over: Any) -> Any:
        widths.append(len(over))
        return each(self, act, over)

    monkeypatch.setattr(Threads, "each", noted)
    swept = Sweep(world.observer.runtime, name="reaper", lanes=lanes).sweep(until_us=clock.now_us() + 10**12)
    assert max(widths) == 80, "one process has these as its lanes"
    assert swept.failures == []
    assert {"looked at": 80, "wake-ups repeated": 60}.items() <= swept.done.items()
    assert swept.done["steps reclaimed"] == 20
    assert {(wake.run_id, wake.step) for wake in world.mailbox.wakes} >= {(run_id, "b") for run_id in runs}


def test_a_sweep_deals_with_what_it_finds_in_the_lanes_that_it_was_given(world: World) -> None:
    begun(world, step("a"))
    silent(world)
    world.mailbox.wakes.clear()
    lanes = OneByOne()
    with patch.object(lanes, "each", wraps=lanes.each) as each:
        Sweep(world.backend.runtime, name="reaper", lanes=lanes).sweep(until_us=clock.now_us() + 10**12)
    assert each.call_count == 3, "to read, to look, to send"


def test_a_sweep_says_how_long_it_took(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"))
    silent(world)
    look = Attention.attend

    def slowly(*given: Any) -> None:
        world.clock.pause_us(7_000_000)
        look(*given)

    monkeypatch.setattr(Attention, "attend", slowly)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert swept.took_ms == pytest.approx(7_000, abs=10)


def test_a_sweep_says_how_late_it_is_and_whether_it_is_through(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "b")
    world.clock.pause_us(60_000_000)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert (swept.done["looked at"], swept.oldest_due_s, swept.left) == (2, 60, False)
    assert swept.took_ms < 1_000
    world.clock.pause_us(TIMING.horizon_us)
    assert Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 1).left
    assert Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12).oldest_due_s >= 160


def test_a_dead_workers_step_is_late_by_what_its_lease_is_over(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us + 60_000_000)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert (swept.done, swept.oldest_due_s) == ({"looked at": 1, "steps reclaimed": 1}, 60)


def test_a_reclaim_says_who_was_silent_since_when_and_who_took_the_step(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a", worker="silent")
    seen_us = last_seen_us(branch_of(world, "a"))
    silent(world)
    world.sweep()
    [event] = [event for event in world.check(RUN).events if isinstance(event, StepReclaimed)]
    assert (event.original_worker_id, event.reclaimed_by, event.attempt_number) == ("silent", "reaper", 1)
    assert (event.stale_threshold_us, event.last_heartbeat_us) == (TIMING.lease_us, seen_us)
    assert event.stale_duration_us == pytest.approx(TIMING.lease_us + TIMING.grace_us, abs=10_000)


def test_a_delayed_run_is_late_by_what_its_time_is_over(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 10_000_000)
    world.clock.pause_us(70_000_000)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert (swept.done, swept.oldest_due_s) == ({"looked at": 1, "runs started": 1}, 60)


def test_what_is_only_moved_on_is_not_late(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    world.clock.pause_us(TIMING.lease_us - 1_000_000)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert (swept.done, swept.oldest_due_s) == ({"looked at": 1}, 0)


def test_what_has_ended_is_looked_at_once_more_at_most(world: World) -> None:
    begun(world, step("a"), step("b"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    silent(world)
    reaped(world)
    silent(world)
    assert reaped(world) == {}


def test_a_message_about_a_branch_moves_no_entry(world: World) -> None:
    begun(world, step("a"))
    before = branch_of(world, "a").due_us
    world.mailbox.wakes.clear()
    Sweep(world.backend.runtime, name="worker-1").attend(RUN, "a")
    assert branch_of(world, "a").due_us == before
    assert [wake.step for wake in world.mailbox.wakes] == ["a"], "who waits is called out all the same"


def test_the_index_lists_the_oldest_first_whatever_shard_it_lies_in(world: World) -> None:
    world.register([step("a")])
    order = [world.submit(run_id=f"run-{number}") for number in (3, 1, 4, 0, 2)]
    table = world.observer.runtime.ledger.table
    found = [entry.run_id for entry in due.entries(table, until_us=clock.now_us() + TIMING.grace_us) if entry.branch]
    assert found == order


def noted(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object] = lambda: None) -> list[str]:
    """The runs whose entries are looked at, one after the other, from now on; it does nothing else."""
    looked_at: list[str] = []

    def attend(_: object, entry: due.Entry, _reads: object) -> None:
        looked_at.append(entry.run_id)
        then()

    monkeypatch.setattr(Attention, "attend", attend)
    return looked_at


def test_a_sweep_looks_at_the_oldest_first_whatever_shard_it_lies_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard(world, 12)
    looked_at = noted(monkeypatch)
    world.sweep()
    assert looked_at == [f"run-{each}" for each in range(12)]


def test_what_is_left_when_time_is_over_is_neither_looked_at_nor_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.sweep._BATCH", 2)
    unheard(world, 6)
    late, asked = asking(world)
    looked_at = noted(monkeypatch, lambda: world.clock.pause_us(10**9))
    swept = Sweep(late.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**9)
    assert (looked_at, asked.count("BatchGetItem")) == (["run-0"], 1)
    assert (swept.left, swept.done) == (True, {"looked at": 1})


def test_a_sweep_ends_when_its_time_is_over(world: World) -> None:
    world.register([step("a")])
    for number in range(5):
        world.submit(run_id=f"run-{number}")
    silent(world)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 1)
    assert swept.done == {}


def test_a_run_that_waits_for_nobody_is_looked_at_at_its_deadline(world: World) -> None:
    begun(world, step("a"))
    assert run_of(world).due_us == run_of(world).deadline_us


def test_a_run_that_has_ended_is_among_the_done(world: World) -> None:
    begun(world, step("a"), step("b"))
    done(world, "a", "b")
    item = item_of(world, keys.run(RUN))
    assert item[keys.DUE_SHARD] == keys.done(RUN)
    assert item[keys.DUE_TIME] == run_of(world).completed_at_us


def test_what_waits_for_a_dead_worker_in_a_stopping_run_is_stopped(world: World) -> None:
    begun(world, step("a"), step("b"))
    claimed(world, "b")
    reported(world, claimed(world, "a"), FATAL)
    silent(world)
    Sweep(world.backend.runtime, name="reaper").attend(RUN, "b")
    assert world.check(RUN).status == "failed"
    assert world.check(RUN).count(StepReclaimed) == 0


def test_a_tombstone_leaves_the_index(world: World) -> None:
    """A branch that has ended while it was looked for, in a run that goes on."""
    begun(world, step("a"), step("b"))
    table, seen_us = world.observer.runtime.ledger.table, int(branch_of(world, "a").due_us or 0)
    done(world, "a")
    table.write([Update(keys.branch(RUN, "a"), None, set={keys.DUE_SHARD: keys.due(RUN), keys.DUE_TIME: seen_us})])
    silent(world)
    reaped(world)
    assert keys.DUE_SHARD not in item_of(world, keys.branch(RUN, "a"))


def test_what_is_stopped_for_good_leaves_the_index(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.backend.cancel_run(RUN)
    assert [keys.DUE_SHARD in item_of(world, keys.branch(RUN, name)) for name in ("a", "b")] == [False, False]


def test_who_skips_what_waits_for_a_retry_and_dies_is_made_up_for_soon(world: World) -> None:
    """What owes a fork is looked at soon, though the step that was skipped was not due for long."""
    heads = [step(f"p{number:02d}", "a") for number in range(AT_ONCE + 2)]
    begun(world, step("a", retry=[RetryTier(max_attempts=2, delay_ms=3_600_000, jitter=0)]), *heads)
    reported(world, claimed(world, "a"), AGAIN)
    silent(world)
    reaped(world)
    dead = Steps(dying(world, "TransactWriteItems", at=2).runtime)
    dies(lambda: dead.report_without_work(run_of(world), "a", 2, SkipStep("no need", 0)))
    assert branch_of(world, "a").owed is not None
    assert int(branch_of(world, "a").due_us or 0) <= clock.now_us() + TIMING.grace_us
    world.check(RUN)


@pytest.mark.parametrize(
    ("place", "places"),
    [(keys.due, keys.due_shards), (keys.done, keys.done_shards), (keys.call, keys.call_shards)],
    ids=["due", "done", "called"],
)
def test_no_shard_is_forgotten(place: Callable[[str], str], places: Callable[[keys.Shards], list[str]]) -> None:
    assert {place(f"run-{number}") for number in range(200)} == set(places(keys.written()))


def test_no_shard_of_the_runs_is_forgotten() -> None:
    assert {keys.runs("flow", f"run-{number}") for number in range(200)} == set(
        keys.runs_shards("flow", keys.written())
    )


def test_a_skip_whose_wake_up_is_lost_is_carried_on_by_the_sweep(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"), step("d", "c"))
    reported(world, claimed(world, "a"), SkipStep("no need", 1))
    world.mailbox.wakes.clear()
    assert branch_of(world, "c").status == "skipping"
    silent(world)
    assert world.sweep()["skips carried on"] == 1
    ended(world)


def test_a_run_is_not_stopped_before_its_deadline(world: World) -> None:
    begun(world, step("a"), timeout=60_000_000)
    world.clock.pause_us(59_000_000)
    Sweep(world.backend.runtime, name="reaper").attend(RUN, "")
    assert run_of(world).status == "running"
    world.clock.pause_us(1_000_000)
    Sweep(world.backend.runtime, name="reaper").attend(RUN, "")
    assert run_of(world).status == "failed"


@pytest.mark.parametrize(
    "error", [ThrottledError(), StaleAttemptError("another has it"), BranchRefused(None), RunRefused(None)], ids=repr
)
def test_what_others_were_quicker_at_is_left_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    swept, moved = swept_with(world, monkeypatch, error)
    assert (swept.done, swept.failures) == ({"looked at": 2, "left for later": 1, "wake-ups repeated": 1}, [])
    assert not moved


def test_what_nobody_foresaw_is_a_failure_and_put_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    swept, moved = swept_with(world, monkeypatch, ZeroDivisionError("oh"))
    assert swept.done == {"looked at": 2, "failed": 1, "wake-ups repeated": 1}
    assert swept.failures == [Failure(RUN, "a", "ZeroDivisionError: oh")]
    assert moved


def test_what_cannot_even_be_put_off_ends_no_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wire_of(world.store.client).add(busy_for_a, floor=Floor.FAULT)
    swept, moved = swept_with(world, monkeypatch, ZeroDivisionError("oh"))
    assert swept.done == {"looked at": 2, "failed": 1, "wake-ups repeated": 1}
    assert not moved


def busy_for_a(request: Request, send: Send) -> Answer:
    asks = request.operation == "UpdateItem" and request.body["Key"]["sk"] == {"S": "B#a"}
    return refusal(Kind.THROTTLE, request) if asks else send(request)


def swept_with(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[Swept, bool]:
    """What a sweep comes to at which the first of two branches raises this; and whether its entry was moved."""
    begun(world, step("a"), step("b"))
    silent(world)
    attend = Attention.attend

    def attended(attention: Attention, entry: due.Entry, reads: Any) -> None:
        if entry.branch == "a":
            raise error
        attend(attention, entry, reads)

    monkeypatch.setattr(Attention, "attend", attended)
    before = branch_of(world, "a")
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    return swept, branch_of(world, "a").due_us != before.due_us


def test_a_table_that_is_busy_when_entries_are_moved_leaves_them_for_later(world: World) -> None:
    begun(world, step("a"), step("b"))
    silent(world)
    world.mailbox.wakes.clear()
    with faults(lambda _, operation: Kind.THROTTLE if operation == "UpdateItem" else None, world.store.client):
        swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert swept.done == {"looked at": 2, "wake-ups repeated": 1, "left for later": 1}
    assert {wake.branch for wake in world.mailbox.wakes} == {"a", "b"}


def test_a_table_that_is_busy_when_items_are_read_is_asked_for_none_of_them_again(world: World) -> None:
    begun(world, step("a"), step("b"))
    silent(world)
    with faults(lambda _, operation: Kind.THROTTLE if operation == "BatchGetItem" else None, world.store.client):
        swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert swept.done == {"looked at": 2, "left for later": 2}


def test_each_sweep_is_counted_by_itself(world: World) -> None:
    begun(world, step("a"))
    silent(world)
    sweep = Sweep(world.backend.runtime, name="reaper")
    swept = [sweep.sweep(until_us=clock.now_us() + 10**12) for _ in range(2)]
    assert [each.done for each in swept] == [{"looked at": 1, "wake-ups repeated": 1}, {}]


def test_a_sweep_without_time_has_left_nothing_where_nothing_was(world: World) -> None:
    begun(world, step("a"))
    assert not Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us()).left
    silent(world)
    assert Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us()).left


def test_entries_are_woken_oldest_first_in_tens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([step("a")])
    runs = [world.submit(run_id=f"run-{number}") for number in range(25)]
    silent(world)
    tens: list[list[str]] = []
    monkeypatch.setattr(world.mailbox, "send", lambda wakes: tens.append([wake.run_id for wake in wakes]))
    world.sweep()
    assert tens == [runs[:10], runs[10:20], runs[20:]]


def test_wake_ups_left_when_time_is_up_are_sent_by_the_next_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register([step("a")])
    for number in range(25):
        world.submit(run_id=f"run-{number}")
    silent(world)
    tens: list[int] = []

    def send(wakes: list[Wake]) -> None:
        tens.append(len(wakes))
        world.clock.pause_us(10**9)

    monkeypatch.setattr(world.mailbox, "send", send)
    assert Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**9).left
    assert tens == [10]
    world.sweep()
    assert sum(tens) == 25


@pytest.mark.parametrize(("left_us", "done"), [(0, {}), (1, {"looked at": 1, "wake-ups repeated": 1})])
def test_time_is_over_at_its_last_moment(world: World, left_us: int, done: dict[str, int]) -> None:
    begun(world, step("a"))
    silent(world)
    with clock.use(clock.SteppingClock(clock.now_us())):
        assert Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + left_us).done == done


def test_who_is_of_a_higher_priority_is_woken_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among equals the oldest; and the others with them: nobody is left for later."""
    world.register([step("a")])
    priorities = [0, -1, 2, 0, 1, 2]
    runs = [world.submit(run_id=f"run-{number}", priority=each) for number, each in enumerate(priorities)]
    silent(world)
    woken: list[str] = []
    monkeypatch.setattr(world.mailbox, "send", lambda wakes: woken.extend(wake.run_id for wake in wakes))
    world.sweep()
    assert woken == [runs[number] for number in (2, 5, 4, 0, 3, 1)]


def test_what_is_swept_by_shard_says_nothing_of_pools_and_a_busy_table_undoes_nothing(world: World) -> None:
    begun(world, step("a", executor="gpu"))
    world.clock.pause_us(60_000_000)
    sweep, until_us = Sweep(world.backend.runtime, name="reaper"), clock.now_us() + 10**12
    assert sweep.sweep(until_us=until_us).pools == {"gpu": 60}
    assert sweep.sweep(until_us=until_us, shards=[keys.due(RUN)]).pools == {}
    wire_of(world.store.client).add(busy_for_pools, floor=Floor.FAULT)
    assert sweep.sweep(until_us=until_us).pools == {}


def busy_for_pools(request: Request, send: Send) -> Answer:
    asks = request.operation == "Query" and "pool#gpu" in str(request.body)
    return refusal(Kind.THROTTLE, request) if asks else send(request)


def test_a_run_that_is_gone_is_passed_over(world: World) -> None:
    """It has expired since the index showed it."""
    swept = Sweep(world.backend.runtime, name="reaper")
    for branch in ("", "a"):
        swept.attend("gone", branch)
    assert world.backend.get_run("gone") is None


def test_what_is_left_of_a_run_that_is_gone_leaves_the_index(world: World) -> None:
    begun(world, step("a"))
    world.observer.runtime.ledger.table.delete(keys.run(RUN))
    silent(world)
    assert reaped(world) == {"looked at": 1}
    assert keys.DUE_SHARD not in item_of(world, keys.branch(RUN, "a"))


def test_a_run_whose_time_is_over_leaves_the_index_before_it_is_deleted(world: World) -> None:
    """DynamoDB takes days for that, and no reader sees it meanwhile."""
    begun(world, step("a"))
    world.clock.pause_us((run_of(world).expires_s + 1) * 1_000_000 - clock.now_us())
    reaped(world)
    left = whole_table(world)
    assert [item["sk"]["S"] for item in left if keys.DUE_SHARD in item] == []
    assert keys.run(RUN).sk in [item["sk"]["S"] for item in left]


def test_a_late_message_of_a_run_that_has_ended_stops_nothing(world: World) -> None:
    begun(world, step("a"), timeout=60_000_000)
    done(world, "a")
    world.clock.pause_us(60_000_000)
    before = run_of(world)
    Sweep(world.backend.runtime, name="worker-1").attend(RUN, "")
    assert run_of(world) == before
