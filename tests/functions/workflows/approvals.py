"""A workflow for the functions' tests that waits for an approval, which somebody is asked for by an address."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from cascade_flow import StepContext, Workflow


class Approval(BaseModel):
    ok: bool
    why: str = ""
    speed: Literal["slow", "fast"] = "slow"


approvals = Workflow("approvals")


@approvals.step(export=True)
def ask(ctx: StepContext) -> str:
    return ctx.callback_url("approval")


approval = approvals.event("approval", Approval, after=ask, timeout=3_600, on_timeout="skip")


@approvals.step(export=True)
def ship(approval: Approval) -> str:
    return f"shipped {approval.speed}" if approval.ok else f"refused: {approval.why}"
