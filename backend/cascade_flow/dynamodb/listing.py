"""The `runs` index: a workflow's runs by the time of their creation, newest first. Hints; the runs are read after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from cascade_flow.dynamodb import keys, shards
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Condition, Key, Table

_ENTRIES_AT_ONCE = 1_000


LATEST_US = 2**62


class Filter(NamedTuple):
    """Which runs are wanted: of any of these statuses (all, where none is named) and with all of these tags, made
    between these times, neither of which is one of theirs.
    """

    status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    after_us: int = -1
    before_us: int = LATEST_US + 1

    @property
    def needs_a_look(self) -> bool:
        """Whether an entry's time alone doesn't say if it is wanted."""
        return bool(self.status or self.tags)

    def admits(self, item: Item) -> bool:
        tags = json.loads(str(item.get("tags", "[]"))) if self.tags else []
        return (not self.status or item["st"] in self.status) and set(self.tags) <= set(tags)


class Page(NamedTuple):
    """The ids of some runs, newest first, and how many there are of their kind."""

    ids: list[str]
    total: int


class Place(NamedTuple):
    """A place in such a list: behind these runs, the last of which were created at this time."""

    time_us: int
    ids: tuple[str, ...]

    def then(self, time_us: int, run_id: str) -> Place:
        """The place behind one more run."""
        return Place(time_us, (*self.ids, run_id) if time_us == self.time_us else (run_id,))


class Part(NamedTuple):
    """The ids of some runs, newest first, the place behind each, and where to go on if there may be more.

    `to_skip`: how many runs of the offset are behind all that was looked at.
    """

    ids: list[str]
    behind: list[Place]
    more: Place | None
    to_skip: int = 0


class Count(NamedTuple):
    """How many runs there are of a kind; or that there are more than anybody wants to count."""

    number: int
    is_exact: bool


class Tally(NamedTuple):
    """How many runs there are by status; or of the newest, where there are more than anybody wants to count."""

    numbers: Mapping[str, int]
    is_exact: bool


EVERY = Filter()
MOST_COUNTED = 10_000
MOST_LOOKED_AT = 2_000
"""Entries that are looked at for one part: a filter may pass over any number of them."""
START = Place(LATEST_US, ())


def shards_of(table: Table, slug: str) -> list[str]:
    """The shards in which somebody may have put runs of a workflow."""
    return keys.runs_shards(slug, shards.known(table))


def page(table: Table, places: Sequence[str], wanted: Filter, *, offset: int, limit: int | None) -> Page:
    """A part of the wanted runs of these shards.

    Without a filter no more entries are read than the page goes deep, and the others are counted only. A filter needs
    every entry, once.
    """
    if limit is None or wanted != EVERY:
        found = list(newest_first(table, places, wanted))
        return Page(found[offset : None if limit is None else offset + limit], len(found))
    depth = offset + limit
    ids = list(islice(newest_first(table, places, at_once=min(depth, _ENTRIES_AT_ONCE)), offset, depth))
    condition = (Key(keys.RUNS_SHARD).eq(shard) for shard in places)
    return Page(ids, sum(table.count_index(keys.RUNS_INDEX, of_shard) for of_shard in condition))


def part(
    table: Table, places: Sequence[str], wanted: Filter, *, limit: int, after: Place = START, offset: int = 0
) -> Part:
    """The next wanted runs of these shards: as many requests as that takes, however many runs are stored.

    An offset reads what it passes over, up to as many entries as are counted at most.
    """
    ids, behind, looked_at = list[str](), list[Place](), 0
    most = MOST_COUNTED if offset else MOST_LOOKED_AT
    at_once = _entries_for(wanted, limit + offset)
    for time_us, run_id, is_wanted in _merged(table, places, wanted, until=after, at_once=at_once):
        if len(ids) == limit or looked_at == most:
            return Part(ids, behind, after, offset)
        looked_at, after = looked_at + 1, after.then(time_us, run_id)
        if is_wanted and offset:
            offset -= 1
        elif is_wanted:
            ids.append(run_id)
            behind.append(after)
    return Part(ids, behind, None)


def count(table: Table, places: Sequence[str], wanted: Filter) -> Count:
    """How many wanted runs these shards hold; no more entries are read than are counted at most."""
    if not wanted.needs_a_look:
        number = 0
        for condition in filter(None, (_stretch(shard, wanted, START) for shard in places)):
            number += table.count_index(keys.RUNS_INDEX, condition, at_most=MOST_COUNTED + 1 - number)
        return Count(min(number, MOST_COUNTED), number <= MOST_COUNTED)
    entries = list(islice(_merged(table, places, wanted, at_once=_ENTRIES_AT_ONCE), MOST_COUNTED + 1))
    return Count(sum(is_wanted for _, _, is_wanted in entries[:MOST_COUNTED]), len(entries) <= MOST_COUNTED)


def tally(table: Table, places: Sequence[str], wanted: Filter) -> Tally:
    """How many wanted runs are in each status, whichever the filter names; no more are read than are counted."""
    found, of_any = list(islice(_items(table, places, wanted), MOST_COUNTED + 1)), wanted._replace(status=())
    numbers = Counter(str(item["st"]) for item in found[:MOST_COUNTED] if of_any.admits(item))
    return Tally(numbers, len(found) <= MOST_COUNTED)


def _items(table: Table, places: Sequence[str], wanted: Filter) -> Iterator[Item]:
    """What the index holds of these shards, newest first."""
    conditions = filter(None, (_stretch(shard, wanted, START) for shard in places))
    streams = (
        table.query_index(keys.RUNS_INDEX, condition, backwards=True, at_once=_ENTRIES_AT_ONCE)
        for condition in conditions
    )
    return merge(*streams, key=lambda item: -int(item[keys.RUNS_TIME]))


def _entries_for(wanted: Filter, limit: int) -> int:
    return _ENTRIES_AT_ONCE if wanted.needs_a_look else min(limit + 1, _ENTRIES_AT_ONCE)


def newest_first(
    table: Table, places: Sequence[str], wanted: Filter = EVERY, *, at_once: int | None = None
) -> Iterator[str]:
    """The ids of the wanted runs of these shards; so many entries are read in one request, and only when needed."""
    entries = _merged(table, places, wanted, at_once=at_once)
    return (run_id for _, run_id, is_wanted in entries if is_wanted)


def _merged(
    table: Table, places: Sequence[str], wanted: Filter, *, until: Place = START, at_once: int | None
) -> Iterator[tuple[int, str, bool]]:
    """Every entry of these shards behind a place: its time, its run, and whether that is wanted."""
    streams = (_entries(table, shard, wanted, until, at_once) for shard in places)
    return merge(*streams, key=lambda entry: -entry[0])


def _entries(
    table: Table, shard: str, wanted: Filter, until: Place, at_once: int | None
) -> Iterator[tuple[int, str, bool]]:
    condition = _stretch(shard, wanted, until)
    if condition is None:
        return
    for item in table.query_index(keys.RUNS_INDEX, condition, backwards=True, at_once=at_once):
        time_us, run_id = int(item[keys.RUNS_TIME]), keys.run_of(str(item[keys.PARTITION]))
        if time_us != until.time_us or run_id not in until.ids:
            yield time_us, run_id, wanted.admits(item)


def _stretch(shard: str, wanted: Filter, until: Place) -> Condition | None:
    """The entries of a shard that are made in time, at a place or behind it; None where no time is left."""
    oldest_us, newest_us = wanted.after_us + 1, min(until.time_us, wanted.before_us - 1)
    of_shard = Key(keys.RUNS_SHARD).eq(shard)
    if newest_us < oldest_us:
        return None
    if newest_us == LATEST_US and oldest_us == 0:
        return of_shard
    return of_shard & Key(keys.RUNS_TIME).between(oldest_us, newest_us)
