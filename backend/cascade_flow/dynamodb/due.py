"""The due index: when somebody must look at an item again. Keys only; what is found is read again before anything.

Whoever moves an entry says at which time it was seen: in between somebody else may have moved it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from heapq import merge
from itertools import chain, islice
from typing import Any, NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb import keys, shards
from cascade_flow.dynamodb.table import Attr, Condition, Key, Refused, Table, Update
from cascade_flow.engine.state import Branch, within_time
from cascade_flow.records import dataclass

PAGE = 1_000
"""Entries of one shard that a sweep reads in one request."""
_PUT_OFF_BY, _PUT_OFF_TO = "pb", "pt"


class Entry(NamedTuple):
    """An item of a run (or a schedule) and the time at which the index has it."""

    due_us: int
    key: keys.Key

    @property
    def is_schedule(self) -> bool:
        return keys.is_schedule(self.key)

    @property
    def run_id(self) -> str:
        return keys.run_of(self.key.pk)

    @property
    def branch(self) -> str:
        """The branch; empty for the run itself."""
        return keys.branch_of(self.key.sk)


def due_shards(table: Table) -> list[str]:
    """The shards in which somebody may have put what is due."""
    return keys.due_shards(shards.known(table))


def entries(table: Table, *, until_us: int, at_once: int | None = None, backwards: bool = False) -> Iterator[Entry]:
    """Everything of the runs that the engine drives that is due by then, of all shards, oldest first, or last; so many
    entries of each shard are read at once.
    """
    times, read = _until(until_us), partial(_shard, at_once=at_once, backwards=backwards)
    return merge(*(read(table, shard, times) for shard in due_shards(table)), reverse=backwards)


def waiting(table: Table, pool: str, *, until_us: int, at_once: int | None = None) -> Iterator[Entry]:
    """What waits for a worker of a pool and may be claimed by then, in the order in which it is to be claimed.

    An entry's time is its rank. What is due later than that is passed over by priority: one more request for each that
    has such.
    """
    begin: int | None = 0
    while begin is not None:
        entries = _shard(table, keys.pool(pool), Key(keys.DUE_TIME).gte(begin), at_once=at_once)
        begin = None
        for entry in entries:
            if keys.available_us_of(entry.due_us) > until_us:
                begin = keys.rank_below(entry.due_us)
                break
            yield entry


def waiting_anywhere(table: Table, *, until_us: int) -> Iterator[Entry]:
    """The same for all pools."""
    return chain.from_iterable(waiting(table, pool, until_us=until_us) for pool in shards.pools(table))


def waits_us(table: Table, *, now_us: int) -> dict[str, int]:
    """How long the step has waited that each pool's workers are to claim next: one request for each pool."""
    heads = {pool: next(waiting(table, pool, until_us=now_us, at_once=1), None) for pool in shards.pools(table)}
    return {pool: now_us - keys.available_us_of(head.due_us) for pool, head in heads.items() if head is not None}


def later(table: Table, *, than_us: int, at_once: int) -> Iterator[Entry]:
    """Everything of the runs that the engine drives that the index has for later than this, in order; so many entries
    of each shard are read at once.
    """
    times = Key(keys.DUE_TIME).gt(within_time(than_us))
    return merge(*(_shard(table, shard, times, at_once=at_once) for shard in due_shards(table)))


def called(table: Table, *, until_us: int) -> Iterator[Entry]:
    """The same of runs that callers drive; a step's entry is no later than its schedule or its start."""
    return merge(*(_shard(table, shard, _until(until_us)) for shard in keys.call_shards(shards.known(table))))


def live(table: Table) -> Iterator[Entry]:
    """Every run that goes on, whoever drives it, and every branch or step of it that somebody may work on."""
    among, pools = shards.known(table), map(keys.pool, shards.pools(table))
    places = (*keys.due_shards(among), *pools, *keys.call_shards(among))
    return chain.from_iterable(_shard(table, shard) for shard in places)


def ended(table: Table, *, since_us: int) -> Iterator[Entry]:
    """Every run that has ended since then, under the time of its end."""
    times = Key(keys.DUE_TIME).gte(within_time(since_us))
    return chain.from_iterable(_shard(table, shard, times) for shard in keys.done_shards(shards.known(table)))


@dataclass(frozen=True)
class Line:
    """What is due of one shard, oldest first, of which a page was read."""

    shard: str
    first: list[Entry]
    rest: Iterator[Entry]

    @property
    def is_long(self) -> bool:
        """Whether there may be more than that page."""
        return len(self.first) >= PAGE

    def __iter__(self) -> Iterator[Entry]:
        return chain(self.first, self.rest)


def line(table: Table, shard: str, *, until_us: int) -> Line:
    """Everything of a shard that is due by then, read page by page."""
    rest = _everything(table, shard, _until(until_us), at_once=PAGE)
    return Line(shard, list(islice(rest, PAGE)), rest)


def look_later(table: Table, entry: Entry, due_us: int, branch: Branch | None = None) -> None:
    """Move an entry on; that of a branch only while nobody has claimed it, gone on or arrived at it since it was read:
    none of these touches the entry, and each may call for an earlier look.
    """
    _move(table, entry, None if branch is None else _unmoved(branch), set={keys.DUE_TIME: due_us})


def look_no_more(table: Table, entry: Entry) -> None:
    """Take an item out of the index: nothing is left to be done for it."""
    _move(table, entry, remove=frozenset({keys.DUE_SHARD, keys.DUE_TIME}))


def put_off(table: Table, entry: Entry, *, least_us: int, most_us: int) -> None:
    """Move the entry of an item on that nobody can deal with: each time twice as far, until somebody has.

    How far is noted beside it, with the time that this gave: another time is somebody else's. Nothing else of the item
    is read, since it may be one that nobody can decode.
    """
    known = table.get(entry.key, only=(_PUT_OFF_BY, _PUT_OFF_TO)) or {}
    again = known.get(_PUT_OFF_TO) == entry.due_us
    pause_us = min(2 * int(known[_PUT_OFF_BY]), most_us) if again else least_us
    until_us = clock.now_us() + pause_us
    _move(table, entry, set={keys.DUE_TIME: until_us, _PUT_OFF_BY: pause_us, _PUT_OFF_TO: until_us})


def _move(table: Table, entry: Entry, known: Condition | None = None, **change: Any) -> None:
    seen = Attr(keys.DUE_TIME).eq(entry.due_us)
    with suppress(Refused):
        table.write([Update(entry.key, seen if known is None else seen & known, **change, blind=True)])


def _unmoved(branch: Branch) -> Condition:
    return Attr("sq").eq(branch.seq) & Attr("n").eq(branch.arrived)


def _until(time_us: int) -> Condition:
    return Key(keys.DUE_TIME).lte(within_time(time_us))


def _shard(
    table: Table, shard: str, times: Condition | None = None, *, at_once: int | None = None, backwards: bool = False
) -> Iterator[Entry]:
    """What lies in a shard but for schedules, which only a sweep has business with."""
    found = _everything(table, shard, times, at_once=at_once, backwards=backwards)
    return (entry for entry in found if not entry.is_schedule)


def _everything(
    table: Table, shard: str, times: Condition | None = None, *, at_once: int | None = None, backwards: bool = False
) -> Iterator[Entry]:
    condition = Key(keys.DUE_SHARD).eq(shard)
    wanted = condition if times is None else condition & times
    for item in table.query_index(keys.DUE_INDEX, wanted, at_once=at_once, backwards=backwards):
        yield Entry(int(item[keys.DUE_TIME]), keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])))
