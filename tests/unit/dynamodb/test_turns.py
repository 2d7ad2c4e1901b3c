"""A limit's turns as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import ConflictError, clock
from cascade_flow.dynamodb import keys, turns
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.table import NONCE, Update
from cascade_flow.engine.limits import Turn
from cascade_flow.engine.state import Branch, Limit
from simulation import BEGIN_US, TickingClock
from unit.dynamodb.stored import Asked, Counting, failed, put

LIMIT = Limit("x", 2, per_us=10_000_000)
STEP_US, WEEK_S = 5_000_000, 7 * 86_400


@pytest.fixture
def client() -> Iterator[Counting]:
    with clock.use(TickingClock(tick_us=0)):
        yield Counting()


def stands_at(client: Counting, time_us: int) -> None:
    client.table.write([Update(keys.turns("x"), None, set={"t": time_us})])


@pytest.mark.parametrize(("stands_us", "starts_us"), [(None, 0), (-1, 0), (0, 0), (1, 1), (7_000_000, 7_000_000)])
def test_the_next_turn_is_the_first_that_is_free_and_moves_it_on(
    client: Counting, stands_us: int | None, starts_us: int
) -> None:
    if stands_us is not None:
        stands_at(client, BEGIN_US + stands_us)
    next_us = BEGIN_US + starts_us + STEP_US
    assert turns.next_turn(client.table, LIMIT) == Turn(BEGIN_US + starts_us, next_us)
    assert client.stored(keys.turns("x")) == {"t": next_us, keys.EXPIRY: next_us // 1_000_000 + WEEK_S}
    assert turns.next_free_us(client.table, "x") == next_us


@pytest.mark.parametrize(("stands_us", "is_taken"), [(-1, True), (0, True), (1, False)])
def test_who_can_not_wait_takes_a_turn_that_is_now(client: Counting, stands_us: int, is_taken: bool) -> None:
    stands_at(client, BEGIN_US + stands_us)
    assert (turns.next_turn(client.table, LIMIT, at_once=True) is not None) is is_taken
    assert (turns.next_free_us(client.table, "x") == BEGIN_US + stands_us) is not is_taken


def test_a_limit_of_which_nobody_has_taken_a_turn_has_none(client: Counting) -> None:
    assert turns.next_free_us(client.table, "x") is None


def taken_by_others(time_us: int) -> Exception:
    return failed("ConditionalCheckFailedException", Item={"t": {"N": str(time_us)}})


def test_who_is_overtaken_takes_the_turn_after() -> None:
    """As often as that happens, though not for ever."""
    others = [taken_by_others(BEGIN_US + n * STEP_US) for n in range(1, 50)]
    with clock.use(TickingClock(tick_us=0)):
        client = Asked({}, *others, {})
        assert turns.next_turn(client.table, LIMIT) == Turn(BEGIN_US + 49 * STEP_US, BEGIN_US + 50 * STEP_US)
        first, again = client.requests[1], client.requests[2]
        assert "attribute_not_exists" in first["ConditionExpression"]
        assert {"N": str(BEGIN_US + STEP_US)} in again["ExpressionAttributeValues"].values()
        with pytest.raises(ConflictError):
            turns.next_turn(Asked({}, taken_by_others(BEGIN_US)).table, LIMIT)


def test_who_finds_nothing_any_more_begins_anew() -> None:
    found = {"Item": {"pk": {"S": "p"}, "t": {"N": str(BEGIN_US + STEP_US)}}}
    with clock.use(TickingClock(tick_us=0)):
        table = Asked(found, failed("ConditionalCheckFailedException"), {}).table
        assert turns.next_turn(table, LIMIT) == Turn(BEGIN_US, BEGIN_US + STEP_US)


def test_a_turn_that_comes_while_one_asks_is_taken_as_it_is_then() -> None:
    with clock.use(TickingClock(tick_us=1_000_000)):
        taken = turns.next_turn(Asked({}, taken_by_others(1), {}).table, LIMIT)
    assert taken is not None
    assert taken.start_us > BEGIN_US + 1_000_000


BRANCH = Branch("a", "scheduled", "b", attempt=2, available_at_us=1, due_us=100, seq=7)


@pytest.mark.parametrize(("turn_us", "due_us"), [(99, 100), (100, 100), (101, 500)])
def test_a_turn_is_noted_and_the_index_has_it_no_sooner(client: Counting, turn_us: int, due_us: int) -> None:
    put(client.table, BRANCH)
    noted = turns.note(client.table, "run", BRANCH, turn_us, look_us=500)
    assert noted == replace(BRANCH, turn_us=turn_us, due_us=due_us, seq=8)
    stored = client.stored(keys.branch("run", "a"))
    assert stored is not None
    assert (stored[keys.DUE_SHARD], stored[keys.DUE_TIME], stored["tu"]) == (keys.due("run"), due_us, turn_us)


def test_what_the_index_does_not_have_it_has_from_the_turn_on(client: Counting) -> None:
    put(client.table, replace(BRANCH, due_us=None))
    assert turns.note(client.table, "run", replace(BRANCH, due_us=None), 5, look_us=500).due_us == 500


CHANGES: list[dict[str, Any]] = [
    {"turn_us": 3},
    {"halt": "park"},
    {"halt": "stop"},
    {"status": "running"},
    {"step": "c"},
    {"attempt": 3},
]


@pytest.mark.parametrize("changed", CHANGES, ids=str)
def test_a_turn_is_noted_once_where_it_is_scheduled_still(client: Counting, changed: dict[str, Any]) -> None:
    now = replace(BRANCH, **changed)
    put(client.table, now)
    with pytest.raises(BranchRefused) as refused:
        turns.note(client.table, "run", BRANCH, 101, look_us=500)
    assert refused.value.now == now


@pytest.mark.parametrize(
    "ask",
    [
        lambda table: turns.next_turn(table, LIMIT),
        lambda table: turns.note(table, "run", BRANCH, 101, look_us=500),
    ],
)
def test_two_who_write_the_same_are_two(client: Counting, ask: Any) -> None:
    said = []
    for _ in range(2):
        client.table.delete(keys.turns("x"))
        put(client.table, BRANCH)
        ask(client.table)
        said.append(client.asked[-1]["ExpressionAttributeValues"][f":{NONCE}_"])
    assert said[0] != said[1]
