"""Signs of how the engine is: a small item that says when the reaper swept last, and how often it does; and a note of
each run that failed to undo another.
"""

from __future__ import annotations

from typing import NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.engine.findings import Sweeps

_LAST, _EVERY = "t", "n"


class Signs(NamedTuple):
    """When the reaper swept; and the runs that have failed some time to undo others: some were tried again since."""

    sweeps: Sweeps | None
    failed_undos: list[str]


def put_sweeps(table: Table, sweeps: Sweeps) -> None:
    key = keys.pulse()
    mark = {_LAST: sweeps.last_us, _EVERY: sweeps.every_us}
    table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk, **mark})])


def get_sweeps(table: Table) -> Sweeps | None:
    """None where no sweep was ever noted."""
    item = table.get(keys.pulse())
    return None if item is None else _sweeps(item)


def get_signs(table: Table) -> Signs:
    """The same, and which runs have failed to undo others: one query."""
    sweeps, failed = None, list[str]()
    for item in table.query(keys.signs()):
        run_id = keys.unable_to_undo(str(item[keys.SORT]))
        if run_id is None:
            sweeps = _sweeps(item)
        else:
            failed.append(run_id)
    return Signs(sweeps, failed)


def _sweeps(item: Item) -> Sweeps:
    return Sweeps(int(item[_LAST]), int(item[_EVERY]))
