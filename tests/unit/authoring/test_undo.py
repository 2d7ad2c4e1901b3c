"""What undoes a step is declared beside it: which step, what it receives, what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import GraphInvalidError, RetryTier, StepDefinition, StepLimit, UndoDefinition, Workflow
from cascade_flow.authoring import Retry, StepContext
from cascade_flow.authoring.inspection import Declared
from cascade_flow.authoring.limits import Concurrency
from cascade_flow.errors import DefinitionError
from cascade_flow.graph import Graph


class Trip(BaseModel):
    who: str


class Booking(BaseModel):
    number: int


def trips() -> Workflow:
    flow = Workflow("trips", input=Trip)

    @flow.step
    def book(input: Trip) -> Booking:
        return Booking(number=len(input.who))

    @flow.step(id="pay/card")
    def pay(book: Booking) -> str:
        return "paid"

    return flow


def refused(undo: Callable[[Workflow], object]) -> str:
    """The message that declaring an undo ends in."""
    flow = trips()
    undo(flow)
    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    return str(caught.value)


def test_an_undo_is_registered_with_its_step() -> None:
    flow = trips()

    @flow.undo("book", name="Cancel it", timeout=30, retry=Retry(max_attempts=9), limit=Concurrency("hotel", 2))
    def unbook(book: Booking, input: Trip, ctx: StepContext) -> None:
        """Cancel."""

    @flow.undo("pay/card", id="pay/back", executor="vault")
    def refund() -> None:
        """Give back."""

    book, pay = flow.registration().steps
    assert book.undo == UndoDefinition(
        id="unbook",
        name="Cancel it",
        timeout_ms=30_000,
        retry=[RetryTier(max_attempts=9)],
        limit=StepLimit(name="hotel", at_most=2),
    )
    assert pay.undo == UndoDefinition(id="pay/back", name="back", executor="vault")
    assert [*flow.definition().codes] == ["book", "pay/card", "unbook", "pay/back"]
    assert [*flow.definition().steps] == ["book", "pay/card"]
    assert (Declared.of(flow).steps, Declared.of(flow).step_ids) == (2, ["book", "pay/card", "unbook", "pay/back"])


def test_it_names_its_step_by_the_function_too_and_may_come_first() -> None:
    flow = Workflow("trips")

    @flow.undo("book")
    def unbook(book: int) -> None:
        """Cancel."""

    @flow.step
    def book() -> int:
        return 1

    assert flow.definition().steps["book"].undo is flow.definition().codes["unbook"]


def test_a_workflow_without_any_is_registered_as_ever() -> None:
    assert not [step for step in trips().registration().to_wire()["steps"] if "undo" in step]


def test_what_undoes_a_step_is_part_of_the_version() -> None:
    def with_undo(code: Callable[..., Any], **options: Any) -> str:
        flow = trips()
        flow.undo("book", id="unbook", **options)(code)
        return flow.definition().version_id

    def one(book: Booking) -> None:
        """One."""

    def other(book: Booking) -> None:
        """Another."""

    versions = {trips().definition().version_id, with_undo(one), with_undo(other), with_undo(one, timeout=9)}
    assert len(versions) == 4


def nothing(book: Booking) -> None:
    """Undo it."""


def taking_more(book: Booking, pay: str) -> None:
    """Undo it."""


def taking_another(book: list[int]) -> None:
    """Undo it."""


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        (lambda flow: flow.undo("bock")(nothing), "undo 'nothing': 'bock' is no step of this workflow"),
        (lambda flow: flow.undo("book")(taking_more), "let 'book' return what it takes to undo it"),
        (
            lambda flow: flow.undo("book")(taking_another),
            "parameter 'book' takes list, and step 'book' returns Booking",
        ),
        (lambda flow: flow.undo("book", id="pay/card")(nothing), "a step with this id exists already"),
        (lambda flow: flow.undo("book", id="input")(nothing), "can't be called 'input'"),
        (lambda flow: flow.undo("book", retry=3)(nothing), "undo 'nothing': retry"),
        (lambda flow: flow.undo("book", executor="gpu box")(nothing), "name the pool"),
        (
            lambda flow: flow.undo("book", limit=Concurrency("x", 1), executor="gpu")(nothing),
            "a limit and an executor",
        ),
        (lambda flow: flow.undo("book", limit=Concurrency("x", 1, key="whom"))(nothing), "'whom'"),
        (lambda flow: flow.undo(flow.event("yes"))(nothing), "'yes' is an event"),
    ],
)
def test_a_mistake_is_told_with_its_cure(undo: Callable[[Workflow], object], said: str) -> None:
    assert said in refused(undo)


def test_a_step_is_undone_by_one() -> None:
    def twice(flow: Workflow) -> None:
        flow.undo("book", id="one")(nothing)
        flow.undo("book", id="two")(nothing)

    assert "undo 'two': step 'book' is undone by 'one' already" in refused(twice)


def test_nobody_receives_from_an_undo() -> None:
    def asking(flow: Workflow) -> None:
        flow.undo("book", id="unbook")(nothing)

        @flow.step
        def more(unbook: str) -> None:
            """Ask."""

    assert "parameter 'unbook' names no step" in refused(asking)


@pytest.mark.parametrize(
    ("undo", "said"),
    [
        ({"id": "a"}, "undo id 'a' of step 'a' is taken"),
        ({"id": "$"}, "undo id '$' of step 'a' is taken"),
        ({"id": "x", "executor": "gpu", "limit": {"name": "l", "atMost": 1}}, "a limit and an executor"),
    ],
)
def test_a_graph_that_is_registered_by_hand_is_looked_at_too(undo: dict[str, Any], said: str) -> None:
    step = StepDefinition(id="a", name="a", undo=UndoDefinition.model_validate({"name": "x", **undo}))
    with pytest.raises(GraphInvalidError, match=r"undo") as caught:
        Graph([step])
    assert said in str(caught.value)
