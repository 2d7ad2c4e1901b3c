"""Limits as authors declare them: what is registered, what is refused and in which words, and ids that stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import (
    Concurrency,
    DefinitionError,
    GraphInvalidError,
    Rate,
    RunLimit,
    StepDefinition,
    StepLimit,
    Workflow,
)
from cascade_flow.engine.limits import key_values, limit_of, pack_limit, unpack_limit
from cascade_flow.engine.state import Limit
from cascade_flow.graph import Graph


class Customer(BaseModel):
    id: str


class Loose(BaseModel, extra="allow"):
    id: str


class Order(BaseModel):
    customer: Customer
    agent: Customer | None = None
    number: int


def declared(limit: Any, *, input: Any = None, **options: Any) -> StepDefinition:
    orders = Workflow("orders", input=input)

    @orders.step(limit=limit, **options)
    def pay() -> int:
        return 1

    [step] = orders.registration().steps
    return step


def refused(limit: Any, **options: Any) -> str:
    with pytest.raises(DefinitionError) as told:
        declared(limit, **options)
    return str(told.value)


def test_what_is_registered() -> None:
    assert declared(Concurrency("stripe", 10)).limit == StepLimit(name="stripe", at_most=10)
    minute = Rate("openai", 60, per=timedelta(minutes=1), key="customer")
    assert declared(minute).limit == StepLimit(name="openai", at_most=60, per_ms=60_000, key="customer")


def test_a_step_without_a_limit_is_registered_as_ever() -> None:
    assert "limit" not in declared(None).to_wire()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Concurrency("no name", 1), "its name is 'no name'"),
        (Concurrency("stripe", 0), "at_most is 0: give a whole number from 1 to 1,000"),
        (Concurrency("stripe", True), "at_most is True"),
        (Concurrency("stripe", 1, key="a..b"), "key is 'a..b'"),
        (Rate("openai", 1, per=0), "limit: per is 0"),
        (10, "limit is 10: give a Concurrency or a Rate"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(limit: Any, words: str) -> None:
    told = refused(limit)
    assert words in told
    assert "workflow 'orders', step 'pay'" in told


def test_a_pool_and_a_limit_are_one_too_many() -> None:
    assert "it has a limit and an executor" in refused(Concurrency("stripe", 1), executor="gpu-box")
    step = StepDefinition(id="a", name="a", executor="gpu-box", limit=StepLimit(name="stripe", at_most=1))
    with pytest.raises(GraphInvalidError, match="a limit and an executor"):
        Graph([step])


@pytest.mark.parametrize("key", ["customer.id", "agent.id", "number"])
def test_a_key_is_a_field_of_the_input(key: str) -> None:
    assert declared(Concurrency("erp", 1, key=key), input=Order).limit is not None


@pytest.mark.parametrize(("key", "words"), [("custmer", "no field 'custmer'"), ("customer.name", "no field 'name'")])
def test_a_key_that_the_input_does_not_have_is_refused(key: str, words: str) -> None:
    assert words in refused(Concurrency("erp", 1, key=key), input=Order)


@pytest.mark.parametrize("input", [None, dict[str, Any], Any, Loose])
def test_of_an_input_that_may_hold_anything_any_key_is_taken(input: Any) -> None:
    assert declared(Concurrency("erp", 1, key="customer"), input=input).limit is not None


@pytest.mark.parametrize(
    ("input", "value"),
    [
        ('{"customer": {"id": "C-1"}}', "C-1"),
        ('{"customer": {"id": 7}}', "7"),
        ('{"customer": {}}', "null"),
        ('{"customer": 3}', "null"),
        ("[]", "null"),
        (None, "null"),
    ],
)
def test_the_value_of_a_key_is_read_from_the_input(input: str | None, value: str) -> None:
    step = declared(Concurrency("erp", 3, key="customer.id"))
    keys = key_values([step], input)
    assert keys == {"customer.id": value}
    assert limit_of(step, keys) == Limit(f"erp#{value}", 3)


def test_a_long_value_is_told_by_its_hash() -> None:
    step = declared(Concurrency("erp", 3, key="note"))
    one, other = (key_values([step], f'{{"note": "{letter * 1_000}"}}')["note"] for letter in "ab")
    assert one != other
    assert len(one) < 100


@pytest.mark.parametrize(("length", "is_told"), [(128, True), (129, False)])
def test_a_value_is_told_as_it_is_up_to_so_many_characters(length: int, is_told: bool) -> None:
    text, step = "ü" * length, declared(Concurrency("erp", 3, key="note"))
    assert (key_values([step], f'{{"note": "{text}"}}')["note"] == text) is is_told


def test_a_value_is_the_same_in_whatever_order_it_is_written() -> None:
    step = declared(Concurrency("erp", 3, key="who"))
    inputs = '{"who": {"a": 1, "b": 2}}', '{"who": {"b": 2, "a": 1}}'
    assert {key_values([step], input)["who"] for input in inputs} == {'{"a": 1, "b": 2}'}


@pytest.mark.parametrize("limit", [Limit("stripe", 10), Limit("erp#C:1/2#3", 1), Limit("openai#a:b", 60, 60_000_000)])
def test_a_limit_fits_into_a_line_of_text(limit: Limit) -> None:
    assert unpack_limit(pack_limit(limit)) == limit


@pytest.mark.parametrize(
    ("options", "registered"),
    [
        ({"max_running": 5}, RunLimit(at_most=5)),
        ({"max_running": 5, "key": "number"}, RunLimit(at_most=5, key="number")),
        ({"singleton": "queue"}, RunLimit(at_most=1)),
        ({"singleton": "skip", "key": "customer.id"}, RunLimit(at_most=1, key="customer.id", skips=True)),
        ({}, None),
    ],
)
def test_how_many_runs_go_on_at_once(options: dict[str, Any], registered: RunLimit | None) -> None:
    orders = Workflow("orders", input=Order, **options)
    orders.step(a_step())
    assert orders.registration().run_limit == registered


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_running": 0}, "max_running is 0"),
        ({"singleton": "maybe"}, "singleton is 'maybe': give 'skip' or 'queue'"),
        ({"max_running": 2, "singleton": "skip"}, "give one of the two"),
        ({"key": "number"}, "give it with max_running or singleton"),
    ],
)
def test_what_makes_no_sense_of_runs_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        Workflow("orders", input=Order, **options)


def test_runs_are_counted_by_a_field_of_the_input() -> None:
    orders = Workflow("orders", input=Order, max_running=1, key="shop")
    orders.step(a_step())
    with pytest.raises(DefinitionError, match="no field 'shop'"):
        orders.definition()


def test_a_workflow_keeps_its_version_unless_it_says_how_many() -> None:
    plain, limited = Workflow("orders"), Workflow("orders", max_running=3)
    for each in (plain, limited):
        each.step(a_step())
    assert "runLimit" not in plain.registration().to_wire()
    assert plain.definition().version_id != limited.definition().version_id


def a_step() -> Any:
    def pay() -> int:
        return 1

    return pay
