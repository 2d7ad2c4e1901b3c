"""Types of neighbouring steps that can never fit are told when they are declared; all that may fit is let pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    ValidationError,
    model_validator,
)
from typing_extensions import TypedDict

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.fits import misfit
from cascade_flow.authoring.payloads import payload_of
from cascade_flow.errors import DefinitionError


class Order(BaseModel):
    id: int
    note: str = ""


class Larger(Order):
    paid: bool


class Bill(BaseModel):
    order: str
    amount: Decimal


class Named(BaseModel):
    id: str


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")


class Aliased(BaseModel):
    number: int = Field(validation_alias=AliasChoices("id", "no"))


class ByAlias(BaseModel):
    number: int = Field(alias="id")


class Texts(RootModel[list[str]]):
    pass


class Lenient(BaseModel):
    value: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"value": str(value)}


class Coerced(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    id: str


class Colour(Enum):
    RED = "red"


class Row(TypedDict):
    id: int


@dataclass
class Point:
    id: int


NEVER = [
    (str, int, "string is never boolean or number"),
    (str, float, "string is never"),
    (str, int | None, "string is never"),
    (str | None, int, "null or string is never"),
    (int, str, "number is never string"),
    (bool, str, "boolean is never string"),
    (None, int, "null is never"),
    (list[int], int, "array is never"),
    (dict[str, int], list[int], "object is never array"),
    (str, Order, "string is never object"),
    (Order, str, "object is never string"),
    (Order, list[Order], "object is never array"),
    (list[Order], Order, "array is never object"),
    (Order, Bill, "Order has no 'order', which Bill requires"),
    (Order, Named, "'id': number is never string"),
    (int, UUID, "number is never string"),
    (list[int], datetime, "array is never"),
    (Annotated[int, Field(gt=1)], Annotated[str, Field(min_length=1)], "number is never string"),
]
MAYBE = [
    (int, float),
    (float, int),
    (bool, int),
    (int, bool),
    (str, bool),
    (str, datetime),
    (int, datetime),
    (str, timedelta),
    (int, timedelta),
    (str, Decimal),
    (float, Decimal),
    (Decimal, str),
    (str, UUID),
    (UUID, str),
    (str, date),
    (str, bytes),
    (str, Path),
    (str, Colour),
    (str, Literal["a"]),
    (int | str, int),
    (int | None, int),
    (Any, int),
    (int, Any),
    (int, int | str),
    (list[str], list[int]),
    (list[int], tuple[int, int]),
    (set[int], list[int]),
    (Order, dict[str, Any]),
    (dict[str, Any], Order),
    (Order, Larger),
    (Larger, Order),
    (Loose, Order),
    (Order, Loose),
    (Order, Aliased),
    (Order, Coerced),
    (Order, ByAlias),
    (Aliased, ByAlias),
    (Order, Row),
    (Row, Order),
    (Point, Order),
    (Order, Point),
    (Texts, list[str]),
    (list[str], Texts),
    (int, Lenient),
    (int, Annotated[str, BeforeValidator(str)]),
    (Annotated[int, PlainSerializer(str)], str),
    (int, Annotated[str, Field(coerce_numbers_to_str=True)]),
    (Order | Bill, Bill),
    (Order, Order),
]


@pytest.mark.parametrize(("given", "taken", "reason"), NEVER, ids=str)
def test_what_never_fits_is_told_with_its_reason(given: Any, taken: Any, reason: str) -> None:
    assert reason in (misfit(payload_of(given, "x"), payload_of(taken, "y")) or "it may fit")


@pytest.mark.parametrize(("given", "taken"), MAYBE, ids=str)
def test_what_may_fit_is_let_pass(given: Any, taken: Any) -> None:
    assert misfit(payload_of(given, "x"), payload_of(taken, "y")) is None


VALUES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(10**9), 10**9),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    None: st.none(),
    list[int]: st.lists(st.integers(), max_size=3),
    Order: st.builds(Order, id=st.integers(-9, 9), note=st.text(max_size=3)),
    Larger: st.builds(Larger, id=st.integers(-9, 9), paid=st.booleans()),
    Point: st.builds(Point, id=st.integers(-9, 9)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(),
    UUID: st.uuids(),
}
TAKERS = [*VALUES, str, bytes, date, timedelta, Bill, Named, Aliased, ByAlias, Row, Texts, Path, Colour, dict[str, Any]]


@settings(deadline=None)
@given(st.sampled_from(list(VALUES)), st.sampled_from(TAKERS), st.data())
def test_what_is_told_never_to_fit_is_refused_by_pydantic(given: Any, taken: Any, data: st.DataObject) -> None:
    giver, taker = payload_of(given, "x"), payload_of(taken, "y")
    if misfit(giver, taker) is None:
        return
    text = giver.adapter.dump_json(data.draw(VALUES[given]), by_alias=True)
    with pytest.raises(ValidationError):
        taker.adapter.validate_json(text, by_name=True)


def test_steps_that_can_not_fit_are_mistakes_of_the_one_that_takes() -> None:
    flow = Workflow("orders")

    @flow.step
    def read() -> str:
        return "1"

    @flow.step
    def order() -> Order:
        return Order(id=1)

    @flow.step
    def total(read: int, order: Bill) -> int:
        return read

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    assert [mistake.message for mistake in caught.value.issues] == [
        "workflow 'orders', step 'total': parameter 'read' takes int, and step 'read' returns str: string is never "
        "boolean or number; mend one of the two types",
        "workflow 'orders', step 'total': parameter 'order' takes Bill, and step 'order' returns Order: Order has no "
        "'order', which Bill requires; mend one of the two types",
    ]
    assert {int(mistake.path.rpartition(":")[2]) for mistake in caught.value.issues} == {total.__code__.co_firstlineno}
