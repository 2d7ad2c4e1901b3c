"""`async def` steps in a test of their workflow: run, faked, killed, timed out, debugged by their own traceback."""

from __future__ import annotations

import asyncio

import pytest

from cascade_flow import StepContext, Workflow
from cascade_flow.testing import Engine, UnexpectedEnd


def fetching() -> Workflow:
    flow = Workflow("fetching")

    @flow.step
    async def fetch(ctx: StepContext) -> int:
        async def ask() -> int:
            await asyncio.sleep(0)
            return ctx.attempt

        return await ctx.checkpoint("ask", ask)

    @flow.step(export=True, timeout=600)
    async def add(fetch: int) -> int:
        await asyncio.sleep(0)
        print("added", fetch)
        return fetch + 1

    return flow


def test_they_run(engine: Engine) -> None:
    result = engine.run(fetching(), expect="completed")
    assert (result.output, result.logs("add")) == ({"add": 2}, "added 1")


def test_their_fakes_may_be_async_and_need_not(engine: Engine) -> None:
    async def faked() -> int:
        await asyncio.sleep(0)
        return 41

    assert engine.run(fetching(), fake={"fetch": faked}, expect="completed").output == {"add": 42}
    assert engine.run(fetching(), fake={"fetch": 6}, expect="completed").output == {"add": 7}


@pytest.mark.parametrize("place", [{"when": "report"}, {"after_checkpoint": "ask"}], ids=str)
def test_who_dies_in_one_leaves_what_it_has_stored(engine: Engine, place: dict[str, str]) -> None:
    """The code was run before the worker died."""
    result = engine.kill("fetch", **place).run(fetching(), expect="completed")  # type: ignore[arg-type]
    assert result.output == {"add": 2}
    assert [attempt.status for attempt in result.steps["fetch"].attempts] == ["died", "completed"]


def test_one_may_take_too_long(engine: Engine) -> None:
    assert engine.time_out("add").run(fetching(), expect="completed").steps["add"].attempts[0].status == "failed"


def test_what_one_raises_is_shown_where_it_was_raised(engine: Engine) -> None:
    flow = Workflow("f")

    @flow.step(retry=None)
    async def breaks() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(UnexpectedEnd, match="in breaks"):
        engine.run(flow, expect="completed")


def test_a_time_limit_of_its_own_cancels_it(engine: Engine) -> None:
    flow, done = Workflow("f"), list[str]()

    @flow.step(timeout=0.05)
    async def hangs() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            done.append("left")

    result = engine.run(flow)
    assert (result.status, done) == ("failed", ["left"] * 3)
    assert result.error is not None
    assert result.error.name == "TimeoutError"
