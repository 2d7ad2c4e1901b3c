"""The due index at its edges: which entries each look takes, in which order, and when one is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys, shards
from cascade_flow.dynamodb.conditions import Condition, Expressions
from cascade_flow.dynamodb.items import Item, branch_item
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.engine.state import LATEST_US, Branch
from cascade_flow.model.wire import LARGEST_WHOLE
from simulation import BEGIN_US, TickingClock
from unit.dynamodb.stored import NEVER_S

NOW_US = BEGIN_US
GRACE_US, HORIZON_US = 10, 35


@pytest.fixture(autouse=True)
def time() -> Iterator[TickingClock]:
    with clock.use(TickingClock(tick_us=0)) as time:
        yield time


def put(table: Table, shard: str, time_us: int, run_id: str = "run", branch: str = "") -> due.Entry:
    key = keys.branch(run_id, branch)
    place: Item = {keys.DUE_SHARD: shard, keys.DUE_TIME: time_us}
    table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk, keys.EXPIRY: NEVER_S, **place})])
    return due.Entry(time_us, key)


def three(table: Table, place: str) -> list[due.Entry]:
    """One entry a microsecond before now, one now, one after."""
    return [put(table, place, NOW_US + number - 1, f"run-{number}", "a") for number in range(3)]


def stored(table: Table, entry: due.Entry) -> Item:
    item = table.get(entry.key)
    assert item is not None
    return item


def test_an_entry_says_whose_it_is() -> None:
    assert (due.Entry(1, keys.branch("run", "a")).run_id, due.Entry(1, keys.branch("run", "a")).branch) == ("run", "a")
    assert (due.Entry(1, keys.run("run")).run_id, due.Entry(1, keys.run("run")).branch) == ("run", "")


def test_what_is_due_now_is_due(table: Table) -> None:
    before, now, _ = three(table, "due#3")
    assert list(due.entries(table, until_us=NOW_US)) == [before, now]
    assert list(due.line(table, "due#3", until_us=NOW_US)) == [before, now]
    assert list(due.line(table, "due#2", until_us=NOW_US)) == []


def test_what_is_due_later_is_later_than_now(table: Table) -> None:
    after = three(table, "due#3")[2]
    assert list(due.later(table, than_us=NOW_US, at_once=1)) == [after]


def test_what_a_caller_has_called_for_by_now_is_called(table: Table) -> None:
    before, now, _ = three(table, "call#3")
    assert list(due.called(table, until_us=NOW_US)) == [before, now]


def test_what_has_ended_since_then_has_ended_then_or_after(table: Table) -> None:
    _, now, after = three(table, "done#3")
    assert list(due.ended(table, since_us=NOW_US)) == [now, after]


def test_no_time_is_beyond_what_an_index_holds(table: Table) -> None:
    last = put(table, "due#3", LATEST_US)
    assert list(due.entries(table, until_us=10**40)) == [last]
    assert list(due.later(table, than_us=-(10**40), at_once=9)) == [last]
    assert list(due.later(table, than_us=10**40, at_once=9)) == []
    assert list(due.ended(table, since_us=10**40)) == []


def test_all_shards_are_merged_by_time(table: Table) -> None:
    found = [put(table, f"due#{number % 8}", NOW_US - number, f"run-{number}") for number in range(20)]
    assert list(due.entries(table, until_us=NOW_US)) == found[::-1]
    assert list(due.later(table, than_us=0, at_once=1)) == found[::-1]
    called = [put(table, f"call#{number % 8}", NOW_US - number, f"called-{number}") for number in range(20)]
    assert list(due.called(table, until_us=NOW_US)) == called[::-1]


@pytest.mark.parametrize("at_once", [None, 1, 7])
def test_the_last_come_first_where_that_is_asked_for(table: Table, at_once: int | None) -> None:
    found = [put(table, f"due#{number % 3}", NOW_US - 20 + number, f"run-{number}") for number in range(20)]
    put(table, "due#1", NOW_US + 1, "later")
    assert list(due.entries(table, until_us=NOW_US, at_once=at_once, backwards=True)) == found[::-1]


class NoEntries:
    """A table of two shards that notes how many entries are asked for at once, and the times; and has none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int | None] = []
        self.times: set[int] = set()
        monkeypatch.setattr(shards, "known", lambda _: keys.Shards(2, 1))
        monkeypatch.setattr(shards, "pools", lambda _: ["gpu"])

    def query_index(self, index: str, wanted: Condition, *, at_once: int | None, backwards: bool) -> Iterator[Item]:
        told = Expressions()
        wanted.spelled(told)
        self.times |= {value for value in told.values.values() if isinstance(value, int)}
        self.asked.append(at_once)
        return iter(())


