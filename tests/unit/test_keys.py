"""Every key as it lies in the table: what is stored under one today must be found under it by every later release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.keys import Key, Shards, Span
from cascade_flow.engine.state import LATEST_US
from cascade_flow.model.wire import LARGEST_WHOLE

TIME_US = 1_800_000_000_000_000
IDEMPOTENCY = f"IDEM#{hashlib.sha256(b'order').hexdigest()}"
TO_THE_LETTER = f"IDEM#{hashlib.sha256(b' Order ').hexdigest()}"
VERSION = f"sha256:{'1f' * 32}"
FEWER = Shards(2, 1)


def stored() -> dict[str, tuple[object, object]]:
    return {
        "run": (keys.run("r"), Key("R#r", "B#")),
        "branch": (keys.branch("r", "a"), Key("R#r", "B#a")),
        "commit": (keys.commit("r", 17), Key("R#r", "E#0000000000000017")),
        "the last commit that there can be": (keys.commit("r", LATEST_US), Key("R#r", "E#9999999999999999")),
        "log chunk": (keys.log_chunk("r", "a", 2, 17, "ab"), Key("R#r", "L#a#0002#0000000000000017#ab")),
        "payload": (keys.payload("r", "a", 2, "ab"), Key("R#r", "P#a#2#ab")),
        "payload that an event names": (keys.payload_at("r", "P#a#2#ab"), Key("R#r", "P#a#2#ab")),
        "payload of the run": (keys.run_payload("r", "input#ab"), Key("R#r", "P#$input#ab")),
        "items of a step": (keys.chunk("r", "a", 2, 7), Key("R#r", "P#a#2#i000007")),
        "address": (keys.callback("r", "ab"), Key("R#r", "S#ab")),
        "place": (keys.place("db#k", 7), Key("LIM#db#k", "P#000007")),
        "waiter": (keys.waiter("db", 17, "r", "a", 2), Key("LIM#db", f"W#{17:038d}#r#a#2")),
        "turns": (keys.turns("db"), Key("LIM#db", "T#")),
        "schedule": (keys.schedule("flow", "daily"), Key("SCHEDULES", "flow#daily")),
        "notes": (keys.notes("flow", VERSION), Key("WF#flow", f"N#{VERSION}")),
        "digests": (keys.digests(7, "ab"), Key("PAST", "00000007#ab")),
        "secret": (keys.secret(), Key("SECRET", "SECRET")),
        "idempotency": (keys.idempotency("order"), Key(IDEMPOTENCY, "IDEM")),
        "idempotency, to the letter": (keys.idempotency(" Order "), Key(TO_THE_LETTER, "IDEM")),
        "workflow": (keys.workflow("flow"), Key("WF", "flow")),
        "version": (keys.version("flow", VERSION), Key("WF#flow", f"V#{VERSION}")),
        "called": (keys.called("flow"), Key("CALLED", "flow")),
        "shards": (keys.shards(), Key("SHARDS", "SHARDS")),
        "pool": (keys.pool_mark("gpu"), Key("SHARDS", "POOL#gpu")),
        "pulse": (keys.pulse(), Key("PULSE", "PULSE")),
        "failed undo": (keys.failed_undo("r"), Key("PULSE", "UNDO#r")),
        "due": (keys.due("run"), "due#4"),
        "due, of a schedule": (keys.due_of_schedule("flow", "daily"), "due#1"),
        "done": (keys.done("run-1"), "done#6"),
        "call": (keys.call("run-2"), "call#1"),
        "runs": (keys.runs("flow", "run-1"), "flow#2"),
        "place of a pool": (keys.pool("gpu"), "pool#gpu"),
        "all shards of due": (keys.due_shards(FEWER), ["due#0", "due#1"]),
        "all shards of done": (keys.done_shards(FEWER), ["done#0", "done#1"]),
        "all shards of calls": (keys.call_shards(FEWER), ["call#0", "call#1"]),
        "all shards of runs": (keys.runs_shards("flow", FEWER), ["flow#0"]),
        "what every table has": (keys.always(), Shards(8, 4)),
    }


def spans() -> dict[str, tuple[Span, list[Key]]]:
    return {
        "branches": (keys.branches("r"), [keys.run("r"), keys.branch("r", "a"), keys.branch("r", "zz")]),
        "history": (
            keys.history("r"),
            [keys.run("r"), keys.branch("r", "a"), keys.commit("r", 0), keys.commit("r", TIME_US)],
        ),
        "commits": (keys.commits("r"), [keys.commit("r", 0), keys.commit("r", LATEST_US)]),
        "logs": (keys.logs("r"), [keys.log_chunk("r", step, 1, TIME_US, "ab") for step in ("a", "ab", "zz")]),
        "logs of a step": (
            keys.logs("r", "a"),
            [keys.log_chunk("r", "a", attempt, TIME_US, "ff") for attempt in (1, 9999)],
        ),
        "logs of an attempt": (
            keys.logs("r", "a", 1),
            [keys.log_chunk("r", "a", 1, time_us, "ff") for time_us in (0, LATEST_US)],
        ),
        "versions": (keys.versions("flow"), [keys.version("flow", "0"), keys.version("flow", "zz")]),
        "notes and versions": (
            keys.notes_and_versions("flow"),
            [keys.notes("flow", "0"), keys.notes("flow", "zz"), keys.version("flow", "0"), keys.version("flow", "zz")],
        ),
        "registry": (keys.registry(), [keys.workflow("0"), keys.workflow("zz")]),
        "called": (keys.all_called(), [keys.called("0"), keys.called("zz")]),
        "limit": (
            keys.limit("db#k"),
            [keys.place("db#k", 0), keys.place("db#k", 999_999), keys.waiter("db#k", 10**38 - 1, "zz", "zz", 9)],
        ),
        "schedules": (keys.schedules(), [keys.schedule("0", "0"), keys.schedule("zz", "zz")]),
        "schedules of a workflow": (
            keys.schedules("flow"),
            [keys.schedule("flow", "0"), keys.schedule("flow", "zz")],
        ),
        "digests": (keys.digests_since(7), [keys.digests(7, "00"), keys.digests(7, "ff"), keys.digests(500_000, "ff")]),
        "signs": (keys.signs(), [keys.pulse(), keys.failed_undo("0"), keys.failed_undo("zz")]),
        "marks": (keys.index_marks(), [keys.shards(), keys.pool_mark("a"), keys.pool_mark("zz")]),
    }


def of_a_run() -> tuple[Key, ...]:
    """One of each kind that lies in a run's partition, with siblings whose names begin alike."""
    return (
        keys.run("r"),
        keys.branch("r", "a"),
        keys.commit("r", TIME_US),
        *(keys.log_chunk("r", step, attempt, TIME_US, "ab") for step in ("a", "ab", "b") for attempt in (1, 2, 11)),
        keys.payload("r", "a", 1, "ab"),
        keys.run_payload("r", "input#ab"),
    )


