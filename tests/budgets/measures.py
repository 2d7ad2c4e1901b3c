"""Runs the product and counts: each function carries real runs on a table and answers what they cost.

Everything that a run, a step, an error may carry is filled; outputs are some 100 bytes. What is allowed is `figures`'s.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from budgets.figures import (
    CHAINED,
    DELAYED,
    FAN_IN,
    GET_RUN,
    HEARTBEAT,
    LATER,
    LIMITED,
    LIMITED_CHAINED,
    LIMITED_HEARTBEAT,
    LIMITED_WAITING,
    ONE_BRANCH,
    PARALLEL,
    QUEUED,
    RETRY,
    TICK,
    TOLD,
    Figure,
    Spent,
)
from cascade_flow import (
    DynamoDBBackend,
    ResourceSnapshot,
    ResourceUsage,
    ScheduleDefinition,
    StepDefinition,
    StepError,
    StepLimit,
    clock,
)
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.commands import Command, Complete, Fail
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.wake import Wake
from checker import Checked, check_run
from contract.called import Called
from shapes import chain, wide
from simulation import OUTPUT, TIMING, USAGE, TickingClock, World
from testbed.meter import Line, Meter, meter
from testbed.servers import Server, Store, fresh_table

WORKER = "orders-worker-8f14e45fceea467f"
SLOT = Slot(3, 8)
SNAPSHOT = ResourceSnapshot(memory_bytes=84_123_648, cpu_time_us=169_134)
FRAMES = ["load", "check", "price", "reserve", "charge", "request", "send", "receive"]
STACK = "Traceback (most recent call last):\n" + "".join(
    f'  File "/var/task/shop/{name}.py", line {17 * number}, in {name}_order\n    {name}(order, limit=limits.{name})\n'
    for number, name in enumerate(FRAMES, start=2)
)
ERROR = StepError(name="PaymentRefused", message="card 4111 was refused: insufficient funds", stack=STACK)
SUBMISSION: dict[str, Any] = {
    "input": {
        "order": "A-1029",
        "customer": "c-55871",
        "items": ["tea", "cup", "pot"],
        "express": True,
        "coupon": None,
    },
    "priority": 5,
    "timeout": 86_400_000_000,
    "metadata": {"source": "shop", "region": "eu-west-1"},
    "tags": ["paid", "express"],
    "idempotency_key": "order-A-1029",
}
_INPUT: dict[str, Any] = {"input": SUBMISSION["input"]}


@dataclass
class Metered(World):
    """A world with one worker, whose requests are counted; nothing breaks, so nothing has to be swept."""

    beats: bool = False
    lines: list[Line] = field(default_factory=list)
    began: dict[tuple[str, int], int] = field(default_factory=dict)
    """How many requests had been sent when a step's attempt was in its worker's hands."""
    reported: dict[tuple[str, int], Spent] = field(default_factory=dict)
    beaten: list[Spent] = field(default_factory=list)

    def deliver(self, wake: Wake, backend: DynamoDBBackend | None = None, *, worker: str = WORKER) -> None:
        steps = Steps(self.backend.runtime)
        held = steps.claim(wake, worker, slot=SLOT)
        while held is not None and held.running:
            steps.inputs(held)
            attempt = (held.branch.step, held.branch.attempt)
            self.began[attempt] = len(self.lines)
            held = self._beat(steps, held) if self.beats else held
            before = len(self.lines)
            held = steps.report(held, self.act(held, worker))
            self.reported[attempt] = Spent.on(self.lines[before:])

    def act(self, held: HeldAttempt, worker: str, runtime: Runtime | None = None) -> Command:
        command = super().act(held, worker, runtime)
        if isinstance(command, Fail):
            return replace(command, error=ERROR)
        if not isinstance(command, Complete):
            return command
        filled = _filled(command, held.branch.step)
        self.clock.pause_us(int(filled.duration_us))
        return filled

    def carry(self) -> None:
        """Deliver whatever is in the queue until it is empty."""
        while self.mailbox.wakes:
            wake = self.mailbox.wakes.pop(0)
            self.clock.pause_us(max(0, wake.available_at_us - clock.now_us()))
            self.deliver(wake)

    def between(self, first: str, last: str) -> Spent:
        """What was spent from the start of one step to the start of another."""
        return Spent.on(self.lines[self.began[first, 1] : self.began[last, 1]])

    def _beat(self, steps: Steps, held: HeldAttempt) -> HeldAttempt:
        before = len(self.lines)
        held = steps.heartbeat(held, snapshot=SNAPSHOT)
        self.beaten.append(Spent.on(self.lines[before:]))
        return held


def _filled(command: Complete, step: str) -> Complete:
    """The report of a step that is like no other's: numbers and texts don't repeat along a chain."""
    dice = random.Random(step)
    claimant = command.claimant and replace(
        command.claimant, slot_index=SLOT.index, worker_concurrency=SLOT.concurrency
    )
    return replace(
        command,
        output=json.dumps(output_of(dice)),
        duration_us=dice.randrange(10_000, 90_000_000),
        resource_usage=_usage(dice),
        claimant=claimant,
    )


def output_of(dice: random.Random) -> dict[str, Any]:
    """Some 100 bytes of JSON."""
    order, total = f"A-{dice.randrange(10_000):04}", dice.randrange(100_000) / 100
    items = dice.sample(["tea", "cup", "pot", "sugar", "lemon", "spoon", "tray"], 3)
    return {
        "order": order,
        "total": total,
        "items": items,
        "paid": dice.random() < 0.5,
        "token": dice.randbytes(8).hex(),
    }


def _usage(dice: random.Random) -> ResourceUsage:
    user_us, system_us = dice.randrange(10_000, 9_000_000), dice.randrange(1_000, 900_000)
    return ResourceUsage(
        peak_memory_bytes=dice.randrange(60_000_000, 400_000_000),
        cpu_time_user_us=user_us,
        cpu_time_system_us=system_us,
        cpu_time_total_us=user_us + system_us,
        voluntary_context_switches=dice.randrange(500),
        involuntary_context_switches=dice.randrange(50),
    )


@contextmanager
def metered(
    store: Store, steps: Sequence[StepDefinition], *, kind: type[Metered] | None = None, **options: Any
) -> Iterator[tuple[Metered, Meter]]:
    """A world with this workflow, its backend's requests counted while the block runs."""
    world = (kind or Metered)(store, **options)
    with clock.use(world.clock):
        world.register(steps, input_schema_json={"type": "object"})
        world.backend.runtime.registry.graph("flow", _version(world))
        with meter(store.client, store.table) as counting:
            world.lines = counting.lines
            yield world, counting


