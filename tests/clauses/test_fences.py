"""The fence: `seq`, heartbeat and halt as known, or nothing is written (protocol.md §4)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cascade_flow import StaleAttemptError, StepCompleted, StepReclaimed, StepScheduled, clock
from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.engine.commands import Complete, KeepCheckpoint
from cascade_flow.engine.decide import decide
from cascade_flow.operations.steps import HeldAttempt, Steps
from clauses.stage import (
    DONE,
    FATAL,
    RUN,
    begun,
    branch_of,
    claimed,
    ended,
    going_on,
    item_of,
    reported,
    run_of,
    silent,
    told_before,
)
from faults.moments import pausing, unanswered
from shapes import SHAPES, Shape, chain
from simulation import World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

SOFT = {"q", "due", "x", "pb", "pt", "n", "hb", "le", "hr", "h"}
"""Attributes that change under the fence that they are a part of, or that no decision is made on."""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whatever_is_written_of_a_run_or_a_branch_raises_its_fence(world: World, shape: Shape) -> None:
    """Who has read it before then knows that it has moved: no decision is carried out on what is no longer true."""
    table, wrong = world.observer.runtime.ledger.table, list[str]()

    def watched(request: Request, send: Send) -> Answer:
        touched = [keys.Key(key["pk"]["S"], key["sk"]["S"]) for key in written_by(request)]
        before = [table.get(key) for key in touched]
        answer = send(request)
        for key, old, new in zip(touched, before, map(table.get, touched), strict=True):
            if key.sk.startswith(keys.RUN) and old is not None and new is not None:
                changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - SOFT
                wrong.extend([f"{key}: {changed}"] if changed and not int(new["sq"]) > int(old["sq"]) else [])
        return answer

    wire_of(world.store.client).add(watched, floor=Floor.SCHEDULE)
    world.script, world.chained = shape.script, shape.chained
    world.register(shape.steps)
    world.submit(run_id=RUN, **shape.submission)
    world.settle(RUN)
    if run_of(world).status != "completed":
        world.backend.retry_run(RUN)
        world.backend.cancel_run(RUN)
    assert wrong == []


def written_by(request: Request) -> list[Any]:
    """The keys that a request writes to."""
    writes = request.body.get("TransactItems", [{"Any": request.body}])
    told = [write for each in writes for kind, write in each.items() if kind != "ConditionCheck"]
    return [write.get("Item") or write["Key"] for write in told if "Item" in write or "UpdateExpression" in write]


def said_by(worker: str) -> Complete:
    return Complete(json.dumps(worker), 1)


def taken_away(world: World, *, beats: int = 0) -> tuple[HeldAttempt, HeldAttempt]:
    """A zombie, and who holds the next attempt of its step."""
    zombie = claimed(world, "a", worker="zombie")
    for _ in range(beats):
        zombie = Steps(world.backend.runtime).heartbeat(zombie)
    silent(world)
    assert world.sweep()["steps reclaimed"] == 1
    return zombie, claimed(world, "a", 2, worker="heir")


@pytest.mark.parametrize("beats", [0, 1])
def test_what_a_zombie_reports_is_not_stored_as_the_other_attempts(world: World, beats: int) -> None:
    begun(world, step("a", export_output=True))
    zombie, heir = taken_away(world, beats=beats)
    with pytest.raises(StaleAttemptError):
        reported(world, zombie, said_by("zombie"))
    reported(world, heir, said_by("heir"))
    [over] = [event for event in ended(world).events if isinstance(event, StepCompleted)]
    assert (over.attempt_number, over.output) == (2, '"heir"')


def test_a_zombies_report_is_refused_while_its_step_waits_for_the_next_attempt(world: World) -> None:
    begun(world, step("a"))
    zombie = claimed(world, "a")
    silent(world)
    world.sweep()
    with pytest.raises(StaleAttemptError):
        reported(world, zombie)
    assert branch_of(world, "a").status == "scheduled"


def test_a_report_is_refused_once_the_branch_stands_at_the_next_step(world: World) -> None:
    begun(world, *chain(3))
    first = claimed(world, "s0")
    second = reported(world, first, going_on())
    with pytest.raises(StaleAttemptError):
        reported(world, first, said_by("again"))
    reported(world, second)
    assert world.check(RUN).count(StepCompleted) == 2


@pytest.mark.parametrize("beats", [0, 1])
def test_who_beats_is_not_reclaimed_by_one_that_had_looked_before(world: World, beats: int) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    for _ in range(beats):
        held = Steps(world.backend.runtime).heartbeat(held)
    silent(world)
    late = pausing(world, "UpdateItem", lambda: Steps(world.backend.runtime).heartbeat(held))
    world.sweep(late)
    reported(world, held)
    assert ended(world).count(StepReclaimed) == 0


def test_who_learns_late_that_its_write_was_done_is_given_no_other_attempt(world: World) -> None:
    """Its answer is lost, and when it asks again the step is scheduled anew: nobody may speak for who takes that."""
    begun(world, step("a"))
    held = claimed(world, "a")

    def others() -> None:
        world.backend.cancel_run(RUN)
        world.backend.retry_run(RUN)

    late = Steps(unanswered(world, "UpdateItem", others).runtime)
    with pytest.raises(StaleAttemptError):
        late.report(late.report(held, KeepCheckpoint("part", 0, "1")), DONE)
    assert (branch_of(world, "a").attempt, branch_of(world, "a").status) == (2, "scheduled")
    done_again = reported(world, claimed(world, "a", 2, worker="worker-2"))
    assert not done_again.running
    world.check(RUN)


def test_a_holder_that_has_beaten_since_is_still_the_holder(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    Steps(world.backend.runtime).heartbeat(held)
    reported(world, held)
    ended(world)


def test_what_was_halted_meanwhile_reports_nothing(world: World) -> None:
    begun(world, *chain(2))
    held = claimed(world, "s0")
    world.backend.cancel_run(RUN)
    with pytest.raises(StaleAttemptError):
        reported(world, held, going_on())
    assert world.check(RUN).status == "cancelled"


def test_what_was_told_to_park_meanwhile_finishes_and_goes_no_further(world: World) -> None:
    begun(world, step("x"), step("a"), step("b", "a"))
    sibling = claimed(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    assert branch_of(world, "a").halt == "park"
    reported(world, sibling, going_on())
    checked = ended(world, "failed")
    assert (checked.count(StepCompleted, "a"), checked.count(StepScheduled, "b")) == (1, 0)


def test_who_has_lost_its_branch_is_told_so_though_its_run_has_ended_too(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    world.observer.cancel_run(RUN)
    late = decide(held.facts, held.branch, FATAL, now_us=clock.now_us())
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.write(held.facts, late, {})


@pytest.mark.parametrize("said", [DONE, FATAL], ids=["of a step", "of a step and its run"])
def test_a_commit_overwrites_nothing_in_the_log(world: World, said: Any) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    facts, ledger = held.facts, world.backend.runtime.ledger
    commit = decide(facts, held.branch, said, now_us=held.branch.last_us + 10)
    first_us = held.branch.tail[0]["timestampUs"]
    told = told_before(world, first_us)
    with pytest.raises(BranchRefused):
        ledger.write(facts, commit, {})
    assert items.to_records(item_of(world, keys.commit(RUN, first_us))) == told
