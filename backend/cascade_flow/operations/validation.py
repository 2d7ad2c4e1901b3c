"""Checks a run's input against its workflow's JSON Schema, at the door."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from cascade_flow.errors import InputInvalidError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.serialization import safe_serialize


def check_input(schema: Any, value: Any) -> None:
    """Raises InputInvalidError, naming each field's path; a workflow without a schema takes anything.

    No input at all is read as `{}` by steps whose type doesn't allow null, and so it is here.
    """
    if schema is None:
        return
    validator = _validator(safe_serialize(schema))
    given = {} if value is None and not validator.is_valid(None) else value
    found = sorted(validator.iter_errors(given), key=lambda error: [str(part) for part in error.path])
    if found:
        raise InputInvalidError(issues=[_issue(error) for error in found])


@lru_cache(maxsize=64)
def _validator(schema_json: str) -> Any:
    return Draft202012Validator(json.loads(schema_json), format_checker=Draft202012Validator.FORMAT_CHECKER)


def _issue(error: Any) -> ValidationIssue:
    path = ".".join(["input", *(str(part) for part in error.absolute_path)])
    return ValidationIssue(path=path, message=error.message)
