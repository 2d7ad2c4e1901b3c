"""How workflows and their versions lie in the table: `WF` + slug, and `WF#<slug>` + version id."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import deflate, inflate
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Attr, Put, Refused, Table, Update
from cascade_flow.model.workflows import (
    RunLimit,
    WorkflowMetadata,
    WorkflowNotes,
    WorkflowRegistration,
    WorkflowVersion,
)


class Entry(NamedTuple):
    """A registered workflow: what it is called, its current version, its runs' timeout (µs, where it has one).

    `deployed`: a deployment has registered it. `retired_us` is when a later one no longer had it. `scheduled`: it has
    schedules, or once had some. `run_limit` says how many of its runs may go on at once. `description` is what the
    newest deployment's code says of it.
    """

    metadata: WorkflowMetadata
    version_id: str
    timeout_us: int | None
    deployed: bool = False
    retired_us: int | None = None
    scheduled: bool = False
    run_limit: RunLimit | None = None
    description: str | None = None


def put_workflow(table: Table, registration: WorkflowRegistration, version_id: str, *, deployed: bool) -> Entry:
    """Write the registry's entry; the last registration wins, and takes a retired workflow back."""
    metadata = WorkflowMetadata.model_validate(registration.model_dump(include=set(WorkflowMetadata.model_fields)))
    timeout: Item = {} if registration.timeout_us is None else {"to": registration.timeout_us}
    mark: Item = {"dp": 1} if deployed else {}
    scheduled: Item = {"sc": 1} if registration.schedules else {}
    if registration.run_limit is not None:
        mark |= {"rl": _pack(registration.run_limit.to_wire())}
    values: Item = {"m": _pack(metadata.to_wire()), "v": version_id, **timeout, **mark, **scheduled}
    gone = frozenset({"to", "dp", "rt", "rl"} - values.keys())
    key = keys.workflow(registration.slug)
    return _entry(table.write([Update(key, None, set=values, remove=gone)]))


def retire_workflow(table: Table, slug: str, *, now_us: int) -> None:
    """Note that no deployment has the workflow; one that somebody else has registered meanwhile is left."""
    with suppress(Refused):
        table.write([Update(keys.workflow(slug), Attr("dp").exists(), set={"rt": now_us})])


def get_workflow(table: Table, slug: str) -> Entry | None:
    item = table.get(keys.workflow(slug))
    return None if item is None else _entry(item)


def list_workflows(table: Table) -> list[Entry]:
    """All entries, the retired too, by slug: one query."""
    return [_entry(item) for item in table.query(keys.registry())]


def put_called(table: Table, slug: str) -> None:
    """Note that callers drive runs of this workflow, registered or not."""
    key = keys.called(slug)
    table.write([Put({keys.PARTITION: key.pk, keys.SORT: key.sk})])


def list_called(table: Table) -> list[str]:
    """The workflows of which callers drive runs: one query."""
    return [str(item[keys.SORT]) for item in table.query(keys.all_called())]


def put_version(table: Table, version: WorkflowVersion) -> bool:
    """Write a version where its id is new; whether it was."""
    try:
        table.write([Put(_version_item(version), Attr(keys.PARTITION).not_exists())])
    except Refused:
        return False
    return True


def put_steps(table: Table, version: WorkflowVersion) -> None:
    """Write a version whose steps nobody had told."""
    table.write([Put(_version_item(version))])


def get_version(table: Table, slug: str, version_id: str) -> WorkflowVersion | None:
    """A version by its id; its number is not known here."""
    item = table.get(keys.version(slug, version_id))
    return None if item is None else _version(item)


def list_versions(table: Table, slug: str) -> list[WorkflowVersion]:
    """Oldest first, numbered by age."""
    return _numbered(table.query(keys.versions(slug)))


def _numbered(items: Iterable[Item]) -> list[WorkflowVersion]:
    found = sorted(map(_version, items), key=_age)
    return [version.model_copy(update={"version_number": number}) for number, version in enumerate(found, start=1)]


def put_notes(table: Table, slug: str, version_id: str, notes: WorkflowNotes) -> None:
    """Write what the code of a version says to people; the last deployment's words win."""
    key, said = keys.notes(slug, version_id), notes.description
    noted = Put({keys.PARTITION: key.pk, keys.SORT: key.sk, "m": _pack(notes.to_wire())})
    of_all: Item = {} if said is None else {"ds": said}
    table.write([noted, Update(keys.workflow(slug), None, set=of_all, remove=frozenset({"ds"} - of_all.keys()))])


def list_noted(table: Table, slug: str) -> tuple[list[WorkflowVersion], dict[str, WorkflowNotes]]:
    """The versions as they are listed, and what is noted of each, by its id, where anything is: one query."""
    found = [(keys.noted_version(str(item[keys.SORT])), item) for item in table.query(keys.notes_and_versions(slug))]
    notes = {version_id: WorkflowNotes.model_validate(_unpack(item)) for version_id, item in found if version_id}
    return _numbered(item for version_id, item in found if version_id is None), notes


def _age(version: WorkflowVersion) -> tuple[int, str]:
    return version.created_at, version.version_id


def _entry(item: Item) -> Entry:
    metadata = WorkflowMetadata.model_validate(_unpack(item))
    limit = RunLimit.model_validate(_unpack(item, "rl")) if "rl" in item else None
    timeout_us, retired_us = _whole(item, "to"), _whole(item, "rt")
    description = str(item["ds"]) if "ds" in item else None
    return Entry(metadata, str(item["v"]), timeout_us, "dp" in item, retired_us, "sc" in item, limit, description)


def _whole(item: Item, name: str) -> int | None:
    return int(item[name]) if name in item else None


def _version_item(version: WorkflowVersion) -> Item:
    key = keys.version(version.workflow_slug, version.version_id)
    return {keys.PARTITION: key.pk, keys.SORT: key.sk, "m": _pack(version.to_wire())}


def _version(item: Item) -> WorkflowVersion:
    return WorkflowVersion.model_validate(_unpack(item))


def _pack(value: Any) -> bytes:
    return deflate(json.dumps(value, separators=(",", ":")))


def _unpack(item: Item, name: str = "m") -> Any:
    data = item[name]
    return json.loads(inflate(data if isinstance(data, bytes) else str(data).encode()))
