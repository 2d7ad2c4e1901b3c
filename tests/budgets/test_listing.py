"""A page of runs costs what is on it, however many are stored; a total is counted for who asks, and not for ever."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from budgets.growth import fill, samples_of
from budgets.measures import metered
from cascade_flow.dynamodb import keys, listing
from cascade_flow.dynamodb.listing import EVERY, START, Count, Filter, Place
from cascade_flow.operations.runs import Runs
from shapes import diamond
from testbed.meter import Meter
from testbed.servers import CreateTable, MemoryServer, Server, Store, fresh_table

ONE_KIND = Filter(("cancelled",), ())


def stored(store: Store, number: int) -> Iterator[tuple[Runs, Meter]]:
    with metered(store, diamond()) as (world, counting):
        fill(store, samples_of(world), number, lambda _: None)
        counting.reset()
        yield Runs(world.backend.runtime), counting


def requests(runs: Runs, counting: Meter, wanted: Filter, after: Place = START) -> tuple[int, float]:
    counting.reset()
    found = runs.part("flow", wanted, limit=50, after=after)
    assert len(found.runs) == 50
    return len(counting.lines), sum(line.read_units for line in counting.lines)


@pytest.mark.parametrize("wanted", [EVERY, ONE_KIND], ids=["all", "cancelled ones"])
def test_a_page_costs_the_same_however_many_runs_are_stored(
    server: Server, table_creator: CreateTable, monkeypatch: pytest.MonkeyPatch, wanted: Filter
) -> None:
    monkeypatch.setattr(listing, "_ENTRIES_AT_ONCE", 100)
    spent = []
    for number in (480, 1_000):
        with fresh_table(server, table_creator) as store:
            for runs, counting in stored(store, number):
                first = runs.part("flow", wanted, limit=50, after=START)
                assert first.more
                spent.append((requests(runs, counting, wanted), requests(runs, counting, wanted, first.more)))
    few, many = spent
    assert [asked for asked, _ in few] == [asked for asked, _ in many] == [4 + 1] * 2, "each shard's, and the runs"
    assert [units for _, units in few] == pytest.approx([units for _, units in many], abs=1)


def test_every_run_is_on_one_page_also_where_many_were_made_at_once(dynamodb: Store) -> None:
    for runs, _ in stored(dynamodb, 400):
        expected, chance = runs.ids("flow"), random.Random(1)
        found: list[str] = []
        after: Place | None = START
        while after is not None:
            part = runs.part("flow", EVERY, limit=chance.randint(1, 70), after=after)
            found += [run.run_id for run in part.runs]
            after = part.more
        assert found == expected
        assert len(found) == 400


@pytest.mark.parametrize("live", [20, 100])
def test_a_list_of_what_is_due_reads_live_runs_by_fifties(dynamodb: Store, live: int) -> None:
    """As many queries as there are shards, and each run with its branch."""
    with metered(dynamodb, diamond()) as (world, counting):
        for number in range(live):
            world.submit(run_id=f"live-{number}")
        world.backend.list_scheduled_steps()
        counting.reset()
        assert len(world.backend.list_scheduled_steps()) == live
        assert len(counting.lines) == 8 + 8 + -(-live // 50)


def test_times_that_several_runs_share_are_told_apart_by_the_runs(dynamodb: Store) -> None:
    for runs, _ in stored(dynamodb, 40):
        _make_all_at_once(dynamodb)
        found: list[str] = []
        after: Place | None = START
        while after is not None:
            part = runs.part("flow", EVERY, limit=3, after=after)
            found += [run.run_id for run in part.runs]
            after = part.more
        assert len(found) == len(set(found)) == 40


def _make_all_at_once(store: Store) -> None:
    assert isinstance(store.server, MemoryServer)
    same = {keys.RUNS_TIME: {"N": "1800000000000000"}}
    contents = store.server.shelf.contents(store.table)
    for items in contents.values():
        items.update({sort: {**item, **same} for sort, item in items.items() if keys.RUNS_TIME in item})
    store.server.shelf.put_contents(store.table, contents)


def test_a_filter_that_passes_nothing_ends_a_page_early_and_says_where_to_go_on(
    dynamodb: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 100)
    for runs, counting in stored(dynamodb, 450):
        after, pages = START, 0
        runs.ids("flow")  # knows how many shards there are
        counting.reset()
        while (part := runs.part("flow", Filter((), ("no such tag",)), limit=50, after=after)).more:
            assert part.runs == []
            after, pages = part.more, pages + 1
        assert pages == 4
        assert len(counting.lines) == 5 * 4


@pytest.mark.parametrize("wanted", [EVERY, Filter(("completed", "failed", "cancelled"), ())])
def test_a_total_is_counted_up_to_a_bound(dynamodb: Store, monkeypatch: pytest.MonkeyPatch, wanted: Filter) -> None:
    for runs, counting in stored(dynamodb, 450):
        counting.reset()
        assert runs.count("flow", wanted) == Count(450, True)
        monkeypatch.setattr(listing, "MOST_COUNTED", 450)
        assert runs.count("flow", wanted) == Count(450, True)
        monkeypatch.setattr(listing, "MOST_COUNTED", 100)
        counting.reset()
        assert runs.count("flow", wanted) == Count(100, False)
        assert len(counting.lines) <= 4
