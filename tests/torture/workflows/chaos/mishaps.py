"""Runs that fail: until somebody mends what they need, or for good with each worker that takes them on."""

from __future__ import annotations

import os
import signal

from cascade_flow import Retry, StepContext, Workflow

from .order import PATIENT, Order, Signed

TRIES = 3

doomed = Workflow("doomed", input=Order)


@doomed.step(retry=PATIENT)
def well(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


@doomed.step(id="beside", retry=PATIENT, export=True)
def beside(well: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, well.value + 1)


@doomed.step(id="a-draw", retry=Retry(max_attempts=TRIES, delay=0.2, jitter=0), export=True)
def draw(well: Signed, input: Order, ctx: StepContext) -> Signed:
    if not input.is_mended(ctx.run_id):
        input.sign(ctx)
        raise ValueError("the well is dry")
    return input.give(ctx, well.value + 2)


poison = Workflow("poison", input=Order)


@poison.step(retry=Retry(max_attempts=2, delay=0.2, jitter=0))
def deadly(input: Order, ctx: StepContext) -> None:
    input.sign(ctx)
    os.kill(os.getpid(), signal.SIGKILL)
