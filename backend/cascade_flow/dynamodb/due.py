"""The due index: when somebody must look at an item again. Keys only; what is found is read again before anything."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import chain
from typing import NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Condition, Key, Table
from cascade_flow.engine.state import within_time


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
    """Everything of the runs that the engine drives that is due by then, of all shards, oldest first."""
    return merge(*(_shard(table, shard, _until(until_us)) for shard in keys.due_shards()))


def called(table: Table, *, until_us: int) -> Iterator[Entry]:
    """The same of runs that callers drive; a step's entry is no later than its schedule or its start."""
    return merge(*(_shard(table, shard, _until(until_us)) for shard in keys.call_shards()))


def live(table: Table) -> Iterator[Entry]:
    """Every run that goes on, whoever drives it, and every branch or step of it that somebody may work on."""
    return chain.from_iterable(_shard(table, shard) for shard in (*keys.due_shards(), *keys.call_shards()))


def ended(table: Table, *, since_us: int) -> Iterator[Entry]:
    """Every run that has ended since then, under the time of its end."""
    times = Key(keys.DUE_TIME).gte(within_time(since_us))
    return chain.from_iterable(_shard(table, shard, times) for shard in keys.done_shards())


def _until(time_us: int) -> Condition:
    return Key(keys.DUE_TIME).lte(within_time(time_us))


def _shard(table: Table, shard: str, times: Condition | None = None) -> Iterator[Entry]:
    condition = Key(keys.DUE_SHARD).eq(shard)
    for item in table.query_index(keys.DUE_INDEX, condition if times is None else condition & times):
        yield Entry(int(item[keys.DUE_TIME]), keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])))