@pytest.fixture(autouse=True)
def _as_every_table() -> Iterator[None]:
    before = keys.written()
    keys.choose_shards(None)
    yield
    keys.choose_shards(before)


@pytest.mark.parametrize("name", stored())
def test_a_key_is_what_it_always_was(name: str) -> None:
    made, known = stored()[name]
    assert made == known


@pytest.mark.parametrize("name", spans())
def test_a_span_reaches_from_its_first_to_its_last(name: str) -> None:
    span, within = spans()[name]
    assert [key for key in within if not lies_in(span, key)] == []


@pytest.mark.parametrize(
    ("made", "given", "kinds"),
    [
        (keys.branches, ("r",), ["B#"]),
        (keys.history, ("r",), ["B#", "E#"]),
        (keys.commits, ("r",), ["E#"]),
        (keys.logs, ("r",), ["L#"]),
        (
            keys.logs,
            (
                "r",
                "a",
            ),
            ["L#a#"],
        ),
        (
            keys.logs,
            (
                "r",
                "a",
                1,
            ),
            ["L#a#0001#"],
        ),
        (
            keys.logs,
            (
                "r",
                "ab",
                11,
            ),
            ["L#ab#0011#"],
        ),
    ],
)
def test_a_span_holds_nothing_else_of_the_run(made: Callable[..., Span], given: Any, kinds: list[str]) -> None:
    wanted = [key for key in of_a_run() if key.sk.startswith(tuple(kinds))]
    assert wanted
    assert [key for key in of_a_run() if lies_in(made(*given), key)] == wanted


def test_a_workflows_schedules_are_its_own() -> None:
    of_others = [keys.schedule(slug, "daily") for slug in ("flow-2", "flow2", "flo")]
    assert [key for key in of_others if lies_in(keys.schedules("flow"), key)] == []
    assert lies_in(keys.schedules("flow"), keys.schedule("flow", "zz"))
    assert all(lies_in(keys.schedules(), key) for key in of_others)