def _version(world: Metered) -> str:
    """The current version; a process that has worked before knows its graph already."""
    version = world.observer.get_current_workflow_version("flow")
    assert version is not None
    return version.version_id


def finished(world: Metered, **options: Any) -> Checked:
    """Carry one filled run to its end and hold it against the promises."""
    run_id = world.submit(**{**SUBMISSION, **options})
    world.carry()
    checked = check_run(world.observer, run_id)
    assert checked.status == "completed"
    return checked


def chained(store: Store, *, length: int = 50) -> Figure:
    """A step of a line that one worker carries on with, from its start to the next one's."""
    return Figure(CHAINED, _hop(store, length, chained=True))


def queued(store: Store, *, length: int = 50) -> Figure:
    """A step of a line whose every step is another worker's, from its start to the next one's."""
    return Figure(QUEUED, _hop(store, length, chained=False))


def _hop(store: Store, length: int, *, chained: bool, **options: Any) -> Spent:
    with metered(store, chain(length), chained=chained) as (world, _):
        finished(world, **options)
        return world.between("s0", f"s{length - 1}").per(length - 1)


def fan_out(store: Store, *, width: int = 100) -> Figure:
    """Each of many parallel steps, from its creation to the join's start."""
    with metered(store, wide(width)) as (world, _):
        finished(world)
        return Figure(PARALLEL, world.between("a", "j").per(width))


def fan_in(store: Store, *, width: int = 300) -> Figure:
    """What each arrival costs beyond the completion itself: the requests that write the join."""
    with metered(store, wide(width)) as (world, _):
        finished(world)
        joining = [line for line in world.lines if line.is_write and any('"B#j"' in key for key in line.keys)]
        opened = next(number for number, line in enumerate(joining) if line.operation == "TransactWriteItems")
        arrivals = joining[: opened + 1]
        assert not [line for line in arrivals if line.failure], "an arrival was refused"
        return Figure(FAN_IN, Spent.on(arrivals).per(width))


def retry(store: Store) -> Figure:
    """The dearest failure with a retry along a chain, with anything from one step to ten in the branch's tail."""
    failing = [f"s{number * (number + 1) // 2}" for number in range(11)]
    with metered(store, chain(57), script={step: ["fail", "ok"] for step in failing}) as (world, _):
        finished(world)
        return Figure(RETRY, _dearest([world.reported[step, 1] for step in failing]))


def delayed(store: Store, *, length: int = 50) -> Figure:
    """A step that starts a minute after the one before it, from that one's start to its own."""
    line = chain(length)
    waiting = [step.model_copy(update={"delay_ms": 60_000}) for step in line]
    with metered(store, waiting, chained=False) as (world, _):
        finished(world)
        spent = world.between("s0", f"s{length - 1}").per(length - 1)
    return Figure(DELAYED, spent.less(_hop(store, length, chained=False, idempotency_key=None)))


def later(store: Store, *, times: int = 40) -> Figure:
    """What a step says that is not ready: the mean of many, since some of them log what the others left in the tail."""
    with metered(store, chain(2), script={"s0": [*["later"] * times, "ok"]}) as (world, _):
        finished(world)
        said = [world.reported["s0", attempt] for attempt in range(1, times + 1)]
        units, requests = (sum(getattr(each, name) for each in said) for name in ("write_units", "write_requests"))
        return Figure(LATER, Spent(units, requests, sum(each.reads for each in said)).per(times))


