"""A piece of the runs that go on: whole groups of one time, as many as were asked for, and never without end."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from cascade_flow.dynamodb import due
from cascade_flow.operations import live_pieces
from cascade_flow.operations.live_pieces import START_US, Piece, piece
from simulation import BEGIN_US, World, step

RUNS = [f"run-{number}" for number in range(6)]
TIMES = {"run-0": 10, "run-1": 20, "run-2": 20, "run-3": 20, "run-4": 30, "run-5": 40}


def among(world: World, *, most_runs: int = 100, after_us: int = START_US, wanted: Collection[str] = RUNS) -> Piece:
    """The next piece of runs whose entries, a run's and its step's, lie at the same times."""
    return piece(
        world.observer.runtime.ledger.table,
        after_us=after_us,
        most_runs=most_runs,
        wanted=lambda entry: entry.run_id in wanted,
    )


def runs_in(found: Piece) -> list[tuple[str, bool]]:
    return sorted((entry.run_id, bool(entry.branch)) for entry in found.entries)


def both(*runs: str) -> list[tuple[str, bool]]:
    return [(run_id, is_step) for run_id in runs for is_step in (False, True)]


@pytest.fixture(autouse=True)
def _at_few_times(world: World) -> None:
    world.register([step("a")])
    for run_id in RUNS:
        world.submit(run_id=run_id)
    table = world.observer.runtime.ledger.table
    for entry in list(due.later(table, than_us=START_US, at_once=100)):
        due.look_later(table, entry, BEGIN_US + TIMES[entry.run_id])


def test_all_that_lie_at_one_time_are_in_one_piece(world: World) -> None:
    """Whoever goes on behind that time would never come to the others."""
    first = among(world, most_runs=2)
    assert (runs_in(first), first.more_us) == (both("run-0", "run-1", "run-2", "run-3"), BEGIN_US + 20)
    rest = among(world, after_us=BEGIN_US + 20)
    assert (runs_in(rest), rest.more_us) == (both("run-4", "run-5"), None)


def test_runs_that_nobody_wants_are_not_among_those_that_were_asked_for(world: World) -> None:
    found = among(world, most_runs=2, wanted={"run-3", "run-5"})
    assert (runs_in(found), found.more_us) == (both("run-3", "run-5"), BEGIN_US + 40)


@pytest.mark.parametrize(("most", "more_us"), [(2, 10), (3, 20), (8, 20), (9, 30), (11, 40), (13, None)])
def test_each_entry_is_counted_also_where_many_lie_at_one_time(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int, more_us: int | None
) -> None:
    """By entries and not by times: else there are as many requests as runs have begun in one microsecond."""
    monkeypatch.setattr(live_pieces, "_MOST_ENTRIES", most)
    found = among(world, wanted=())
    assert (found.entries, found.more_us) == ([], None if more_us is None else BEGIN_US + more_us)
