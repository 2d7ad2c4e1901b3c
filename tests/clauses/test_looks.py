"""A look at a step that waits for its children: when it is made, what it answers, what it leaves alone (§14)."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from functools import partial

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.ledger import Ledger, Snapshot
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Family, RunStatus, Up
from cascade_flow.operations.children import _error, _may_move
from clauses.families import (
    child,
    child_run,
    failed,
    handed_out,
    look,
    mapped,
    pack_of,
    packed,
    revived,
    taken,
    there,
    whole,
)
from clauses.stage import FATAL, RUN, begun, claimed, counting, dies, dying, item_of, reported, run_of
from faults.moments import pausing
from simulation import World
from testbed.faults import Kind, faults
from testbed.wire import Answer, Floor, Request, Send, wire_of
from unit.engine import facts


@pytest.mark.parametrize(
    ("made", "arrived", "may"), [(6, 0, False), (6, 5, False), (6, 6, True), (6, 7, True), (5, 0, True)]
)
def test_a_step_may_move_while_children_are_to_be_made_or_when_all_were_counted(
    world: World, made: int, arrived: int, may: bool
) -> None:
    handed_out(world)
    pack = pack_of(world)
    assert _may_move(replace(pack, arrived=arrived, family=replace(pack.family, made=made))) is may


@pytest.mark.parametrize(("is_urgent", "requests"), [(False, 1), (True, 3)])
def test_without_urgency_the_children_of_a_step_that_can_not_move_are_not_read(
    world: World, is_urgent: bool, requests: int
) -> None:
    handed_out(world, concurrency=6)
    late, sizes = counting(world)
    assert not look(world, late, is_urgent=is_urgent)
    assert len(sizes) == requests


def test_who_looks_and_finds_nothing_to_do_writes_nothing(world: World) -> None:
    handed_out(world, concurrency=2)
    before = pack_of(world)
    assert not look(world)
    assert pack_of(world) == before


def test_while_the_last_are_out_an_end_asks_whether_all_are_over_and_no_more(world: World) -> None:
    """It is counted and written; then the step is read with its run."""
    handed_out(world, ["a", "b", "c"])
    held, (late, sizes) = taken(world, 1), counting(world)
    reported(world, held, Complete("1", 1), by=late)
    assert len(sizes) == 3


def test_who_has_read_a_run_before_its_retry_and_the_step_after_it_reads_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children that are made for an attempt that is over would never be."""
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    held = claimed(world, "pack", branch="lines")
    dies(lambda: reported(world, held, world.act(held, "worker-1"), by=dying(world, "UpdateItem", after=True)))
    world.backend.cancel_run(RUN)
    before = item_of(world, keys.run(RUN))
    dies(lambda: dying(world, "TransactWriteItems", at=3).retry_run(RUN))
    snapshot, key = Ledger.snapshot, keys.run(RUN)
    late = iter([{key: before}])
    monkeypatch.setattr(Ledger, "snapshot", lambda *given: Snapshot({**snapshot(*given).items, **next(late, {})}))
    look(world)
    assert (pack_of(world).run_attempt, child_run(world, 0).run_attempt) == (2, 2)


def test_a_step_whose_collection_is_scheduled_is_not_scheduled_again(world: World) -> None:
    handed_out(world, ["a"])
    packed(world, 0)
    before = pack_of(world)
    assert before.status == "scheduled"
    assert not look(world)
    assert pack_of(world) == before


def test_a_step_whose_run_is_there_no_more_is_left_alone(world: World) -> None:
    handed_out(world)
    world.observer.runtime.ledger.table.delete(keys.run(RUN))
    assert not look(world)


def tried_again(world: World, *done: int) -> None:
    """These items are done, the run is stopped and tried again, and nobody has looked since then."""
    packed(world, *done)
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems", at=3).retry_run(RUN))
    assert (pack_of(world).status, pack_of(world).family.made) == ("waiting", 0)


