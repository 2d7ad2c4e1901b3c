"""The shapes of runs that the suites break, race and measure: steps, what they do, and how the run must end."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade_flow import (
    ChildrenDefinition,
    EventDefinition,
    RetryTier,
    RunLimit,
    StepDefinition,
    StepLimit,
    UndoDefinition,
)
from simulation import Script, step


@dataclass(frozen=True)
class Shape:
    """A workflow, its script and its end; `in_bucket`: its large payloads lie in a bucket;
    `chained`: a worker goes on with the next step itself;
    `outside`: what is sent to each event, as soon as the run waits or, early, before it does;
    `called`: the steps of the workflow that a step runs.
    """

    name: str
    steps: Sequence[StepDefinition]
    status: str = "completed"
    script: Script = field(default_factory=dict)
    submission: Mapping[str, object] = field(default_factory=dict)
    in_bucket: bool = False
    chained: bool = True
    run_limit: RunLimit | None = None
    outside: Mapping[str, object] = field(default_factory=dict)
    sends_early: bool = False
    called: Sequence[StepDefinition] = ()

    def __str__(self) -> str:
        return self.name


def chain(length: int) -> list[StepDefinition]:
    names = [f"s{number}" for number in range(length)]
    return [step(name, *names[max(0, n - 1) : n], export_output=n == length - 1) for n, name in enumerate(names)]


def diamond(**join: object) -> list[StepDefinition]:
    return [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c", export_output=True, **join)]


def wide(width: int) -> list[StepDefinition]:
    middle = [f"p{number}" for number in range(width)]
    return [step("a"), *(step(name, "a") for name in middle), step("j", *middle, export_output=True)]


ONCE = [RetryTier(max_attempts=1)]
NESTED = [step("a"), step("b", "a"), step("c", "a"), step("d", "c"), step("e", "c"), step("f", "b", "d", "e")]

SHAPES = (
    Shape("linear", chain(3)),
    Shape("diamond", diamond()),
    Shape("nested forks", NESTED),
    Shape("two sinks", [step("a"), step("b", "a", export_output=True), step("c", "a", export_output=True)]),
    Shape("two roots", [step("a"), step("b"), step("c", "a", "b")]),
    Shape(
        "retry",
        [step("s0"), step("s1", "s0", retry=[RetryTier(max_attempts=9)])],
        script={"s1": ["fail", "fail", "ok"]},
    ),
    Shape("exhausted", diamond(), status="failed", script={"b": ["fail"]}),
    Shape("fatal", diamond(), status="failed", script={"c": ["fatal"]}),
    Shape("skip", diamond(), script={"b": ["skip"]}),
    Shape("skip stops at one that runs all the same", diamond(skip_cascades=False), script={"b": ["skip"]}),
    Shape("skip of a chain and its forks", NESTED, script={"c": ["skip"]}),
    Shape("skip of everything", chain(3), script={"s0": ["skip"]}),
    Shape("large outputs", diamond(), script={"b": ["large"], "d": ["large"]}),
    Shape("delayed", chain(2), submission={"available_at": 1_800_000_005_000_000}),
)
IN_BUCKET = Shape(
    "outputs in a bucket",
    diamond(),
    script={"b": ["vast"], "d": ["vast"]},
    submission={"input": {"noise": random.Random(7).randbytes(33_000).hex()}},
    in_bucket=True,
)
QUEUED = Shape("every step queued", NESTED, chained=False)
GPU, CPU = "gpu-box", "cpu-box"
POOLS = Shape(
    "steps of pools",
    [
        step("a", executor=GPU),
        step("b", "a"),
        step("c", "a", executor=GPU, retry=[RetryTier(max_attempts=9)]),
        step("d", "b", "c", executor=CPU),
        step("e", "d", executor=CPU),
        step("f", "e", export_output=True),
    ],
    script={"c": ["fail", "ok"]},
)
STRIPE = StepLimit(name="stripe", at_most=1)
LIMITS = Shape(
    "limited steps",
    [
        step("a", limit=STRIPE),
        step("b", "a", limit=STRIPE),
        step("c", "a", limit=STRIPE, retry=[RetryTier(max_attempts=9)]),
        step("d", "b", "c"),
        step("e", "d", limit=STRIPE, export_output=True),
    ],
    script={"c": ["fail", "ok"]},
)
APPROVAL = {"ok": True, "who": "mila"}
WAIT_US = 20_000_000


def event(id: str, *dependencies: str, **declared: object) -> StepDefinition:
    """A node that waits for these, and for the outside."""
    return step(id, *dependencies, event=EventDefinition.model_validate(declared))


EVENTS = (
    Shape("an event", [step("a"), event("e", "a"), step("b", "e", export_output=True)], outside={"e": APPROVAL}),
    Shape(
        "an event that is sent before",
        [step("a"), step("c"), event("e", "a", "c"), step("b", "e"), step("d", "e")],
        outside={"e": APPROVAL},
        sends_early=True,
    ),
    Shape("an event that the run begins and ends with", [event("e")], outside={"e": APPROVAL}),
    Shape(
        "an event that nobody sends",
        [step("a"), event("e", "a", timeout_us=WAIT_US, on_timeout="skip"), step("b", "e"), step("c", "a", "b")],
    ),
)


def undo(id: str, **declared: object) -> UndoDefinition:
    """What undoes a step."""
    return UndoDefinition.model_validate({"id": id, "name": id, **declared})


UNDONE = Shape(
    "undone",
    [step("a", undo=undo("un-a")), step("b", "a", undo=undo("un-b")), step("c", "a")],
    status="failed",
    script={"b": ["large"], "c": ["fatal"], "un-a": ["skip"]},
    submission={"input": {"noise": random.Random(7).randbytes(1_000).hex()}},
)
"""Its input and an output are put aside; one that undoes it has nothing to do."""
UNDONE_LATE = Shape(
    "undone late",
    [
        step("a", undo=undo("un-a")),
        step("b", "a", undo=undo("un-b")),
        step("c", "a", undo=undo("un-c", retry=[RetryTier(max_attempts=9)])),
        step("d", "b", "c"),
    ],
    status="failed",
    script={"d": ["fatal"], "un-c": ["fail", "ok"]},
)
WAITS = Shape(
    "steps that wait",
    [
        step("a"),
        step("b", "a", delay_ms=20_000),
        step("c", "a", retry=[RetryTier(max_attempts=9)], poll_every_ms=20_000),
        step("d", "b", "c", delay_ms=1_000_000, export_output=True),
    ],
    script={"c": ["later", "fail", "later", "ok"]},
)
"""One for as long as a message carries, one for longer, and one that says twice that it isn't ready."""
CALLED = "called"


