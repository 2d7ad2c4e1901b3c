"""Steps of a pool: found by its workers alone, in their order, and by nobody else (architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from cascade_flow import (
    ChildrenDefinition,
    DynamoDBBackend,
    InvalidIdError,
    RetryTier,
    RunSubmission,
    StepDefinition,
    StepReclaimed,
    StepSkipped,
    StepStarted,
    ThrottledError,
    VersionNotFoundError,
    WorkflowNotFoundError,
    WorkflowVersion,
    WrongPoolError,
    clock,
)
from cascade_flow.dynamodb import keys, shards
from cascade_flow.engine.commands import Complete, KeepCheckpoint, SkipStep
from cascade_flow.engine.state import Claimant, Run
from cascade_flow.operations.queue import Queue
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.worker_protocol import WorkerProtocol
from clauses.stage import (
    AGAIN,
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
    is_refused,
    item_of,
    registration,
    reported,
    run_of,
    silent,
)
from faults.moments import pausing
from simulation import TIMING, World, step

POOL = "gpu-box"
OTHER = "cpu.box"
SECOND_US = 1_000_000
MOST_URGENT = 2**53 - 1
"""Its rank is a time, as all others' entries are."""


def pooled(id: str, *dependencies: str, pool: str = POOL, **options: Any) -> StepDefinition:
    return step(id, *dependencies, executor=pool, **options)


def taken(world: World, pool: str | None = POOL, *, by: Any = None, **wish: Any) -> HeldAttempt | None:
    """What a worker gets that asks for a pool."""
    return WorkerProtocol((by or world.backend).runtime).claim_next("machine-1", slot=Slot(), pool=pool, **wish)


def got(world: World, pool: str | None = POOL, **wish: Any) -> HeldAttempt:
    held = taken(world, pool, **wish)
    assert held is not None, f"nothing waits for {pool}"
    return held


@dataclass
class Counting:
    """A backend of another process, and what it asks."""

    backend: DynamoDBBackend
    operations: list[str] = field(default_factory=list)


def counting(world: World) -> Counting:
    return Counting(*asking(world))


def place(world: World, branch: str) -> str:
    """Where in the due index a branch lies."""
    return str(item_of(world, keys.branch(RUN, branch)).get(keys.DUE_SHARD))


@pytest.mark.parametrize("priority", [0, MOST_URGENT])
def test_a_step_of_a_pool_is_its_workers_alone(world: World, priority: int) -> None:
    begun(world, pooled("a"), priority=priority)
    assert world.mailbox.wakes == []
    assert is_refused(world, "a")
    assert taken(world, None) is None
    assert taken(world, OTHER) is None
    held = got(world)
    assert (held.branch.step, held.branch.worker, held.branch.pool) == ("a", "machine-1", POOL)
    assert taken(world) is None
    reported(world, held)
    assert ended(world).count(StepStarted) == 1


def test_a_worker_of_a_pool_gets_nothing_that_waits_for_none(world: World) -> None:
    begun(world, step("a"))
    assert taken(world) is None
    assert got(world, None).branch.step == "a"


@pytest.mark.parametrize(
    ("first", "second", "woken"),
    [(None, POOL, False), (POOL, None, True), (POOL, OTHER, False), (POOL, POOL, False), (None, None, True)],
)
@pytest.mark.parametrize("skips", [False, True])
def test_a_step_is_handed_over_to_whom_it_belongs(
    world: World, first: str | None, second: str | None, woken: bool, skips: bool
) -> None:
    begun(world, step("a", executor=first), step("b", "a", executor=second, skip_cascades=False))
    held = got(world, first)
    world.mailbox.wakes.clear()
    claimant = Claimant("machine-1", clock.now_us() + TIMING.lease_us, pool=first)
    command = SkipStep("no need", 1, None, claimant) if skips else Complete('"done"', 1, None, claimant)
    after = reported(world, held, command)
    if first == second:
        assert after.running
        assert (after.branch.step, after.branch.worker) == ("b", "machine-1")
    else:
        assert not after.running
        assert [wake.step for wake in world.mailbox.wakes] == ["b"] * woken
        after = got(world, second)
    reported(world, after)
    ended(world)


