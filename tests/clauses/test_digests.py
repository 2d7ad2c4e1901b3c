"""Digests of ended runs: kept as long as the longest of them, read as long as their own run, and of this form alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.analytics.digests import Digest, to_digests
from cascade_flow.dynamodb import digests, keys
from cascade_flow.dynamodb.codec import inflate
from cascade_flow.dynamodb.digests import digests_since, put_digests
from cascade_flow.dynamodb.items import bytes_of
from cascade_flow.dynamodb.table import Table
from cascade_flow.operations import ended_runs
from cascade_flow.operations.ended_runs import EndedRuns
from clauses.stage import RUN, begun, counting, done, run_of
from simulation import World, step
from testbed.faults import Kind, faults, only

HOUR_US = 3_600_000_000


@pytest.fixture
def table(world: World) -> Table:
    return world.observer.runtime.ledger.table


def digest(run_id: str, *, expires_in_s: int = 1_000, listed_us: int | None = None, step: str = "a") -> Digest:
    now_us = clock.now_us()
    listed_us = now_us if listed_us is None else listed_us
    return Digest(run_id, "flow", listed_us, now_us // 1_000_000 + expires_in_s, [step], [])


def of_size(run_id: str, size: int) -> Digest:
    left = size - len(digest(run_id, step="").to_text())
    return digest(run_id, step="é" * (left // 2) + "e" * (left % 2))


def read(table: Table, since_us: int) -> list[str]:
    return sorted(each.run_id for each in digests_since(table, since_us))


def test_one_whose_run_has_expired_is_read_no_more(world: World, table: Table) -> None:
    since_us = clock.now_us()
    put_digests(table, [digest("brief", expires_in_s=10), digest("long")])
    assert read(table, since_us) == ["brief", "long"]
    world.clock.pause_us(11_000_000)
    assert read(table, since_us) == ["long"]


def test_they_are_kept_as_long_as_the_longest_of_them(table: Table) -> None:
    some = [digest("brief", expires_in_s=10), digest("long")]
    put_digests(table, some)
    [item] = table.query(keys.digests_since(0))
    assert item[keys.EXPIRY] == some[1].expires_s


def test_those_of_an_hour_lie_together_and_one_that_has_expired_hides_none(world: World, table: Table) -> None:
    hours = {"last": 12, "first": 10, "early": 10, "middle": 11}
    some = [digest(name, listed_us=hour * HOUR_US, expires_in_s=hour) for name, hour in hours.items()]
    put_digests(table, [*some, digest("late", listed_us=11 * HOUR_US - 1, expires_in_s=7)])
    lying = [(str(item[keys.SORT])[:9], item[keys.EXPIRY]) for item in table.query(keys.digests_since(0))]
    now_s = clock.now_us() // 1_000_000
    assert lying == [("00000010#", now_s + 10), ("00000011#", now_s + 11), ("00000012#", now_s + 12)]
    assert read(table, 11 * HOUR_US - 1) == sorted([*hours, "late"])
    assert read(table, 11 * HOUR_US) == ["last", "middle"]
    world.clock.pause_us(7_000_000)
    assert read(table, 0) == sorted(hours)


def test_what_is_kept_of_an_hour_again_lies_beside_what_was_kept(table: Table) -> None:
    names = [f"run-{number}" for number in range(40)]
    for name in names:
        put_digests(table, [digest(name)])
    assert read(table, 0) == sorted(names)


def test_as_many_lie_in_an_item_as_it_holds_and_one_that_none_holds_is_left_out(table: Table) -> None:
    """The texts are as long in bytes: a name may be half as many characters."""
    sizes = {"run-1": 200_000, "run-2": 150_000, "run-3": 1_000, "run-4": 350_000, "run-5": 350_001, "run-6": 2_000}
    put_digests(table, [of_size(name, size) for name, size in sizes.items()])
    items = table.query(keys.digests_since(0))
    held = [[each.run_id for each in to_digests(inflate(bytes_of(item, "d")))] for item in items]
    assert sorted(held) == [["run-1", "run-2"], ["run-3"], ["run-4"], ["run-6"]]


def test_what_a_long_report_has_read_is_kept_a_part_at_a_time(
    world: World, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(ended_runs, "_AT_ONCE", 2)
    monkeypatch.setattr(ended_runs, "put_digests", lambda _, new: kept.append(len(new)))
    begun(world, step("a"))
    done(world, "a")
    report = EndedRuns(table)
    for _ in range(3):
        report.note(run_of(world), [])
    report.keep()
    assert kept == [2, 1]


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        ({"status": "failed"}, 1),
        ({"status": "running"}, 0),
        ({"status": "failed", "driver": "caller"}, 0),
        ({"status": "failed", "due_us": None}, 0),
    ],
    ids=["ended", "goes on", "a caller's", "in no index"],
)
def test_what_was_read_is_kept_of_runs_of_the_engine_that_the_index_has_as_ended(
    world: World, table: Table, monkeypatch: pytest.MonkeyPatch, now: Any, kept: int
) -> None:
    found: list[Digest] = []
    monkeypatch.setattr(ended_runs, "put_digests", lambda _, new: found.extend(new))
    begun(world, step("a"))
    run = replace(run_of(world), **now)
    report = EndedRuns(table)
    report.note(run, [])
    report.keep()
    assert [(each.run_id, each.listed_us) for each in found] == [(RUN, run.due_us)] * kept


def test_of_no_runs_nothing_is_asked(world: World) -> None:
    late, sizes = counting(world)
    assert EndedRuns(late.runtime.ledger.table).known({}, since_us=0) == {}
    assert sizes == []


@pytest.mark.parametrize("form", [digests.FORM - 1, digests.FORM + 1])
def test_none_of_another_form_is_read(table: Table, monkeypatch: pytest.MonkeyPatch, form: int) -> None:
    with monkeypatch.context() as written:
        written.setattr(digests, "FORM", form)
        put_digests(table, [digest("other")])
    assert read(table, 0) == []
    put_digests(table, [digest("one before", listed_us=0), digest("one after", listed_us=clock.now_us() + HOUR_US)])
    assert read(table, 0) == ["one after", "one before"]


@pytest.mark.parametrize(("moved_us", "known"), [(-1, []), (0, [RUN]), (1, [])])
def test_one_is_believed_where_the_index_has_its_run_at_the_same_time(
    table: Table, moved_us: int, known: list[str]
) -> None:
    one = digest(RUN)
    put_digests(table, [one, digest("other")])
    assert [*EndedRuns(table).known({RUN: one.listed_us + moved_us}, since_us=one.listed_us)] == known


def test_those_of_all_hours_of_a_report_are_known(table: Table) -> None:
    late = digest("late")
    early = replace(digest("early"), listed_us=late.listed_us - 3 * HOUR_US)
    put_digests(table, [early, late])
    listed_us = {each.run_id: each.listed_us for each in (early, late)}
    assert EndedRuns(table).known(listed_us, since_us=early.listed_us) == {"early": early, "late": late}


def test_what_was_read_is_kept_as_long_as_its_run(world: World, table: Table) -> None:
    begun(world, step("a"))
    done(world, "a")
    report = EndedRuns(table)
    report.note(run_of(world), [])
    report.keep()
    [item] = table.query(keys.digests_since(0))
    assert item[keys.EXPIRY] == run_of(world).expires_s


def test_a_report_is_as_good_where_nothing_can_be_kept(
    world: World, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    begun(world, step("a"))
    done(world, "a")
    report = EndedRuns(table)
    with faults(only({"PutItem"}, lambda *_: Kind.THROTTLE), table.client), caplog.at_level("INFO"):
        report.note(run_of(world), [])
        report.keep()
    assert "1 runs will be read again" in caplog.text
    assert [*table.query(keys.digests_since(0))] == []
