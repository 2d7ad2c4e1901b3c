"""Steps for a worker of one's own, that do as their run's input says: stay, die, swallow what stops them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pydantic import BaseModel

from cascade_flow import Retry, Skip, StepContext, Workflow
from cascade_flow.clock import pause_us


class Wish(BaseModel):
    folder: Path
    does: str = "finish"


bench = Workflow("bench", input=Wish)


def leave_a_child(told: Path) -> None:
    """One that outlives its parent, and holds all that was open there."""
    if (child := os.fork()) == 0:
        signal.pause()
    told.write_text(str(child))


@bench.step(executor="bench", retry=Retry(max_attempts=3, delay=0, jitter=0))
def saw(input: Wish, ctx: StepContext) -> int:
    (input.folder / f"began.{ctx.attempt}").touch()
    if input.does == "die" and ctx.attempt == 1:
        leave_a_child(input.folder / "child")
        os.kill(os.getpid(), signal.SIGKILL)
    if input.does == "skip":
        raise Skip("nothing to saw")
    while input.does == "stay" and not (input.folder / "end").exists():
        pause_us(10_000)
    return ctx.attempt


@bench.step(executor="bench", export=True)
def sweep(saw: int) -> int:
    return saw
