"""JSON Schemas of what is asked and answered, as the parts that OpenAPI calls components."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from cascade_flow.api import names
from cascade_flow.api.shapes import Shape
from reference import docstrings
from reference.types import documented

Schema = dict[str, Any]
_REF = "#/components/schemas/"
_LIMITS = {"ge": "minimum", "le": "maximum"}
_ANY = "Any JSON value."


class Schemas:
    """The schemas of some types, and the components that they refer to."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        asked = {repr(kind): TypeAdapter(documented(kind)) for kind in kinds}
        found, told = TypeAdapter.json_schemas(
            [(name, "validation", adapter) for name, adapter in asked.items()],
            ref_template=_REF + "{model}",
            schema_generator=_Plain,
        )
        self._found: dict[str, Schema] = {name: _tidied(schema) for (name, _), schema in found.items()}
        definitions = told.get("$defs", {}) | {"JsonValue": {"description": _ANY}}
        self.components = {name: _tidied(schema) for name, schema in sorted(definitions.items())}

    def of(self, kind: Any) -> Schema:
        return self._found[repr(kind)]


def parameters(shape: type[Shape]) -> dict[str, Schema]:
    """The schema of each field of a shape that is no document; what a field can't hold there is left out."""
    schema = _tidied(shape.model_json_schema(schema_generator=_Plain))
    required = schema.get("required", [])
    assert "$defs" not in schema, f"{shape.__name__} is a path or a query, and holds an object"
    return {name: _without_null(told) | {"required": name in required} for name, told in schema["properties"].items()}


class _Plain(GenerateJsonSchema):
    """Without titles, which say what the names say; with the docstrings below fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> Schema:
        told, said = super().model_schema(schema), docstrings.of_fields(schema["cls"])
        aliases = {str(field.alias): name for name, field in schema["cls"].model_fields.items()}
        for alias, field in told["properties"].items():
            if text := said.get(aliases[alias]):
                field["description"] = text
        return told


def _tidied(schema: Any) -> Any:
    """Limits under their names in JSON Schema, words under those of the API; no title beside a component's name."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: each for name, each in schema.items() if name != "title" or not isinstance(each, str)}
    told = {_LIMITS.get(name, name) if isinstance(each, int) else name: _tidied(each) for name, each in kept.items()}
    if isinstance(told.get("description"), str):
        told["description"] = _in_the_apis_words(told["description"])
    return told


def _in_the_apis_words(text: str) -> str:
    def told(word: re.Match[str]) -> str:
        return names.told(to_camel(word[0]))

    return re.sub(r"`[^`]*`", lambda code: re.sub(r"\b(?<!\.)[a-z]+(_[a-z]+)+\b(?!\.)", told, code[0]), text)


def _without_null(schema: Schema) -> Schema:
    kept = {name: each for name, each in schema.items() if name != "default" or each is not None}
    choices = [each for each in kept.pop("anyOf", []) if each != {"type": "null"}]
    return {**choices[0], **kept} if len(choices) == 1 else {**kept, **({"anyOf": choices} if choices else {})}
