"""The `runs` index: a workflow's runs by the time of their creation, newest first. Hints; the runs are read after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Key, Table


class Filter(NamedTuple):
    """Which runs are wanted: of any of these statuses (all, where none is named) and with all of these tags."""

    status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admits(self, item: Item) -> bool:
        tags = json.loads(str(item.get("tags", "[]"))) if self.tags else []
        return (not self.status or item["st"] in self.status) and set(self.tags) <= set(tags)


class Entry(NamedTuple):
    """A run in the index."""

    run_id: str
    created_us: int


def newest_first(table: Table, shard: str, wanted: Filter) -> Iterator[Entry]:
    """The runs of one shard that are wanted."""
    condition = Key(keys.RUNS_SHARD).eq(shard)
    for item in table.query_index(keys.RUNS_INDEX, condition, backwards=True):
        if wanted.admits(item):
            yield Entry(keys.run_of(str(item[keys.PARTITION])), int(item[keys.RUNS_TIME]))


def count(table: Table, shard: str, wanted: Filter) -> int:
    """How many runs of one shard are wanted."""
    if wanted == Filter():
        return table.count_index(keys.RUNS_INDEX, Key(keys.RUNS_SHARD).eq(shard))
    return sum(1 for _ in newest_first(table, shard, wanted))
