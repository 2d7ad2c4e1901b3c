"""Holds answers against docs/openapi.json: the status is one that is named there, and the body is what is said of it.

Stricter than the document for its readers: what it doesn't describe must not be there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from infra.written import ROOT

PATH = ROOT / "docs" / "openapi.json"
METHODS = frozenset({"get", "post", "put", "delete", "patch"})
_NOWHERE = {"404": "route-not-found", "405": "method-not-allowed"}


@cache
def published() -> dict[str, Any]:
    """The document as it is committed."""
    found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


@cache
def strict() -> dict[str, Any]:
    """The document, whose schemas allow no field that they don't name."""
    document = published()
    components = document["components"]
    return {**document, "components": {**components, "schemas": _closed(components["schemas"])}}


def check(method: str, path: str, status: int, media_type: str, value: Any) -> None:
    """Raise AssertionError unless the document says that this may be answered there. `path` is decoded."""
    operation = _operation(method, path)
    if operation is None:
        assert value["code"] == _NOWHERE[str(status)], f"{method} {path} is not in the document: {value}"
        return
    asked = f"{operation['operationId']} answered {status}"
    response = resolved(operation["responses"].get(str(status)))
    assert response, f"{asked}, which is not in the document: {value}"
    if "content" not in response:
        assert value is None, f"{asked} with {value}"
        return
    assert media_type in response["content"], f"{asked} as {media_type}"
    found = faults(response["content"][media_type]["schema"], value)
    assert not found, f"{asked}: {found[0]} in {json.dumps(value)[:2_000]}"


def faults(schema: Any, value: Any) -> list[str]:
    """What is wrong with a value, by a schema of the document that allows nothing more than it names."""
    return [str(fault) for fault in _validator(json.dumps(schema)).iter_errors(value)]


def _operation(method: str, path: str) -> Mapping[str, Any] | None:
    for pattern, told in published()["paths"].items():
        greedy = re.sub(r"\\\{(stepId|workerId)\\\}", ".+", re.escape(pattern))
        if method.lower() in told and re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", greedy), path, re.DOTALL):
            found: Mapping[str, Any] = told[method.lower()]
            return found
    return None


def resolved(response: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if response is None or "$ref" not in response:
        return response
    name = response["$ref"].rpartition("/")[2]
    found: Mapping[str, Any] = published()["components"]["responses"][name]
    return found


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": strict()["components"]})


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _closed(each) for name, each in schema.items()}
    names_fields = schema.get("type") == "object" and "properties" in schema
    return {"additionalProperties": False, **told} if names_fields else told
