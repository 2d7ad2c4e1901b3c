"""A secret of the table's own, made by whoever needs it first: who may write there is known by it elsewhere."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.changes import NEW
from cascade_flow.dynamodb.table import Put, Refused, Table
from cascade_flow.seal import Seal

_VALUE = "k"
_read: WeakKeyDictionary[Table, bytes] = WeakKeyDictionary()


def seal_of(table: Table) -> Seal:
    """Seals with the table's secret."""
    return Seal(partial(secret_of, table))


def secret_of(table: Table) -> bytes:
    """The same for all who ask, for ever: one read for each process."""
    if table not in _read:
        _read[table] = _stored(table) or _made(table)
    return _read[table]


def _stored(table: Table) -> bytes | None:
    item = table.get(keys.secret())
    return None if item is None else items.bytes_of(item, _VALUE)


def _made(table: Table) -> bytes:
    made = secrets.token_bytes(32)
    with suppress(Refused):
        table.write([Put({**items.key_of(keys.secret()), _VALUE: made}, NEW)])
    return _stored(table) or made
