"""The due index: when somebody must look at an item again. Keys only; what is found is read again before anything."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Key, Table


class Entry(NamedTuple):
    """An item of a run and the time at which the index has it."""

    due_us: int
    key: keys.Key

    @property
    def run_id(self) -> str:
        return keys.run_of(self.key.pk)

    @property
    def branch(self) -> str:
        """The branch; empty for the run itself."""
        return keys.branch_of(self.key.sk)


def entries(table: Table, *, until_us: int) -> Iterator[Entry]:
    """Everything that is due by then, of all shards, oldest first."""
    return merge(*(_shard(table, shard, until_us) for shard in keys.due_shards()))


def _shard(table: Table, shard: str, until_us: int) -> Iterator[Entry]:
    condition = Key(keys.DUE_SHARD).eq(shard) & Key(keys.DUE_TIME).lte(until_us)
    for item in table.query_index(keys.DUE_INDEX, condition):
        yield Entry(int(item[keys.DUE_TIME]), keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])))
