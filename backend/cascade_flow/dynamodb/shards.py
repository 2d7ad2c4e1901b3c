"""How many shards of the indexes have ever been written to, and for which pools: who reads asks all of them, so both
may change.

A process writes to as many as it was told (`keys.choose_shards`), in whatever order a deployment, or its undoing,
changes that. Where this is more than every table has, the table remembers it before anything is written there. So an
entry is found under the shard that it was put in, for as long as it lies there: until it is moved, or its run expires.
A pool is remembered before any version of a workflow is stored that has steps for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakKeyDictionary

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Attr, Put, Refused, Table, Update

_KEPT_US = 600_000_000
"""For how long a process believes what it has read: others may write to more shards meanwhile."""


class _Read(NamedTuple):
    shards: keys.Shards
    pools: tuple[str, ...]
    until_us: int


_read: WeakKeyDictionary[Table, _Read] = WeakKeyDictionary()


def known(table: Table) -> keys.Shards:
    """All shards that anybody has ever written to: one read of the table, every ten minutes."""
    return _known(table).shards


def pools(table: Table) -> tuple[str, ...]:
    """The pools for which there may be steps: known by the same read."""
    return _known(table).pools


def _known(table: Table) -> _Read:
    kept = _read.get(table)
    if kept is None or kept.until_us <= clock.now_us():
        kept = _read[table] = _remembered(table)
    return kept


def remember(table: Table) -> None:
    """Let a table know of the shards that this process writes to; nothing is asked where every table has them."""
    for name, number in keys.written()._asdict().items():
        if number > getattr(keys.always(), name):
            more = Attr(name).not_exists() | Attr(name).lt(number)
            with suppress(Refused):
                table.write([Update(keys.shards(), more, set={name: number}, blind=True)])


def remember_pools(table: Table, names: Iterable[str]) -> None:
    """Let a table know of pools; who asks this process sees them at once."""
    for name in names:
        key = keys.pool_mark(name)
        table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk})])
        _read.pop(table, None)


def _remembered(table: Table) -> _Read:
    found = {str(item[keys.SORT]): item for item in table.query(keys.index_marks())}
    counts = found.get(keys.shards().sk, {})
    number = keys.Shards(int(counts.get("due", 0)), int(counts.get("runs", 0)))
    names = (keys.marked_pool(sort) for sort in found)
    return _Read(
        number.at_least(keys.always()).at_least(keys.written()),
        tuple(name for name in names if name is not None),
        clock.now_us() + _KEPT_US,
    )
