"""The `runs` index: a workflow's runs by the time of their creation, newest first. Hints; the runs are read after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from cascade_flow.dynamodb import keys, shards
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Key, Table

_ENTRIES_AT_ONCE = 1_000


class Filter(NamedTuple):
    """Which runs are wanted: of any of these statuses (all, where none is named) and with all of these tags."""

    status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admits(self, item: Item) -> bool:
        tags = json.loads(str(item.get("tags", "[]"))) if self.tags else []
        return (not self.status or item["st"] in self.status) and set(self.tags) <= set(tags)


class Page(NamedTuple):
    """The ids of some runs, newest first, and how many there are of their kind."""

    ids: list[str]
    total: int


EVERY = Filter()


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


def newest_first(
    table: Table, places: Sequence[str], wanted: Filter = EVERY, *, at_once: int | None = None
) -> Iterator[str]:
    """The ids of the wanted runs of these shards; so many entries are read in one request, and only when needed."""
    streams = (_entries(table, shard, wanted, at_once) for shard in places)
    return (run_id for _, run_id in merge(*streams, key=lambda entry: -entry[0]))


def _entries(table: Table, shard: str, wanted: Filter, at_once: int | None) -> Iterator[tuple[int, str]]:
    condition = Key(keys.RUNS_SHARD).eq(shard)
    for item in table.query_index(keys.RUNS_INDEX, condition, backwards=True, at_once=at_once):
        if wanted.admits(item):
            yield int(item[keys.RUNS_TIME]), keys.run_of(str(item[keys.PARTITION]))
