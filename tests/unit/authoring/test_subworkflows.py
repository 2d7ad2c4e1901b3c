"""Sub-workflows as their authors declare them: what the other run is given, and what is received of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import ChildrenDefinition, StepContext, Workflow
from cascade_flow.authoring import bind
from cascade_flow.errors import DefinitionError


class Order(BaseModel):
    id: str = "O-1"


class Quote(BaseModel):
    total: int


class Refund(BaseModel):
    amount: int


UNSET: Any = object()


def orders(given: Any = UNSET, takes: Any = dict[str, Any], **declared: Any) -> Workflow:
    flow = Workflow("orders", input=Order)

    @flow.step
    def quote() -> Quote:
        return Quote(total=7)

    refund = flow.run("refunds", *([] if given is UNSET else [given]), **declared)

    def tell(refunds): ...  # type: ignore[no-untyped-def]

    tell.__annotations__ = {"refunds": takes}
    flow.step(after=refund)(tell)
    return flow


def input_of(flow: Workflow, step_id: str = "refunds") -> str:
    """The JSON text that the other run is given."""
    step = flow.definition().steps[step_id]
    outputs: dict[str, str | None] = {"quote": '{"total":7}'}
    arguments = bind(step, input_json='{"id":"O-7"}', outputs=outputs, context=StepContext(run_id="r"))
    return step.dump_output(step.function(**arguments))


def refused(flow: Workflow) -> str:
    with pytest.raises(DefinitionError) as told:
        flow.definition()
    return str(told.value)


def test_it_is_registered_with_the_workflow_that_it_runs() -> None:
    _, refunds, tell = orders("quote", export=True).registration().steps
    assert refunds.children == ChildrenDefinition(kind="workflow", workflow="refunds")
    assert (refunds.id, refunds.dependencies, refunds.export_output) == ("refunds", ["quote"], True)
    assert tell.dependencies == ["refunds"]


def test_it_may_be_given_as_a_workflow_and_have_a_name_of_its_own() -> None:
    flow = Workflow("orders")
    flow.run(Workflow("refunds"), id="back/money", name="Money back")
    [step] = flow.registration().steps
    assert (step.id, step.name) == ("back/money", "Money back")
    assert step.children is not None
    assert step.children.workflow == "refunds"


def total(quote: Quote, input: Order, ctx: StepContext) -> Refund:
    return Refund(amount=quote.total + len(input.id) + len(ctx.run_id))


@pytest.mark.parametrize(
    ("given", "dependencies", "text"),
    [
        (total, ["quote"], '{"amount":11}'),
        (lambda quote: {"amount": quote["total"]}, ["quote"], '{"amount":7}'),
        ("quote", ["quote"], '{"total":7}'),
        ("input", [], '{"id":"O-7"}'),
        ({"amount": 3}, [], '{"amount":3}'),
        (Refund(amount=4), [], '{"amount":4}'),
        (None, [], "null"),
        (UNSET, [], "null"),
    ],
)
def test_its_input_is_made_of_what_steps_may_take(given: Any, dependencies: list[str], text: str) -> None:
    flow = orders(given)
    assert flow.definition().steps["refunds"].definition.dependencies == dependencies
    assert input_of(flow) == text


def test_a_steps_function_or_an_event_means_its_output() -> None:
    flow = Workflow("orders")

    @flow.step(id="deep/quote")
    def count() -> int:
        return 1

    flow.run("refunds", count)
    flow.run("others", flow.event("paid", int))
    steps = {step.id: step.dependencies for step in flow.registration().steps}
    assert (steps["refunds"], steps["others"]) == (["deep/quote"], ["paid"])


def test_what_its_function_gives_must_be_of_the_type_that_it_says() -> None:
    def wrong() -> Refund:
        return {"amount": "much"}  # type: ignore[return-value]

    with pytest.raises(DefinitionError, match="amount"):
        input_of(orders(wrong))


@pytest.mark.parametrize(
    ("given", "declared", "said"),
    [
        ("quot", {}, "did you mean 'quote'"),
        (lambda quot: quot, {}, "parameter 'quot' names no step: did you mean 'quote'?"),
        ({1, object()}, {}, "its input can't be stored as JSON"),
        (None, {"export": 1}, "export is 1"),
        (None, {"after": "refunds"}, "depends on itself"),
    ],
)
def test_what_is_wrong_with_it_is_told(given: Any, declared: dict[str, Any], said: str) -> None:
    told = refused(orders(given, **declared))
    assert told.startswith("workflow 'orders', sub-workflow 'refunds': ")
    assert said in told


@pytest.mark.parametrize("slug", ["re funds", "", 7, None])
def test_it_runs_a_workflow(slug: Any) -> None:
    flow = Workflow("orders")
    flow.run(slug, id="refunds")
    assert 'name a workflow by its slug, as in orders.run("refunds")' in refused(flow)


def test_what_is_received_is_an_object() -> None:
    assert "sub-workflow 'refunds' returns" in refused(orders(takes=list[str]))
    assert orders(takes=Refund).definition()


def test_nobody_calls_it_where_it_is_declared() -> None:
    with pytest.raises(DefinitionError, match="gets its output"):
        Workflow("orders").run("refunds")()


def by_function(factor: int) -> Callable[[], int]:
    if factor == 1:
        return lambda: 1
    return lambda: 2


def test_whatever_makes_its_input_makes_another_version() -> None:
    given = [None, "quote", "input", {"amount": 3}, {"amount": 4}, Refund(amount=5), by_function(1), by_function(2)]
    assert len({orders(each).definition().version_id for each in given}) == len(given)
    assert orders(Refund(amount=5)).definition().version_id == orders(Refund(amount=5)).definition().version_id
