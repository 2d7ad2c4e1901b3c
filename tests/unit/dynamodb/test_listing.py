"""The list of a workflow's runs, in parts, pages and numbers, against the same list made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import keys, listing
from cascade_flow.dynamodb.items import run_item
from cascade_flow.dynamodb.listing import EVERY, LATEST_US, START, Count, Filter, Page, Part, Place, Tally
from cascade_flow.dynamodb.table import Put, Update
from simulation import TickingClock
from unit.dynamodb.stored import NEVER_S, Counting
from unit.engine.facts import run_of

PLACES = ["s", "t"]


class Run(NamedTuple):
    """An entry of the list."""

    id: str
    time_us: int
    shard: str
    status: Any
    tags: tuple[str, ...] = ()


RUNS = [
    Run("r9", 50, "s", "running", ("x", "y")),
    Run("r8", 40, "t", "failed", ("x",)),
    Run("r7", 30, "s", "running", ("y",)),
    Run("r6", 30, "s", "completed", ("x", "y", "z")),
    Run("r5", 30, "t", "running"),
    Run("r4", 20, "t", "failed", ("x", "y")),
    Run("r3", 10, "s", "failed"),
    Run("r2", 0, "s", "running", ("x",)),
]
FILTERS = [
    EVERY,
    Filter(status=("failed",)),
    Filter(status=("failed", "completed")),
    Filter(tags=("x",)),
    Filter(tags=("x", "y")),
    Filter(status=("running",), tags=("y",)),
    Filter(after_us=10),
    Filter(after_us=9, before_us=40),
    Filter(before_us=31),
    Filter(after_us=29, before_us=31),
    Filter(after_us=30, before_us=31),
    Filter(status=("running",), after_us=10, before_us=50),
    Filter(status=("pending",)),
]


def wanted_of(wanted: Filter) -> list[str]:
    return [
        run.id
        for run in RUNS
        if (not wanted.status or run.status in wanted.status)
        and all(tag in run.tags for tag in wanted.tags)
        and wanted.after_us < run.time_us < wanted.before_us
    ]


@pytest.fixture(params=[None, 1], ids="pages of {}".format)
def client(request: pytest.FixtureRequest) -> Iterator[Counting]:
    yield from stored_runs(Counting(page=request.param))


def stored_runs(client: Counting) -> Iterator[Counting]:
    """The client of a table in which the runs lie."""
    with clock.use(TickingClock()):
        for run in RUNS:
            item = run_item(run_of(created_us=run.time_us, status=run.status, tags=run.tags))
            place = {keys.PARTITION: keys.run(run.id).pk, keys.RUNS_SHARD: run.shard}
            client.table.write([Put({**item, **place, keys.EXPIRY: NEVER_S})])
        client.asked.clear()
        yield client


def same_up_to_ties(found: list[str], expected: list[str]) -> None:
    """The same runs in the same order, but for those that were made at the same time."""
    times = {run.id: run.time_us for run in RUNS}
    assert sorted(found) == sorted(expected)
    assert [times[run_id] for run_id in found] == [times[run_id] for run_id in expected]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_list_in_parts_is_the_list(client: Counting, wanted: Filter) -> None:
    expected = wanted_of(wanted)
    same_up_to_ties(list(listing.newest_first(client.table, PLACES, wanted)), expected)
    for limit in (1, 2, 3, 8, 9):
        for offset in (0, 1, 4):
            found, after, to_skip = list[str](), START, offset
            for _ in range(20):
                part = listing.part(client.table, PLACES, wanted, limit=limit, after=after, offset=to_skip)
                assert len(part.ids) == len(part.behind) <= limit
                found += part.ids
                if part.more is None:
                    assert part.to_skip == 0
                    break
                after, to_skip = part.more, part.to_skip
            else:
                pytest.fail("a list without end")
            skipped = [run_id for run_id in expected if run_id not in found]
            same_up_to_ties([*skipped, *found], expected)
            assert len(skipped) == min(offset, len(expected))


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_behind_each_run_comes_the_next(client: Counting, wanted: Filter) -> None:
    whole = listing.part(client.table, PLACES, wanted, limit=9)
    assert whole.more is None
    for number, behind in enumerate(whole.behind, start=1):
        rest = listing.part(client.table, PLACES, wanted, limit=9, after=behind)
        assert rest.ids == whole.ids[number:]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_page_is_a_part_of_the_list_and_says_how_many_there_are(client: Counting, wanted: Filter) -> None:
    whole = list(listing.newest_first(client.table, PLACES, wanted))
    total = len(RUNS) if wanted == EVERY else len(whole)
    for offset in (0, 1, 3, 9):
        for limit in (1, 3, 9, None):
            ids = whole[offset:] if limit is None else whole[offset : offset + limit]
            assert listing.page(client.table, PLACES, wanted, offset=offset, limit=limit) == Page(ids, total)


@pytest.mark.parametrize("most", [1, 3, 7, 8])
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_no_more_than_the_newest_are_counted(
    client: Counting, wanted: Filter, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", most)
    in_time, of_any = wanted._replace(status=(), tags=()), wanted_of(wanted._replace(status=()))
    entries = list(listing.newest_first(client.table, PLACES, in_time))
    newest, is_exact = entries[:most], len(entries) <= most
    statuses = [run.status for run in RUNS if run.id in newest and run.id in of_any]
    tally = {status: statuses.count(status) for status in statuses}
    assert listing.tally(client.table, PLACES, wanted) == Tally(tally, is_exact)
    number = len({*newest} & {*wanted_of(wanted)})
    assert listing.count(client.table, PLACES, wanted) == Count(number, is_exact)


def test_of_those_that_are_counted_the_newest_are(client: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 2)
    assert listing.tally(client.table, PLACES, EVERY) == Tally({"running": 1, "failed": 1}, False)
    assert listing.count(client.table, PLACES, Filter(status=("failed",))) == Count(1, False)


def test_no_more_is_read_than_is_counted_or_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 1)
    for client in stored_runs(Counting(page=1)):
        requests = list[int]()
        for ask, answer in (
            (lambda table: listing.count(table, PLACES, Filter(status=("failed",))), Count(0, False)),
            (lambda table: listing.tally(table, PLACES, EVERY), Tally({"running": 1}, False)),
            (lambda table: next(listing.newest_first(table, PLACES)), "r9"),
            (lambda table: listing.part(table, PLACES, EVERY, limit=1).ids, ["r9"]),
        ):
            client.asked.clear()
            assert ask(client.table) == answer
            requests.append(len(client.asked))
        assert requests == [3, 3, 2, 3], "one of each shard, and where one more is looked at, another of the first"


def test_a_part_ends_where_as_much_was_looked_at_as_is_ever(client: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 2)
    monkeypatch.setattr(listing, "MOST_COUNTED", 6)
    wanted = Filter(status=("pending",))
    assert listing.part(client.table, PLACES, wanted, limit=3) == Part([], [], Place(40, ("r8",)), 0)
    assert listing.part(client.table, PLACES, wanted, limit=3, offset=1) == Part([], [], Place(20, ("r4",)), 1)
    assert listing.part(client.table, PLACES, EVERY, limit=1) == Part(["r9"], [Place(50, ("r9",))], Place(50, ("r9",)))


def test_a_part_goes_on_behind_all_that_was_looked_at(client: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 3)
    part = listing.part(client.table, PLACES, Filter(status=("failed",)), limit=3)
    assert part.ids == ["r8"]
    assert part.more is not None
    assert part.more.time_us == 30


def test_behind_the_last_run_there_is_no_more(client: Counting) -> None:
    assert listing.part(client.table, PLACES, EVERY, limit=len(RUNS)).more is None


def test_a_list_is_looked_for_in_all_shards_that_were_ever_written_to() -> None:
    client = Counting()
    client.table.write([Update(keys.shards(), None, set={"runs": 9})])
    assert listing.shards_of(client.table, "flow") == keys.runs_shards("flow", keys.Shards(8, 9))


def test_a_place_is_behind_all_runs_of_its_time_that_were_told() -> None:
    assert Place(5, ("a", "b")).then(5, "c") == Place(5, ("a", "b", "c"))
    assert Place(5, ("a", "b")).then(4, "c") == Place(4, ("c",))


@pytest.mark.parametrize(
    ("wanted", "span"),
    [
        (EVERY, set()),
        (Filter(after_us=0), {"1", str(LATEST_US)}),
        (Filter(before_us=9), {"0", "8"}),
        (Filter(after_us=5, before_us=9), {"6", "8"}),
        (Filter(after_us=5, before_us=7), {"6"}),
        (Filter(after_us=5, before_us=6), None),
    ],
)
@pytest.mark.parametrize("ask", ["count", "looked at", "tally", "list", "part"])
def test_no_more_is_read_than_was_made_in_time(wanted: Filter, span: set[str] | None, ask: str) -> None:
    client = Counting()
    if ask == "count":
        listing.count(client.table, PLACES, wanted)
    elif ask == "looked at":
        listing.count(client.table, PLACES, wanted._replace(status=("failed",)))
    elif ask == "part":
        listing.part(client.table, PLACES, wanted, limit=3)
    elif ask == "tally":
        listing.tally(client.table, PLACES, wanted)
    else:
        list(listing.newest_first(client.table, PLACES, wanted, at_once=7))
    assert len(client.asked) == (0 if span is None else 2)
    for asked in client.asked:
        values = {value["N"] for value in asked["ExpressionAttributeValues"].values() if "N" in value}
        condition = asked["KeyConditionExpression"]
        assert ("BETWEEN" in condition.upper()) == bool(span)
        assert (span or set()) <= values
        most = {"count": None, "looked at": 1_000, "tally": 1_000, "list": 7, "part": 4}
        assert asked.get("Limit") == most[ask]
