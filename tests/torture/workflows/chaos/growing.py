"""A workflow whose graph gets another step with each redeployment; runs go on by the graph that they began with."""

from __future__ import annotations

from cascade_flow import StepContext, Workflow

from .order import PATIENT, Order, Signed

STEPS = 1

growing = Workflow("growing", input=Order)


def ring(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


for number in range(STEPS):
    growing.step(id=f"ring/{number}", retry=PATIENT, export=True)(ring)
