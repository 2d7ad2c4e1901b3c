"""One truth: what the model takes, the door takes; what is plainly wrong is refused at the door, with its path."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
import time as clocks
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PlainValidator,
    RootModel,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.payloads import Payload, payload_of
from cascade_flow.errors import DefinitionError, InputInvalidError
from cascade_flow.operations.lax_schemas import unicode_pattern
from cascade_flow.operations.validation import check_input, defect_of


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Loud(enum.StrEnum):
    """Takes more than its values say."""

    A = "A"

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls.A if value == "a" else None


class Level(enum.IntEnum):
    ONE = 1


class Aliased(BaseModel):
    limit: int = Field(validation_alias=AliasChoices("LIMIT", "limit_value"))
    deep: int = Field(1, validation_alias=AliasPath("a", 0))
    both: int = Field(2, alias="Both")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid")
    order_id: str
    sold_at: datetime | None = None


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: str = Field(alias="a")


class Stripped(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    code: str = Field(max_length=3, pattern="^[a-z]+$")


class Numbers(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    text: str = Field(max_length=3)


class Remade(BaseModel):
    amount: int

    @model_validator(mode="before")
    @classmethod
    def from_number(cls, data: Any) -> Any:
        return {"amount": data} if isinstance(data, int) else data


class Dog(BaseModel):
    kind: Literal["dog"]
    age: int


class Cat(BaseModel):
    kind: Literal["cat"]
    age: float


class Tree(BaseModel):
    value: float = Field(gt=0)
    children: list[Tree] = []


class Row(TypedDict, total=False):
    id: int
    name: Annotated[str, Field(alias="Name")]


@dataclasses.dataclass
class Point:
    x: float
    y: Annotated[int, Field(alias="Y")] = 0


class Pair(NamedTuple):
    first: int
    second: date


class Keys(RootModel[dict[Annotated[str, Field(pattern=r"^\w+$")], int]]):
    pass


def halved(text: Any) -> Any:
    return text.split(",") if isinstance(text, str) else text


TYPES: list[Any] = [
    *(int, float, bool, str, bytes, Decimal, datetime, date, time, timedelta, UUID, IPv4Address, Path, AnyUrl, None),
    *(complex, SecretStr, ByteSize, Color, Loud, Level, Aliased, Camel, Swapped, Stripped, Numbers, Remade, Tree, Row),
    *(
        Point,
        Pair,
        Keys,
        Literal["a", 1],
        Literal[True, None],
        set[int],
        frozenset[str],
        tuple[int, str],
        dict[int, Any],
    ),
    *(dict[str, float], Iterable[int], Any, re.Pattern, timedelta | int, Dog | Cat),
    Annotated[Dog | Cat, Field(discriminator="kind")],
    Annotated[int, Field(gt=2, multiple_of=5)],
    Annotated[float, Field(le=1.5, multiple_of=0.1)],
    Annotated[Decimal, Field(gt=0, max_digits=3, decimal_places=1)],
    Annotated[str, Field(pattern=r"^[\w.-]+@\w+$", max_length=9)],
    Annotated[str, Field(pattern=r"^\d+\s\S$")],
    Annotated[str, Field(pattern=r"^\p{L}+$")],
    Annotated[str, Field(pattern=r"^\W$")],
    Annotated[str, Field(pattern=re.compile(r"^(?=.)a\Z"))],
    Annotated[str, StringConstraints(to_lower=True, max_length=1)],
    Annotated[set[int], Field(max_length=1)],
    Annotated[list[str], BeforeValidator(halved)],
    Annotated[int, PlainValidator(lambda value: len(str(value)))],
    Annotated[int, AfterValidator(abs)],
    Annotated[datetime, Field(gt=datetime(2020, 1, 1))],
]
TEXTS = [
    *(
        "1",
        " 1 ",
        "1.0",
        "1.5",
        "-1",
        "+1",
        "1_0",
        "1e3",
        "0x1",
        "٣",
        "NaN",
        "-Infinity",
        "inf",
        "true",
        "Yes",
        "on",
        "N",
    ),
    *("2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01 00:00", "1577836800", "10:00", "10:00:00.5", "P1D", "-P1DT1S"),
    *("1 day, 00:00:01", "a", "A", "b", "ä", "ä@b", "abc", " ab ", "x,y", "٣ ä", "dog", "cat", "10.0.0.1", "http://a"),
    *("1kb", "urn:uuid:12345678-1234-5678-1234-567812345678", "{12345678-1234-5678-1234-567812345678}", "1+2j", "("),
    "12345678123456781234567812345678",
]
NAMES = "LIMIT limit_value limit a b both Both deep orderId order_id soldAt code text amount kind age value children id"
KEYS = [*NAMES.split(), "name", "Name", "x", "Y", "first", "1", "ä"]
SCALARS = st.none() | st.booleans() | st.integers(-3, 20) | st.floats(-3, 20) | st.sampled_from([*TEXTS, "", 10**20])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
SHAPED = [
    st.fixed_dictionaries(
        {}, optional={"LIMIT": SCALARS, "limit_value": SCALARS, "limit": SCALARS, "Both": SCALARS, "both": SCALARS}
    ),
    st.fixed_dictionaries(
        {}, optional={"orderId": SCALARS, "order_id": SCALARS, "soldAt": SCALARS, "sold_at": SCALARS}
    ),
    st.fixed_dictionaries({"a": SCALARS, "b": SCALARS}),
    st.fixed_dictionaries({"kind": st.sampled_from(["dog", "cat"]), "age": SCALARS}),
    st.fixed_dictionaries({"value": SCALARS, "children": st.lists(st.fixed_dictionaries({"value": SCALARS}))}),
    st.fixed_dictionaries({"x": SCALARS, "Y": SCALARS}),
    st.fixed_dictionaries({"first": SCALARS, "second": SCALARS}),
]


def takes(payload: Payload, value: Any) -> bool:
    try:
        payload.adapter.validate_json(json.dumps(value), by_name=True)
    except ValidationError:
        return False
    return True


def let_pass(schema: Any, value: Any) -> bool:
    try:
        check_input(schema, json.dumps(value))
    except InputInvalidError:
        return False
    return True


@pytest.mark.parametrize("annotation", TYPES, ids=lambda annotation: re.sub(" at 0x[0-9a-f]+", "", str(annotation)))
def test_what_the_model_takes_the_door_takes(annotation: Any) -> None:
    """But for a Decimal's triple of sign, digits and exponent, which nobody sends."""
    payloads = [payload_of(annotation, "it"), payload_of(list[annotation], "it")]
    schemas = [payload.schema() for payload in payloads]

    @settings(max_examples=30, deadline=None)
    @given(VALUES | st.one_of(SHAPED))
    def takes_what_the_model_takes(value: Any) -> None:
        for payload, schema, given_value in zip(payloads, schemas, (value, [value]), strict=True):
            is_triple = "Decimal" in str(annotation) and isinstance(value, list)
            assert let_pass(schema, given_value) or not takes(payload, given_value) or is_triple

    takes_what_the_model_takes()


