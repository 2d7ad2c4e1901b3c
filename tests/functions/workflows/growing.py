"""A workflow for the functions' tests that grows: a map over what is ordered, and a run of another workflow."""

from __future__ import annotations

from pydantic import BaseModel

from cascade_flow import ItemFailed, Retry, Workflow


class Order(BaseModel):
    skus: list[str]


labels = Workflow("labels")


@labels.step(export=True)
def printed(input: list[str]) -> int:
    return len(input)


orders = Workflow("orders", input=Order)


@orders.step(id="read/lines")
def lines(input: Order) -> list[str]:
    return input.skus


@orders.map(over=lines, id="pack/all", concurrency=2, tolerate=0.5, retry=Retry(max_attempts=1), export=True)
def pack(sku: str, index: int) -> str:
    if sku == "gone":
        raise ValueError("no stock")
    return f"{index}: {sku}"


orders.run(labels, input=lambda all: [str(each) for each in all], export=True)


@orders.step(export=True)
def failed(all: list[str | ItemFailed]) -> int:
    return sum(isinstance(each, ItemFailed) for each in all)


crates = Workflow("crates")


@crates.step
def stacked() -> list[int]:
    return [1, 2, 3]


@crates.map(over=stacked, batch=2, executor="packers", export=True)
def fill(crate: int) -> str:
    return str(crate)