def heartbeat(store: Store, *, length: int = 50) -> Figure:
    """The dearest heartbeat along a line, of steps chained and of steps claimed."""
    beaten: list[Spent] = []
    for is_chained in (True, False):
        with metered(store, chain(length), beats=True, chained=is_chained) as (world, _):
            finished(world, idempotency_key=None)
            beaten += world.beaten
    return Figure(HEARTBEAT, _dearest(beaten))


def _limited(length: int, at_most: int) -> list[StepDefinition]:
    limit = StepLimit(name="stripe", at_most=at_most)
    return [step.model_copy(update={"limit": limit}) for step in chain(length)]


def limited(store: Store, *, length: int = 50) -> Figure:
    """A step of a line whose every step needs a place, and finds one."""
    with metered(store, _limited(length, 10), chained=False) as (world, _):
        finished(world)
        return Figure(LIMITED, world.between("s0", f"s{length - 1}").per(length - 1))


def limited_chained(store: Store, *, length: int = 50) -> Figure:
    """The same, carried on by one worker, which takes each place before the commit that needs it."""
    with metered(store, _limited(length, 10)) as (world, _):
        finished(world)
        return Figure(LIMITED_CHAINED, world.between("s0", f"s{length - 1}").per(length - 1))


def limited_waiting(store: Store, *, length: int = 25) -> Figure:
    """A step of two such lines that share a single place: each waits in line, and is called out when it is its turn."""
    with metered(store, _limited(length, 1), chained=False) as (world, counting):
        for name in ("one", "other"):
            world.submit(**SUBMISSION | {"idempotency_key": name})
        counting.reset()
        world.carry()
        spent = [line for line in counting.lines if line.operation != "TransactWriteItems"]
        return Figure(LIMITED_WAITING, Spent.on(spent).per(2 * length))


def limited_heartbeat(store: Store, *, length: int = 20) -> Figure:
    """The dearest heartbeat along a line of limited steps."""
    with metered(store, _limited(length, 10), beats=True) as (world, _):
        finished(world, idempotency_key=None)
        return Figure(LIMITED_HEARTBEAT, _dearest(world.beaten))


def one_branch(store: Store) -> Figure:
    """A run of a single step, from its submission to its end: the step's claim and report are in it."""
    with metered(store, chain(1)) as (world, _):
        finished(world)
        return Figure(ONE_BRANCH, Spent.on(line for line in world.lines if line.is_write))


def get_run(store: Store, *, length: int = 50) -> Figure:
    """One look at a run with a long history."""
    with metered(store, chain(length)) as (world, counting):
        run_id = finished(world).story.run.run_id
        counting.reset()
        assert world.backend.get_run(run_id) is not None
        return Figure(GET_RUN, Spent.on(counting.lines))


def tick(store: Store) -> Figure:
    """What a sweep asks for one of a schedule's times, without what a submission of the same run asks, and without its
    look at the index, which it takes anyway.
    """
    with metered(store, chain(1)) as (world, counting):
        nightly = ScheduleDefinition(name="nightly", cron="0 3 * * 1-5", timezone="Europe/Berlin", **_INPUT)
        world.register(chain(1), schedules=[nightly])
        next_us = world.backend.schedules.get("flow", "nightly").next_times_us[0]
        world.clock.pause_us(next_us - 30_000_000 - clock.now_us())
        counting.reset()
        assert world.sweep()["runs of schedules submitted"] == 1
        asked = Spent.on(line for line in counting.lines if line.operation != "Query")
        told = world.observer.list_runs(workflow_slug="flow").runs[0]
        known = {"tags": told.tags, "metadata": told.metadata, "idempotency_key": f"{told.idempotency_key}, again"}
        counting.reset()
        world.submit(**_INPUT, **known, available_at=told.available_at)
        return Figure(TICK, asked.less(Spent.on(counting.lines)))


def told(store: Store, *, steps: int = 10) -> Figure:
    """A step as its caller tells of it: scheduled, claimed, completed."""
    with clock.use(TickingClock()):
        run = Called.new(DynamoDBBackend(store.table, client=store.client, timing=TIMING))
        with meter(store.client, store.table) as counting:
            for number in range(steps):
                run.schedule(f"s{number}", priority=5)
                run.complete(f"s{number}", run.take(f"s{number}"), OUTPUT, resource_usage=USAGE)
        check_run(run.backend, run.run_id)
        return Figure(TOLD, Spent.on(counting.lines).per(steps))


MEASURES: Sequence[Callable[[Store], Figure]] = (
    queued,
    chained,
    fan_out,
    fan_in,
    retry,
    delayed,
    later,
    one_branch,
    heartbeat,
    limited,
    limited_chained,
    limited_waiting,
    limited_heartbeat,
    tick,
    get_run,
    told,
)
"""Every figure that has a budget."""


@cache
def measured(server: Server, measure: Callable[[Store], Figure]) -> Figure:
    """What was counted on a table of its own; once for all who ask in this process."""
    with fresh_table(server, create_table) as store:
        return measure(store)


def _dearest(spent: Sequence[Spent]) -> Spent:
    return max(spent, key=lambda each: (each.write_units, each.write_requests))