def test_a_look_tells_what_it_has_done_though_nothing_was_left_in_the_end(world: World) -> None:
    handed_out(world, concurrency=2)
    tried_again(world, 0)
    assert look(world)
    assert there(world) == {0: "completed", 1: "running", 2: "running"}
    assert not look(world)


def test_a_look_tells_what_it_has_done_before_the_step_was_halted(world: World) -> None:
    handed_out(world, concurrency=2)
    tried_again(world, 0)
    others = partial(world.observer.cancel_run, RUN)
    assert look(world, pausing(world, "BatchGetItem", others, at=4))
    assert pack_of(world).halt == "stop"
    whole(world, "cancelled")


def test_a_look_tells_what_it_has_done_before_its_run_was_to_be_stopped(world: World) -> None:
    """What it did was to begin a child again, which has failed since; a stop is in the way of telling that."""
    handed_out(world, ["a", "b"], concurrency=1)
    tried_again(world, 0)

    def fails() -> None:
        revived(world)
        one_dies = dying(world, "TransactWriteItems", at=2, after=True)
        dies(lambda: reported(world, taken(world, 1), FATAL, by=one_dies))
        wire_of(client).add(stopped_meanwhile, floor=Floor.SCHEDULE)

    def stopped_meanwhile(request: Request, send: Send) -> Answer:
        if request.operation == "TransactWriteItems" and run_of(world).stop is None:
            dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(RUN))
        return send(request)

    late = pausing(world, "BatchGetItem", fails, at=4)
    client = late.runtime.ledger.table.client
    assert look(world, late)
    assert (pack_of(world).status, pack_of(world).halt) == ("waiting", None)
    whole(world, "cancelled")


def test_the_last_child_of_a_step_that_has_failed_ends_its_run(world: World) -> None:
    """The others' failure is nobody's to wait for a sweep with."""
    handed_out(world, concurrency=3)
    held = taken(world, 0)
    failed(world, 1)
    assert (pack_of(world).status, run_of(world).status, there(world)[0]) == ("failed", "running", "running")
    reported(world, held, Complete("0", 1))
    assert run_of(world).status == "failed"
    whole(world, "failed")


def test_a_childs_end_stands_where_the_look_at_its_parent_is_left_to_the_sweep(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    handed_out(world, ["a"])
    held = taken(world, 0)

    def busy(number: int, operation: str) -> Kind | None:
        return Kind.THROTTLE if child_is_over(world) else None

    with faults(busy, world.store.client):
        reported(world, held, Complete(json.dumps("a"), 1))
    assert there(world) == {0: "completed"}
    assert "a look at its parent is left to the sweep" in caplog.text
    whole(world)


def child_is_over(world: World) -> bool:
    run = world.observer.runtime.ledger.run(child(0))
    return run is not None and run.status == "completed"


ENDS: list[RunStatus] = ["completed", "failed", "cancelled"]


def test_a_step_tells_what_its_children_have_failed_at() -> None:
    ended = {
        number: facts.run_of(
            status=status,
            up=Up(RUN, "lines", "pack", number, is_item=True),
            result=json.dumps({"name": "Bad", "message": status}),
        )
        for number, status in enumerate(ENDS)
    }
    alone = Family(items=9, children=9, chunk=1, attempt=1, at_once=1, lost=2)
    called, batch = replace(alone, version="v1"), {0: replace(ended[1], lost=2, result=None)}
    found = [_error(*known) for known in ((alone, ended), (alone, {}), (called, ended), (called, {}), (alone, batch))]
    assert [(error.name, error.message) for error in found] == [
        ("ItemsFailed", "2 of 9 items failed: item 1: Bad: failed; item 2: Bad: cancelled"),
        ("ItemsFailed", "2 of 9 items failed"),
        ("Bad", "failed"),
        ("ChildFailed", "its run has failed"),
        ("ItemsFailed", "2 of 9 items failed: 2 items failed"),
    ]
