"""The reaper's sign of life: one small item that says when it swept last, and how often it does."""

from __future__ import annotations

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.engine.findings import Sweeps

_LAST, _EVERY = "t", "n"


def put_sweeps(table: Table, sweeps: Sweeps) -> None:
    key = keys.pulse()
    mark = {_LAST: sweeps.last_us, _EVERY: sweeps.every_us}
    table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk, **mark})])


def get_sweeps(table: Table) -> Sweeps | None:
    """None where no sweep was ever noted."""
    item = table.get(keys.pulse())
    return None if item is None else Sweeps(int(item[_LAST]), int(item[_EVERY]))