def test_a_span_ends_where_others_begin() -> None:
    assert not lies_in(keys.versions("flow"), keys.notes("flow", VERSION))
    assert not lies_in(keys.notes_and_versions("flow"), keys.version("flow-2", VERSION))
    assert not lies_in(keys.limit("db"), keys.place("db#k", 1))
    assert not lies_in(keys.digests_since(7), keys.digests(6, "ff"))
    assert not lies_in(keys.digests_since(10), keys.digests(9, "ff"))


def test_an_attempts_lines_are_its_own_however_many_attempts_there_are() -> None:
    assert not lies_in(keys.logs("r", "a", 1_000), keys.log_chunk("r", "a", 10_000, TIME_US, "ab"))


def test_a_key_tells_what_it_is_of() -> None:
    assert keys.run_of("R#R#r") == "R#r"
    assert (keys.branch_of("B#"), keys.branch_of("B#a")) == ("", "a")
    assert keys.attempt_of(keys.log_chunk("r", "a", 12, TIME_US, "ab").sk) == ("a", 12)
    assert [keys.unable_to_undo(sk) for sk in (keys.failed_undo("r").sk, keys.pulse().sk)] == ["r", None]
    no_commits = [keys.run("r").sk, keys.branch("r", "E").sk, keys.log_chunk("r", "a", 1, 17, "ab").sk]
    assert [keys.commit_time_of(sk) for sk in (keys.commit("r", 17).sk, *no_commits)] == [17, None, None, None]
    assert [keys.noted_version(key.sk) for key in (keys.notes("flow", "N#V"), keys.version("flow", "V"))] == [
        "N#V",
        None,
    ]
    waits = keys.waiter("db#k", 17, "r#1", "a", 2)
    assert [keys.place_number(sk) for sk in (keys.place("db", 12).sk, waits.sk, keys.turns("db").sk)] == [
        12,
        None,
        None,
    ]
    assert [keys.is_waiter(sk) for sk in (keys.place("db", 12).sk, waits.sk, keys.turns("db").sk)] == [
        False,
        True,
        False,
    ]
    assert keys.waiter_rank(waits.sk) == 17
    assert keys.schedule_of(keys.schedule("flow", "daily")) == ("flow", "daily")
    assert [keys.is_schedule(key) for key in (keys.schedule("f", "s"), keys.run("SCHEDULES"))] == [True, False]
    assert [keys.marked_pool(sk) for sk in (keys.pool_mark("gpu").sk, keys.shards().sk)] == ["gpu", None]
    assert [keys.is_pool(place) for place in (keys.pool("gpu"), keys.due("r"), keys.call("r"))] == [True, False, False]


def test_who_is_more_urgent_ranks_before_whoever_waits_longer() -> None:
    order = [(LARGEST_WHOLE, LATEST_US), (2, 1), (2, 2), (1, 0), (0, 7), (-1, 3), (None, 0), (None, LATEST_US)]
    ranks = [keys.rank(*each) for each in order]
    assert ranks == sorted(ranks)
    assert ranks[0] == LATEST_US
    assert [keys.available_us_of(rank) for rank in ranks] == [available_us for _, available_us in order]
    assert all(len(str(rank)) <= 38 for rank in ranks), "an index's numbers have 38 digits"


def test_the_next_lower_priority_begins_where_the_higher_ends() -> None:
    assert keys.rank_below(keys.rank(2, 17)) == keys.rank(1, 0)
    assert keys.rank(2, LATEST_US) < keys.rank_below(keys.rank(2, 0))


def test_a_process_writes_to_as_many_shards_as_it_is_told() -> None:
    for chosen in (Shards(5, 3), Shards(1, 2)):
        keys.choose_shards(chosen)
        assert keys.written() == chosen
    assert (keys.due("run"), keys.done("run"), keys.call("run")) == ("due#0", "done#0", "call#0")
    assert [keys.runs("flow", run_id) for run_id in ("run-1", "run-2")] == ["flow#0", "flow#1"]
    assert keys.always() == Shards(8, 4)
    keys.choose_shards(None)
    assert keys.written() == keys.always()


def test_of_two_numbers_of_shards_the_larger_of_each_is_read() -> None:
    assert Shards(2, 9).at_least(Shards(3, 4)) == Shards(3, 9)
    assert Shards(3, 4).at_least(Shards(2, 9)) == Shards(3, 9)


def lies_in(span: Span, key: Key) -> bool:
    return key.pk == span.pk and span.first <= key.sk <= span.last
