"""Steps that fail, take too long, skip themselves, or take their worker down with them."""

from __future__ import annotations

import os
import signal

from pydantic import BaseModel

from cascade_flow import Retry, Skip, StepContext, Workflow
from cascade_flow.clock import pause_us

AN_HOUR_US = 3_600_000_000

flaky = Workflow("flaky")


@flaky.step(export=True, retry=Retry(max_attempts=3, delay=0.5, backoff=2, jitter=0))
def unreliable(ctx: StepContext) -> str:
    if ctx.attempt < 3:
        raise ConnectionError(f"attempt {ctx.attempt} was in vain")
    return f"attempt {ctx.attempt}"


doomed = Workflow("doomed")


@doomed.step
def well(ctx: StepContext) -> str:
    return "water"


@doomed.step(retry=[Retry(max_attempts=2, delay=0.2, jitter=0), Retry(max_attempts=1)])
def draw(well: str) -> str:
    raise ValueError("the well is dry")


@doomed.step(export=True)
def drink(draw: str) -> str:
    return draw


class Errand(BaseModel):
    ms: int


errand = Workflow("errand", input=Errand)


@errand.step
def run(input: Errand) -> None:
    pause_us(input.ms * 1_000)


oversleeping = Workflow("oversleeping")


@oversleeping.step(export=True, timeout=1, retry=Retry(max_attempts=2, delay=0.2, jitter=0))
def sleeper(ctx: StepContext) -> str:
    if ctx.attempt == 1:
        pause_us(AN_HOUR_US)
    return f"attempt {ctx.attempt}"


stubborn = Workflow("stubborn")


@stubborn.step(timeout=1, retry=Retry(max_attempts=1))
def deaf() -> None:
    while True:
        try:
            pause_us(AN_HOUR_US)
        except Exception as error:  # noqa: BLE001  the worst that user code does
            print(f"ignored: {error!r}")


skipping = Workflow("skipping")


@skipping.step
def voucher() -> str:
    raise Skip("no voucher was given", {"asked": 1})


@skipping.step
def discount(voucher: str) -> int:
    return len(voucher)


@skipping.step(export=True)
def thanks(discount: int) -> str:
    return f"{discount} saved"


@skipping.step(export=True, run_if_skipped=True)
def bill(discount: int | None) -> str:
    return f"discount: {discount}"


poison = Workflow("poison")


@poison.step(retry=Retry(max_attempts=2, delay=0.2, jitter=0))
def deadly() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@poison.step
def survivor(deadly: None) -> None:
    return
