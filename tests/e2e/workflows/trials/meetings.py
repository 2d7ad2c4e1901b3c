"""Workflows whose steps stay where they are until a test lets them go on: what happens meanwhile is the test's."""

from __future__ import annotations

from functools import partial

from cascade_flow import Retry, StepContext, Workflow

from .meeting import Meeting

walk = Workflow("walk", input=Meeting)


@walk.step
def before(input: Meeting, ctx: StepContext) -> str:
    input.sign(ctx)
    return "before"


@walk.step
def during(before: str, input: Meeting, ctx: StepContext) -> list[str]:
    print(f"attempt {ctx.attempt} has arrived")
    ctx.log.warning("and waits")
    input.attend(ctx)
    return [before, f"during {ctx.attempt}"]


@walk.step(export=True)
def after(during: list[str], input: Meeting, ctx: StepContext) -> list[str]:
    input.sign(ctx)
    return [*during, "after"]


counter = Workflow("counter", input=Meeting)


@counter.step
def served(input: Meeting, ctx: StepContext) -> None:
    input.attend(ctx)


fork = Workflow("fork", input=Meeting)


@fork.step
def staying(input: Meeting, ctx: StepContext) -> str:
    input.attend(ctx)
    return "stayed"


@fork.step(retry=Retry(max_attempts=2, delay=3, jitter=0))
def trying(input: Meeting, ctx: StepContext) -> str:
    input.sign(ctx)
    if ctx.attempt == 1:
        raise ConnectionError("later, perhaps")
    return "at last"


@fork.step
def follower(staying: str, input: Meeting, ctx: StepContext) -> str:
    input.sign(ctx)
    return staying


@fork.step(export=True)
def meeting_point(follower: str, trying: str, input: Meeting, ctx: StepContext) -> list[str]:
    input.sign(ctx)
    return [follower, trying]


lopsided = Workflow("lopsided", input=Meeting)
lopsided.step(staying)
lopsided.step(follower)


@lopsided.step(retry=Retry(max_attempts=1))
def failing(input: Meeting, ctx: StepContext) -> None:
    input.sign(ctx)
    raise RuntimeError("this side is lost")


climb = Workflow("climb", input=Meeting)


@climb.step(export=True)
def summit(input: Meeting, ctx: StepContext) -> list[str]:
    """Stores its parts: whoever goes on finds the camp pitched, with its tent, and only has to rest."""

    def part(name: str) -> str:
        input.sign(ctx, name)
        return f"{name} of attempt {ctx.attempt}"

    def camp() -> list[str]:
        return [part("camp"), ctx.checkpoint("tent", partial(part, "tent"))]

    pitched = ctx.checkpoint("camp", camp)
    input.attend(ctx)
    return [*pitched, ctx.checkpoint("rest", partial(part, "rest"))]
