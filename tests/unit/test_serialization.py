"""Any value as JSON text: usual values in their usual form, the rest readable."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field

from cascade_flow.serialization import DEEPEST, safe_serialize
from strategies import json_values


class Colour(Enum):
    RED = "red"


class Named(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    long_name: int = Field(default=1, serialization_alias="longName")
    anything: Any = None


class Exploding(BaseModel):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def boom(self) -> int:
        raise KeyError("boom")


@dataclass
class Point:
    x: int
    y: object


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


class Array:
    """Stands for what numeric libraries have."""

    def tolist(self) -> list[int]:
        return [1, 2]


class Plain:
    pass


def circular_list() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def circular_model() -> Named:
    model = Named()
    model.anything = model
    return model


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**70, 2**70),
        (1.5, 1.5),
        ("zażółć", "zażółć"),
        ((1, [2]), [1, [2]]),
        ({"b": 1, "a": None}, {"b": 1, "a": None}),
        (Pair(1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset(), []),
        (b"text", "text"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (timedelta(seconds=90), "PT1M30S"),
        (Decimal("1.10"), "1.10"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (Colour.RED, "red"),
        (Named(), {"longName": 1, "anything": None}),
        (Point(1, {2}), {"x": 1, "y": [2]}),
        (Array(), [1, 2]),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        ({(1, 2): "a"}, {"[1, 2]": "a"}),
    ],
)
def test_usual_values_in_their_usual_form(value: object, expected: object) -> None:
    assert json.loads(safe_serialize(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("NaN"), "NaN"),
        (b"\xff", "base64:/w=="),
        ("half \ud800.", "half \ufffd."),
        ({"\udc00": 1}, {"\ufffd": 1}),
        ({1: "a", "1": "b"}, {"1": "a", "1 (str)": "b"}),
        (circular_list(), ["[circular: list]"]),
        (len, "[function: len]"),
        (Plain(), "[Plain]"),
        (Unspeakable(), "[Unspeakable]"),
        (ValueError("no"), "[ValueError: ValueError('no')]"),
        (SecretStr("hush"), "**********"),
        (Exploding(), "[Exploding]"),
        (iter([1]), "[list_iterator]"),
    ],
)
def test_the_rest_is_readable(value: object, expected: object) -> None:
    assert json.loads(safe_serialize(value)) == expected


def test_a_circular_model_is_cut_where_it_closes() -> None:
    assert json.loads(safe_serialize(circular_model())) == {"long_name": 1, "anything": "[circular: Named]"}


def test_a_value_seen_twice_is_no_circle() -> None:
    shared = [1]
    assert json.loads(safe_serialize([shared, shared])) == [[1], [1]]


def test_of_keys_that_read_alike_none_takes_anothers_place() -> None:
    alike = {"1": "a", "1 (int)": "b", 1: "c"}
    assert json.loads(safe_serialize(alike)) == {"1": "a", "1 (int)": "b", "1 (int) (int)": "c"}


def test_what_is_as_deep_as_may_be_is_whole() -> None:
    assert "too deeply" not in safe_serialize(nested(DEEPEST))
    assert "[nested too deeply: list]" in safe_serialize(nested(DEEPEST + 1))


def test_what_is_nested_without_end_is_cut() -> None:
    assert "[nested too deeply: list]" in safe_serialize(nested(100_000))


def test_numbers_beyond_reading_are_hexadecimal() -> None:
    assert json.loads(safe_serialize(10**5000)) == hex(10**5000)


def test_sets_have_one_order() -> None:
    assert safe_serialize({"b", "a", 1, None}) == '["a","b",1,null]'


@given(json_values)
def test_json_values_come_back_as_they_were(value: object) -> None:
    assert json.loads(safe_serialize(value)) == value


@settings(max_examples=100)
@given(
    st.recursive(
        st.floats() | st.text(st.characters()) | st.binary() | st.datetimes() | st.decimals() | st.complex_numbers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_the_text_is_always_json_and_unicode(value: object) -> None:
    text = safe_serialize(value)
    text.encode()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
