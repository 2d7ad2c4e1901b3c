"""An order, from the basket to the door.

    reserve ─┬─ charge ─────────────┬─ ship ── notify
             └─ pack/box, pack/note ─┘

Charging is tried again while the bank is away.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from cascade_flow import Concurrency, From, Retry, StepContext, Workflow
from console.showroom.acting import CardRefused, act


class Line(BaseModel):
    """One thing that is wanted."""

    item: str
    pieces: int = Field(default=1, ge=1, le=99)


class Order(BaseModel):
    """What somebody has put into the basket."""

    customer: str = Field(description="The customer's name, as it stands on the parcel.", examples=["Mila Novak"])
    lines: list[Line] = Field(default=[Line(item="tea", pieces=2)])
    express: bool = False
    pay_by: Literal["card", "invoice"] = "card"


orders = Workflow("orders", name="Orders", input=Order, timeout=timedelta(days=2))


@orders.step
def reserve(input: Order, ctx: StepContext) -> int:
    """Takes the pieces out of the stock, so that nobody else sells them."""
    ctx.log.info("reserving for %s", input.customer)
    act(ctx)
    return sum(line.pieces for line in input.lines)


@orders.step(
    retry=Retry(max_attempts=4, delay=20, jitter=0.2, give_up_on=CardRefused), limit=Concurrency("bank", 3), timeout=60
)
def charge(reserve: int, ctx: StepContext) -> str:
    """Asks the bank for the money, once, whatever happens: the key is the same at each try."""
    act(ctx)
    return f"paid {reserve * 4.5:.2f}"


@orders.step(id="pack/box")
def box(reserve: int, ctx: StepContext) -> str:
    """Chooses the smallest box that holds it all."""
    act(ctx)
    return "S" if reserve < 4 else "L"


@orders.step(id="pack/note")
def note(reserve: int, ctx: StepContext) -> str:
    """Prints the delivery note."""
    act(ctx)
    return f"{reserve} pieces"


@orders.step(export=True)
def ship(
    charge: str, box: Annotated[str, From("pack/box")], note: Annotated[str, From("pack/note")], ctx: StepContext
) -> dict[str, str]:
    """Hands the parcel over, and keeps its number."""
    act(ctx)
    return {"parcel": f"{box}-{ctx.run_id[-6:]}", "note": note, "charge": charge}


@orders.step(retry=Retry(max_attempts=2, delay=5))
def notify(ship: dict[str, str], ctx: StepContext) -> str:
    """Writes to the customer. A letter that can't be sent keeps nobody from the parcel."""
    act(ctx)
    return f"told about {ship['parcel']}"


orders.schedule("standing", cron="0 7 * * *", timezone="Europe/Berlin", input=Order(customer="Café Lumen"))
