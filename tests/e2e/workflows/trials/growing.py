"""A map over as many items as a run asks for, and a run of another workflow."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from cascade_flow import Results, Retry, Workflow

BATCH = 5


class Harvest(BaseModel):
    """How many trees there are."""

    items: int = Field(ge=0)


counting = Workflow("counting")


@counting.step(export=True)
def counted(input: int) -> int:
    return input


harvest = Workflow("harvest", input=Harvest)


@harvest.step
def trees(input: Harvest) -> list[int]:
    return list(range(input.items))


@harvest.map(over=trees, concurrency=20, batch=BATCH, retry=Retry(max_attempts=20, delay=0.1))
def pick(tree: int) -> int:
    return 3 * tree


harvest.run(counting, input=lambda pick: len(pick))


@harvest.step(export=True)
def basket(pick: Results[int], counting: dict[str, Any]) -> dict[str, int]:
    assert [*pick] == [3 * tree for tree in range(len(pick))], "results are not in the items' order"
    return {"weight": sum(pick), "counted": counting["counted"]}
