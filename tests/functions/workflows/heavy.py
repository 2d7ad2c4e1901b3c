"""Six workflows: one's input and outputs are too large for the table, and two exported steps share its end; another's
fork is so wide that it is made in several writes, and meets in a join; of one, one lifts at a time;
one is a map whose items wait for somebody outside; what one has done is undone, unless somebody outside ends it well.
"""

from __future__ import annotations

import random

from pydantic import BaseModel

from cascade_flow import Concurrency, Retry, StepContext, Workflow


class Freight(BaseModel):
    text: str


def cargo(seed: int) -> str:
    """Text that can't be packed into an item: 120,000 characters."""
    return random.Random(seed).randbytes(60_000).hex()


heavy = Workflow("heavy", input=Freight)


@heavy.step(retry=Retry(max_attempts=2, delay=0))
def load(input: Freight, ctx: StepContext) -> str:
    ctx.log.info("loading")
    if input.text == "broken" and ctx.attempt == 1:
        raise RuntimeError("the crane is broken")
    return ctx.checkpoint("half", lambda: cargo(1))


@heavy.step
def stow(load: str) -> str:
    return cargo(2)


@heavy.step(export=True)
def left(stow: str) -> str:
    return cargo(3)


@heavy.step(export=True)
def right(stow: str, input: Freight) -> str:
    return cargo(4)


class Width(BaseModel):
    text: str


wide = Workflow("wide", input=Width)


@wide.step
def begin(input: Width) -> int:
    return len(input.text)


def _part(begin: int) -> int:
    return begin


PARTS = [f"part_{number}" for number in range(24)]
for _name in PARTS:
    wide.step(id=_name)(_part)


@wide.step(after=PARTS)
def count() -> int:
    return len(PARTS)


crane = Workflow("crane", input=Freight)


@crane.step(limit=Concurrency("crane", 1))
def lift(input: Freight) -> str:
    return input.text


fleet = Workflow("fleet", input=Freight)


@fleet.step
def ships(input: Freight) -> list[str]:
    return [input.text, input.text]


@fleet.map(over=ships, executor="quay", retry=Retry(max_attempts=1))
def sail(ship: str) -> str:
    return ship


raft = Workflow("raft", input=Freight)


@raft.step
def build(input: Freight) -> str:
    return input.text


@raft.undo(build)
def sink(build: str) -> None: ...


@raft.step(executor="quay", retry=Retry(max_attempts=1))
def drift(build: str) -> str:
    return build
