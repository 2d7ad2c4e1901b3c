"""Everything that may go wrong, on purpose, in one run that ends well all the same.

    unreliable ── fails twice, succeeds at the third try ───────┐
    slow ── runs into its timeout, is quicker the second time ──┤
    voucher ── skips itself ── discount ── skipped in cascade ──┼── report (exported; runs although one was skipped)
    long_haul ── its process may be killed: it goes on ─────────┘

An ordinary workflow needs none of this: a step that fails is tried again anyway.
"""

from __future__ import annotations

import os
import time
from functools import partial

from pydantic import BaseModel, Field

from cascade_flow import Retry, Skip, StepContext, Workflow


class Journey(BaseModel):
    """How long the step `long_haul` takes: so many legs of half a second. Kill its process meanwhile, if you like."""

    legs: int = Field(default=8, ge=1, le=60)
    voucher: str | None = None


mishaps = Workflow("mishaps", name="Mishaps that end well", input=Journey, timeout=600)


@mishaps.step(retry=Retry(max_attempts=4, delay=2, jitter=0, retry_on=ConnectionError))
def unreliable(ctx: StepContext) -> str:
    """Fails with an error that its policy retries after 2 and after 4 seconds; whoever pays would pay once."""
    ctx.log.info("asking the other side, with the key %s", ctx.idempotency_key)
    if ctx.attempt < 3:
        raise ConnectionError(f"the other side hung up on attempt {ctx.attempt}")
    return f"the other side answered attempt {ctx.attempt}"


@mishaps.step(timeout=2, retry=Retry(max_attempts=2, delay=1, jitter=0))
def slow(ctx: StepContext) -> str:
    """Takes far longer than its timeout the first time."""
    time.sleep(60 if ctx.attempt == 1 else 0.5)
    return f"attempt {ctx.attempt} was quick enough"


@mishaps.step
def voucher(input: Journey) -> str:
    """Has nothing to do where there is no voucher."""
    if input.voucher is None:
        raise Skip("no voucher was given")
    return input.voucher


@mishaps.step
def discount(voucher: str) -> int:
    """Needs the voucher, and so is skipped with it."""
    return len(voucher)


@mishaps.step(retry=Retry(max_attempts=3))
def long_haul(input: Journey, ctx: StepContext) -> str:
    """Stores each leg when it is done, so that another process can go on from there."""
    print(f"attempt {ctx.attempt} runs in process {os.getpid()}")
    travelled = [ctx.checkpoint("leg", partial(leg, number)) for number in range(input.legs)]
    here = sum(pid == os.getpid() for pid in travelled)
    return f"{input.legs} legs, {here} of them by the process that arrived"


@mishaps.step(export=True, run_if_skipped=True)
def report(
    unreliable: str | None, slow: str | None, discount: int | None, long_haul: str | None
) -> dict[str, str | int | None]:
    """Waits for all of them; in place of one that was skipped it receives None."""
    return {"unreliable": unreliable, "slow": slow, "discount": discount, "long_haul": long_haul}


def leg(number: int) -> int:
    """One leg of the journey; says whose process made it."""
    time.sleep(0.5)
    print(f"leg {number} is done")
    return os.getpid()
