"""What a diagnosis says: a code, a sentence, what to do, and how bad it is. Words only; `diagnosis` judges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from cascade_flow.records import dataclass

if TYPE_CHECKING:
    from cascade_flow.engine.state import Run

Severity = Literal["well", "waits", "late", "stuck"]
"""How it is: as it should be; waiting as was asked for; late, but the engine mends it; waiting for a person."""
ORDER: tuple[Severity, ...] = ("stuck", "late", "waits", "well")
_SECOND_US = 1_000_000
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Finding:
    """One thing that is true of a run or of the engine; `until_us` is when it will have changed by itself."""

    code: str
    severity: Severity
    sentence: str
    cure: str = ""
    step_id: str | None = None
    until_us: int | None = None


@dataclass(frozen=True)
class Sweeps:
    """When the reaper has swept last, and how often it does."""

    last_us: int
    every_us: int

    def silent_us(self, now_us: int) -> int:
        """For how long the reaper has been silent; 0 where it comes as it should."""
        silent_us = now_us - self.last_us
        return silent_us if silent_us > 2 * self.every_us + _PATIENCE_US else 0

    def first_after(self, due_us: int, now_us: int) -> int:
        """When the first sweep comes that finds what is due then."""
        least_us = max(due_us, now_us)
        missed = max(0, least_us - self.last_us - 1) // self.every_us
        return max(now_us, self.last_us + (missed + 1) * self.every_us)


_PATIENCE_US = 30 * _SECOND_US
"""How much later than it should a sweep may come before anybody is told."""


def span(us: int) -> str:
    """A length of time as people say it: `20 s`, `6 min`, `3 h`, `2 d`; nothing is rounded away below ten units."""
    seconds = max(0, -(-us // _SECOND_US))
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("s", 1))
    return f"{seconds // size} {unit}"


def instant(us: int, now_us: int) -> str:
    """An instant in UTC, with its day where that isn't today."""
    there, here = (datetime.fromtimestamp(time / _SECOND_US, UTC) for time in (us, now_us))
    if abs(us - now_us) < 120 * _SECOND_US:
        return f"{there:%H:%M:%S} UTC"
    return f"{there:%H:%M} UTC" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M} UTC"


def nth(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def listed(steps: list[str]) -> str:
    """Steps in a sentence, three of them at the most by name."""
    named = [f"`{step}`" for step in steps[:3]]
    if len(steps) > 3:
        named.append(f"{len(steps) - 3} more")
    *first, last = named
    return f"{', '.join(first)} and {last}" if first else last


def ended(run: Run) -> Finding:
    """A run that has ended, and what may be done about it."""
    if run.status == "completed":
        return Finding("over", "well", "the run has completed")
    if run.undoing is not None and run.status == "failed":
        return _undo_failed(run.run_id, run.undoing.run_id)
    if run.undone_by is not None:
        said = f"the run is {run.status} for good: what it had done is undone by run {run.undone_by}"
        return Finding("undone", "well", said, f"see how that went (`cascade show {run.undone_by}`)")
    cure = f"try it again (`cascade retry {run.run_id}`), or make a new run that keeps what is done (`cascade resume`)"
    said = "the run was cancelled" if run.status == "cancelled" else "the run has failed"
    return Finding("over", "well", f"{said}: nothing of it is under way", cure)


def _undo_failed(run_id: str, undone: str) -> Finding:
    """A run has failed that was to undo another."""
    said = f"undoing run {undone} has failed: what that had done, and is not undone yet, stands"
    cure = (
        f"see why (`cascade show {run_id}`), mend it and try it again (`cascade retry {run_id}`); what you have undone "
        "by hand is passed over where its undo raises Skip"
    )
    return Finding("undo-failed", "stuck", said, cure)
