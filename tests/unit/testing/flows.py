"""The workflow that the suite's tests run: an order is read, paid for, packed, sent; a voucher may be skipped."""

from __future__ import annotations

import os
from decimal import Decimal

from pydantic import BaseModel

from cascade_flow import Retry, Skip, StepContext, Workflow


class Order(BaseModel):
    item: str
    price: Decimal


class Receipt(BaseModel):
    paid: Decimal
    key: str


class Till:
    """What the world outside has seen."""

    def __init__(self) -> None:
        self.charged: list[str] = []
        self.packed: list[int] = []


def orders_of(till: Till) -> Workflow:
    """A workflow of its own for each test, since a test looks at its till."""
    orders = Workflow("orders", input=Order)

    @orders.step(retry=Retry(max_attempts=3, delay=3_600, max_delay=3_600, jitter=0))
    def payment(input: Order, ctx: StepContext) -> Receipt:
        ctx.log.info("charging %s", input.price)
        print(f"attempt {ctx.attempt}")
        key = ctx.checkpoint("charge", lambda: _charge(till, ctx))
        return Receipt(paid=input.price, key=key)

    @orders.step
    def pack(payment: Receipt) -> str:
        till.packed.append(1)
        return f"a parcel worth {payment.paid}"

    @orders.step
    def voucher(input: Order) -> int:
        if input.item != "gift":
            raise Skip("no gift")
        return 5

    @orders.step(export=True, run_if_skipped=True)
    def ship(pack: str | None, voucher: int | None) -> dict[str, str | int | None]:
        return {"parcel": pack, "voucher": voucher}

    return orders


def _charge(till: Till, ctx: StepContext) -> str:
    till.charged.append(ctx.idempotency_key)
    return ctx.idempotency_key


def rough() -> Workflow:
    """Steps that end their process, hang, or fail deep inside."""
    flow = Workflow("rough")

    @flow.step(retry=Retry(max_attempts=2, delay=60))
    def exits(ctx: StepContext) -> int:
        if ctx.attempt == 1:
            print("leaving", flush=True)
            os._exit(3)
        return ctx.attempt

    return flow
