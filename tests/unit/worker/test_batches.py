"""A batch: its items are done in a row and stored one by one; what some of them fail at is told for all."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from cascade_flow import Later, Skip, Workflow
from cascade_flow.authoring import StepInputs
from cascade_flow.errors import DefinitionError
from cascade_flow.operations.partial_results import ITEM
from cascade_flow.worker.batches import batch_of
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.runner import Completed, Failed, Outcome, Postponed, run_attempt
from unit.worker.shelf import Shelf


class Store:
    """Keeps nothing for a later attempt."""

    def recorded(self) -> tuple[()]:
        return ()

    def save(self, _: object) -> None: ...

    def failed(self, *_: object) -> None: ...


def done(act: Callable[..., Any], items: str | None, first: int | None = 0, store: Any = None) -> Outcome:
    """How a batch ends each of whose items is done like this; `first` is its first item's place."""
    flow = Workflow("flow")

    @flow.step
    def things() -> list[Any]:
        return []

    @flow.map(over=things, batch=9)
    def each(thing: Any, index: int, input: int) -> Any:
        return act(thing, index, input) if len(signature(act).parameters) == 3 else act(thing)

    interrupt = Interrupt()
    named = {"run_id": "r", "workflow_slug": "flow", "step_id": "each", "attempt": 1}
    context = AttemptContext(**named, interrupt=interrupt, beat=lambda: None, store=store or Store())  # type: ignore[arg-type]
    given = StepInputs(input_json="7", outputs={"things": items}, context=context, index=first)
    step = flow.definition().codes["each"]
    return run_attempt(step, given, timeout_ms=None, interrupt=interrupt, work=batch_of("things"))


def test_what_items_give_is_a_list_in_their_order_and_nothing_where_there_was_nothing_to_do() -> None:
    def act(thing: str) -> str:
        if thing == "b":
            raise Skip("nothing to do")
        return thing

    outcome = done(act, '["ä", "b", "c"]')
    assert isinstance(outcome, Completed)
    assert outcome.output == '["ä",null,"c"]'


def test_a_failure_names_the_first_three_items_by_their_places_among_all() -> None:
    def act(thing: int) -> int:
        if 1 <= thing <= 4:
            raise ValueError(f"no {thing}")
        return thing

    outcome = done(act, "[0, 1, 2, 3, 4, 5]", first=40)
    assert isinstance(outcome, Failed)
    named = "; ".join(f"item {40 + number}: ValueError: no {number}" for number in (1, 2, 3))
    assert (outcome.error.name, outcome.error.message) == ("ItemsFailed", f"4 of 6 items failed: {named}")
    assert outcome.failure_reason == "execution-error"


def test_a_batch_is_tried_again_for_as_long_as_one_of_its_items_is_worth_it() -> None:
    def act(thing: int) -> int:
        raise ConnectionError if thing else DefinitionError("never")

    for items, retryable in (("[0, 1]", True), ("[1, 0]", True), ("[0]", False)):
        outcome = done(act, items)
        assert isinstance(outcome, Failed)
        assert outcome.retryable is retryable


def test_an_item_that_is_not_ready_lets_the_batch_come_again() -> None:
    def act(thing: int) -> int:
        if thing:
            raise Later(60, "not yet")
        return thing

    outcome = done(act, "[0, 1, 2]")
    assert isinstance(outcome, Postponed)
    assert (outcome.reason, outcome.delay_ms) == ("not yet", 60_000)


def test_each_item_is_given_its_place_among_all_and_what_else_there_is() -> None:
    seen = list[Any]()

    def act(thing: Any, index: int, input: int) -> None:
        seen.append((thing, index, input))

    for first in (40, None):
        assert isinstance(done(act, '["ä", "b"]', first), Completed)
    assert seen == [("ä", 40, 7), ("b", 41, 7), ("ä", 0, 7), ("b", 1, 7)]


def test_a_batch_of_what_was_skipped_has_nothing_to_do() -> None:
    outcome = done(lambda thing: pytest.fail(str(thing)), None)
    assert isinstance(outcome, Completed)
    assert outcome.output == "[]"


def test_what_each_item_gives_is_stored_under_the_name_that_is_asked_for() -> None:
    def act(thing: int) -> int:
        if thing == 3:
            raise Skip("nothing to do")
        return 2 * thing

    shelf = Shelf()
    done(act, "[1, 2, 3]", store=shelf)
    assert [(each.name, each.sequence_number, each.data) for each in shelf.checkpoints] == [
        (ITEM, 0, "2"),
        (ITEM, 1, "4"),
        (ITEM, 2, "null"),
    ]
