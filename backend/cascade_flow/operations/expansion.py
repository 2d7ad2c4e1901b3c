"""What a worker does for a step whose work children do: it hands the items out, and collects what came of them.

Both are reports like any other's, under the fence of the attempt.
"""

from __future__ import annotations

import json
from typing import Any

from cascade_flow.engine.commands import Complete
from cascade_flow.engine.families import Expand, definition_of
from cascade_flow.engine.state import Branch, Facts, Family
from cascade_flow.errors import GraphInvalidError, InputInvalidError
from cascade_flow.model.ids import DEEPEST, LONGEST_CHILD_ID, child_id, depth_of
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.items_aside import ItemsAside
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.operations.validation import check_input

MOST_CHILDREN = 100_000
"""More are refused: who makes, counts and collects them would be busy for hours."""


class Expansion:
    """Hands out, and collects."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._items = ItemsAside(runtime)

    def command(self, held: HeldAttempt, text: str | None) -> Expand | Complete:
        """What is to be reported of an attempt that knows its items: of a map what it goes over, as JSON text; of a
        workflow's run its input.

        Raises InputInvalidError, GraphInvalidError (too deep), WorkflowNotFoundError, WorkflowRetiredError,
        PayloadTooLargeError.
        """
        facts, step = held.facts, held.branch
        definition = definition_of(facts, step)
        items, version = self._given(definition, step, text)
        if not items:
            return Complete("[]", 0)
        children = -(-len(items) // definition.batch)
        _check(facts, step, children, definition)
        chunk = self._items.put(facts, step, items)
        family = Family(len(items), children, chunk, step.attempt, definition.concurrency, version)
        return Expand(family)

    def _given(self, definition: ChildrenDefinition, step: Branch, text: str | None) -> tuple[list[Any], str | None]:
        if definition.kind == "map":
            return items_in(text, step.step, definition.over or ""), None
        entry = self._runtime.registry.for_new_runs(definition.workflow or "")
        try:
            check_input(entry.metadata.input_schema_json, text)
        except InputInvalidError as error:
            faults = "; ".join(f"{issue.path}: {issue.message}" for issue in error.issues)
            told = f"step {step.step!r} runs workflow {definition.workflow!r}, whose input this is not: {faults}"
            raise InputInvalidError(told, issues=error.issues) from None
        return [json.loads(text or "null")], entry.version_id


def items_in(text: str | None, step: str, over: str) -> list[Any]:
    """What a map goes over: a list's items, or an object's, each with its name; nothing where that was skipped."""
    given = json.loads(text or "null")
    if isinstance(given, dict):
        return [[name, value] for name, value in given.items()]
    if given is not None and not isinstance(given, list):
        kind = type(given).__name__
        raise InputInvalidError(
            f"step {step!r} goes over what {over!r} gave, which is no list but {kind}: return a list"
        )
    return given or []


def _check(facts: Facts, step: Branch, children: int, definition: ChildrenDefinition) -> None:
    if children > MOST_CHILDREN:
        raise InputInvalidError(
            f"step {step.step!r} would have {children:,} runs do its work, and may have {MOST_CHILDREN:,}: let each do "
            f"more items (batch={-(-children * definition.batch // MOST_CHILDREN)} or above)"
        )
    if depth_of(facts.run_id) >= DEEPEST:
        raise GraphInvalidError(
            f"step {step.step!r} would begin a run {DEEPEST + 1} deep, in run {facts.run_id!r}, and {DEEPEST} is the "
            "most: does a workflow run itself without an end?"
        )
    longest = child_id(facts.run_id, step.step, children - 1)
    if len(longest) > LONGEST_CHILD_ID:
        raise GraphInvalidError(
            f"the runs that do the work of step {step.step!r} would have ids of {len(longest)} characters, and "
            f"{LONGEST_CHILD_ID} is the most: submit the run under a shorter id, or give its steps shorter ones"
        )
