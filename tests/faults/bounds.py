"""How long a run of a shape may take, and how often anybody may look: what its script calls for, and what faults add.

These are figures of the design, not of a run: a run that nothing has happened to is held against them as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import ceil

from cascade_flow import StepDefinition, UndoDefinition
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.graph import each_with_undo
from cascade_flow.retry import attempts_allowed
from shapes import ONCE, Shape
from simulation import BEGIN_US, LATER_US, TIMING, Script
from testbed.faults import CRASHES, UNWOKEN, Kind, Passed

SWEEP_US = 5_000_000
"""How often the sweep comes."""
BUSY_US = 1_000_000
"""More than all that is done in a run takes by the clock, conflicts included: what takes time here is waiting."""
LOST_WORKER_US = TIMING.lease_us + SWEEP_US
LOST_MESSAGE_US = TIMING.grace_us + SWEEP_US
REQUESTS_OF_AN_ATTEMPT = 8
REQUESTS_OF_A_SIGNAL = 6
LOOKS_AT_A_FULL_EVENT = 2 + LOST_WORKER_US // SWEEP_US
"""At every sweep, while somebody may stand between raise and commit: until a lost worker's lease is over."""
REQUESTS_OF_A_LOOK = 14
"""A sweep asks eight shards."""
REQUESTS_OF_A_FAULT = 5
REQUESTS_OF_A_CHILD = 7
"""To make it, count its end, look at its parent's step and at those that are out, and write what comes of that."""
LOOKS_AT_A_FAMILY = 4
"""While a child is lost: at its parent's step, after each lease; and at the end that was counted and has not come.
Beside these one, where children wait for their time: a lease after they were made it is put off.
"""
REQUESTS_OF_A_PLACE = 7
"""To look for it, take it, give it back, look who is next; for who waits to line up, look again, leave."""
LOOKS_OF_WHO_WAITS = 3
"""While a place is lost: after a grace, after as long again, and when it is free."""
LOST_PLACE_US = LOST_WORKER_US + TIMING.grace_us
"""A place outlives the lease by a grace."""


@dataclass(frozen=True)
class Bound:
    """What a run may take at the most."""

    us: int
    attempts: int
    looks: int
    requests: int

    @classmethod
    def of(cls, shape: Shape, happened: Iterable[Passed]) -> Bound:
        """The bound of a run of this shape to which that has happened."""
        families, shape = [step for step in shape.steps if step.children is not None], unrolled(shape)
        kinds = [passed.kind for passed in happened]
        deaths, unwoken = sum(kind in CRASHES for kind in kinds), sum(kind in UNWOKEN for kind in kinds)
        attempts = sum(len(list(_acts(shape, step))) for step in each_with_undo(shape.steps)) + deaths
        places = _places(shape)
        events = sum(step.event is not None for step in shape.steps)
        looks = _looks(shape) + deaths * (2 * _width(shape) + _run_looks(shape)) + unwoken * (_width(shape) + 1)
        looks += (deaths + unwoken) * _width(shape) * LOOKS_OF_WHO_WAITS if places else 0
        looks += kinds.count(Kind.DROP_AFTER) * _looks_at_who_was_counted_twice(shape)
        looks += deaths * events * LOOKS_AT_A_FULL_EVENT
        looks += (deaths + unwoken + kinds.count(Kind.DROP_AFTER)) * len(families) * LOOKS_AT_A_FAMILY
        looks += len(families) * any(step.delay_ms or step.poll_every_ms for step in families)
        lost_us = LOST_PLACE_US if places else LOST_WORKER_US
        asked = (places + deaths if places else 0) * REQUESTS_OF_A_PLACE
        asked += attempts * REQUESTS_OF_AN_ATTEMPT + events * REQUESTS_OF_A_SIGNAL
        asked += len(shape.steps) * REQUESTS_OF_A_CHILD if families else 0
        asked += looks * REQUESTS_OF_A_LOOK + len(kinds) * REQUESTS_OF_A_FAULT
        return cls(_waits_us(shape) + deaths * lost_us + unwoken * LOST_MESSAGE_US, attempts, looks, asked)


def unrolled(shape: Shape) -> Shape:
    """The same work without children: a step hands out, the steps of all children follow, and another collects."""
    if not any(step.children for step in shape.steps):
        return shape
    steps, script = list[StepDefinition](), dict(shape.script)
    for step in shape.steps:
        own, of_children = _work_of(shape, step)
        steps += own
        script |= of_children
    return replace(shape, steps=steps, script=script)


