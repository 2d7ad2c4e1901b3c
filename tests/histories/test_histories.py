"""Random histories: who works, sweeps, stops, retries, meddles, copies and reads, interleaved request by request."""

from __future__ import annotations

import pytest

from histories.stage import CASTS, Cast, Stage
from shapes import EVENTS, LIMITS, ONE_RUN, POOLS, SHAPES, UNDONE_LATE, WAITS, WIDE, Shape
from tally import TALLY
from testbed.servers import MemoryServer
from testbed.turnstile import explore

SEEDS = 36
MANY = 1_300


@pytest.mark.parametrize("cast", CASTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    stage = Stage(server, shape, cast)
    assert explore(range(SEEDS), stage, stage.check) == SEEDS
    TALLY["random histories"] += SEEDS


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
@pytest.mark.parametrize("shape", EVENTS, ids=str)
def test_random_histories_with_events_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    stage = Stage(server, shape, cast)
    assert explore(range(12), stage, stage.check) == 12


def test_random_histories_of_steps_of_pools_keep_every_promise(server: MemoryServer) -> None:
    stage = Stage(server, POOLS, CASTS[-1])
    assert explore(range(12), stage, stage.check) == 12


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_limited_steps_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    stage = Stage(server, LIMITS, cast)
    assert explore(range(12), stage, stage.check) == 12


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
def test_random_histories_of_steps_that_wait_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    stage = Stage(server, WAITS, cast)
    assert explore(range(12), stage, stage.check) == 12


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_runs_that_wait_for_runs_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    stage = Stage(server, ONE_RUN, cast)
    assert explore(range(8), stage, stage.check) == 8


@pytest.mark.parametrize("cast", CASTS, ids=str)
def test_random_histories_of_runs_that_are_undone_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    stage = Stage(server, UNDONE_LATE, cast)
    assert explore(range(8), stage, stage.check) == 8


@pytest.mark.parametrize("cast", CASTS[1:], ids=str)
def test_random_histories_of_many_branches_keep_every_promise(server: MemoryServer, cast: Cast) -> None:
    stage = Stage(server, WIDE, cast)
    assert explore(range(5), stage, stage.check) == 5


@pytest.mark.slow
@pytest.mark.parametrize("cast", CASTS, ids=str)
@pytest.mark.parametrize("shape", [*SHAPES, *EVENTS, POOLS, LIMITS, ONE_RUN, UNDONE_LATE, WAITS, WIDE], ids=str)
def test_many_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, cast: Cast) -> None:
    stage = Stage(server, shape, cast)
    TALLY["random histories"] += explore(range(SEEDS, MANY), stage, stage.check)
