"""Random histories: who works, sweeps, stops, retries, meddles, copies and reads, interleaved request by request."""

from __future__ import annotations

import pytest

from histories.stage import CASTS, Cast, Stage
from shapes import (
    CHILDREN,
    EVENTS,
    FAMILIES_THAT_WAIT,
    LIMITS,
    ONE_RUN,
    POOLS,
    SHAPES,
    UNDONE_LATE,
    WAITS,
    WIDE,
    Shape,
)
from tally import TALLY
from testbed.servers import MemoryServer
from testbed.turnstile import explore

SEEDS = 32
FEW = 3
IN_ALL = 50_000
LONG = [*SHAPES, *EVENTS, POOLS, LIMITS, ONE_RUN, UNDONE_LATE, WAITS, WIDE, *CHILDREN, *FAMILIES_THAT_WAIT]


def explored(stage: Stage, histories: int) -> None:
    """Play so many histories, of which no two are the same."""
    assert explore(range(histories), stage, stage.check) == histories
    TALLY["random histories"] += histories


@pytest.mark.parametrize("cast", CASTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    explored(Stage(server, shape, cast), SEEDS)


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
@pytest.mark.parametrize("shape", EVENTS, ids=str)
def test_random_histories_with_events_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    explored(Stage(server, shape, cast), 12)


def test_random_histories_of_steps_of_pools_keep_every_promise(server: MemoryServer) -> None:
    explored(Stage(server, POOLS, CASTS[-1]), 12)


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_limited_steps_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    explored(Stage(server, LIMITS, cast), 12)


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
def test_random_histories_of_steps_that_wait_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    explored(Stage(server, WAITS, cast), 12)


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_runs_that_wait_for_runs_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    explored(Stage(server, ONE_RUN, cast), 8)


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_runs_that_are_undone_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    explored(Stage(server, UNDONE_LATE, cast), 8)


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
def test_random_histories_of_many_branches_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    explored(Stage(server, WIDE, cast), 5)


@pytest.mark.parametrize("cast", CASTS, ids=str)
@pytest.mark.parametrize("shape", [*CHILDREN[::2], *FAMILIES_THAT_WAIT], ids=str)
def test_random_histories_of_families_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    explored(Stage(server, shape, cast), FEW)


@pytest.mark.slow
@pytest.mark.parametrize("cast", CASTS, ids=str)
@pytest.mark.parametrize("shape", LONG, ids=str)
def test_many_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    """Others than those of the gate."""
    stage, many = Stage(server, shape, cast), -(-IN_ALL // (len(LONG) * len(CASTS)))
    TALLY["random histories"] += explore(range(SEEDS, SEEDS + many), stage, stage.check)
