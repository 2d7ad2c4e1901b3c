"""Two processes die, each right after a write of its own: what one left, nobody but the sweep can find."""

from collections.abc import Iterable
from itertools import combinations

import pytest

from faults.breaking import run_with
from shapes import SHAPES, Shape
from tally import TALLY
from testbed.faults import Kind, Plan, nowhere
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Server

WRITES = SINGLE_WRITES | TRANSACTIONS
LATER = 6
"""Writes that a first death can add, after which the second may come."""


def deaths_after(numbers: Iterable[int]) -> Plan:
    """The process dies right after its n-th write, for each of these."""
    left = set(numbers)
    written = iter(range(1, 10_000))

    def plan(_: int, operation: str) -> Kind | None:
        return Kind.CRASH_AFTER if operation in WRITES and next(written) in left else None

    return plan


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.name in ("diamond", "two sinks")], ids=str)
def test_any_two_deaths_after_writes_are_survived(server: Server, shape: Shape) -> None:
    writes = sum(passed.operation in WRITES for passed in run_with(server, shape, nowhere).log)
    for pair in combinations(range(1, writes + LATER), 2):
        TALLY["double faults"] += len(run_with(server, shape, deaths_after(pair)).injected.happened) == 2
