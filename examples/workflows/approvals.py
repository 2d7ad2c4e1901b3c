"""An order that waits for a yes: a quote is made, somebody is asked, and what becomes of it follows the answer.

    quote ── approval (an event from outside; after three days without it, the order lapses) ── confirm

Send the answer, before the run waits for it or while it does:

    cascade run approvals --input '{"item": "tea", "pieces": 12}'
    cascade send RUN approval --data '{"ok": true, "by": "mila"}'

Every Monday at eight the usual order is made by itself (`cascade schedules`).
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from cascade_flow import Workflow

PRICE = 4.5


class Order(BaseModel):
    """What is wanted."""

    item: str = "tea"
    pieces: int = Field(default=12, ge=1)


class Approval(BaseModel):
    """What somebody says to it."""

    ok: bool
    by: str = "somebody"


approvals = Workflow("approvals", name="Orders that wait for a yes", input=Order, timeout=timedelta(days=7))


@approvals.step
def quote(input: Order) -> float:
    return PRICE * input.pieces


approval = approvals.event("approval", Approval, after=quote, timeout=timedelta(days=3), on_timeout="skip")


@approvals.step(export=True, run_if_skipped=True)
def confirm(input: Order, quote: float = 0.0, approval: Approval | None = None) -> str:
    order = f"{input.pieces} x {input.item} for {quote:.2f}"
    if approval is None:
        return f"{order}: nobody answered, so it lapsed"
    return f"{order}: {'approved' if approval.ok else 'refused'} by {approval.by}"


approvals.schedule("mondays", cron="0 8 * * 1", timezone="Europe/Berlin", input=Order(pieces=24))
