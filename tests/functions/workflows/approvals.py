"""A workflow for the functions' tests that waits for an approval, which somebody asks for by its address."""

from __future__ import annotations

from pydantic import BaseModel

from cascade_flow import Workflow


class Approval(BaseModel):
    ok: bool


approvals = Workflow("approvals")


@approvals.step
def quote() -> int:
    return 7


approval = approvals.event("approval", Approval, after=quote, timeout=3_600, on_timeout="skip")


@approvals.step(export=True)
def ship(approval: Approval, quote: int) -> str:
    return f"{quote} shipped" if approval.ok else "refused"
