"""A limit's places and its line as they are stored: who may write what, and what is read of it."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import ConfigurationError, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.places import Places
from cascade_flow.dynamodb.table import NONCE
from cascade_flow.engine.limits import Holder, Place, Waiter
from simulation import TickingClock
from unit.dynamodb.stored import Asked, Counting, failed

ME = Holder("run", "a", "b", 3)
OTHERS = [ME._replace(run_id="other"), ME._replace(step="c"), ME._replace(attempt=2)]
NOW_US, UNTIL_US = 5_000_000, 9_999_999
WEEK_S = 7 * 86_400
ITEM = {"r": "run", "b": "a", "s": "b", "a": 3}


@pytest.fixture
def client() -> Any:
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        yield Counting()


def taken(client: Counting, holder: Holder, *, now_us: int = NOW_US, until_us: int = UNTIL_US) -> bool:
    return Places(client.table).take("x", 0, holder, now_us=now_us, until_us=until_us)


def test_a_place_says_who_has_it_since_when_and_until_when(client: Counting) -> None:
    assert taken(client, ME)
    assert client.stored(keys.place("x", 0)) == {**ITEM, "t": NOW_US, "u": UNTIL_US, keys.EXPIRY: 9 + WEEK_S}
    standing = Places(client.table).standing("x", at_most=2)
    assert (standing.places, standing.line) == ({0: Place(ME, UNTIL_US, NOW_US)}, ())


@pytest.mark.parametrize(("later_us", "is_won"), [(-1, False), (0, True), (1, True)])
def test_a_place_is_anybodys_when_its_time_is_over(client: Counting, later_us: int, is_won: bool) -> None:
    assert taken(client, ME)
    assert taken(client, OTHERS[0], now_us=UNTIL_US + later_us, until_us=UNTIL_US + 5) is is_won
    now = Places(client.table).standing("x", at_most=2).places[0]
    assert now.holder == (OTHERS[0] if is_won else ME)


def test_a_place_is_prolonged_and_given_back_by_whom_it_names_alone(client: Counting) -> None:
    places = Places(client.table)
    assert taken(client, ME)
    for other in OTHERS:
        assert not places.prolong("x", 0, other, until_us=UNTIL_US + 1)
        assert not places.give_back("x", 0, other)
    assert places.prolong("x", 0, ME, until_us=20_000_000)
    prolonged = {**ITEM, "t": NOW_US, "u": 20_000_000, keys.EXPIRY: 20 + WEEK_S}
    assert client.stored(keys.place("x", 0)) == prolonged
    assert places.give_back("x", 0, ME)
    assert client.stored(keys.place("x", 0)) == {**prolonged, "u": 0}
    assert places.standing("x", at_most=1).places == {0: Place(None, 0, NOW_US)}
    assert not places.prolong("x", 0, ME, until_us=UNTIL_US)
    assert not places.give_back("x", 0, ME)
    assert taken(client, OTHERS[0], now_us=1)


def test_whose_time_is_over_keeps_its_place_where_nobody_has_taken_it(client: Counting) -> None:
    assert taken(client, ME, until_us=NOW_US - 1)
    assert Places(client.table).standing("x", at_most=1).places[0].holder == ME
    assert Places(client.table).prolong("x", 0, ME, until_us=UNTIL_US)


def test_each_attempt_waits_at_its_rank_once(client: Counting) -> None:
    places = Places(client.table)
    waiters = [Waiter(rank, holder, 4 + rank) for rank, holder in enumerate([ME, *OTHERS])]
    for waiter in (*reversed(waiters), waiters[1], waiters[0]._replace(at_most=9)):
        places.line_up("x", waiter)
    line = (waiters[0]._replace(at_most=9), *waiters[1:])
    assert places.standing("x", at_most=1).line == line
    key = keys.waiter("x", 0, "run", "a", 3)
    assert client.stored(key) == {**ITEM, "m": 9, keys.EXPIRY: NOW_US // 1_000_000 + WEEK_S}
    places.leave("x", waiters[0])
    assert places.standing("x", at_most=1).line == line[1:]


def test_a_look_reads_all_places_and_the_first_who_wait_by_one_request(client: Counting) -> None:
    places = Places(client.table)
    for number in (2, 1):
        assert places.take("x", number, OTHERS[number], now_us=1, until_us=UNTIL_US)
    waiters = [Waiter(rank, ME, 3) for rank in range(4)]
    for waiter in waiters:
        places.line_up("x", waiter)
    client.asked.clear()
    standing = places.standing("x", at_most=3, first=2)
    assert {number: place.holder for number, place in standing.places.items()} == {1: OTHERS[1], 2: OTHERS[2]}
    assert standing.line == tuple(waiters[:2])
    assert [asked["Limit"] for asked in client.asked] == [5]
    places.standing("x", at_most=3)
    assert client.asked[-1]["Limit"] == 3 + 8


def test_where_others_know_of_more_places_a_look_reads_on(client: Counting) -> None:
    places = Places(client.table)
    for number in range(3):
        assert places.take("x", number, ME, now_us=1, until_us=UNTIL_US)
    places.line_up("x", Waiter(1, ME, 3))
    assert places.standing("x", at_most=1, first=1).line == (Waiter(1, ME, 3),)


def test_what_goes_wrong_is_told(client: Counting) -> None:
    missing = Asked(failed("ResourceNotFoundException"))
    with pytest.raises(ConfigurationError):
        taken(missing, ME)  # type: ignore[arg-type]


def test_two_who_write_the_same_are_two(client: Counting) -> None:
    """Or each would take what the other has written for its own."""
    for _ in range(2):
        taken(client, ME)
    first, second = (asked["ExpressionAttributeValues"][f":{NONCE}_"] for asked in client.asked[-2:])
    assert first != second
