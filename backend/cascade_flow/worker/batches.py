"""A batch: a worker does some items in a row, each stored when it is done, and one fails without the others.

Those that failed are tried again with the batch, whose policy is theirs; what is stored is passed over. When no attempt
is left, what the others gave is told with the failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from cascade_flow.authoring import Later, Skip, Step, StepInputs
from cascade_flow.model.events import StepError
from cascade_flow.operations.expansion import failed_item
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.forks import children_end_here
from cascade_flow.worker.interrupt import Interrupt, Interrupted
from cascade_flow.worker.runner import Completed, Failed, Outcome, Work, failed, postponed, text_of

_ITEM = "item"
"""The name of the checkpoints of a batch: one for each of its items, in order."""
_SHOWN = 3


@dataclass(frozen=True)
class _Part:
    """What came of one item: text, or its failure and its place in all items."""

    text: str
    index: int
    failure: Failed | None = None


def batch_of(over: str) -> Work:
    """The work of a step that is given a list of the items of what it goes over."""
    return partial(_batch, over)


def _batch(over: str, step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    items = json.loads(given.outputs[over] or "[]")
    parts = []
    for place, item in enumerate(items):
        own = replace(given, outputs={**given.outputs, over: json.dumps(item)}, index=(given.index or 0) + place)
        try:
            parts.append(_part(step, own, interrupt))
        except Later as later:
            return postponed(step, given, later)
    return _whole(parts)


def _part(step: Step, given: StepInputs, interrupt: Interrupt) -> _Part:
    context, index = cast(AttemptContext, given.context), given.index or 0
    try:
        return _Part(context.keep(_ITEM, partial(_text_of, step, given, interrupt)), index)
    except (Interrupted, Later):
        raise
    except BaseException as error:  # noqa: BLE001  user code may raise anything, sys.exit included
        failure = failed(step, given, error)
        return _Part(failed_item(index, context.run_id, _told(failure.error)), index, failure)


def _text_of(step: Step, given: StepInputs, interrupt: Interrupt) -> str:
    try:
        with children_end_here():
            return text_of(step, given, interrupt)
    except Skip:
        return "null"


def _whole(parts: list[_Part]) -> Outcome:
    text = f"[{','.join(part.text for part in parts)}]"
    failures = [(part.index, part.failure) for part in parts if part.failure is not None]
    if not failures:
        return Completed(output=text)
    named = "; ".join(f"item {at}: {each.error.name}: {each.error.message}" for at, each in failures[:_SHOWN])
    error = StepError(name="ItemsFailed", message=f"{len(failures)} of {len(parts)} items failed: {named}")
    retryable = any(each.retryable for _, each in failures)
    return Failed(error=error, failure_reason="execution-error", retryable=retryable, partial=text, lost=len(failures))


def _told(error: StepError) -> Mapping[str, Any]:
    return {"name": error.name, "message": error.message}