def mapped(id: str, over: str, *, concurrency: int = 2, batch: int = 1, tolerate: float = 0, **options: object) -> Any:
    """A step that goes over what another gave."""
    over_it = ChildrenDefinition(kind="map", over=over, concurrency=concurrency, batch=batch, tolerate=tolerate)
    return step(id, over, children=over_it, **options)


def calling(id: str, *dependencies: str) -> StepDefinition:
    """A step that runs a workflow."""
    return step(id, *dependencies, children=ChildrenDefinition(kind="workflow", workflow=CALLED))


def packing(**declared: Any) -> list[StepDefinition]:
    """Lines, a map over them, and what follows."""
    return [step("lines"), mapped("pack", "lines", **declared), step("total", "pack", export_output=True)]


AGAIN = [RetryTier(max_attempts=9)]
CHILDREN = (
    Shape("a map", packing(), script={"lines": ["3 items"]}),
    Shape(
        "a map whose items are tried again",
        packing(retry=AGAIN),
        script={"lines": ["3 items"], "pack~1": ["fail", "ok"]},
    ),
    Shape(
        "a map that tolerates",
        packing(tolerate=0.5),
        script={"lines": ["4 items"], "pack~0": ["fatal"], "pack~2": ["fail"]},
    ),
    Shape("a map that fails", packing(), status="failed", script={"lines": ["4 items"], "pack~1": ["fatal"]}),
    Shape("a map of nothing", packing(), script={"lines": ["0 items"]}),
    Shape("a map in batches", packing(batch=2, tolerate=0.5), script={"lines": ["5 items"], "pack~1": ["fatal"]}),
    Shape("a workflow's run", [step("a"), calling("b", "a"), step("c", "b", export_output=True)], called=diamond()),
    Shape(
        "a workflow's run that fails",
        [calling("b"), step("c", "b")],
        status="failed",
        called=diamond(),
        script={"c": ["fatal"]},
    ),
    Shape(
        "two maps, and a map in a workflow's run",
        [step("lines"), mapped("pack", "lines", concurrency=3), calling("b", "lines"), step("total", "pack", "b")],
        script={"lines": ["3 items"]},
        called=packing(concurrency=1),
    ),
)
FAMILIES_THAT_WAIT = (
    Shape("a map whose items share a limit", packing(concurrency=3, limit=STRIPE), script={"lines": ["4 items"]}),
    Shape(
        "a map whose items are a pool's",
        packing(executor=GPU, retry=AGAIN),
        script={"lines": ["3 items"], "pack~1": ["fail", "ok"]},
    ),
    Shape(
        "a map whose items wait",
        packing(delay_ms=20_000, retry=AGAIN),
        script={"lines": ["3 items"], "pack~1": ["later", "fail", "ok"]},
    ),
    Shape(
        "a workflow's run that waits for the outside",
        [calling("b"), step("c", "b", export_output=True)],
        called=[step("a"), event("e", "a", timeout_us=WAIT_US, on_timeout="skip"), step("f", "e")],
    ),
)
"""Children that are held up by what their steps say, as any step's are."""
ONE_RUN = Shape("one run at a time", diamond(), run_limit=RunLimit(at_most=1))
WIDE = Shape("wide", wide(30))
MANY_ROOTS = Shape("many roots", [*(step(f"r{n}") for n in range(30)), step("end", *(f"r{n}" for n in range(30)))])
POISON = Shape("poison", chain(2), status="failed", script={"s1": ["die"]})
