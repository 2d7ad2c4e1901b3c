"""A batch: a worker does some items in a row, each stored when it is done, and one fails without the others.

Those that failed are tried again with the batch, whose policy is theirs; what is stored is passed over. When no attempt
is left, what the others gave is told with the failure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from cascade_flow.authoring import Step, StepInputs
from cascade_flow.model.events import StepError
from cascade_flow.operations.expansion import failed_item
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.runner import Completed, Failed, Outcome, Postponed, Work, outcome_of, text_of

_ITEM = "item"
"""The name of the checkpoints of a batch: one for each of its items, in order."""
_SHOWN = 3


@dataclass(frozen=True)
class _Part:
    """What came of one item: text, or its failure and its place among all items."""

    text: str
    index: int
    failure: Failed | None = None


def batch_of(over: str) -> Work:
    """The work of a step that is given a list of the items of what it goes over."""
    return partial(_batch, over)


def _batch(over: str, step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    parts: list[_Part] = []
    for place, item in enumerate(json.loads(given.outputs[over] or "[]")):
        text = json.dumps(item, ensure_ascii=False)
        own = replace(given, outputs={**given.outputs, over: text}, index=(given.index or 0) + place)
        outcome = _done(step, own, interrupt)
        if isinstance(outcome, Postponed):
            return outcome
        parts.append(_part(outcome, own))
    return _whole(parts)


def _done(step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    context = cast(AttemptContext, given.context)
    return outcome_of(step, given, lambda: context.keep(_ITEM, partial(text_of, step, given, interrupt)))


def _part(outcome: Outcome, given: StepInputs) -> _Part:
    index = given.index or 0
    if isinstance(outcome, Failed):
        told = {"name": outcome.error.name, "message": outcome.error.message}
        return _Part(failed_item(index, given.context.run_id, told), index, outcome)
    return _Part(outcome.output if isinstance(outcome, Completed) else "null", index)


def _whole(parts: list[_Part]) -> Outcome:
    text = f"[{','.join(part.text for part in parts)}]"
    failures = [(part.index, part.failure) for part in parts if part.failure is not None]
    if not failures:
        return Completed(output=text)
    named = "; ".join(f"item {at}: {each.error.name}: {each.error.message}" for at, each in failures[:_SHOWN])
    error = StepError(name="ItemsFailed", message=f"{len(failures)} of {len(parts)} items failed: {named}")
    return Failed(
        error=error,
        failure_reason="execution-error",
        retryable=any(each.retryable for _, each in failures),
        partial=text,
        lost=len(failures),
    )