def test_what_waits_for_a_pool_is_met_by_no_sweep(world: World) -> None:
    begun(world, pooled("a"))
    assert place(world, "a") == keys.pool(POOL)
    for _ in range(20):
        silent(world)
        assert not world.sweep()
    assert world.mailbox.wakes == []
    assert got(world).branch.attempt == 1


def test_a_worker_of_a_pool_that_falls_silent_loses_its_step_to_the_pool(world: World) -> None:
    begun(world, pooled("a"))
    lost = got(world)
    assert place(world, "a") == keys.due(RUN)
    silent(world)
    assert world.sweep()["steps reclaimed"] == 1
    assert world.mailbox.wakes == []
    assert place(world, "a") == keys.pool(POOL)
    reported(world, got(world))
    assert ended(world).count(StepReclaimed) == 1
    assert lost.branch.attempt == 1


@pytest.mark.parametrize("priority", [MOST_URGENT, 0, -MOST_URGENT])
def test_whoever_takes_a_step_of_a_pool_is_looked_at_within_a_lease(world: World, priority: int) -> None:
    begun(world, pooled("a"), priority=priority)
    got(world)
    assert place(world, "a") == keys.due(RUN)
    silent(world)
    assert world.sweep()["steps reclaimed"] == 1


def test_a_step_that_is_handed_over_to_lambda_is_called_out_again_after_a_grace(world: World) -> None:
    begun(world, pooled("a"), step("b", "a"))
    reported(world, got(world))
    world.mailbox.wakes.clear()
    world.clock.pause_us(TIMING.grace_us)
    assert world.sweep()["wake-ups repeated"] == 1
    ended(world)


