"""Counts what children cost: a run for each item of what a map goes over, and one for each batch of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from budgets.figures import BATCHED, CHILD, Figure, Spent
from budgets.measures import SUBMISSION, WORKER, Metered, metered, output_of
from cascade_flow import ChildrenDefinition, RetryTier
from cascade_flow.dynamodb import keys
from cascade_flow.engine.commands import Command, Complete, KeepCheckpoint
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from checker import check_run
from clauses.stage import FATAL
from simulation import step
from testbed.meter import Line
from testbed.servers import Store

RUN = "order-A-1029"


class Families(Metered):
    """A world whose map goes over so many items; who does a batch stores each item's result when it has it."""

    items: int = 0
    handed_out: int = 0
    """How many requests had been sent when its items were to be handed out, and when all were over."""
    over: int = 0

    def act(self, held: HeldAttempt, worker: str, runtime: Runtime | None = None) -> Command:
        if held.facts.graph.step(held.branch.step).children is not None:
            command, self.over = super().act(held, worker, runtime), len(self.lines)
            self.handed_out = self.handed_out or self.over
            return command
        if held.branch.step == "lines":
            return Complete(json.dumps([{"line": number, "sku": f"sku-{number}"} for number in range(self.items)]), 1)
        return super().act(held, worker, runtime)

    def _beat(self, steps: Steps, held: HeldAttempt) -> HeldAttempt:
        if held.facts.up is None:
            return held
        for place, _ in enumerate(json.loads(steps.inputs(held).outputs["lines"] or "")):
            held = steps.report(held, KeepCheckpoint("item", place, data=json.dumps(output_of(random.Random(place)))))
        return held


def child(store: Store, *, items: int = 60) -> Figure:
    """An item of a map, from its release to its arrival; what its release takes is every tenth's."""
    with carried(store, items, concurrency=20) as (world, spent):
        assert world.items == items
        return Figure(CHILD, Spent.on(spent).per(items))


def batched(store: Store, *, items: int = 200) -> Figure:
    """An item of a map, of which a worker does twenty in a row."""
    with carried(store, items, batch=20, concurrency=5) as (_, spent):
        return Figure(BATCHED, Spent.on(spent).per(items))


@contextmanager
def carried(store: Store, items: int, *, concurrency: int, batch: int = 1) -> Iterator[tuple[Families, Sequence[Line]]]:
    """A run with a map is carried to its end: what was asked from the first release to the last child's end."""
    over = ChildrenDefinition(kind="map", over="lines", concurrency=concurrency, batch=batch)
    steps = [step("lines"), step("pack", "lines", children=over), step("total", "pack", export_output=True)]
    with metered(store, steps, kind=Families, beats=over.batch > 1) as (world, _):
        assert isinstance(world, Families)
        world.items = items
        world.submit(**SUBMISSION, run_id=RUN)
        world.carry()
        assert check_run(world.observer, RUN).status == "completed"
        yield world, world.lines[world.handed_out : world.over]


def end_while_failing(store: Store, children: int) -> float:
    """The requests of one child's end while its map fails, for another one, and waits for the steps of all these."""
    over = ChildrenDefinition(kind="map", over="lines", concurrency=children)
    once = [RetryTier(max_attempts=1)]
    with metered(store, [step("lines"), step("pack", "lines", children=over, retry=once)], kind=Families) as (world, _):
        assert isinstance(world, Families)
        world.items = children
        world.submit(**SUBMISSION, run_id=RUN)
        while parents := [wake for wake in world.mailbox.wakes if wake.run_id == RUN]:
            world.mailbox.wakes.remove(parents[0])
            world.deliver(parents[0])
        steps = Steps(world.backend.runtime)
        first, *others = [steps.claim(wake, WORKER) for wake in world.mailbox.wakes]
        steps.report(cast(HeldAttempt, first), FATAL)
        before = len(world.lines)
        for held in others:
            steps.report(cast(HeldAttempt, held), Complete('"x"', 1))
        assert check_run(world.observer, RUN).status == "failed"
        return (len(world.lines) - before) / len(others)


def writes_of(run_id: str, lines: Sequence[Line]) -> int:
    """How many items of a run were written."""
    return sum(
        json.loads(key)["pk"] == {"S": keys.run(run_id).pk} for line in lines if line.is_write for key in line.keys
    )


FAMILIES = (child, batched)
