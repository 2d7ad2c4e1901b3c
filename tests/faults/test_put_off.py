"""What the sweep can't deal with makes way for what it can, is shown by name, and is tried again, ever more rarely."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations.sweep import Failure, Sweep, Swept
from checker import check_run
from contract.called import Called
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step
from testbed.faults import Kind, refusal
from testbed.servers import Server, fresh_table
from testbed.wire import Answer, Floor, Request, Send, wire_of

DAY_US = 86_400_000_000
Item = dict[str, Any]
Damage = Callable[[Item], Item | None]
"""What becomes of an item as it goes over the wire; None: it is gone."""


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time)


def garbled(data: bytes) -> Damage:
    return lambda item: {**item, "e": {"B": data}}


def gone(item: Item) -> None:
    return None


DAMAGES = {
    "a branch packed by another release": (keys.branch("r", "a"), garbled(b"\x09new")),
    "a branch that nobody can unpack": (keys.branch("r", "a"), garbled(b"\x01nonsense")),
    "a branch of which a number is none": (keys.branch("r", "a"), lambda item: {**item, "av": {"S": "soon"}}),
    "a branch with a value of a new type": (keys.branch("r", "a"), lambda item: {**item, "a": {"M": {}}}),
    "a run packed by another release": (keys.run("r"), garbled(b"\x09new")),
    "a version that is gone": (None, gone),
}


class Poison:
    """One item of run r that is damaged for a while."""

    def __init__(self, world: World, name: str) -> None:
        self._client, self._table = world.store.another_client(), world.store.table
        key, damage = DAMAGES[name]
        found = key or keys.version("flow", world.observer.runtime.run("r").version_id)
        self._key = {"pk": {"S": found.pk}, "sk": {"S": found.sk}}
        self._sound = self._client.get_item(TableName=self._table, Key=self._key)["Item"]
        self._put(damage(dict(self._sound)))

    def heal(self) -> None:
        """The item is again as it was, but for its place in the due index."""
        now = self._client.get_item(TableName=self._table, Key=self._key).get("Item", {})
        self._put({**self._sound, **({"due": now["due"]} if "due" in now else {})})

    def _put(self, item: Item | None) -> None:
        if item is None:
            self._client.delete_item(TableName=self._table, Key=self._key)
        else:
            self._client.put_item(TableName=self._table, Item=item)


def submitted(world: World, *run_ids: str) -> None:
    world.register([step("a", export_output=True)])
    for run_id in run_ids:
        world.submit(run_id=run_id)
    world.mailbox.wakes.clear()
    world.clock.pause_us(TIMING.silence_us)


def sweep(world: World, *, for_us: int = 10**12) -> Swept:
    """A sweep by a process that has just started, and remembers no version."""
    return Sweep(world.another().runtime, name="reaper").sweep(until_us=clock.now_us() + for_us)


def due_us(world: World, run_id: str = "r") -> int:
    [entry] = [e for e in due.live(world.observer.runtime.ledger.table) if e.run_id == run_id and e.branch]
    return entry.due_us


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_named_and_tried_again_ever_more_rarely_until_it_heals(
    world: World, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    submitted(world, "r")
    poison = Poison(world, damage)
    pauses = []
    for _ in range(12):
        world.clock.pause_us(max(0, due_us(world) - clock.now_us()) + 1)
        with caplog.at_level(logging.ERROR):
            swept = sweep(world)
        [failure] = swept.failures
        assert (failure.run_id, failure.branch, swept.done["failed"]) == ("r", "a", 1)
        assert f"failed: run r, branch 'a': {failure.error.split(':')[0]}" in caplog.text
        pauses.append(due_us(world) - clock.now_us())
    doubled = [min(TIMING.grace_us << n, TIMING.horizon_us) for n in range(12)]
    assert pauses == pytest.approx(doubled, abs=10_000)
    poison.heal()
    world.clock.pause_us(TIMING.horizon_us)
    assert sweep(world).failures == []
    world.settle("r")
    assert check_run(world.observer, "r").status == "completed"


@pytest.mark.parametrize("damage", DAMAGES)
def test_lists_pass_over_it_and_name_it(world: World, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    submitted(world, "r", "s", "t", "u")
    silent_us = TIMING.lease_us
    for run_id in ("r", "t"):
        world.backend.claim_scheduled_step("flow", run_id, "a", worker_id="worker-1")
    Poison(world, damage)
    backend = world.another()
    with caplog.at_level(logging.ERROR):
        due_steps = backend.list_scheduled_steps()
    assert {"s", "u"} == {ref.run_id for ref in due_steps}
    world.clock.pause_us(silent_us + 1)
    taken = backend.reclaim_stale_steps(silent_us, "reaper")
    assert [ref.run_id for ref in taken] == (["t"] if damage != "a version that is gone" else [])
    assert "passed over: " in caplog.text
    assert {"s", "t", "u"} <= {run.run_id for run in backend.list_runs().runs}


def test_lists_pass_over_a_callers_step_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Called.new(world.backend, run_id="good"), Called.new(world.backend, run_id="bad")
    for run in (good, bad):
        run.schedule("a")
    client, table = world.store.another_client(), world.store.table
    key = {"pk": {"S": keys.branch(bad.run_id, "a").pk}, "sk": {"S": keys.branch(bad.run_id, "a").sk}}
    client.put_item(TableName=table, Item={**client.get_item(TableName=table, Key=key)["Item"], "z": {"B": b"\x09new"}})
    with caplog.at_level(logging.ERROR):
        assert [ref.run_id for ref in world.backend.list_scheduled_steps()] == [good.run_id]
    assert f"passed over: run {bad.run_id}, step a: " in caplog.text


def test_more_of_it_than_a_sweep_has_time_for_keep_nothing_from_being_reached(world: World) -> None:
    poisoned = [f"poisoned-{n}" for n in range(20)]
    submitted(world, "r", *poisoned)
    Poison(world, "a version that is gone")
    world.register([step("b", export_output=True)])
    world.submit(run_id="sound")
    world.mailbox.wakes.clear()
    world.clock.pause_us(TIMING.silence_us)
    at_once, named, sweeps = [], set(), 0
    while not world.mailbox.wakes:
        swept = sweep(world, for_us=1_500)
        at_once.append(swept.done["looked at"])
        named |= {failure.run_id for failure in swept.failures}
        sweeps += 1
        assert sweeps <= len(poisoned) + 2, "the same are met first again and again"
    assert max(at_once) < len(poisoned), "one sweep had time for all of them"
    assert named == {"r", *poisoned}
    world.settle("sound")


def test_what_was_dealt_with_in_between_begins_with_a_short_pause_again(world: World) -> None:
    submitted(world, "r")
    name = "a branch packed by another release"
    for _ in range(2):
        poison = Poison(world, name)
        sweep(world)
        assert due_us(world) - clock.now_us() == pytest.approx(TIMING.grace_us, abs=10_000)
        poison.heal()
        world.clock.pause_us(TIMING.grace_us + 1)
        assert sweep(world).done["wake-ups repeated"] == 1
        world.clock.pause_us(max(0, due_us(world) - clock.now_us()) + 1)


def test_what_only_has_to_be_sent_again_is_neither_put_off_nor_a_failure(world: World) -> None:
    submitted(world, "r")
    before_us = due_us(world)

    def busy(request: Request, send: Send) -> Answer:
        return refusal(Kind.THROTTLE, request) if request.operation == "BatchGetItem" else send(request)

    client = world.store.another_client()
    wire_of(client).add(busy, floor=Floor.FAULT)
    swept = Sweep(world.another(client).runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert (swept.done, swept.failures) == ({"looked at": 1, "left for later": 1}, [])
    assert due_us(world) == before_us


def test_it_is_put_off_only_from_where_it_was_seen(world: World) -> None:
    submitted(world, "r")
    Poison(world, "a branch packed by another release")
    seen, other_us = due.Entry(due_us(world), keys.branch("r", "a")), clock.now_us() + 7
    late = pausing(world, "UpdateItem", partial(due.look_later, world.observer.runtime.ledger.table, seen, other_us))
    swept = Sweep(late.runtime, name="late").sweep(until_us=clock.now_us() + 10**12)
    assert swept.done["failed"] == 1
    assert due_us(world) == other_us


def test_all_are_counted_though_not_all_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.tally._NAMED", 2)
    submitted(world, "r", "s", "t")
    Poison(world, "a version that is gone")
    swept = sweep(world)
    assert swept.done["failed"] == 3
    assert len(swept.failures) == 2
    assert isinstance(swept.failures[0], Failure)
    assert "register it again" in swept.failures[0].error


def test_what_has_expired_and_is_not_deleted_yet_is_met_once(world: World) -> None:
    submitted(world, "r")
    world.clock.pause_us(TIMING.timeout_us + TIMING.retention_us + DAY_US)
    assert sweep(world).done["looked at"] == 2
    assert sweep(world).done == {}