def test_no_more_of_a_shard_are_read_at_once_than_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = NoEntries(monkeypatch)
    list(due.entries(table, until_us=NOW_US, at_once=3))
    list(due.later(table, than_us=NOW_US, at_once=4))
    list(due.waiting(table, "gpu", until_us=NOW_US, at_once=5))
    list(due.line(table, "due#1", until_us=NOW_US))
    due.waits_us(table, now_us=NOW_US)
    list(due.live(table))
    list(due.waiting_anywhere(table, until_us=NOW_US))
    assert table.asked == [3, 3, 4, 4, 5, 1_000, 1, *[None] * 5, None]


@pytest.mark.parametrize(("asked_us", "sent_us"), [(10**40, LATEST_US), (-(10**40), -LATEST_US)])
def test_no_time_is_asked_for_that_an_index_can_not_hold(
    monkeypatch: pytest.MonkeyPatch, asked_us: int, sent_us: int
) -> None:
    """DynamoDB refuses numbers of more than 38 digits."""
    table: Any = NoEntries(monkeypatch)
    list(due.entries(table, until_us=asked_us))
    list(due.later(table, than_us=asked_us, at_once=1))
    list(due.called(table, until_us=asked_us))
    list(due.ended(table, since_us=asked_us))
    list(due.line(table, "due#1", until_us=asked_us))
    assert table.times == {sent_us}


def test_a_look_reads_all_shards_that_were_ever_written_to(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    shards.remember_pools(table, ["gpu"])
    monkeypatch.setattr(shards, "known", lambda _: keys.Shards(9, 5))
    there = {kind: put(table, f"{kind}#8", NOW_US, kind) for kind in ("due", "call", "done")}
    assert due.due_shards(table) == [f"due#{number}" for number in range(9)]
    assert list(due.entries(table, until_us=NOW_US)) == [there["due"]]
    assert list(due.later(table, than_us=NOW_US - 1, at_once=1)) == [there["due"]]
    assert list(due.called(table, until_us=NOW_US)) == [there["call"]]
    assert list(due.ended(table, since_us=NOW_US)) == [there["done"]]
    assert sorted(due.live(table)) == sorted([there["due"], there["call"]])


def test_what_goes_on_is_live_wherever_it_lies(table: Table) -> None:
    shards.remember_pools(table, ["gpu"])
    places = [f"{kind}#{number}" for kind in ("due", "call") for number in range(8)] + ["pool#gpu"]
    for number, place in enumerate([*places, "done#1"]):
        put(table, place, NOW_US, f"run-{number}")
    assert {entry.run_id for entry in due.live(table)} == {f"run-{number}" for number in range(len(places))}


@pytest.mark.parametrize(("there", "is_long"), [(1, False), (2, True), (3, True)])
def test_a_line_is_long_where_it_fills_a_page(
    table: Table, monkeypatch: pytest.MonkeyPatch, there: int, is_long: bool
) -> None:
    monkeypatch.setattr(due, "PAGE", 2)
    entries = [put(table, "due#3", NOW_US - 9 + number, f"run-{number}") for number in range(there)]
    line = due.line(table, "due#3", until_us=NOW_US)
    assert (line.is_long, line.first, list(line)) == (is_long, entries[:2], entries)


def waiting(table: Table, priority: int | None, available_us: int, branch: str) -> due.Entry:
    return put(table, keys.pool("gpu"), keys.rank(priority, available_us), "run", branch)


def test_what_waits_for_a_pool_comes_by_priority_and_then_by_time(table: Table) -> None:
    shards.remember_pools(table, ["gpu", "other"])
    last = waiting(table, None, NOW_US - 9, "last")
    waiting(table, 3, NOW_US + 1, "most urgent and not due")
    waiting(table, 3, NOW_US + 2, "nor this")
    second = waiting(table, 2, NOW_US, "due now")
    first = waiting(table, 2, NOW_US - 1, "due before")
    waiting(table, 2, NOW_US + 1, "due after")
    third = waiting(table, -4, NOW_US - 9, "not urgent")
    found = [first, second, third, last]
    for at_once in (None, 1, 2, 16):
        assert list(due.waiting(table, "gpu", until_us=NOW_US, at_once=at_once)) == found
    assert list(due.waiting_anywhere(table, until_us=NOW_US)) == found
    assert list(due.waiting(table, "other", until_us=NOW_US)) == []
    assert due.waits_us(table, now_us=NOW_US) == {"gpu": 1}


def test_what_is_due_later_is_passed_over_at_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Item] = []
    everything = table.query_index

    def noted(*asked: Any, **how: Any) -> Iterator[Item]:
        for item in everything(*asked, **how):
            read.append(item)
            yield item

    for number in range(9):
        waiting(table, 3, NOW_US + 1 + number, f"more urgent and not due {number}")
    due_now = waiting(table, 2, NOW_US, "due now")
    monkeypatch.setattr(table, "query_index", noted)
    assert list(due.waiting(table, "gpu", until_us=NOW_US)) == [due_now]
    assert len(read) == 2


