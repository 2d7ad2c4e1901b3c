"""What befalls an attempt by a test's wish: its worker dies, or its time runs out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cascade_flow.testing.inside import Spot
from cascade_flow.worker.interrupt import Cause

When = Literal["start", "report"]


@dataclass
class Mishap:
    """Ends one attempt of a step: before its code runs, after its code and before its report, or after a checkpoint."""

    spot: Spot
    attempt: int
    cause: Cause
    when: When = "report"
    after_checkpoint: str | None = None
    happened: bool = False

    def befalls(self, spot: Spot, attempt: int) -> bool:
        return self.spot.is_at(spot) and (self.attempt, self.happened) == (attempt, False)

    def __str__(self) -> str:
        what = "its worker was to die" if self.cause is Cause.LOST else "its time was to run out"
        where = f", after the checkpoint {self.after_checkpoint!r}" if self.after_checkpoint else ""
        return f"step {str(self.spot)!r}: {what} in attempt {self.attempt}{where}"


def left_over(mishaps: Iterable[Mishap]) -> str:
    """What a test has planned and never came, for people; empty where all of it came."""
    return "; ".join(str(mishap) for mishap in mishaps if not mishap.happened)
