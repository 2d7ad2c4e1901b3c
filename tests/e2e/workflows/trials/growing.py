"""A map over as many items as a run asks for, one of which may wait for a test, and a run of another workflow."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cascade_flow import Results, Retry, StepContext, Workflow

from .meeting import Meeting

BATCH = 5


class Harvest(BaseModel):
    """How many trees there are, and where the one in the middle meets a test."""

    items: int = Field(ge=1)
    meeting: Meeting


class Tree(BaseModel):
    """One of them."""

    number: int
    meeting: Meeting | None


counting = Workflow("counting")


@counting.step(export=True)
def counted(input: int) -> int:
    return input


harvest = Workflow("harvest", input=Harvest)


@harvest.step
def trees(input: Harvest) -> list[Tree]:
    middle = input.items // 2
    return [Tree(number=number, meeting=input.meeting if number == middle else None) for number in range(input.items)]


@harvest.map(over=trees, concurrency=20, batch=BATCH, retry=Retry(max_attempts=20, delay=0.1))
def pick(tree: Tree, context: StepContext) -> int:
    if tree.meeting is not None:
        tree.meeting.attend(context)
    return 3 * tree.number


harvest.run(counting, input=lambda pick: len(pick))


@harvest.step(export=True)
def basket(pick: Results[int], counting: dict[str, Any]) -> dict[str, int]:
    assert [*pick] == [3 * tree for tree in range(len(pick))], "results are not in the items' order"
    return {"weight": sum(pick), "counted": counting["counted"]}
