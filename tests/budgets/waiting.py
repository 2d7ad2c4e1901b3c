"""Counts what waits cost: an event from outside, and a join, that wait for a month; and what a signal sets going."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice

from budgets.figures import SIGNAL, WAITING_EVENT, WAITING_JOIN, Figure, Spent
from budgets.measures import Metered, metered, output_of
from cascade_flow import EventDefinition, StepDefinition, clock
from cascade_flow.dynamodb import due
from simulation import step
from testbed.servers import Store

DAY_US = 86_400_000_000
MONTH_US = 30 * DAY_US
RUN = "run"
EVENT = EventDefinition(timeout_us=40 * DAY_US)
STEPS = [step("a"), step("e", "a", event=EVENT), step("b", "e", export_output=True)]
JOINED = [*STEPS, step("j", "a", "b", export_output=True)]


def signalled(store: Store) -> Figure:
    """An event that is sent while its run waits, until the next step is scheduled."""
    with metered(store, STEPS) as (world, counting):
        _until_it_waits(world)
        counting.reset()
        assert world.backend.send_event(RUN, "e", output_of(random.Random("e")), key="mail-17").is_new
        spent = Spent.on(world.lines)
        assert [wake.step for wake in world.mailbox.wakes] == ["b"]
        return Figure(SIGNAL, spent)


def waiting_event(store: Store) -> Figure:
    """All that is asked about an event that is sent after a month, from the end of the step before it."""
    return Figure(WAITING_EVENT, _month(store, STEPS))


def waiting_join(store: Store) -> Figure:
    """What a join that is open as long adds to that; the step behind it is in it."""
    without, having = _month(store, STEPS, run_id="without"), _month(store, JOINED, run_id="having")
    return Figure(WAITING_JOIN, having.less(without))


def _month(store: Store, steps: Sequence[StepDefinition], *, run_id: str = RUN) -> Spent:
    """What is asked about the run meanwhile; that a sweep looks whether anything is due at all is asked anyway."""
    with metered(store, steps) as (world, counting):
        _until_it_waits(world, run_id)
        until_us = clock.now_us() + MONTH_US
        before = len(world.lines)
        while (next_us := _next_due_us(world)) < until_us:
            world.clock.pause_us(max(0, next_us - clock.now_us()) + 1)
            world.sweep(world.backend)
        world.clock.pause_us(max(0, until_us - clock.now_us()))
        assert world.backend.send_event(run_id, "e").is_new
        world.carry()
        assert world.check(run_id).status == "completed"
        return Spent.on(line for line in counting.lines[before:] if line.operation != "Query")


def _until_it_waits(world: Metered, run_id: str = RUN) -> None:
    world.submit(run_id=run_id, timeout=60 * DAY_US)
    world.carry()


def _next_due_us(world: Metered) -> int:
    table = world.observer.runtime.ledger.table
    return next(entry.due_us for entry in islice(due.entries(table, until_us=2**62), 1))


WAITS = (signalled, waiting_event, waiting_join)
"""Every figure of a wait that has a budget."""
