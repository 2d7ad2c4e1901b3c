"""How long a run of a shape may take, and how often anybody may look: what its script calls for, and what faults add.

These are figures of the design, not of a run: a run that nothing has happened to is held against them as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from cascade_flow import StepDefinition
from cascade_flow.retry import attempts_allowed
from shapes import Shape
from simulation import BEGIN_US, TIMING
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
        kinds = [passed.kind for passed in happened]
        deaths, unwoken = sum(kind in CRASHES for kind in kinds), sum(kind in UNWOKEN for kind in kinds)
        attempts = sum(len(list(_acts(shape, step))) for step in shape.steps) + deaths
        events = sum(step.event is not None for step in shape.steps)
        looks = _looks(shape) + deaths * events * LOOKS_AT_A_FULL_EVENT
        looks += kinds.count(Kind.DROP_AFTER) * _timed_out_us(shape) // SWEEP_US
        looks += deaths * (2 * _width(shape) + _run_looks(shape)) + unwoken * (_width(shape) + 1)
        asked = attempts * REQUESTS_OF_AN_ATTEMPT + events * REQUESTS_OF_A_SIGNAL
        asked += looks * REQUESTS_OF_A_LOOK + len(kinds) * REQUESTS_OF_A_FAULT
        return cls(_waits_us(shape) + deaths * LOST_WORKER_US + unwoken * LOST_MESSAGE_US, attempts, looks, asked)


def _acts(shape: Shape, step: StepDefinition) -> Iterator[str]:
    """What the step does at each of its attempts."""
    script = shape.script.get(step.id, ["ok"])
    for number in range(attempts_allowed(step.retry)):
        act = script[min(number, len(script) - 1)]
        yield act
        if act not in ("fail", "die"):
            return


def _waits_us(shape: Shape) -> int:
    """The availability, the delays of retries by their policy (SQS counts in seconds), leases of lost workers."""
    begin_us = int(str(shape.submission.get("available_at", BEGIN_US)))
    return begin_us - BEGIN_US + sum(_waits_of_step_us(shape, step) for step in shape.steps) + BUSY_US


def _waits_of_step_us(shape: Shape, step: StepDefinition) -> int:
    if step.event is not None:
        return 0 if step.id in shape.outside else (step.event.timeout_us or 0) + SWEEP_US
    acts = list(_acts(shape, step))
    fails = [number for number, act in enumerate(acts[:-1]) if act == "fail"]
    return acts.count("die") * LOST_WORKER_US + sum(_longest_delay_us(step, number) for number in fails)


def _longest_delay_us(step: StepDefinition, retries: int) -> int:
    [tier] = step.retry
    grown_ms = min(tier.delay_ms * tier.backoff**retries, tier.max_delay_ms)
    return ceil(grown_ms * (1 + tier.jitter) / 1_000) * 1_000_000


def _looks(shape: Shape) -> int:
    """Once at a run that waits to be started; at an attempt that was retried; twice at a worker that is lost."""
    acts = [act for step in shape.steps for act in _acts(shape, step)]
    timed_out = 2 * (_timed_out_us(shape) > 0)
    return acts.count("fail") + 2 * acts.count("die") + ("available_at" in shape.submission) + timed_out


def _timed_out_us(shape: Shape) -> int:
    """For how long events are waited for that nobody sends: a join beside them that was counted twice is full as long,
    and looked at with every sweep.
    """
    waits = (step.event.timeout_us or 0 for step in shape.steps if step.event and step.id not in shape.outside)
    return sum(waits)


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
