"""Runs that wait for somebody: for an approval, and for a call to an address that a step has given away."""

from __future__ import annotations

from pydantic import BaseModel

from cascade_flow import StepContext, Workflow


class Approval(BaseModel):
    ok: bool


approving = Workflow("approving")


@approving.step(export=True)
def ask(ctx: StepContext) -> str:
    return ctx.callback_url("approval")


approval = approving.event("approval", Approval, after=ask)


@approving.step(export=True)
def ship(approval: Approval) -> str:
    return "shipped" if approval.ok else "refused"
