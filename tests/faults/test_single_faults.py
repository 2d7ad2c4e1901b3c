"""Every request of every shape, broken in every way that happens, one at a time: the run reaches its end, in time.

What the SDK hides (`is_hidden`) must leave the very run that nothing happens to; the gate breaks some requests so.
"""

import pytest

from faults.breaking import Course, run_with
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
from testbed.faults import Kind, at, cases, is_hidden, nowhere
from testbed.servers import Server

EVERY = [*SHAPES, *EVENTS, POOLS, LIMITS, WAITS, UNDONE, POISON, QUEUED, IN_BUCKET]
WIDEST = [WIDE, MANY_ROOTS, UNDONE_LATE]
IN_THE_GATE = 3_000
HIDDEN_EVERY = 12


def planned(clean: Course, *, every: int, hidden_every: int) -> list[tuple[int, Kind]]:
    """Of the faults of a run each so many, and of those that nobody is told of."""
    told, hidden = [], []
    for number, kind in cases(clean.log):
        (hidden if is_hidden(kind, clean.log[number - 1].operation) else told).append((number, kind))
    return told[::every] + hidden[::hidden_every]


def survived(server: Server, shape: Shape, *, every: int = 1, hidden_every: int) -> None:
    """Break so many requests of a run of this shape, each in a run of its own."""
    clean = run_with(server, shape, nowhere).must_be_in_time()
    for number, kind in planned(clean, every=every, hidden_every=hidden_every):
        course = run_with(server, shape, at({number: kind})).must_be_in_time()
        if is_hidden(kind, clean.log[number - 1].operation):
            assert course.is_as(clean), f"{kind} of request {number} has changed the run"
        TALLY["single faults"] += 1


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_any_single_fault_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, hidden_every=HIDDEN_EVERY)


@pytest.mark.parametrize("shape", WIDEST, ids=str)
def test_a_fault_in_a_wide_run_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=37, hidden_every=5 * 37)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [*EVERY, *WIDEST], ids=str)
def test_any_single_fault_is_survived_hidden_ones_too(server: Server, shape: Shape) -> None:
    survived(server, shape, hidden_every=1)


def test_these_are_as_many_as_the_gate_asks_for(server: Server) -> None:
    clean = (run_with(server, shape, nowhere) for shape in EVERY)
    assert sum(len(planned(each, every=1, hidden_every=HIDDEN_EVERY)) for each in clean) >= IN_THE_GATE