def test_nothing_ranks_before_the_first_that_is_looked_at(table: Table) -> None:
    first = waiting(table, LARGEST_WHOLE, 0, "more urgent than all")
    assert first.due_us == 0
    assert list(due.waiting(table, "gpu", until_us=NOW_US)) == [first]


def test_a_pool_that_nothing_waits_for_has_not_waited(table: Table) -> None:
    shards.remember_pools(table, ["gpu"])
    waiting(table, 1, NOW_US + 1, "not due")
    assert due.waits_us(table, now_us=NOW_US) == {}


def test_who_has_dealt_with_an_item_takes_it_out_whole(table: Table) -> None:
    entry = put(table, "due#3", NOW_US)
    due.look_no_more(table, due.Entry(NOW_US + 1, entry.key))
    assert stored(table, entry)[keys.DUE_TIME] == NOW_US, "somebody else has moved it"
    due.look_no_more(table, entry)
    assert not {keys.DUE_SHARD, keys.DUE_TIME} & stored(table, entry).keys()


BRANCH = Branch("a", "open", "a", seq=4, arrived=2, due_us=NOW_US)


@pytest.mark.parametrize(
    ("now", "is_moved"),
    [
        (BRANCH, True),
        (replace(BRANCH, seq=5), False),
        (replace(BRANCH, arrived=3), False),
        (replace(BRANCH, due_us=NOW_US + 1), False),
    ],
)
def test_an_entry_is_moved_while_its_branch_is_as_it_was_read(table: Table, now: Branch, is_moved: bool) -> None:
    entry = due.Entry(NOW_US, keys.branch("run", "a"))
    table.write([Put(branch_item("run", now, expires_s=NEVER_S))])
    due.look_later(table, entry, NOW_US + 99, BRANCH)
    assert stored(table, entry)[keys.DUE_TIME] == (NOW_US + 99 if is_moved else now.due_us)


def test_what_nobody_can_deal_with_is_looked_at_ever_more_rarely(table: Table, time: TickingClock) -> None:
    entry, pauses = put(table, "due#3", NOW_US), []
    for _ in range(4):
        time.pause_us(entry.due_us - clock.now_us())
        due.put_off(table, entry, least_us=GRACE_US, most_us=HORIZON_US)
        entry = due.Entry(int(stored(table, entry)[keys.DUE_TIME]), entry.key)
        pauses.append(entry.due_us - clock.now_us())
    assert pauses == [GRACE_US, 2 * GRACE_US, HORIZON_US, HORIZON_US]


def test_what_somebody_has_dealt_with_is_put_off_as_at_first(table: Table) -> None:
    entry = put(table, "due#3", NOW_US)
    due.put_off(table, entry, least_us=GRACE_US, most_us=HORIZON_US)
    due.look_later(table, due.Entry(NOW_US + GRACE_US, entry.key), NOW_US + 1)
    due.put_off(table, due.Entry(NOW_US + 1, entry.key), least_us=GRACE_US, most_us=HORIZON_US)
    assert stored(table, entry)[keys.DUE_TIME] == NOW_US + GRACE_US


def test_an_item_that_nobody_here_can_read_is_put_off(table: Table) -> None:
    entry = put(table, "due#3", NOW_US)
    raw = {name: {"S": text} for name, text in zip(("pk", "sk"), entry.key, strict=True)}
    change = {"UpdateExpression": "SET newer = :v", "ExpressionAttributeValues": {":v": {"L": [{"BOOL": True}]}}}
    table.client.update_item(TableName=table.name, Key=raw, **change)
    due.put_off(table, entry, least_us=GRACE_US, most_us=HORIZON_US)
    [entry] = due.entries(table, until_us=NOW_US + GRACE_US)
    due.put_off(table, entry, least_us=GRACE_US, most_us=HORIZON_US)
    [entry] = due.entries(table, until_us=NOW_US + HORIZON_US)
    assert entry.due_us == NOW_US + 2 * GRACE_US


def test_what_is_gone_is_not_put_off(table: Table) -> None:
    due.put_off(table, due.Entry(NOW_US, keys.run("gone")), least_us=GRACE_US, most_us=HORIZON_US)
    assert table.get(keys.run("gone")) is None
