"""How schedules lie in the table: one item each, in the due index a little before the next time that it stands for.

Every write of an item raises its `seq` and asks for the one that was read: whoever sweeps, deploys, pauses or resumes
meanwhile is told, and looks again.
"""

from __future__ import annotations

import json
from typing import Any

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import NEW, changes
from cascade_flow.dynamodb.codec import deflate, inflate
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Attr, Put, Refused, Table, Update
from cascade_flow.model.workflows import ScheduleDefinition
from cascade_flow.records import dataclass, replace

LEAD_US = 60_000_000
"""How long before its time a run is submitted, for that time: as often somebody looks, so that it begins on time."""


@dataclass(frozen=True)
class Schedule:
    """A schedule as it stands: `next_us` is the first of its times for which nothing was submitted yet.

    One that is retired is declared no more. `last_us` is the newest time for which there is a run, `failed_us` the one
    for which there could be none, and `error` says why; a later time that went well takes it away.
    """

    slug: str
    definition: ScheduleDefinition
    next_us: int
    seq: int = 0
    paused_us: int | None = None
    retired_us: int | None = None
    last_us: int | None = None
    last_run_id: str | None = None
    failed_us: int | None = None
    error: str | None = None
    due_us: int | None = None
    """The time at which the index has it, as it was read."""

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def is_live(self) -> bool:
        return self.paused_us is None and self.retired_us is None


def get(table: Table, slug: str, name: str) -> Schedule | None:
    """A schedule, a retired one too."""
    item = table.get(keys.schedule(slug, name))
    return None if item is None else _schedule(item)


def find(table: Table, slug: str | None = None) -> list[Schedule]:
    """All schedules (of a workflow), the retired too, by slug and name: one query."""
    return [_schedule(item) for item in table.query(keys.schedules(slug))]


def create(table: Table, schedule: Schedule) -> bool:
    """Put a schedule that nobody has declared before; whether there was none."""
    return _written(table, Put(_item(schedule), NEW))


def move(table: Table, before: Schedule, after: Schedule) -> bool:
    """Make a schedule another; whether it was still as it was read."""
    key, as_read = keys.schedule(before.slug, before.name), Attr("sq").eq(before.seq)
    moved = changes(_item(before), _item(replace(after, seq=before.seq + 1)))
    return _written(table, Update(key, as_read, **_placed(moved, after), blind=True))


def _placed(moved: dict[str, Any], after: Schedule) -> dict[str, Any]:
    """Where the index has it is said whatever was read: a sweep that could not deal with it has moved that alone."""
    if not after.is_live:
        return moved
    return {**moved, "set": {**moved["set"], **_place(after)}}


def _written(table: Table, write: Put | Update) -> bool:
    try:
        table.write([write])
    except Refused:
        return False
    return True


def _place(schedule: Schedule) -> Item:
    return {
        keys.DUE_SHARD: keys.due_of_schedule(schedule.slug, schedule.name),
        keys.DUE_TIME: schedule.next_us - LEAD_US,
    }


def _item(schedule: Schedule) -> Item:
    key = keys.schedule(schedule.slug, schedule.name)
    told = {
        "pa": schedule.paused_us,
        "rt": schedule.retired_us,
        "lt": schedule.last_us,
        "lr": schedule.last_run_id,
        "ft": schedule.failed_us,
        "fe": schedule.error,
    }
    packed = deflate(json.dumps(schedule.definition.to_wire(), separators=(",", ":"), sort_keys=True))
    return {
        keys.PARTITION: key.pk,
        keys.SORT: key.sk,
        "m": packed,
        "nx": schedule.next_us,
        "sq": schedule.seq,
        **{name: value for name, value in told.items() if value is not None},
        **(_place(schedule) if schedule.is_live else {}),
    }


def _schedule(item: Item) -> Schedule:
    slug, _ = keys.schedule_of(keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])))
    data = item["m"]
    packed = data if isinstance(data, bytes) else str(data).encode()
    return Schedule(
        slug=slug,
        definition=ScheduleDefinition.model_validate(json.loads(inflate(packed))),
        next_us=int(item["nx"]),
        seq=int(item["sq"]),
        paused_us=_whole(item, "pa"),
        retired_us=_whole(item, "rt"),
        last_us=_whole(item, "lt"),
        last_run_id=_text(item, "lr"),
        failed_us=_whole(item, "ft"),
        error=_text(item, "fe"),
        due_us=_whole(item, keys.DUE_TIME),
    )


def _whole(item: Item, name: str) -> int | None:
    return int(item[name]) if name in item else None


def _text(item: Item, name: str) -> str | None:
    return str(item[name]) if name in item else None
