"""Runs that make others, undo themselves, wait for people, share a limit, or begin by themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cascade_flow import Concurrency, Retry, StepContext, Workflow

from .order import PATIENT, Order, Signed
from .shapes import chain

HEADS = 12
AT_ONCE = 2
GATE = "pass-the-gate"
SCHEDULE = "each-minute"

crowd = Workflow("crowd", input=Order)
"""A map: more items than may be out."""


@crowd.step(retry=PATIENT)
def heads(input: Order, ctx: StepContext) -> list[int]:
    input.sign(ctx)
    return list(range(HEADS))


@crowd.map(over=heads, concurrency=5, retry=PATIENT)
def nod(head: int, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number + head)


@crowd.step(retry=PATIENT, export=True)
def count(nod: list[Signed], input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, [each.value for each in nod])


calls = Workflow("calls", input=Order)
"""A run of another workflow does a step's work."""
calls.run(chain, input="input")


@calls.step(retry=PATIENT, export=True)
def heard(chain: dict[str, Any], input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, chain["fourth"]["value"])


regret = Workflow("regret", input=Order)
"""It fails when it has done what can be undone."""


@regret.step(retry=PATIENT)
def book(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


@regret.undo(book, retry=PATIENT)
def unbook(book: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, -book.value)


@regret.step(retry=PATIENT)
def hire(book: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, book.value + 1)


@regret.undo(hire, retry=PATIENT)
def dismiss(hire: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, -hire.value)


@regret.step(retry=Retry(max_attempts=1))
def pay(hire: Signed, input: Order, ctx: StepContext) -> None:
    input.sign(ctx)
    raise ValueError("the purse is empty")


asking = Workflow("asking", input=Order)
"""It waits for what a person says."""


@asking.step(retry=PATIENT)
def ask(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


word = asking.event("word", int, after=ask)


@asking.step(retry=PATIENT, export=True)
def told(word: int, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, word)


gated = Workflow("gated", input=Order)
"""Of all its runs, so many are in the middle at once."""


@gated.step(id=GATE, retry=PATIENT, limit=Concurrency("gate", AT_ONCE), export=True)
def pass_the_gate(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


ticking = Workflow("ticking")
"""Nobody submits it."""
ticking.schedule(SCHEDULE, every=timedelta(minutes=1), missed="all")


@ticking.step(retry=PATIENT, export=True)
def tick() -> str:
    return "tock"
