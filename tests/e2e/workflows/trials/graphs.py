"""Graphs of every shape, of steps that just work; and outputs too long to ride in an event."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, Field

from cascade_flow import From, Workflow

WIDTH = 100


class Start(BaseModel):
    number: int = Field(ge=0)


linear = Workflow("linear", input=Start)


@linear.step
def first(input: Start) -> int:
    return input.number + 1


@linear.step
def second(first: int) -> int:
    return first * 10


@linear.step(export=True)
def third(second: int) -> Start:
    return Start(number=second)


diamond = Workflow("diamond", input=Start)


@diamond.step(export=True)
def top(input: Start) -> int:
    return input.number


@diamond.step(id="sides/left")
def left(top: int) -> int:
    return top + 1


@diamond.step(id="sides/right")
def right(top: int) -> int:
    return top + 2


@diamond.step(export=True)
def bottom(left: int, right: int) -> list[int]:
    return [left, right]


wide = Workflow("wide", input=Start)
wide.step(id="top")(top)


def part(top: int, share: int = 1) -> int:
    return top + share


PARTS = [f"part/{number}" for number in range(WIDTH)]
for name in PARTS:
    wide.step(id=name)(part)


@wide.step(export=True, after=PARTS)
def total(one: Annotated[int, From("part/0")], another: Annotated[int, From(f"part/{WIDTH - 1}")]) -> int:
    return one + another


class Bulk(BaseModel):
    characters: int


bulky = Workflow("bulky", input=Bulk)


@bulky.step(export=True)
def write(input: Bulk) -> str:
    return text_of(input.characters)


@bulky.step(export=True)
def read(write: str) -> str:
    return sha256(write.encode()).hexdigest()


def text_of(characters: int) -> str:
    """A text that can't be packed to less than half of its size."""
    return "".join(sha256(str(n).encode()).hexdigest() for n in range(characters // 64 + 1))[:characters]
