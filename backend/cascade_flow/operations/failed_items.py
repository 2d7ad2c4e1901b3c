"""How it is told that items of a map have failed: in the place of what each would have given, and as an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cascade_flow.engine.state import Run
from cascade_flow.model.events import StepError

FAILED = "$failed"
"""What stands in the place of an item that failed, where so many may: an object with this field alone."""
SHOWN = 3
"""Failed children that a step's error names."""


def failed_item(index: int, run_id: str, error: Mapping[str, Any]) -> str:
    """What is told in the place of an item that failed, as JSON text."""
    return json.dumps({FAILED: {"index": index, "run_id": run_id, "error": dict(error)}}, ensure_ascii=False)


def error_of(child: Run) -> StepError:
    """Why a child has failed, as far as its own item tells; of a batch, with the items."""
    told = json.loads(child.result) if child.result is not None else {}
    if child.lost is None:
        return StepError(name=told.get("name", "ChildFailed"), message=told.get("message", "it has failed"))
    failed = [each[FAILED] for each in told if isinstance(each, dict) and FAILED in each][:SHOWN]
    named = "; ".join(f"item {each['index']}: {each['error']['name']}: {each['error']['message']}" for each in failed)
    count = f"{child.lost:,} items failed"
    return StepError(name="BatchFailed", message=f"{count}: {named}" if named else count)