@pytest.mark.parametrize("annotation", TYPES, ids=lambda annotation: re.sub(" at 0x[0-9a-f]+", "", str(annotation)))
def test_every_text_that_the_model_takes_the_door_takes(annotation: Any) -> None:
    payload = payload_of(annotation, "it")
    numbers = [0, 1, -1, 2, 1.0, 1.5, 0.3, 10**20, 1577836800, True, False, None, [1, 1, "1"], {"1": 1, "ä": "2"}]
    refused = [
        value for value in [*TEXTS, "", *numbers] if takes(payload, value) and not let_pass(payload.schema(), value)
    ]
    assert refused == []


def refusal(annotation: Any, value: Any) -> str:
    with pytest.raises(InputInvalidError) as caught:
        check_input(payload_of(annotation, "it").schema(), json.dumps(value))
    return "; ".join(f"{issue.path}: {issue.message}" for issue in caught.value.issues)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Tree, {"value": "five"}, 'input.value: "five" is not a "number"'),
        (
            Tree,
            {"value": 1, "children": [{"value": -1}]},
            "input.children.0.value: -1 is less than or equal to the min",
        ),
        (Tree, {}, 'input: "value" is a required property'),
        (Aliased, {"Limit": 1}, 'input: "LIMIT" is a required property'),
        (Camel, {"orderId": "1", "order": 2}, "input: Additional properties are not allowed ('order' was unexpected)"),
        (Camel, {"orderId": 1}, 'input.orderId: 1 is not of type "string"'),
        (datetime, "tomorrow", 'input: "tomorrow" is not a "date-time"'),
        (bool, "perhaps", 'input: "perhaps" is not a "boolean"'),
        (int, [], 'input: [] is not of types "boolean", "number", "string"'),
        (Literal["a", "b"], "c", 'input: "c" is not one of "a" or "b"'),
        (Annotated[str, Field(pattern=r"^\p{L}+$")], "a1", r'input: "a1" does not match "^\p{L}+$"'),
    ],
)
def test_what_is_plainly_wrong_is_refused_with_its_path(annotation: Any, value: Any, message: str) -> None:
    assert message in refusal(annotation, value)


