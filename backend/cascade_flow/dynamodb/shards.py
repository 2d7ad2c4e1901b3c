"""How many shards of the indexes have ever been written to: who reads asks all of them, so their number may change.

A process writes to as many as it was told (`keys.choose_shards`), in whatever order a deployment, or its undoing,
changes that. Where this is more than every table has, the table remembers it before anything is written there. So an
entry is found under the shard that it was put in, for as long as it lies there: until it is moved, or its run expires.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple
from weakref import WeakKeyDictionary

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Attr, Refused, Table, Update

_KEPT_US = 600_000_000
"""For how long a process believes what it has read: others may write to more shards meanwhile."""


class _Read(NamedTuple):
    shards: keys.Shards
    until_us: int


_read: WeakKeyDictionary[Table, _Read] = WeakKeyDictionary()


def known(table: Table) -> keys.Shards:
    """All shards that anybody has ever written to: one read of the table, every ten minutes."""
    kept = _read.get(table)
    if kept is None or kept.until_us <= clock.now_us():
        kept = _Read(_remembered(table).at_least(keys.written()), clock.now_us() + _KEPT_US)
        _read[table] = kept
    return kept.shards


def remember(table: Table) -> None:
    """Let a table know of the shards that this process writes to; nothing is asked where every table has them."""
    for name, number in keys.written()._asdict().items():
        if number > getattr(keys.always(), name):
            more = Attr(name).not_exists() | Attr(name).lt(number)
            with suppress(Refused):
                table.write([Update(keys.shards(), more, set={name: number}, blind=True)])


def _remembered(table: Table) -> keys.Shards:
    item = table.get(keys.shards()) or {}
    return keys.Shards(int(item.get("due", 0)), int(item.get("runs", 0))).at_least(keys.always())
