"""Checks a run's input, and an event's payload, against their JSON Schema, at the door; and, before that, the schema.

Patterns are matched in linear time, whatever the input: what only backtracking could match is no schema here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cascade_flow.errors import InputInvalidError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.operations.lax_schemas import FORMATS, LAX, widened
from cascade_flow.serialization import safe_serialize

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_LONGEST_MESSAGE = 400


def check_input(schema: Any, text: str | None) -> None:
    """Raises InputInvalidError, naming each field's path; a workflow without a schema takes anything.

    No input at all is read as `{}` by steps whose type doesn't allow null, and so it is here.
    """
    if schema is None:
        return
    value = None if text is None else json.loads(text)
    given = {} if value is None and not _validator(safe_serialize(schema)).is_valid(None) else value
    if found := _issues(schema, given, "input"):
        raise InputInvalidError(issues=found)


def check_data(schema: Any, text: str, event: str) -> None:
    """Raises InputInvalidError where this is no payload of an event; one without a schema takes anything."""
    if schema is not None and (found := _issues(schema, json.loads(text), "data")):
        lines = "".join(f"\n  {issue.path}: {issue.message}" for issue in found)
        raise InputInvalidError(
            f"the data doesn't match what event {event!r} takes: mend the fields named below{lines}", issues=found
        )


def _issues(schema: Any, given: Any, root: str) -> list[ValidationIssue]:
    found = _validator(safe_serialize(schema)).iter_errors(given)
    ordered = sorted(found, key=lambda error: list(map(str, error.instance_path)))
    return [_issue(root, error.instance_path, error) for error in ordered]


def defect_of(schema: Any) -> ValidationIssue | None:
    """What makes this no JSON Schema that inputs can be checked against; None where they can."""
    if schema is None:
        return None
    from jsonschema_rs import ValidationError  # noqa: PLC0415

    try:
        _validator(safe_serialize(schema))
    except ValidationError as error:
        return _issue("input_schema_json", error.instance_path, error)
    except (ValueError, TypeError) as error:
        return ValidationIssue(path="input_schema_json", message=f"is no JSON Schema: {error}")
    return None


@lru_cache(maxsize=64)
def _validator(schema_json: str) -> Draft202012Validator:
    """Imported here, since most functions check no input: it is a fifth of their cold start."""
    from jsonschema_rs import Draft202012Validator, RegexOptions  # noqa: PLC0415

    linear, schema = RegexOptions(), json.loads(schema_json)
    if isinstance(schema, dict) and schema.get(LAX):
        return Draft202012Validator(
            widened(schema), formats=dict(FORMATS), validate_formats=True, pattern_options=linear, offline=True
        )
    return Draft202012Validator(schema, validate_formats=True, pattern_options=linear, offline=True)


def _issue(root: str, path: Iterable[str | int], error: ValidationError) -> ValidationIssue:
    return ValidationIssue(path=".".join([root, *map(str, path)]), message=_shortened(error.message))


def _shortened(message: str) -> str:
    """What is wrong stands at a message's end, after the value that it is wrong of."""
    half = _LONGEST_MESSAGE // 2
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:half]}…{message[-half:]}"
