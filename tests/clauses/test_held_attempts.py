"""What a worker's hand on an attempt knows and says (`operations/steps`), to the last field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cascade_flow import (
    ConfigurationError,
    RetryTier,
    StaleAttemptError,
    StepDefinition,
    StepLimit,
    StepStarted,
    ThrottledError,
    clock,
)
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.codec import references_of
from cascade_flow.dynamodb.places import Places
from cascade_flow.engine.commands import Command, Complete, KeepCheckpoint, SkipStep
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.queue import Queue
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.records import replace
from clauses.families import child_run, handed_out, taken
from clauses.stage import AGAIN, RUN, asking, begun, branch_of, claimed, done, going_on, reported, run_of
from clauses.test_microseconds import at
from simulation import BEGIN_US, World, step

SOON = [RetryTier(delay_ms=0, jitter=0)]


def held(world: World, **now: Any) -> HeldAttempt:
    """Step `a`, in the hands of a worker, and with its branch as it is said to be."""
    begun(world, step("a"), step("b", "a"))
    hand = claimed(world, "a")
    return replace(hand, branch=replace(hand.branch, **now))


@pytest.mark.parametrize(("started_us", "last_us", "newest_us"), [(5, 9, 9), (9, 5, 9), (None, 7, 7)])
def test_an_attempt_began_no_later_than_its_branchs_newest_event(
    world: World, started_us: int | None, last_us: int, newest_us: int
) -> None:
    hand = held(world, started_at_us=started_us, last_us=last_us)
    assert hand.started_us == newest_us + hand.facts.graph.modulus


@pytest.mark.parametrize(
    ("now", "lost", "carries_on"),
    [
        ({}, False, True),
        ({"status": "scheduled"}, False, False),
        ({"halt": "stop"}, False, False),
        ({"halt": "park"}, False, True),
        ({}, True, False),
    ],
)
def test_a_worker_carries_on_with_what_runs_and_is_its_own_and_not_stopped(
    world: World, now: dict[str, Any], lost: bool, carries_on: bool
) -> None:
    assert replace(held(world, **now), lost=lost).running is carries_on


def test_what_was_reported_stands_and_is_lost_where_another_goes_on_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = held(world)

    def after(_: object, _facts: object, _commit: object, branch: Any, _told: object) -> None:
        raise BranchRefused(branch)

    monkeypatch.setattr(AfterCommit, "after", after)
    after_it = reported(world, hand, going_on())
    assert (after_it.lost, after_it.running) == (True, False)
    assert (branch_of(world, "a").step, branch_of(world, "a").status) == ("b", "running")


def test_what_was_reported_stands_where_what_follows_is_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = held(world)

    def after(*_: object) -> None:
        raise ThrottledError

    monkeypatch.setattr(AfterCommit, "after", after)
    after_it = reported(world, hand, going_on())
    assert (after_it.lost, after_it.running, after_it.branch.step) == (False, True, "b")


def test_nobody_skips_an_earlier_attempt_while_another_is_at_work(world: World) -> None:
    begun(world, step("a", retry=SOON))
    reported(world, claimed(world, "a"), AGAIN)
    claimed(world, "a", 2)
    steps = Steps(world.backend.runtime)
    with pytest.raises(StaleAttemptError):
        steps.report_without_work(run_of(world), "a", 1, SkipStep("no need", 0))
    assert (branch_of(world, "a").status, branch_of(world, "a").attempt) == ("running", 2)


@pytest.mark.parametrize(("delay_ms", "taken"), [(None, True), (60_000, False)])
def test_a_place_is_taken_ahead_for_what_may_start_at_once_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, delay_ms: int | None, taken: bool
) -> None:
    begun(world, step("a"), step("b", "a", limit=StepLimit(name="erp", at_most=1), delay_ms=delay_ms))
    hand, asked = claimed(world, "a"), list[str]()
    ahead = type(AfterCommit(world.backend.runtime).limits).place_ahead

    def noted(limits: Any, facts: Any, branch: Any, following: Any) -> Any:
        asked.append(following.id)
        return ahead(limits, facts, branch, following)

    monkeypatch.setattr(type(AfterCommit(world.backend.runtime).limits), "place_ahead", noted)
    reported(world, hand, going_on())
    assert asked == ["b"] * taken
    assert branch_of(world, "a").status == ("running" if taken else "scheduled")


def test_who_copies_what_lies_in_a_bucket_needs_that_bucket(world: World) -> None:
    payloads = Payloads(world.backend.runtime.ledger.table)
    with pytest.raises(ConfigurationError, match="name the bucket"):
        payloads.copy(RUN, "other", "s3:payloads/any", expires_s=clock.now_us() // 1_000_000)


LONG = json.dumps([f"line {number}" for number in range(3_000)])
NEXT: dict[str, list[StepDefinition]] = {
    "nothing": [step("a")],
    "a step": [step("a"), step("b", "a")],
    "a limited step": [step("a"), step("b", "a", limit=StepLimit(name="erp", at_most=1))],
}


@pytest.mark.parametrize(
    "command",
    [KeepCheckpoint("part", 1, data=LONG), Complete(LONG, 1), None],
    ids=["a checkpoint", "an end", "it goes on"],
)
@pytest.mark.parametrize("following", NEXT)
def test_what_was_put_aside_before_is_not_put_aside_again(
    world: World, monkeypatch: pytest.MonkeyPatch, following: str, command: Command | None
) -> None:
    begun(world, *NEXT[following])
    hand, steps = claimed(world, "a"), Steps(world.backend.runtime)
    said = command or replace(going_on(), output=LONG)
    references = steps.put_aside(hand, said)
    assert list(references) == [LONG]
    monkeypatch.setattr(Payloads, "put_output", lambda *_, **__: pytest.fail("it is put aside again"))
    after = steps.report(hand, said, references)
    assert branch_of(world, "a").seq == after.branch.seq
    kept = world.observer.load_events("flow", RUN, step_id="a")
    assert LONG in [getattr(event, "output", getattr(event, "data", None)) for event in kept]


def test_what_is_put_aside_lies_under_the_attempt_that_gave_it(world: World) -> None:
    begun(world, step("z"), step("a", "z", retry=SOON))
    done(world, "z")
    reported(world, claimed(world, "a", branch="z"), AGAIN)
    hand = claimed(world, "a", 2, branch="z")
    [place] = Steps(world.backend.runtime).put_aside(hand, Complete(LONG, 1)).values()
    assert place.startswith("P#a#2#")


def test_whoever_names_a_step_whose_limit_is_full_waits_in_its_line(world: World) -> None:
    world.register([step("a", limit=StepLimit(name="erp", at_most=1), delay_ms=1_000)])
    for run_id in (RUN, "second"):
        world.submit(run_id=run_id)
    world.clock.pause_us(1_000_000)  # nobody lines up before that
    steps, runs = Steps(world.backend.runtime), [world.observer.runtime.run(name) for name in (RUN, "second")]
    assert steps.claim_step(runs[0], "a", "worker-1", slot=Slot(2, 8)) is not None
    assert steps.claim_step(runs[1], "a", "worker-2") is None
    standing = Places(world.observer.runtime.ledger.table).standing("erp", at_most=1)
    assert [waiter.holder.run_id for waiter in standing.line] == ["second"]
    [start] = [each for each in world.observer.load_events("flow", RUN) if isinstance(each, StepStarted)]
    assert (start.slot_index, start.worker_concurrency) == (2, 8)


@pytest.mark.parametrize("pool", [None, "gpu"])
def test_what_is_not_due_yet_is_shown_to_no_worker(world: World, pool: str | None) -> None:
    begun(world, step("a", executor=pool, delay_ms=1_000))
    due_us = branch_of(world, "a").available_at_us
    assert due_us is not None
    queue = Queue(world.observer.runtime)
    for now_us, there in ((due_us - 1, []), (due_us, ["a"])):
        with at(now_us):
            assert [live.branch.step for live in queue.claimable(pool, workflow_slug="flow")] == there
    with at(due_us):
        assert list(queue.claimable(pool, workflow_slug="other")) == []


def test_who_comes_for_an_earlier_step_of_a_branch_gets_nothing(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    steps = Steps(world.backend.runtime)
    assert steps.claim_step(run_of(world), "b", "worker-1") is None
    reported(world, claimed(world, "a"))
    assert steps.claim_step(run_of(world), "a", "worker-1") is None
    assert branch_of(world, "a").status == "scheduled"
    hand = steps.claim_step(run_of(world), "b", "worker-1")
    assert hand is not None
    assert (hand.branch.step, hand.branch.worker) == ("b", "worker-1")


def test_who_takes_what_a_wake_up_names_says_where_it_works(world: World) -> None:
    begun(world, step("a"))
    [wake] = [wake for wake in world.mailbox.wakes if wake.step]
    hand = Steps(world.backend.runtime).claim(wake, "worker-1", slot=Slot(2, 8))
    assert hand is not None
    [start] = [each for each in world.observer.load_events("flow", RUN) if isinstance(each, StepStarted)]
    assert (start.worker_id, start.slot_index, start.worker_concurrency) == ("worker-1", 2, 8)


def second_attempt(world: World) -> None:
    """Of `b`, in the hands of a worker: what it goes on from is over, and what follows it is still to come."""
    begun(world, step("a"), step("b", "a", retry=SOON), step("c", "b"), step("d"), step("j", "c", "d"))
    reported(world, claimed(world, "a"))
    reported(world, claimed(world, "b", branch="a"), AGAIN)
    claimed(world, "b", 2, branch="a")


@pytest.mark.parametrize("worker", [None, "worker-1"])
def test_who_names_the_attempt_that_is_at_work_holds_it(world: World, worker: str | None) -> None:
    second_attempt(world)
    assert Steps(world.backend.runtime).holding(run_of(world), "b", worker, 2).branch == branch_of(world, "a")


@pytest.mark.parametrize(
    ("step_id", "attempt", "worker", "now"),
    [
        ("b", 2, "worker-2", "running"),
        ("b", 1, None, "running"),
        ("b", 3, "worker-1", "running"),
        ("a", 2, None, "running"),
        ("c", 2, None, "pending"),
        ("j", 1, None, "pending"),
    ],
)
def test_who_names_an_attempt_is_told_what_is_true_instead(
    world: World, step_id: str, attempt: int, worker: str | None, now: str
) -> None:
    second_attempt(world)
    with pytest.raises(StaleAttemptError) as told:
        Steps(world.backend.runtime).holding(run_of(world), step_id, worker, attempt)
    assert told.value.facts == {"now": now}


@pytest.mark.parametrize("worker", [None, "worker-1"])
def test_what_is_stopped_is_held_by_nobody(world: World, worker: str | None) -> None:
    begun(world, step("a"), step("b", "a"))
    claimed(world, "a")
    world.backend.cancel_run(RUN)
    for step_id in ("a", "b"):
        with pytest.raises(StaleAttemptError, match="stopped or has ended") as told:
            Steps(world.backend.runtime).holding(run_of(world), step_id, worker, 1)
        assert told.value.facts == {"now": "running"}


def test_a_worker_remembers_what_its_run_gives_and_what_the_next_step_is_given(world: World) -> None:
    begun(world, step("a", export_output=True), step("b", "a"), step("c", "b"), step("d", "c"))
    hand, steps = claimed(world, "a"), Steps(world.backend.runtime)
    remembered = []
    for output in ("1", "2", "3"):
        hand = reported(world, hand, KeepCheckpoint("part", 1, data="0"))
        remembered.append(hand.known)
        hand = reported(world, hand, replace(going_on(), output=output))
        assert steps.inputs(hand).outputs == {chr(ord(hand.branch.step) - 1): output}
    remembered.append(hand.known)
    assert remembered == [{}, {"a": "1"}, {"a": "1", "b": "2"}, {"a": "1", "c": "3"}]


def test_a_worker_remembers_what_was_skipped_on_its_way(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b", skip_cascades=False))
    hand = reported(world, claimed(world, "a"), SkipStep("no need", 1, claimant=going_on().claimant))
    assert hand.branch.step == "c"
    assert hand.known == {"a": None, "b": None}


def test_a_step_is_given_the_whole_of_a_long_input(world: World) -> None:
    begun(world, step("a"), input=json.loads(LONG))
    given = Steps(world.backend.runtime).inputs(claimed(world, "a"))
    assert (json.loads(given.input or ""), given.outputs) == (json.loads(LONG), {})


@pytest.mark.parametrize("exports", ["b", "ab"])
def test_what_a_run_gives_is_put_aside_beside_what_its_last_step_gave(world: World, exports: str) -> None:
    begun(world, *(step(name, *after, export_output=name in exports) for name, after in (("a", ()), ("b", ("a",)))))
    late, asked = asking(world)
    reported(world, claimed(world, "a"), Complete(LONG, 1), by=late)
    reported(world, claimed(world, "b", branch="a"), Complete(LONG, 1), by=late)
    history = world.observer.runtime.ledger.history(RUN)
    assert history is not None
    given = [record for record in history.records if record["type"] in ("StepCompleted", "WorkflowCompleted")]
    assert [list(references_of(record)) for record in given] == [["output"]] * 3
    assert asked.count("PutItem") == 3


def test_what_an_item_gives_is_put_aside_once_for_its_step_and_its_run(world: World) -> None:
    handed_out(world, ["a"])
    late, asked = asking(world)
    reported(world, taken(world, 0), Complete(LONG, 1), by=late)
    assert (child_run(world, 0).status, asked.count("PutItem")) == ("completed", 1)


@pytest.mark.parametrize(("late_us", "sent"), [(LONGEST_DELAY_US, 1), (LONGEST_DELAY_US + 1, 0)])
def test_a_run_is_sent_a_message_unless_it_is_due_too_late_for_one(world: World, late_us: int, sent: int) -> None:
    world.register([step("a")])
    with at(BEGIN_US + 10_000_000):
        world.submit(available_at=clock.now_us() + late_us)
    assert len(world.mailbox.wakes) == sent
