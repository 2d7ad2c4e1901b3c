"""Steps that wait: for a time, and for what isn't ready; among them async ones, and one of a machine elsewhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from cascade_flow import Later, Poll, Retry, StepContext, Workflow

BENCH = "bench"
DELAY = timedelta(seconds=4)

patience = Workflow("patience")


@patience.step
async def quote(ctx: StepContext) -> list[int]:
    async def price(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    return list(await asyncio.gather(*(price(number) for number in range(3))))


@patience.step(delay=DELAY)
def remind(quote: list[int]) -> int:
    return sum(quote)


@patience.step(poll=Poll(every=1), retry=Retry(max_attempts=1))
async def answer(remind: int, ctx: StepContext) -> str:
    asked = ctx.checkpoint("ask", lambda: ctx.attempt)
    if ctx.attempt < 3:
        raise Later(reason="no answer yet")
    return f"asked in attempt {asked}, answered in {ctx.attempt}"


@patience.step(executor=BENCH, retry=Retry(max_attempts=1))
def inspect(answer: str, ctx: StepContext) -> str:
    if ctx.attempt == 1:
        raise Later(1, "the inspector is late")
    return answer


@patience.step(export=True)
def close(inspect: str) -> str:
    return inspect


someday = Workflow("someday")


@someday.step
def now() -> None: ...


@someday.step(delay=timedelta(hours=1))
def then(now: None) -> None: ...


hasty = Workflow("hasty")
"""Its step takes longer than it may."""


@hasty.step(timeout=1, retry=Retry(max_attempts=1))
async def hang() -> None:
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0)
        print("cleaned up")
