"""What things cost and what they may cost: counted figures, the budgets, the table of both. Nothing is measured here.

`benchmarks/` prints the same figures beside prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbed.meter import Line

HEAD = ("what", "write units", "write requests", "reads", "read units")


@dataclass(frozen=True)
class Spent:
    """Counted on the wire: units, write requests, read requests and read units."""

    write_units: float = 0
    write_requests: float = 0
    reads: float = 0
    read_units: float = 0

    @classmethod
    def on(cls, lines: Iterable[Line]) -> Spent:
        """What these requests came to."""
        known = list(lines)
        writes = sum(line.is_write for line in known)
        units = sum(line.write_units for line in known)
        return cls(units, writes, len(known) - writes, sum(line.read_units for line in known))

    def less(self, other: Spent) -> Spent:
        """What this was beyond the other."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Spent(*(round(mine - its, 9) for mine, its in pairs))

    def per(self, number: int) -> Spent:
        """The share of each of so many."""
        return Spent(
            self.write_units / number, self.write_requests / number, self.reads / number, self.read_units / number
        )


@dataclass(frozen=True)
class Budget:
    """What a thing may cost at the most; None is no limit."""

    what: str
    write_units: float | None = None
    write_requests: float | None = None
    reads: float | None = None
    read_units: float | None = None

    def exceeded_by(self, spent: Spent) -> list[str]:
        """Each limit that was passed, with both numbers."""
        return [
            f"{name}: {found:.3f}, at most {limit:g}"
            for name, found, limit in zip(HEAD[1:], _numbers(spent), _numbers(self), strict=True)
            if limit is not None and found is not None and found > limit
        ]


QUEUED = Budget("a step through the queue", 3, 2, 0)
CHAINED = Budget("a step chained in the same worker", 1.5, 1, 0)
PARALLEL = Budget("a parallel step of a wide fan-out, to its join", 11, 3.2, 0.1)
FAN_IN = Budget("fan-in: a step beyond its own completion", None, 1.3)
RETRY = Budget("a retry", 7, 1)
DELAYED = Budget("a delayed step, beyond a queued one", 2, 0, 0)
LATER = Budget("an attempt that was not ready", 2, 1, 0)
ONE_BRANCH = Budget("a run of one branch, without its steps", 24, 3)
HEARTBEAT = Budget("a heartbeat", 1, 1)
LIMITED = Budget("a step with a place of a limit, through the queue", 5, 4)
LIMITED_CHAINED = Budget("a step with a place of a limit, chained", 3.5, 3)
LIMITED_WAITING = Budget("a step that waits for a place, through the queue", 7, 6)
LIMITED_HEARTBEAT = Budget("a heartbeat of a step with a place of a limit", 2, 2)
"""What a place costs: taken and given back, prolonged by each heartbeat; and into the line and out of it."""
GET_RUN = Budget("get_run after 50 steps", None, None, 1)
TICK = Budget("a schedule's time, beyond the run that it submits", 3, 1, 1, 1)
TOLD = Budget("a step of a caller-driven run", 20, 3)
"""Schedule, claim and completion: some 18 units by protocol.md, without the index that they enter and leave."""

SIGNAL = Budget("an event, from its signal to the next step scheduled", 12)
WAITING_EVENT = Budget("an event that waits for 30 days, in all", None, 10, 10)
WAITING_JOIN = Budget("an open join that waits for 30 days, in all", None, 10, 10)
"""20 requests each: as many of the one kind as of the other."""

CHILD = Budget("an item of a map, a run of its own, from its release to its arrival", 22, 3.3, 0.7)
"""In all 40,000 requests for 10,000 items, at the most."""
BATCHED = Budget("an item of a map, one of 20 that a worker does in a row", 3, 1.3, 0.2)

GROWTH = 0.10
"""How much dearer what is about few runs may get, however many finished ones are stored."""


@dataclass(frozen=True)
class Figure:
    """A budget and what was counted."""

    budget: Budget
    spent: Spent

    @property
    def exceeded(self) -> list[str]:
        return self.budget.exceeded_by(self.spent)


def table_of(figures: Sequence[Figure]) -> str:
    """What was counted, with what is allowed, one row a budget."""
    return aligned([HEAD, *(_row(figure) for figure in figures)])


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Rows of cells as lines: so many columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths, left) for row in rows)


def grown(before: Spent, after: Spent) -> float:
    """By which share the number that grew most grew."""
    pairs = zip(vars(before).values(), vars(after).values(), strict=True)
    return max(then / now - 1 if now else float(then > 0) for now, then in pairs)


def cells(figure: Figure, form: str) -> tuple[str, ...]:
    """Each number, in this format, with its limit where it has one."""
    numbers = zip(_numbers(figure.spent), _numbers(figure.budget), strict=True)
    return tuple(format(found or 0, form) + ("" if limit is None else f" of {limit:g}") for found, limit in numbers)


def _row(figure: Figure) -> tuple[str, ...]:
    return (figure.budget.what, *cells(figure, ".2f"))


def _line(row: Sequence[str], widths: Sequence[int], left: int) -> str:
    pairs = enumerate(zip(row, widths, strict=True))
    return "  ".join(cell.ljust(width) if n < left else cell.rjust(width) for n, (cell, width) in pairs).rstrip()


def _numbers(owner: Spent | Budget) -> tuple[float | None, ...]:
    return owner.write_units, owner.write_requests, owner.reads, owner.read_units
