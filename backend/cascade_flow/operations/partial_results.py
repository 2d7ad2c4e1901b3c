"""What a batch has done that fails for good: its items' results are checkpoints, whatever becomes of their worker.

So it is the same whoever tells of the failure, and where nobody does since the worker is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cascade_flow.dynamodb.codec import Record
from cascade_flow.engine.state import Commit, Facts, Run
from cascade_flow.operations.failed_items import failed_item
from cascade_flow.operations.item_inputs import declared_of
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace

ITEM = "item"
"""The name of the checkpoints of a batch: one for each of its items, in order."""


def with_partial(runtime: Runtime, facts: Facts, run: Run, commit: Commit) -> Commit:
    """The commit that fails a batch, with what its items gave, and how many gave nothing; of a single item as it is."""
    batch = declared_of(runtime, run).batch
    if batch == 1 or run.up is None:
        return commit
    given = runtime.payloads.whole(run.run_id, run.tail[:1])[0].get("input")
    history = runtime.ledger.history(run.run_id)
    told = runtime.payloads.whole(run.run_id, [r for r in history.records if _is_items(r)] if history else [])
    usual = commit.stop.error.to_wire() if commit.stop is not None and commit.stop.error is not None else {}
    first, parts = run.up.number * batch, _parts(told)
    texts = [
        parts.get(place) or failed_item(first + place, run.run_id, _error(told, place) or usual)
        for place in range(len(json.loads(given or "[]")))
    ]
    return replace(commit, partial=f"[{','.join(texts)}]", lost=sum(place not in parts for place in range(len(texts))))


def _is_items(record: Record) -> bool:
    return record["type"] in ("StepCheckpoint", "StepCheckpointFailed") and record.get("name") == ITEM


def _parts(told: Iterable[Record]) -> Mapping[int, str]:
    """What is stored, by place in the batch."""
    return {r["sequenceNumber"]: r.get("data") or "null" for r in told if r["type"] == "StepCheckpoint"}


def _error(told: Iterable[Record], place: int) -> Mapping[str, Any] | None:
    """Why an item failed, the last time."""
    failed = [r for r in told if r["type"] == "StepCheckpointFailed" and r["sequenceNumber"] == place]
    return {name: failed[-1]["error"].get(name) for name in ("name", "message")} if failed else None
