"""Steps for machines of one's own, with a checkpoint and a failure among them; the last one is for Lambda again."""

from __future__ import annotations

from typing import Any

from cascade_flow import Retry, StepContext, Workflow

from .meeting import Meeting

POOL = "workshop"

workshop = Workflow("workshop", input=Meeting)


@workshop.step(executor=POOL)
def cut(input: Meeting, ctx: StepContext) -> str:
    print("sawdust everywhere")
    input.sign(ctx)
    return "cut"


@workshop.step(executor=POOL)
def glue(cut: str, input: Meeting, ctx: StepContext) -> list[str]:
    """Its first attempt stays at the bench until somebody takes it away."""
    clamped = ctx.checkpoint("clamp", lambda: f"clamped in attempt {ctx.attempt}")
    input.attend(ctx) if ctx.attempt == 1 else input.sign(ctx)
    return [cut, clamped]


@workshop.step(executor=POOL, retry=Retry(max_attempts=2, delay=0.1, jitter=0))
def paint(glue: list[str], input: Meeting, ctx: StepContext) -> list[str]:
    input.sign(ctx)
    if ctx.attempt == 1:
        raise ConnectionError("no paint")
    return [*glue, "painted"]


@workshop.step(export=True)
def deliver(paint: list[str]) -> list[str]:
    return [*paint, "delivered"]


parts = Workflow("parts", input=Meeting)
"""Declared here, and carried out elsewhere: `e2e/node/steps.mjs` has the code."""


@parts.step(executor="node")
def order() -> dict[str, int]:
    raise NotImplementedError


@parts.step(executor="node", retry=Retry(max_attempts=3, delay=0.1, jitter=0))
def pack(order: dict[str, int]) -> list[Any]:
    raise NotImplementedError


@parts.step(export=True)
def send(pack: list[Any]) -> list[Any]:
    return pack