def _work_of(shape: Shape, step: StepDefinition) -> tuple[list[StepDefinition], Script]:
    """All that is done for a step, as steps that depend on each other, and what these do."""
    if step.children is None:
        return [step], {}
    given = "" if step.children.over is None else shape.script[step.children.over][0].partition(" ")[0]
    bodies = shape.called if step.children.kind == "workflow" else [step] * -(-int(given) // step.children.batch)
    inner, script, first = list[StepDefinition](), dict[str, Sequence[str]](), f"{step.id} hands out"
    for number, body in enumerate(bodies):
        acts = _acts_of_child(shape, step, number)
        below, more = ([body], {}) if step.children.kind == "map" else _work_of(shape, body)
        for each in below:
            id = f"{step.id}~{number}~{each.id}"
            needs = [f"{step.id}~{n}~{b.id}" for n, b in enumerate(bodies) if b.id in each.dependencies]
            plain = {"id": id, "children": None, "dependencies": needs or [first]}
            inner.append(each.model_copy(update=plain))
            script[id] = more.get(each.id, acts if step.children.kind == "map" else shape.script.get(each.id, ["ok"]))
    hands_out = step.model_copy(update={"id": first, "children": None, "retry": ONCE})
    collects = step.model_copy(update={"children": None, "retry": ONCE, "dependencies": [each.id for each in inner]})
    return [hands_out, *inner, collects], script


def _acts_of_child(shape: Shape, step: StepDefinition, number: int) -> Sequence[str]:
    """Of a batch those of the item that takes longest."""
    batch = step.children.batch if step.children is not None else 1
    named = [shape.script.get(f"{step.id}~{n}", ["ok"]) for n in range(number * batch, (number + 1) * batch)]
    return max(named, key=len) if all("fatal" not in acts for acts in named) or batch == 1 else ["fail"]


def _places(shape: Shape) -> int:
    """How many attempts need a place of a limit."""
    return sum(len(list(_acts(shape, step))) for step in shape.steps if step.limit is not None)


def _acts(shape: Shape, step: StepDefinition | UndoDefinition) -> Iterator[str]:
    """What the step does at each of its attempts."""
    script, tried = shape.script.get(step.id, ["ok"]), 0
    for number in count():
        act = script[min(number, len(script) - 1)]
        tried += act != "later"
        yield act
        if act not in ("fail", "die", "later") or tried == attempts_allowed(step.retry):
            return


def _waits_us(shape: Shape) -> int:
    """The availability, the delays of steps, those of retries by their policy (SQS counts in seconds), the times after
    which steps come again that are not ready, leases of lost workers.
    """
    begin_us = int(str(shape.submission.get("available_at", BEGIN_US)))
    waits_us = sum(_waits_of_step_us(shape, step) for step in shape.steps)
    undos_us = sum(_retries_us(shape, step.undo) for step in shape.steps if step.undo is not None)
    return begin_us - BEGIN_US + waits_us + undos_us + BUSY_US


def _waits_of_step_us(shape: Shape, step: StepDefinition) -> int:
    if step.event is not None:
        return 0 if step.id in shape.outside else (step.event.timeout_us or 0) + SWEEP_US
    return _retries_us(shape, step) + (step.delay_ms or 0) * 1_000


def _retries_us(shape: Shape, step: StepDefinition | UndoDefinition) -> int:
    acts = list(_acts(shape, step))
    tries = [act for act in acts if act != "later"]
    fails = [number for number, act in enumerate(tries[:-1]) if act == "fail"]
    lost_us = acts.count("die") * LOST_WORKER_US
    return lost_us + sum(_longest_delay_us(step, n) for n in fails) + acts.count("later") * (LATER_US + 1_000_000)


def _longest_delay_us(step: StepDefinition | UndoDefinition, retries: int) -> int:
    [tier] = step.retry
    grown_ms = min(tier.delay_ms * tier.backoff**retries, tier.max_delay_ms)
    return ceil(grown_ms * (1 + tier.jitter) / 1_000) * 1_000_000


def _looks(shape: Shape) -> int:
    """Once at a run that waits to be started; at an attempt that was retried, or isn't ready; at one that waits for
    longer than a message; twice at a worker that is lost.
    """
    acts = [act for step in each_with_undo(shape.steps) for act in _acts(shape, step)]
    far = sum((step.delay_ms or 0) * 1_000 > LONGEST_DELAY_US for step in shape.steps)
    again = acts.count("fail") + acts.count("later") + 2 * acts.count("die")
    timed_out = 2 * any(_is_never_sent(shape, step) for step in shape.steps)
    return again + far + ("available_at" in shape.submission) + timed_out


def _is_never_sent(shape: Shape, step: StepDefinition) -> bool:
    return step.event is not None and step.id not in shape.outside


def _looks_at_who_was_counted_twice(shape: Shape) -> int:
    """How often a join is looked at that is full by a count whose answer was lost, while others wait for their time: by
    each sweep, since somebody may stand between raise and commit.
    """
    waiting = (each for each in shape.steps if each.delay_ms or each.poll_every_ms or _is_never_sent(shape, each))
    return ceil(max((_waits_of_step_us(shape, each) for each in waiting), default=0) / SWEEP_US)


def _run_looks(shape: Shape) -> int:
    """How often the run itself is looked at for a death: once more where it stops, and waits for what the dead had."""
    return 1 if shape.status == "completed" else 2


def _width(shape: Shape) -> int:
    """How many branches live at once at the most, beside a join that waits for them: the roots, and one more for each
    follower of a step but its first.
    """
    roots = sum(not step.dependencies for step in shape.steps)
    followers = Counter(dependency for step in shape.steps for dependency in step.dependencies)
    return roots + sum(count - 1 for count in followers.values())
