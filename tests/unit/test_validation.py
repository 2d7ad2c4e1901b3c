"""What the door says of an input, of an event's data and of a schema: every issue by its path, in the paths' order."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cascade_flow.errors import InputInvalidError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.operations.lax_schemas import LAX
from cascade_flow.operations.validation import check_data, check_input, defect_of

OBJECT = {"type": "object"}
ORDER = {"properties": {"b": {"type": "string"}, "a": {"items": {"type": "string"}}}, "required": ["c"]}
WRONG = {"b": 1, "a": ["x", 2]}
ISSUES = [
    ("", '"c" is a required property'),
    (".a.1", '2 is not of type "string"'),
    (".b", '1 is not of type "string"'),
]


def issues(root: str) -> list[ValidationIssue]:
    return [ValidationIssue(path=f"{root}{path}", message=message) for path, message in ISSUES]


@pytest.mark.parametrize(
    ("schema", "text", "fits"),
    [
        (None, "1", True),
        ({}, "1", True),
        (False, "1", False),
        (OBJECT, None, True),
        (OBJECT, "null", True),
        ({"type": ["object", "null"], "required": ["a"]}, None, True),
        ({"type": ["object", "null"], "required": ["a"]}, "{}", False),
        ({"type": "array"}, None, False),
        (OBJECT, "[]", False),
        (OBJECT, "0", False),
    ],
)
def test_no_input_is_as_an_empty_one_where_null_is_none(schema: Any, text: str | None, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(InputInvalidError):
        check_input(schema, text)


def test_every_issue_of_an_input_is_named_in_the_order_of_their_paths() -> None:
    with pytest.raises(InputInvalidError) as refused:
        check_input(ORDER, json.dumps(WRONG))
    assert refused.value.issues == issues("input")


def test_every_issue_of_an_events_data_is_named_and_said() -> None:
    with pytest.raises(InputInvalidError) as refused:
        check_data(ORDER, json.dumps(WRONG), "paid")
    assert refused.value.issues == issues("data")
    said = "".join(f"\n  data{path}: {message}" for path, message in ISSUES)
    assert str(refused.value) == f"the data doesn't match what event 'paid' takes: mend the fields named below{said}"


@pytest.mark.parametrize(("schema", "fits"), [(None, True), ({}, True), ({"type": "null"}, True), (False, False)])
def test_an_event_without_a_schema_takes_anything(schema: Any, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(InputInvalidError):
        check_data(schema, "null", "paid")


@pytest.mark.parametrize(
    ("schema", "fits", "others"),
    [
        ({"format": "date"}, "2026-11-27", "soon"),
        ({"pattern": "^a+$"}, "aaa", "b"),
    ],
)
def test_formats_and_patterns_are_looked_at(schema: Any, fits: str, others: str) -> None:
    check_input({"type": "string", **schema}, json.dumps(fits))
    with pytest.raises(InputInvalidError):
        check_input({"type": "string", **schema}, json.dumps(others))


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (None, None),
        ({}, None),
        (False, None),
        (OBJECT, None),
        ({"properties": {"a": {"type": "text"}}}, "input_schema_json.properties.a.type"),
        ({"pattern": "(?=a)b"}, "input_schema_json.pattern"),
        ({"pattern": r"(a)\1", LAX: True}, "input_schema_json.pattern"),
        (0, "input_schema_json"),
        ("", "input_schema_json"),
    ],
)
def test_what_is_no_schema_is_named_by_its_place(schema: Any, path: str | None) -> None:
    found = defect_of(schema)
    assert (found and found.path) == path


@pytest.mark.parametrize("lax", [True, False])
def test_a_schema_that_lies_elsewhere_is_not_fetched(tmp_path: Path, lax: bool) -> None:
    elsewhere = tmp_path / "schema.json"
    elsewhere.write_text("{}")
    found = defect_of({"$ref": elsewhere.as_uri(), LAX: lax})
    assert found is not None
    assert "Retrieval is disabled" in found.message


def test_a_schema_is_a_models_where_it_says_so() -> None:
    check_input({"type": "integer", LAX: True}, '"5"')
    with pytest.raises(InputInvalidError):
        check_input({"type": "integer", LAX: False}, '"5"')


@pytest.mark.parametrize(("length", "is_cut"), [(400, False), (401, True)])
def test_of_a_long_message_the_beginning_and_the_end_are_told(length: int, is_cut: bool) -> None:
    value = "x" * (length - len('"" is not of type "object"'))
    whole = f'"{value}" is not of type "object"'
    with pytest.raises(InputInvalidError) as refused:
        check_input(OBJECT, json.dumps(value))
    assert refused.value.issues[0].message == (f"{whole[:200]}…{whole[-200:]}" if is_cut else whole)
