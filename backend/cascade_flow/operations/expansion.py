"""What a worker does for a step whose work children do: it hands the items out, and collects what came of them.

Both are reports like any other's, under the fence of the attempt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.children import READ_AT_ONCE, Expand, items_of
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Branch, Facts, Family, Run
from cascade_flow.errors import GraphInvalidError, InputInvalidError, PayloadLostError
from cascade_flow.model.ids import DEEPEST, LONGEST_CHILD_ID, child_id, depth_of
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.children import FAILED, error_of, failed_item
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
        self._ledger = FamilyLedger(runtime.ledger.table)

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

    def collect(self, held: HeldAttempt) -> str:
        """What the children of a held step gave, as JSON text: in order, and read page by page; of a workflow's run its
        output.
        """
        facts, step = held.facts, held.branch
        family, definition = step.family, definition_of(facts, step)
        assert family is not None, f"{step.step} has handed nothing out"
        found = self.outcomes(facts, step, range(family.children))
        if definition.kind == "workflow":
            return next(text for _, text in found)
        return f"[{','.join(_inside(text) if definition.batch > 1 else text for _, text in found)}]"

    def completed(self, facts: Facts, step: Branch) -> str:
        """What those of a map's items have given that completed, in order, as JSON text; however many there are not."""
        family, definition = step.family, definition_of(facts, step)
        given: list[str] = []
        for numbers in _pages(range(0 if family is None else family.children)):
            children = self._ledger.children(facts, step.step, numbers)
            over = {number: child for number, child in children.items() if _has_given(child)}
            aside = self._texts_of(over)
            texts = (_outcome(facts, step, over[number], aside) for number in sorted(over))
            given += (item for text in texts for item in _items_that_completed(text, definition.batch))
        return f"[{','.join(given)}]"

    def _texts_of(self, children: Mapping[int, Run]) -> Mapping[tuple[str, str], str]:
        places = {(child.run_id, child.result_place) for child in children.values() if child.result_place}
        return self._runtime.payloads.texts_at(places)

    def outcomes(self, facts: Facts, step: Branch, numbers: range) -> Iterator[tuple[Run, str]]:
        """These children, which are over, in order, each with what it gave as JSON text."""
        for some in _pages(numbers):
            children = self._ledger.children(facts, step.step, some)
            if lost := [number for number in some if number not in children]:
                raise PayloadLostError(f"run {child_id(facts.run_id, step.step, lost[0])!r} is there no more")
            aside = self._texts_of(children)
            yield from ((children[number], _outcome(facts, step, children[number], aside)) for number in some)


def definition_of(facts: Facts, step: Branch) -> ChildrenDefinition:
    """Who does the step's work."""
    definition = facts.graph.step(step.step).children
    assert definition is not None, f"{step.step} has no children"
    return definition


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


def _outcome(facts: Facts, step: Branch, child: Run, aside: Mapping[tuple[str, str], str]) -> str:
    if child.status == "completed" or child.lost is not None:
        return aside[child.run_id, child.result_place] if child.result_place else child.result or "null"
    batch = definition_of(facts, step).batch
    assert step.family is not None, f"{step.step} has handed nothing out"
    assert child.up is not None, f"{child.run_id} is nobody's child"
    error = error_of(child).to_wire()
    failed = [failed_item(at, child.run_id, error) for at in items_of(step.family, child.up.number, batch)]
    return f"[{','.join(failed)}]" if batch > 1 else failed[0]


def _pages(numbers: range) -> Iterator[range]:
    return (numbers[start : start + READ_AT_ONCE] for start in range(0, len(numbers), READ_AT_ONCE))


def _has_given(child: Run) -> bool:
    """Whether it has completed, or is a batch of which some items have."""
    return child.status == "completed" or child.lost is not None


def _items_that_completed(text: str, batch: int) -> list[str]:
    """What the items of a child have given, each as JSON text; those that failed have given nothing."""
    if batch == 1:
        return [text]
    given = [item for item in json.loads(text) if not (isinstance(item, dict) and FAILED in item)]
    return [json.dumps(item, ensure_ascii=False) for item in given]


def _inside(text: str) -> str:
    """The items of a list, which is not empty."""
    return text.strip()[1:-1]
