"""Runs an `async def` step: an event loop per attempt, which is closed as `asyncio.run` closes its own.

Whoever stops the attempt cancels its task, so that `finally` and `async with` run; what doesn't end by that is
interrupted as any other code. Imported where a step is async only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from cascade_flow.worker.interrupt import Interrupt, Interrupted


def run_coroutine(coroutine: Coroutine[Any, Any, Any], interrupt: Interrupt) -> Any:
    """What the coroutine returns, or raises. Raises Interrupted where it was cancelled from outside."""
    with asyncio.Runner() as runner:
        return runner.run(_cancellable(coroutine, interrupt))


async def _cancellable(coroutine: Coroutine[Any, Any, Any], interrupt: Interrupt) -> Any:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.set_exception_handler(_tell)

    def cancel() -> None:
        with suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(task.cancel)

    with interrupt.asking(cancel):
        try:
            return await coroutine
        except asyncio.CancelledError as error:
            if interrupt.cause is None:
                raise
            raise Interrupted().with_traceback(error.__traceback__) from None


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What a task leaves behind that its end was not waited for is found by the collector of garbage, in the middle of
    another attempt: it must not stand in that one's log.
    """
    if not loop.is_closed():
        loop.default_exception_handler(context)
