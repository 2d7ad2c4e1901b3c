"""Runs that reach their end whatever happens to their workers: chains, forks, retries, skips, parts, large outputs."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Annotated

from cascade_flow import From, Skip, StepContext, Workflow

from .order import PATIENT, Order, Signed

WIDTH = 12
BULK = 300_000
PARTS = ("camp", "tent", "rest")

chain = Workflow("chain", input=Order)


@chain.step(retry=PATIENT)
def first(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


@chain.step(retry=PATIENT)
def second(first: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, first.value + 1)


@chain.step(retry=PATIENT)
def third(second: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, second.value + 1)


@chain.step(retry=PATIENT, export=True)
def fourth(third: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, third.value + 1)


fork = Workflow("fork", input=Order)
"""Names in no order: a join comes before its branches, and a branch before its root."""


@fork.step(id="z", retry=PATIENT)
def root(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, input.number)


def branch(root: Annotated[Signed, From("z")], input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, root.value * 2)


TINES = [f"m/{number}" for number in range(WIDTH)]
for name in TINES:
    fork.step(id=name, retry=PATIENT)(branch)


@fork.step(id="a", retry=PATIENT, after=TINES)
def join(
    one: Annotated[Signed, From("m/0")],
    another: Annotated[Signed, From(f"m/{WIDTH - 1}")],
    input: Order,
    ctx: StepContext,
) -> Signed:
    return input.give(ctx, one.value + another.value)


@fork.step(id="0", retry=PATIENT, export=True)
def tail(joined: Annotated[Signed, From("a")], input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, joined.value + 1)


flaky = Workflow("flaky", input=Order)


@flaky.step(retry=PATIENT, export=True)
def unreliable(input: Order, ctx: StepContext) -> Signed:
    if ctx.attempt < 3:
        input.sign(ctx)
        raise ConnectionError(f"attempt {ctx.attempt} was in vain")
    return input.give(ctx, input.number)


skipping = Workflow("skipping", input=Order)


@skipping.step(retry=PATIENT)
def voucher(input: Order, ctx: StepContext) -> Signed:
    input.sign(ctx)
    raise Skip("no voucher was given")


@skipping.step(retry=PATIENT)
def discount(voucher: Signed) -> int:
    return int(voucher.value)


@skipping.step(retry=PATIENT, export=True)
def thanks(discount: int) -> str:
    return f"{discount} saved"


@skipping.step(retry=PATIENT, export=True, run_if_skipped=True)
def bill(discount: int | None, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, f"{input.number} less {discount}")


bulky = Workflow("bulky", input=Order)


@bulky.step(retry=PATIENT)
def write(input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, text_of(input.number))


@bulky.step(retry=PATIENT, export=True)
def read(write: Signed, input: Order, ctx: StepContext) -> Signed:
    return input.give(ctx, sha256(write.value.encode()).hexdigest())


def text_of(number: int) -> str:
    """A long text that can't be packed to less than half of its size."""
    return "".join(sha256(f"{number} {n}".encode()).hexdigest() for n in range(BULK // 64))


parts = Workflow("parts", input=Order)


@parts.step(retry=PATIENT, export=True)
def summit(input: Order, ctx: StepContext) -> Signed:
    """In parts: who goes on for another finds some of them done."""

    word = input.sign(ctx)

    def part(name: str) -> str:
        input.dwell(ctx)
        return f"{name} {input.number}"

    done = [ctx.checkpoint(name, partial(part, name)) for name in PARTS]
    return Signed(value=done, attempt=ctx.attempt, word=word)
