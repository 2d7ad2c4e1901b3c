"""Every request of every shape, broken in every way that happens, one at a time: the run reaches its end, in time."""

import pytest

from faults.breaking import run_with
from shapes import (
    EVENTS,
    IN_BUCKET,
    LIMITS,
    MANY_ROOTS,
    POISON,
    POOLS,
    QUEUED,
    SHAPES,
    UNDONE,
    UNDONE_LATE,
    WAITS,
    WIDE,
    Shape,
)
from tally import TALLY
from testbed.faults import at, cases, nowhere
from testbed.servers import Server

EVERY = [*SHAPES, *EVENTS, POOLS, LIMITS, WAITS, UNDONE, POISON, QUEUED, IN_BUCKET]
WIDEST = [WIDE, MANY_ROOTS, UNDONE_LATE]
IN_THE_GATE = 3_000


def survived(server: Server, shape: Shape, *, every: int) -> None:
    """Break each so many requests of a run of this shape, in a run of its own."""
    for number, kind in cases(run_with(server, shape, nowhere).must_be_in_time().log)[::every]:
        run_with(server, shape, at({number: kind})).must_be_in_time()
        TALLY["single faults"] += 1


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_any_single_fault_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=1)


@pytest.mark.parametrize("shape", WIDEST, ids=str)
def test_a_fault_in_a_wide_run_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=37)


@pytest.mark.slow
@pytest.mark.parametrize("shape", WIDEST, ids=str)
def test_any_single_fault_in_a_wide_run_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=1)


def test_these_are_as_many_as_the_gate_asks_for(server: Server) -> None:
    assert sum(len(cases(run_with(server, shape, nowhere).log)) for shape in EVERY) >= IN_THE_GATE
