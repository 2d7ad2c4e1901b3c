"""A batch: its items are done in a row and stored one by one; what some of them fail at is told for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cascade_flow import Later, Skip, Workflow
from cascade_flow.authoring import StepInputs
from cascade_flow.errors import DefinitionError
from cascade_flow.worker.batches import batch_of
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.runner import Completed, Failed, Outcome, Postponed, run_attempt


class Store:
    """Keeps nothing for a later attempt."""

    def recorded(self) -> tuple[()]:
        return ()

    def save(self, _: object) -> None: ...

    def failed(self, *_: object) -> None: ...


def done(act: Callable[[Any], Any], items: str, first: int = 0) -> Outcome:
    """How a batch ends each of whose items is done like this; `first` is its first item's place."""
    flow = Workflow("flow")

    @flow.step
    def things() -> list[Any]:
        return []

    @flow.map(over=things, batch=9)
    def each(thing: Any) -> Any:
        return act(thing)

    interrupt = Interrupt()
    named = {"run_id": "r", "workflow_slug": "flow", "step_id": "each", "attempt": 1}
    context = AttemptContext(**named, interrupt=interrupt, beat=lambda: None, store=Store())  # type: ignore[arg-type]
    given = StepInputs(input_json=None, outputs={"things": items}, context=context, index=first)
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