def test_nothing_backtracks_over_what_others_send() -> None:
    begun = clocks.process_time()
    for pattern in (r"^(\w+\s?)+$", r"^(a+)+$", r"(.*)*b\d$", r"^(([a-z])+.)+[A-Z]([a-z])+$"):
        message = refusal(Annotated[str, Field(pattern=pattern)], "a" * 50_000 + "!")
        assert "does not match" in message
        assert len(message) < 500
    assert clocks.process_time() - begun < 5


def test_of_a_long_message_both_ends_are_told() -> None:
    value, wrong = "a" * 1_000, 'is not a "number"'
    message = refusal(float, value)
    assert message.startswith(f'input: "{value[:199]}…')
    assert message.endswith(wrong)
    assert len(message.removeprefix("input: ")) == 401
    shortest = "a" * (400 - len(f'"" {wrong}'))
    assert refusal(float, shortest) == f'input: "{shortest}" {wrong}'


def test_a_pattern_that_only_python_can_match_is_left_to_the_model() -> None:
    class Ours(BaseModel):
        model_config = ConfigDict(regex_engine="python-re")
        code: str = Field(pattern=r"^(?!x)(\w)\1$")

    payload = payload_of(Ours, "it")
    assert let_pass(payload.schema(), {"code": "xx"})
    assert not takes(payload, {"code": "xx"})
    assert payload.schema()["properties"]["code"]["x-cascade-pattern"] == r"^(?!x)(\w)\1$"


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"name": {"pattern": "("}}}, "input_schema_json.properties.name.pattern"),
        ({"properties": {"name": {"pattern": r"(?=a)b"}}}, "input_schema_json.properties.name.pattern"),
        ({"properties": {"name": {"pattern": r"(a)\1"}}}, "input_schema_json.properties.name.pattern"),
        ({"type": "text"}, "input_schema_json.type"),
        ({"$ref": "#/$defs/none"}, "input_schema_json"),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "input_schema_json"),
        ("text", "input_schema_json"),
        (5, "input_schema_json"),
    ],
)
def test_what_is_no_schema_is_known_before_any_input_comes(schema: Any, path: str) -> None:
    defect = defect_of(schema)
    assert defect is not None
    assert defect.path == path


def test_a_model_whose_own_schema_is_none_is_refused_when_declared() -> None:
    class Said(BaseModel):
        code: str = Field(json_schema_extra={"minLength": "three"})

    flow = Workflow("orders", input=Said)
    flow.step(halved_input)
    with pytest.raises(DefinitionError, match=r"workflow 'orders', input: .*properties\.code\.minLength"):
        flow.definition()


def halved_input(input: Any) -> Any:
    return halved(input)


def test_the_schema_is_published_as_the_model_would_like_to_be_given() -> None:
    published = payload_of(Aliased, "it").schema()
    assert published["properties"]["LIMIT"] == {
        "title": "Limit",
        "type": "integer",
        "x-cascade-names": ["limit_value", "limit"],
    }
    assert published["required"] == ["LIMIT"]


def test_classes_of_patterns_are_unicodes() -> None:
    assert unicode_pattern(r"^\d[\s-]\\d\.$") == r"^\p{Nd}[\p{White_Space}-]\\d\.$"
    assert unicode_pattern(r"[^\W]") is None
    assert unicode_pattern(r"\w") == r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"


def test_no_input_is_an_empty_one_where_null_does_not_fit() -> None:
    check_input({"type": "object"}, None)
    check_input({"type": "null"}, None)
    with pytest.raises(InputInvalidError):
        check_input({"type": "object", "required": ["a"]}, None)