def test_a_worker_of_a_pool_that_beats_is_left_alone(world: World) -> None:
    begun(world, pooled("a"))
    held = got(world)
    for _ in range(5):
        world.clock.pause_us(TIMING.lease_us // 2)
        held = Steps(world.backend.runtime).heartbeat(held)
        assert "steps reclaimed" not in world.sweep()
    reported(world, held)
    ended(world)


def test_a_retry_waits_for_the_pool_and_for_its_time(world: World) -> None:
    begun(world, pooled("a", retry=[RetryTier(max_attempts=2, delay_ms=5_000, jitter=0)]))
    reported(world, got(world), AGAIN)
    assert place(world, "a") == keys.pool(POOL)
    assert world.mailbox.wakes == []
    assert taken(world) is None
    assert is_refused(world, "a", 2)
    assert world.mailbox.wakes == [], "it was called out again, for when it is due"
    world.clock.pause_us(5 * SECOND_US)
    held = got(world)
    assert held.branch.attempt == 2
    reported(world, held)
    ended(world)


def test_what_comes_first_is_claimed_first(world: World) -> None:
    world.register([pooled("a")])
    wishes = {"low": -2, "old": 0, "new": 0, "high": 5, "highest": MOST_URGENT, "lowest": -MOST_URGENT}
    for name, priority in wishes.items():
        world.submit(run_id=name, priority=priority)
    listed = [ref.run_id for ref in world.backend.list_scheduled_steps()]
    assert listed == ["highest", "high", "old", "new", "low", "lowest"]
    assert [got(world).run.run_id for _ in listed] == listed


def test_what_is_not_due_yet_holds_nothing_up(world: World) -> None:
    world.register([pooled("a", retry=[RetryTier(max_attempts=2, delay_ms=5_000, jitter=0)])])
    for number in range(20):
        world.submit(run_id=f"later-{number}", priority=9)
        reported(world, got(world), AGAIN)
    world.submit(run_id="now", priority=1)
    world.submit(run_id="too", priority=0)
    assert [ref.run_id for ref in world.backend.list_scheduled_steps()] == ["now", "too"]
    assert [got(world).run.run_id for _ in range(2)] == ["now", "too"]
    assert taken(world) is None


def test_who_looks_at_what_waits_reads_nothing_that_is_not_due(world: World) -> None:
    world.register([pooled("a", retry=[RetryTier(max_attempts=2, delay_ms=5_000, jitter=0)])])
    for number in range(20):
        world.submit(run_id=f"later-{number}")
        reported(world, got(world), AGAIN)
    asked = counting(world)
    assert taken(world, by=asked.backend) is None
    assert asked.operations == ["Query", "Query"]


def test_a_join_of_a_pool_waits_for_its_worker(world: World) -> None:
    begun(world, step("a"), step("b"), pooled("c", "a", "b"))
    done(world, "a", "b")
    assert place(world, "c") == keys.pool(POOL)
    reported(world, got(world))
    ended(world)


def test_a_fork_calls_out_only_what_waits_for_no_pool(world: World) -> None:
    begun(world, step("a"), *(step(f"p{n}", "a", executor=POOL if n % 2 else None) for n in range(7)))
    world.mailbox.wakes.clear()
    done(world, "a")
    assert {wake.step for wake in world.mailbox.wakes} == {"p0", "p2", "p4", "p6"}
    assert {got(world).branch.step for _ in range(3)} == {"p1", "p3", "p5"}


def test_a_branch_that_owes_is_paid_by_the_sweep_before_it_waits_for_its_pool(world: World) -> None:
    """Who dies between a commit and what it owes leaves a step of a pool that the sweep has to see first."""
    begun(world, step("a"), pooled("b", "a"), *(step(f"p{n}", "a") for n in range(5)))
    late = dying(world, "TransactWriteItems", at=2)
    dies(lambda: reported(world, claimed(world, "a"), by=late))
    assert branch_of(world, "a").owed is not None
    assert place(world, "a") == keys.due(RUN)
    assert taken(world) is None, "it is not for a worker of the pool to pay"
    others = [held.branch.step for _ in range(9) if (held := taken(world, None))]
    assert others == ["p0", "p1"]
    world.mailbox.wakes.clear()
    silent(world)
    assert world.sweep()["debts paid"] == 1
    assert place(world, "a") == keys.pool(POOL)
    assert "b" not in {wake.step for wake in world.mailbox.wakes}
    held = got(world)
    assert held.branch.step == "b"
    reported(world, held)
    ended(world)


def test_who_waits_for_a_step_waits_no_longer_than_it_said(world: World) -> None:
    began_us = clock.now_us()
    assert taken(world, wait_us=SECOND_US * 7 // 10) is None
    assert clock.now_us() - began_us < SECOND_US


def test_who_loses_every_step_to_others_gives_up_after_some(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr("cascade_flow.operations.worker_protocol._TRIES", 2)
    monkeypatch.setattr(Steps, "take_branch", lambda _, run_id, *asked, **wish: tried.append(run_id))
    world.register([pooled("a")])
    for name in ("r1", "r2", "r3"):
        world.submit(run_id=name)
    assert taken(world) is None
    assert tried == ["r1", "r2"]


def test_a_skip_in_cascade_needs_no_worker_of_the_pool(world: World) -> None:
    begun(world, step("a"), pooled("b", "a"), step("c", "b"), pooled("d", "a"))
    reported(world, claimed(world, "a"), SkipStep("no need", 1))
    checked = ended(world)
    assert checked.count(StepSkipped) == 4


def test_a_step_of_a_pool_can_be_skipped_by_word(world: World) -> None:
    begun(world, pooled("a"), step("b", "a", skip_cascades=False))
    Steps(world.backend.runtime).report_without_work(run_of(world), "a", 1, SkipStep("not wanted", 0))
    assert place(world, "a") == keys.due(RUN)
    assert int(branch_of(world, "a").due_us or 0) <= clock.now_us() + TIMING.grace_us
    world.mailbox.wakes.clear()
    ended(world)


def test_nothing_of_a_cancelled_run_is_claimed_and_a_retry_brings_it_back(world: World) -> None:
    begun(world, pooled("a"))
    world.backend.cancel_run(RUN)
    assert taken(world) is None
    world.backend.retry_run(RUN)
    assert place(world, "a") == keys.pool(POOL)
    reported(world, got(world))
    ended(world)


def test_a_failed_step_of_a_pool_waits_for_its_pool_again_when_its_run_is_tried_again(world: World) -> None:
    begun(world, step("a"), pooled("b", "a"))
    done(world, "a")
    reported(world, got(world), FATAL)
    world.backend.retry_run(RUN)
    assert taken(world, None) is None
    held = got(world)
    assert (held.branch.step, held.branch.attempt) == ("b", 2)
    reported(world, held)
    ended(world)


@pytest.mark.parametrize("again", ["rerun", "resume"])
def test_a_run_that_goes_on_from_another_goes_on_where_its_version_says(world: World, again: str) -> None:
    begun(world, step("a"), pooled("b", "a"))
    done(world, "a")
    reported(world, got(world), FATAL)
    world.register([step("a"), pooled("b", "a", pool=OTHER)])
    if again == "resume":
        run_id = world.backend.resume_run(RUN).run_id
    else:
        run_id = world.backend.rerun_from(parent_run_id=RUN, from_step_id="b").run_id
    assert taken(world) is None
    held = got(world, OTHER)
    assert (held.run.run_id, held.branch.step) == (run_id, "b")
    reported(world, held)
    assert world.check(run_id).status == "completed"


def test_a_run_that_is_due_later_is_started_for_its_pool(world: World) -> None:
    begun(world, pooled("a"), available_at=clock.now_us() + 5 * SECOND_US)
    assert taken(world) is None
    world.clock.pause_us(6 * SECOND_US)
    world.sweep()
    reported(world, got(world))
    ended(world)


def test_who_looks_before_a_stop_claims_nothing_after_it(world: World) -> None:
    begun(world, pooled("a"))
    late = pausing(world, "UpdateItem", lambda: world.observer.cancel_run(RUN))
    assert taken(world, by=late) is None
    assert world.check(RUN).count(StepStarted) == 0


def test_who_waits_for_steps_of_no_workflow_is_told_so_at_once(world: World) -> None:
    begun_us = clock.now_us()
    with pytest.raises(WorkflowNotFoundError):
        taken(world, workflow_slug="none", wait_us=60 * SECOND_US)
    assert clock.now_us() - begun_us < SECOND_US // 10


def test_of_two_workers_that_have_seen_the_same_one_gets_it(world: World) -> None:
    begun(world, pooled("a"))
    late = pausing(world, "UpdateItem", lambda: got(world, by=world.observer))
    assert taken(world, by=late) is None


def test_a_claim_by_name_says_for_which_pool(world: World) -> None:
    begun(world, pooled("a"), step("b"))
    protocol, slot = WorkerProtocol(world.backend.runtime), Slot()
    for name, pool, told, words in (
        ("a", None, POOL, f"is pool '{POOL}''s, and was claimed without a pool: claim it with pool '{POOL}'"),
        ("a", OTHER, POOL, f"is pool '{POOL}''s, and was claimed for pool '{OTHER}': claim it with pool '{POOL}'"),
        ("b", POOL, None, f"is no pool's, and was claimed for pool '{POOL}': claim it without a pool"),
    ):
        with pytest.raises(WrongPoolError, match=words) as refused:
            protocol.claim(RUN, name, "machine-1", slot=slot, pool=pool)
        assert refused.value.facts == {"step_id": name, "pool": told}
    assert protocol.claim(RUN, "a", "machine-1", slot=slot, pool=POOL)
    assert protocol.claim(RUN, "b", "machine-1", slot=slot)


def test_the_contracts_operations_know_of_steps_of_pools(world: World) -> None:
    begun(world, pooled("a"), step("b"))
    assert {ref.step_id for ref in world.backend.list_scheduled_steps()} == {"a", "b"}
    assert world.backend.is_step_claimable("flow", RUN, "a")
    assert world.backend.get_queue_depth().scheduled_steps == 2
    assert world.backend.claim_scheduled_step("flow", RUN, "a", "worker-1") is not None
    assert [ref.step_id for ref in world.backend.list_scheduled_steps()] == ["b"]
    depth = world.backend.get_queue_depth()
    assert (depth.scheduled_steps, depth.running_steps) == (1, 1)


def test_one_workflow_is_asked_for(world: World) -> None:
    world.backend.register_workflow(registration(pooled("a"), slug="other"))
    for _ in range(20):
        world.backend.submit_run(RunSubmission(workflow_slug="other"))
    begun(world, pooled("a"))
    with pytest.raises(WorkflowNotFoundError):
        taken(world, workflow_slug="unknown")
    assert taken(world, OTHER, workflow_slug="flow") is None
    assert got(world, workflow_slug="flow").run.run_id == RUN
    assert taken(world, workflow_slug="flow") is None


def test_who_asks_for_one_workflow_is_answered_however_many_of_others_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.queue._MOST_LOOKED_AT", 10)
    world.backend.register_workflow(registration(pooled("a"), slug="other"))
    for _ in range(11):
        world.backend.submit_run(RunSubmission(workflow_slug="other"))
    begun(world, pooled("a"))
    assert taken(world, workflow_slug="flow") is None
    assert got(world).run.workflow_slug == "other"


@pytest.fixture
def six_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at what waits for no pool is at three of each end of the index."""
    monkeypatch.setattr("cascade_flow.operations.queue._OF_EACH_END", 3)
    monkeypatch.setattr("cascade_flow.operations.queue._MOST_LOOKED_AT", 12)


@pytest.mark.parametrize("swept", [False, True], ids=["no sweep comes", "sweeps come"])
@pytest.mark.usefixtures("six_at_once")
def test_who_has_waited_longest_is_among_those_that_are_looked_at(world: World, swept: bool) -> None:
    """Without a pool too; and of these the highest priority is first."""
    world.register([step("a")])
    for number in range(3):
        world.submit(run_id=f"old-{number}", priority=number // 2)
    world.clock.pause_us(3 * TIMING.grace_us)
    if swept:
        world.sweep()
    for number in range(8):
        world.submit(run_id=f"new-{number}")
    assert [got(world, None).run.run_id for _ in range(3)] == ["old-2", "old-0", "old-1"]


def test_what_is_looked_at_from_both_ends_is_met_once(world: World) -> None:
    world.register([step("a")])
    runs = [world.submit(run_id=f"run-{number}") for number in range(60)]
    met = [live.run.run_id for live in Queue(world.backend.runtime).claimable(None, workflow_slug=None)]
    assert sorted(met) == sorted(runs)


@pytest.mark.usefixtures("six_at_once")
def test_a_look_without_a_pool_costs_the_same_however_many_wait(world: World) -> None:
    world.register([step("a")])

    def asked_with(more: int) -> list[str]:
        for _ in range(more):
            world.backend.submit_run(RunSubmission(workflow_slug="flow"))
        asked = counting(world)
        assert taken(world, None, by=asked.backend) is not None
        return asked.operations

    assert asked_with(30) == asked_with(60)


@pytest.mark.usefixtures("six_at_once")
def test_who_asks_without_a_pool_for_one_workflow_is_answered_however_many_of_others_wait(world: World) -> None:
    world.backend.register_workflow(registration(step("a"), slug="other"))
    for number in range(20):
        world.backend.submit_run(RunSubmission(workflow_slug="other"))
        if number == 9:
            begun(world, step("a"))
    assert taken(world, None, workflow_slug="flow") is None, "it is in the middle"
    for _ in range(6):
        reported(world, got(world, None))
    assert reported(world, got(world, None, workflow_slug="flow")).run.run_id == RUN
    assert len({reported(world, got(world, None)).run.run_id for _ in range(14)}) == 14, "each is found, and once"
    assert taken(world, None) is None


def test_a_run_that_is_gone_meanwhile_holds_nothing_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([pooled("a")])
    for run_id in ("gone", "there"):
        world.submit(run_id=run_id)
    facts: Any = Runtime.facts

    def facts_of(runtime: Runtime, run: Run) -> Any:
        if run.run_id == "gone":
            raise VersionNotFoundError
        return facts(runtime, run)

    monkeypatch.setattr(Runtime, "facts", facts_of)
    assert got(world).facts.run_id == "there"


def test_who_hands_items_out_keeps_no_step_waiting_that_comes_after_it(world: World) -> None:
    over = ChildrenDefinition(kind="map", over="lines")
    world.register([step("lines"), step("pack", "lines", children=over)])
    world.submit(run_id=RUN)
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    world.submit(run_id="other")
    assert got(world, None).facts.run_id == "other"


def test_who_waits_asks_once_whether_there_is_such_a_workflow(world: World) -> None:
    world.register([pooled("a")])
    backend, asked = asking(world)
    assert taken(world, by=backend, workflow_slug="flow", wait_us=5 * SECOND_US) is None
    assert (asked.count("GetItem"), asked.count("Query") > 2) == (1, True)


def test_a_table_that_is_busy_after_a_claim_costs_no_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, pooled("a"))
    refusals = [ThrottledError(), None, ThrottledError(), None]
    for owner, part in ((Steps, "held_by"), (WorkerProtocol, "_given")):
        monkeypatch.setattr(owner, part, _refused_at_first(refusals, getattr(owner, part)))
    held = got(world)
    assert WorkerProtocol(world.backend.runtime).given(held).outputs == {}
    assert (refusals, held.branch.attempt) == ([], 1)


def _refused_at_first(refusals: list[ThrottledError | None], real: Any) -> Any:
    def part(*asked: Any) -> Any:
        if refusal := refusals.pop(0):
            raise refusal
        return real(*asked)

    return part


def test_a_second_attempt_is_given_what_the_first_has_stored(world: World) -> None:
    begun(world, pooled("a", retry=[RetryTier(max_attempts=2, delay_ms=0, jitter=0)]))
    reported(world, reported(world, got(world), KeepCheckpoint("part", 0, "1")), AGAIN)
    world.clock.pause_us(SECOND_US)
    given = WorkerProtocol(world.backend.runtime).given(got(world))
    assert [handed.number.place.name for handed in given.checkpoints] == ["part"]


def test_who_waits_gets_what_comes_meanwhile(world: World) -> None:
    world.register([pooled("a")])
    waits = pausing(world, "Query", lambda: world.submit(run_id=RUN), at=3)
    begun_us = clock.now_us()
    held = taken(world, by=waits, wait_us=20 * SECOND_US)
    assert held is not None
    assert held.run.run_id == RUN
    assert clock.now_us() - begun_us < 3 * SECOND_US


def test_who_waits_for_nothing_looks_ever_less_often(world: World) -> None:
    world.register([pooled("a")])
    begun_us, asked = clock.now_us(), counting(world)
    assert taken(world, by=asked.backend, wait_us=20 * SECOND_US) is None
    assert 20 * SECOND_US <= clock.now_us() - begun_us < 21 * SECOND_US
    assert asked.operations == ["Query"] * 14


def test_an_unreadable_step_keeps_its_pool_from_nothing(world: World) -> None:
    world.register([pooled("a")])
    for name in ("broken", "whole"):
        world.submit(run_id=name)
    table = world.observer.runtime.ledger.table
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": keys.branch("broken", "a").pk}, "sk": {"S": keys.branch("broken", "a").sk}},
        UpdateExpression="SET e = :e",
        ExpressionAttributeValues={":e": {"B": b"\x63"}},
    )
    assert got(world).run.run_id == "whole"


def test_a_pool_is_remembered_before_there_are_steps_for_it(world: World) -> None:
    dies(lambda: dying(world, "PutItem", at=2).register_workflow(registration(pooled("a"))))
    assert world.observer.get_workflow_metadata("flow") is None
    assert shards.pools(world.another().runtime.ledger.table) == (POOL,)


def test_nothing_is_remembered_where_no_step_has_a_pool(world: World) -> None:
    world.register([step("a")])
    assert shards.pools(world.another().runtime.ledger.table) == ()


def test_who_registers_a_pool_lists_it_at_once(world: World) -> None:
    assert world.backend.list_scheduled_steps() == []
    begun(world, pooled("a"))
    assert [ref.step_id for ref in world.backend.list_scheduled_steps()] == ["a"]


def test_steps_of_a_version_that_a_caller_has_stored_are_listed_too(world: World) -> None:
    version = {"workflow_slug": "flow", "version_id": "v1", "version_number": 1, "created_at": 1, "total_steps": 1}
    told = WorkflowVersion.model_validate({**version, "step_manifest": ["a"], "steps": [pooled("a")]})
    world.backend.create_workflow_version(told)
    assert shards.pools(world.another().runtime.ledger.table) == (POOL,)


@pytest.mark.parametrize("name", ["gpu box", "", "a#b", "-x", "x" * 300])
def test_a_pool_that_has_no_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidIdError, match="is no pool"):
        world.register([step("a", executor=name)])
    with pytest.raises(InvalidIdError, match="is no pool"):
        taken(world, name)


def test_what_has_gone_on_to_a_step_of_no_pool_is_left_to_others_though_the_index_is_late(world: World) -> None:
    begun(world, pooled("a"), step("b", "a"))

    def others() -> None:
        held = got(world)
        world.clock.pause_us(-10_000)  # theirs is behind, so what they schedule is due
        reported(world, held, Complete("1", 1))

    assert taken(world, by=pausing(world, "BatchGetItem", others)) is None
    assert branch_of(world, "a").step == "b"
