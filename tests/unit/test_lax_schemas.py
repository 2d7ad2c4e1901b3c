"""What the door makes of a model's schema: of each keyword what is kept, widened or dropped."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Any

import pytest

from cascade_flow.errors import InputInvalidError
from cascade_flow.operations.lax_schemas import FORMATS, LAX, MODEL, NAMES, PATHS, unicode_pattern, widened
from cascade_flow.operations.validation import check_input

TEXT, NUMBER = {"type": "string"}, {"type": ["number", "string", "boolean"], "format": "number"}
WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}"


@pytest.mark.parametrize(
    ("schema", "wide"),
    [
        (True, True),
        ({MODEL: True, **TEXT}, {}),
        ({"$schema": "it", "not": TEXT, "contains": TEXT, "discriminator": {}, **TEXT}, TEXT),
        ({"oneOf": [TEXT, {"type": "number"}]}, {"anyOf": [TEXT, NUMBER]}),
        ({"allOf": [{"type": "number"}]}, {"allOf": [NUMBER]}),
        ({"anyOf": [TEXT, {"type": "number"}]}, {"anyOf": [TEXT, NUMBER]}),
        ({"prefixItems": [{"type": "number"}]}, {"prefixItems": [NUMBER]}),
        ({"items": {"type": "number"}}, {"items": NUMBER}),
        ({"$defs": {"a": {"type": "number"}}}, {"$defs": {"a": NUMBER}}),
        ({"properties": {"a": {"type": "number"}}}, {"properties": {"a": NUMBER}}),
        ({"additionalProperties": {"type": "number"}}, {"additionalProperties": NUMBER}),
        ({"additionalProperties": False}, {"additionalProperties": False}),
        ({"additionalProperties": False, "patternProperties": {"a": TEXT}}, {}),
        ({"additionalProperties": False, "propertyNames": TEXT}, {}),
        ({"maxItems": 1, "minItems": 1}, {"maxItems": 1, "minItems": 1}),
        ({"maxItems": 1, "minItems": 1, "uniqueItems": True}, {"minItems": 1}),
        ({"maxItems": 1, "uniqueItems": False}, {"maxItems": 1}),
        ({"type": "integer"}, {**NUMBER, "format": "integer"}),
        ({"type": "boolean"}, {**NUMBER, "format": "boolean"}),
        ({"type": "number", "minimum": 1, "multipleOf": 0.1}, {**NUMBER, "minimum": 1}),
        ({"type": "number", "multipleOf": 5}, {**NUMBER, "multipleOf": 5}),
        ({**TEXT, "format": "date"}, {"type": ["number", "string"], "format": "date"}),
        ({**TEXT, "format": "uuid", "maxLength": 3}, {}),
        (
            {**TEXT, "format": "uuid", "$defs": {"a": TEXT}, "anyOf": [TEXT], "allOf": [TEXT]},
            {"$defs": {"a": TEXT}, "anyOf": [TEXT], "allOf": [TEXT]},
        ),
        ({"type": "object", "format": "date", "maxLength": 3}, {"type": "object", "maxLength": 3}),
        ({"type": "object", "format": "uuid", "maxLength": 3}, {"type": "object", "maxLength": 3}),
        ({"enum": ["a", None]}, {"enum": ["a", None]}),
        ({"enum": ["a", 1]}, {}),
        ({"const": "a"}, {"const": "a"}),
        ({"const": 1}, {}),
        ({"const": None}, {"const": None}),
        ({**TEXT, "pattern": r"^\d$"}, {**TEXT, "pattern": r"^\p{Nd}$"}),
        ({**TEXT, "pattern": "(?=a)"}, TEXT),
        ({"required": ["a"], "allOf": []}, {"required": ["a"]}),
    ],
)
def test_each_keyword_lets_pass_what_a_model_may_take(schema: Any, wide: Any) -> None:
    assert widened(schema) == wide


@pytest.mark.parametrize(
    "keyword",
    [
        *("$schema", "format", "not", "if", "then", "else", "contains", "dependentRequired", "dependentSchemas"),
        *("patternProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"),
        "discriminator",
    ],
)
def test_what_a_model_may_read_otherwise_is_dropped(keyword: str) -> None:
    assert widened({"type": "object", "title": "T", keyword: TEXT}) == {"type": "object", "title": "T"}


def test_each_property_of_several_names_is_read_under_any_of_them() -> None:
    of_two, of_three = {"type": "number", NAMES: ["b"]}, {**TEXT, NAMES: ["d", "e"]}
    wide = widened({"properties": {"own": TEXT, "a": of_two, "c": of_three}})
    assert wide["properties"] == {"own": TEXT, **dict.fromkeys("abcde", True)}
    assert [each["then"]["properties"] for each in wide["allOf"]] == [
        *({name: {**NUMBER, NAMES: ["b"]}} for name in "ab"),
        *({name: of_three} for name in "cde"),
    ]


NAMED = {
    LAX: True,
    "type": "object",
    "properties": {"a": {**TEXT, NAMES: ["b", "c"], PATHS: ["deep"]}, "own": TEXT},
    "required": ["a", "own"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("names", ["a", "b", "c", "deep", "ab", "ac", "bc", "abc"])
def test_of_several_names_one_is_enough(names: str) -> None:
    given = dict.fromkeys([names] if names == "deep" else names, "text")
    check_input(NAMED, json.dumps({**given, "own": "text"}))


@pytest.mark.parametrize(
    "given", [{"a": "text", "b": 5, "c": 5}, {"b": "text", "c": 5}, {"deep": 5, "a": 5, "b": 5, "c": 5}]
)
def test_only_the_first_name_that_is_there_is_looked_at(given: dict[str, Any]) -> None:
    check_input(NAMED, json.dumps({**given, "own": "text"}))


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "input"),
        ({"a": 5}, "input.a"),
        ({"a": 5, "b": "text"}, "input.a"),
        ({"b": 5}, "input.b"),
        ({"b": 5, "c": "text"}, "input.b"),
        ({"c": 5}, "input.c"),
        ({"a": "text", "own": 5}, "input.own"),
        ({"a": "text", "other": 5}, "input"),
    ],
)
def test_what_the_first_name_holds_must_fit(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InputInvalidError) as refused:
        check_input(NAMED, json.dumps({"own": "text", **given}))
    assert [issue.path for issue in refused.value.issues] == [path]


@pytest.mark.parametrize(
    ("other", "given", "fits"),
    [
        (NAMES, {}, True),
        (NAMES, {"a": 5}, False),
        (NAMES, {"b": 5}, False),
        (NAMES, {"a": "text", "b": 5}, True),
        (PATHS, {}, True),
        (PATHS, {"a": 5}, False),
        (PATHS, {"b": 5}, True),
        (PATHS, {"a": 5, "b": 5}, True),
    ],
)
def test_what_may_be_left_out_must_fit_where_it_is_there(other: str, given: dict[str, Any], fits: bool) -> None:
    schema = {LAX: True, "properties": {"a": {**TEXT, other: ["b"]}}, "additionalProperties": False}
    with nullcontext() if fits else pytest.raises(InputInvalidError):
        check_input(schema, json.dumps(given))


@pytest.mark.parametrize(
    ("pattern", "unicode"),
    [
        (r"\W", f"[^{WORD}]"),
        (r"[\w]", f"[{WORD}]"),
        (r"[a]\w", f"[a][{WORD}]"),
        (r"[a]\W", f"[a][^{WORD}]"),
        (r"\D\S", r"\P{Nd}\P{White_Space}"),
        (r"[a\]\W]", None),
        ("(?=a)b", None),
        ("(?!a)b", None),
        ("(?<=a)b", None),
        ("(?<!a)b", None),
        ("(?:a)b", "(?:a)b"),
        ("b(?=a)", None),
        ("[b](?<!a)", None),
        (r"\s[\s]\.", r"\p{White_Space}[\p{White_Space}]\."),
        (r"[\d\D\S]\[\d", r"[\p{Nd}\P{Nd}\P{White_Space}]\[\p{Nd}"),
    ],
)
def test_a_class_of_a_pattern_is_unicodes_wherever_it_stands(pattern: str, unicode: str | None) -> None:
    assert unicode_pattern(pattern) == unicode


TRUTHS = ["0", "1", "t", "f", "true", "false", "y", "n", "yes", "no", "on", "off", " TRUE ", "oFF\n"]
NUMBERS = ["1", " 1_000 ", "1e9", "+5", "x1", "\N{DEVANAGARI DIGIT ONE}"]
ENDLESS = ["nan", "inf", "infinity", "-inf", "+Infinity", " NaN "]


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("boolean", TRUTHS),
        ("number", NUMBERS + ENDLESS),
        *((name, NUMBERS) for name in ("integer", "date", "duration")),
    ],
)
def test_what_looks_like_a_value_is_left_to_the_model_and_no_other_text(form: str, texts: list[str]) -> None:
    every = {*TRUTHS, *NUMBERS, *ENDLESS, "", "x", "in", "truefalse", "2 x", "on off"}
    digits = {text for text in every if any(character.isdigit() for character in text)}
    let_pass = {text for text in every if FORMATS[form](text)}
    assert let_pass == {*texts} | (digits if form != "boolean" else set())
