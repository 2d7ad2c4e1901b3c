"""What a table remembers of itself: its pulse, its secret, its shards and pools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cascade_flow import ConfigurationError, clock
from cascade_flow.dynamodb import keys, pulse, secret, shards
from cascade_flow.dynamodb.items import key_of
from cascade_flow.dynamodb.table import Put, Update
from cascade_flow.engine.findings import Sweeps
from simulation import TickingClock
from unit.dynamodb.stored import NEVER_S, Asked, Counting, failed, refused_with

SWEEPS = Sweeps(5, 7)
pytestmark = pytest.mark.usefixtures("usual_shards")


@pytest.fixture
def time() -> Iterator[TickingClock]:
    time = TickingClock(tick_us=0)
    with clock.use(time):
        yield time


@pytest.fixture
def client(time: TickingClock) -> Counting:
    return Counting()


def test_the_newest_sweep_is_known_and_none_where_there_was_none(client: Counting) -> None:
    assert pulse.get_sweeps(client.table) is None
    assert pulse.get_signs(client.table) == pulse.Signs(None, [])
    for sweeps in (Sweeps(1, 2), SWEEPS):
        pulse.put_sweeps(client.table, sweeps)
    assert pulse.get_sweeps(client.table) == SWEEPS
    assert client.stored(keys.pulse()) == {"t": 5, "n": 7}


def test_all_that_failed_to_undo_is_known_with_the_pulse_by_one_query(client: Counting) -> None:
    for run_id in ("b", "a"):
        client.table.write([Put({**key_of(keys.failed_undo(run_id)), keys.EXPIRY: NEVER_S})])
    pulse.put_sweeps(client.table, SWEEPS)
    client.asked.clear()
    assert pulse.get_signs(client.table) == pulse.Signs(SWEEPS, ["a", "b"])
    assert len(client.asked) == 1


def test_a_secret_is_made_once_and_read_once_by_each_process(client: Counting) -> None:
    mine = secret.secret_of(client.table)
    assert len(mine) == 32
    assert client.stored(keys.secret()) == {"k": mine}
    requests = len(client.asked)
    assert (secret.secret_of(client.table), len(client.asked)) == (mine, requests)
    other = type(client.table)(client, "t")
    assert (secret.secret_of(other), len(client.asked)) == (mine, requests + 1)
    assert secret.secret_of(Counting().table) != mine


def test_of_two_who_make_a_secret_at_once_the_first_has_made_it() -> None:
    theirs = {"Item": {"pk": {"S": "p"}, "k": {"B": b"theirs"}}}
    client = Asked({}, refused_with(pk="p"), theirs)
    assert secret.secret_of(client.table) == b"theirs"
    assert "ConditionExpression" in client.requests[1]


def test_a_secret_that_can_not_be_stored_is_none() -> None:
    with pytest.raises(ConfigurationError):
        secret.secret_of(Asked({}, failed("AccessDeniedException")).table)


ALWAYS = keys.always()


@pytest.mark.parametrize(
    ("chosen", "stored"),
    [
        (ALWAYS, None),
        (keys.Shards(ALWAYS.due - 1, ALWAYS.runs - 1), None),
        (keys.Shards(ALWAYS.due + 1, ALWAYS.runs), {"due": ALWAYS.due + 1}),
        (keys.Shards(ALWAYS.due, ALWAYS.runs + 1), {"runs": ALWAYS.runs + 1}),
        (keys.Shards(30, 20), {"due": 30, "runs": 20}),
    ],
    ids=str,
)
def test_more_shards_than_every_table_has_are_remembered_and_read(
    client: Counting, chosen: keys.Shards, stored: dict[str, int] | None
) -> None:
    keys.choose_shards(chosen)
    shards.remember(client.table)
    assert client.stored(keys.shards()) == stored
    assert len(client.asked) == len(stored or {})
    assert all("ReturnValues" not in asked for asked in client.asked)
    assert shards.known(client.table) == ALWAYS.at_least(chosen)
    keys.choose_shards(None)
    assert shards.known(type(client.table)(client, "t")) == ALWAYS.at_least(chosen)


@pytest.mark.parametrize(("before", "now"), [(29, 30), (30, 30), (31, 31)])
def test_what_is_remembered_of_shards_only_grows(client: Counting, before: int, now: int) -> None:
    client.table.write([Update(keys.shards(), None, set={"due": before, "runs": before})])
    keys.choose_shards(keys.Shards(30, 30))
    shards.remember(client.table)
    assert client.stored(keys.shards()) == {"due": now, "runs": now}


def test_who_writes_to_more_shards_knows_of_them_itself(client: Counting) -> None:
    keys.choose_shards(keys.Shards(30, 20))
    assert shards.known(client.table) == keys.Shards(30, 20)


def test_a_table_that_can_not_remember_says_so() -> None:
    keys.choose_shards(keys.Shards(30, 30))
    with pytest.raises(ConfigurationError):
        shards.remember(Asked(failed("AccessDeniedException")).table)


@pytest.mark.parametrize(("later_us", "reads"), [(599_999_999, 1), (600_000_000, 2)])
def test_what_was_read_of_shards_is_believed_for_ten_minutes(
    client: Counting, time: TickingClock, later_us: int, reads: int
) -> None:
    assert shards.known(client.table) == ALWAYS
    client.asked.clear()
    time.pause_us(later_us)
    assert (shards.pools(client.table), len(client.asked)) == ((), reads - 1)


def test_a_pool_is_known_at_once_to_who_has_remembered_it(client: Counting) -> None:
    assert shards.pools(client.table) == ()
    shards.remember_pools(client.table, ["gpu", "cpu"])
    keys.choose_shards(keys.Shards(30, 20))
    shards.remember(client.table)
    client.asked.clear()
    assert (shards.pools(client.table), shards.known(client.table)) == (("cpu", "gpu"), keys.Shards(30, 20))
    assert len(client.asked) == 1
    shards.remember_pools(client.table, [])
    assert len(client.asked) == 1
