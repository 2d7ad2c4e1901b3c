"""How long whole runs take in one process, beside the least that any engine on this table has to ask for, by boto3.

Both are asked of the same server in another process, in turn, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, NamedTuple

from benchmarks.cold import Stage, conditional_update, stage
from cascade_flow import RunSubmission, StepDefinition, WorkflowRegistration, clock
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Claimant
from cascade_flow.operations.steps import Steps
from testbed.servers import Store, connect

LENGTH, WIDTH = 10, 100
_TIMES = {LENGTH: 30, WIDTH: 5}
_LEASE_US = 60_000_000


class Spent(NamedTuple):
    """Seconds: that passed, and of this process's processor."""

    passed_s: float
    processor_s: float


@dataclass(frozen=True)
class Speed:
    """What a run took and its floor, and how many steps it has; and how long it was wanted to take, in floors."""

    name: str
    ours: Spent
    floor: Spent
    steps: int
    wanted: float

    @property
    def ratio(self) -> float:
        """Time in multiples of the floor's."""
        return self.ours.passed_s / self.floor.passed_s

    @property
    def processor_ratio(self) -> float:
        """The client's processor time, without the emulator's, in multiples of the floor's."""
        return self.ours.processor_s / self.floor.processor_s


def speeds() -> list[Speed]:
    """A line of ten steps, and a fan-out of a hundred with its join."""
    with stage() as made:
        line = [_step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(LENGTH)]
        middle = [_step(f"p{n}", "a") for n in range(WIDTH)]
        wide = [_step("a"), *middle, _step("j", *(step.id for step in middle))]
        writes = partial(_times, LENGTH, conditional_update(made.store))
        pairs = partial(_times, 2 * WIDTH, _transaction(made.store))
        return [
            _measured(made, "a run of 10 steps, beside a conditional update a step", line, writes, LENGTH, 1 / 1.2),
            _measured(made, "a fan-out of 100 and join, beside 2 transactions a step", wide, pairs, WIDTH, 1.2),
        ]


def _measured(
    made: Stage, name: str, steps: list[StepDefinition], floor: Callable[[], object], number: int, wanted: float
) -> Speed:
    slug = f"speed-{number}"
    made.backend.register_workflow(WorkflowRegistration(slug=slug, name=slug, steps=steps))
    run = partial(_run, made, slug)
    assert made.backend.runtime.run(run()).status == "completed"
    floor()
    ours, theirs = zip(*((_spent(run), _spent(floor)) for _ in range(_TIMES[number])), strict=True)
    return Speed(name, _typical(ours), _typical(theirs), len(steps), wanted)


def _run(made: Stage, slug: str) -> str:
    """Submit a run, and carry it out to its end as a worker does whose steps take no time."""
    engine = Steps(made.backend.runtime)
    made.wakes.sent.clear()
    run_id = made.backend.submit_run(RunSubmission(workflow_slug=slug)).run_id
    while made.wakes.sent:
        held = engine.claim(made.wakes.sent.pop(0), "bench")
        while held is not None and held.running:
            claimant = Claimant("bench", clock.now_us() + _LEASE_US)
            held = engine.report(held, Complete("null", 1, None, claimant))
    return run_id


def _transaction(store: Store) -> Callable[[], Any]:
    """An event that is put, and a state that follows it."""
    client = connect("dynamodb", store.server.endpoint_url)
    put = {"TableName": store.table, "Item": {"pk": {"S": "bench"}, "sk": {"S": "event"}, "a": {"B": b"x" * 300}}}
    update = {
        "TableName": store.table,
        "Key": {"pk": {"S": "bench"}, "sk": {"S": "state"}},
        "UpdateExpression": "SET #a = :a",
        "ConditionExpression": "attribute_not_exists(#c)",
        "ExpressionAttributeNames": {"#a": "a", "#c": "c"},
        "ExpressionAttributeValues": {":a": {"B": b"x" * 300}},
    }
    return partial(client.transact_write_items, TransactItems=[{"Put": put}, {"Update": update}])


def _times(number: int, call: Callable[[], object]) -> None:
    for _ in range(number):
        call()


def _spent(act: Callable[[], object]) -> Spent:
    begun = Spent(time.perf_counter(), time.process_time())
    act()
    return Spent(time.perf_counter() - begun.passed_s, time.process_time() - begun.processor_s)


def _typical(spent: Sequence[Spent]) -> Spent:
    return Spent(*(median(times) for times in zip(*spent, strict=True)))


def _step(id: str, *dependencies: str) -> StepDefinition:
    return StepDefinition(id=id, name=id, dependencies=list(dependencies))
