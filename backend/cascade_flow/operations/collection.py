"""What came of a step's children, collected: in the items' order, and read page by page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine.children import READ_AT_ONCE, items_of
from cascade_flow.engine.families import definition_of, family_of
from cascade_flow.engine.state import Branch, Facts, Run
from cascade_flow.errors import PayloadLostError
from cascade_flow.model.ids import child_id
from cascade_flow.operations.failed_items import FAILED, error_of, failed_item
from cascade_flow.operations.runtime import Runtime

_NOTHING = "null"


class Collection:
    """Reads the children of the runs in one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ledger = FamilyLedger(runtime.ledger.table)

    def collect(self, facts: Facts, step: Branch) -> str:
        """What the children of a step gave, as JSON text: in order, and read page by page; of a workflow's run its
        output.
        """
        family, definition = family_of(step), definition_of(facts, step)
        found = self.outcomes(facts, step, range(family.children))
        if definition.kind == "workflow":
            return next(text for _, text in found)
        return _list(_inside(text) if definition.batch > 1 else text for _, text in found)

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
        return _list(given)

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


def _outcome(facts: Facts, step: Branch, child: Run, aside: Mapping[tuple[str, str], str]) -> str:
    """What a child gave, as JSON text; of a batch a list. An item that was skipped gave null."""
    assert step.family is not None, f"{step.step} has handed nothing out"
    assert child.up is not None, f"{child.run_id} is nobody's child"
    batch = definition_of(facts, step).batch
    items = items_of(step.family, child.up.number, batch)
    if child.status == "completed" or child.lost is not None:
        text = aside[child.run_id, child.result_place] if child.result_place else child.result or _NOTHING
        return text if batch == 1 or text != _NOTHING else _list([_NOTHING for _ in items])
    error = error_of(child).to_wire()
    failed = [failed_item(at, child.run_id, error) for at in items]
    return _list(failed) if batch > 1 else failed[0]


def _list(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


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
