"""A batch: a worker does some items in a row, each stored when it is done, and one fails without the others.

Those that failed are tried again with the batch, whose policy is theirs; what is stored is passed over, and told with
the failure when no attempt is left (`operations/partial_results`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import cast

from cascade_flow.authoring import Skip, Step, StepInputs
from cascade_flow.model.events import StepError
from cascade_flow.operations.partial_results import ITEM
from cascade_flow.records import replace
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.runner import Completed, Failed, Outcome, Work, outcome_of, text_of

_SHOWN = 3


def batch_of(over: str) -> Work:
    """The work of a step that is given a list of the items of what it goes over."""
    return partial(_batch, over)


def _batch(over: str, step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    texts, failures = list[str](), dict[int, Failed]()
    for place, item in enumerate(json.loads(given.outputs[over] or "[]")):
        text, index = json.dumps(item, ensure_ascii=False), (given.index or 0) + place
        outcome = _done(step, replace(given, outputs={**given.outputs, over: text}, index=index), interrupt)
        if isinstance(outcome, Completed):
            texts.append(outcome.output)
        elif isinstance(outcome, Failed):
            failures[index] = outcome
        else:
            return outcome
    return _failed(failures, len(texts) + len(failures)) if failures else Completed(output=f"[{','.join(texts)}]")


def _done(step: Step, given: StepInputs, interrupt: Interrupt) -> Outcome:
    context = cast(AttemptContext, given.context)
    return outcome_of(step, given, lambda: context.keep(ITEM, partial(_text_of, step, given, interrupt)))


def _text_of(step: Step, given: StepInputs, interrupt: Interrupt) -> str:
    """What an item gives; nothing, where there was nothing to do for it."""
    try:
        return text_of(step, given, interrupt)
    except Skip:
        return "null"


def _failed(failures: Mapping[int, Failed], items: int) -> Failed:
    shown = islice(failures.items(), _SHOWN)
    named = "; ".join(f"item {index}: {each.error.name}: {each.error.message}" for index, each in shown)
    error = StepError(name="ItemsFailed", message=f"{len(failures)} of {items} items failed: {named}")
    retryable = any(each.retryable for each in failures.values())
    return Failed(error=error, failure_reason="execution-error", retryable=retryable)
