"""Pages of runs while runs come in: a cursor neither skips nor repeats one, in any shard, at any time, by any filter.

Only the index is asked, so entries are put there as they are: several of one microsecond, some between two pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from cascade_flow.dynamodb import keys, listing
from cascade_flow.dynamodb.listing import START, Filter, Place, count, part
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.dynamodb.table import Put, Table
from testbed.servers import MemoryServer, fresh_table

SLUGS = ("one", "two")
_NEVER_S = 2**40


class Run(NamedTuple):
    """A run as the index has it."""

    slug: str
    time_us: int
    status: str


RUNS = st.builds(Run, st.sampled_from(SLUGS), st.integers(1_000, 1_006), st.sampled_from(["running", "failed"]))
FILTERS = st.builds(
    Filter,
    status=st.sampled_from([(), ("failed",)]),
    tags=st.just(()),
    after_us=st.sampled_from([-1, 1_000, 1_002]),
    before_us=st.sampled_from([Filter().before_us, 1_001, 1_005]),
)


class Index:
    """A table's runs, each under an id of its own."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.runs: dict[str, Run] = {}

    def add(self, runs: list[Run]) -> None:
        for run in runs:
            run_id = f"r-{len(self.runs)}"
            self.runs[run_id] = run
            key = keys.run(run_id)
            listed = {keys.RUNS_SHARD: keys.runs(run.slug, run_id), keys.RUNS_TIME: run.time_us, "st": run.status}
            self.table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk, keys.EXPIRY: _NEVER_S, **listed})])

    @property
    def places(self) -> list[str]:
        return [shard for slug in SLUGS for shard in keys.runs_shards(slug, keys.written())]

    def wanted(self, filter: Filter) -> set[str]:
        return {run_id for run_id, run in self.runs.items() if _is_wanted(run, filter)}


def _is_wanted(run: Run, wanted: Filter) -> bool:
    return wanted.after_us < run.time_us < wanted.before_us and (not wanted.status or run.status in wanted.status)


@pytest.fixture(scope="module")
def server() -> MemoryServer:
    return MemoryServer()


def index(server: MemoryServer) -> Iterator[Index]:
    with fresh_table(server, create_table) as store:
        yield Index(Table(store.client, store.table))


@given(
    before=st.lists(RUNS, max_size=12),
    between=st.lists(st.lists(RUNS, max_size=3), max_size=6),
    wanted=FILTERS,
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_who_was_there_is_on_one_page(
    server: MemoryServer, before: list[Run], between: list[list[Run]], wanted: Filter, sizes: list[int]
) -> None:
    for runs in index(server):
        runs.add(before)
        there, found, newcomers = runs.wanted(wanted), list[str](), iter(between)
        place: Place | None = START
        for number in range(len(before) + sum(map(len, between)) + 1):
            page = part(runs.table, runs.places, wanted, limit=sizes[number % len(sizes)], after=place or START)
            found += page.ids
            if (place := page.more) is None:
                break
            runs.add(next(newcomers, []))
        assert place is None
        assert len(found) == len(set(found))
        assert there <= set(found) <= runs.wanted(wanted)
        times = [runs.runs[run_id].time_us for run_id in found]
        assert times == sorted(times, reverse=True)


@given(st.lists(RUNS, max_size=12), FILTERS, st.integers(0, 14), st.integers(1, 5))
def test_an_offset_passes_over_what_pages_would_have_shown(
    server: MemoryServer, stored: list[Run], wanted: Filter, offset: int, limit: int
) -> None:
    for runs in index(server):
        runs.add(stored)
        whole = part(runs.table, runs.places, wanted, limit=100).ids
        page = part(runs.table, runs.places, wanted, limit=limit, offset=offset)
        assert (page.ids, page.to_skip) == (whole[offset : offset + limit], 0)
        rest = [] if page.more is None else part(runs.table, runs.places, wanted, limit=100, after=page.more).ids
        assert rest == whole[offset + limit :]
        assert count(runs.table, runs.places, wanted).number == len(whole)


@pytest.mark.parametrize("offset", range(5))
def test_an_offset_counts_what_is_wanted_alone(server: MemoryServer, offset: int) -> None:
    for runs in index(server):
        runs.add([Run("one", 1_000 + number, ("running", "failed")[number % 2]) for number in range(8)])
        page = part(runs.table, runs.places, Filter(status=("failed",)), limit=2, offset=offset)
        assert page.ids == ["r-7", "r-5", "r-3", "r-1"][offset : offset + 2]


def test_an_offset_beyond_what_one_part_looks_at_is_gone_on_with(
    server: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 3)
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 1)
    for runs in index(server):
        runs.add([Run("one", 1_000 + number, "running") for number in range(8)])
        first = part(runs.table, runs.places, Filter(), limit=2, offset=5)
        assert (first.ids, first.to_skip) == ([], 2)
        rest = part(runs.table, runs.places, Filter(), limit=2, after=first.more or START, offset=first.to_skip)
        assert (rest.ids, rest.to_skip) == (["r-2"], 0)


@given(st.lists(RUNS, max_size=12), FILTERS, st.integers(1, 5))
def test_each_place_behind_a_run_goes_on_with_the_next(
    server: MemoryServer, stored: list[Run], wanted: Filter, limit: int
) -> None:
    for runs in index(server):
        runs.add(stored)
        page = part(runs.table, runs.places, wanted, limit=limit)
        whole = part(runs.table, runs.places, wanted, limit=100).ids
        for number, place in enumerate(page.behind, start=1):
            assert part(runs.table, runs.places, wanted, limit=100, after=place).ids == whole[number:]
