"""The JSON Schema that a type publishes, with what the door must know beside it (see `operations.lax_schemas`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind

from cascade_flow.authoring.core_schemas import heads_of_paths, read_names
from cascade_flow.operations.lax_schemas import MODEL, NAMES, PATHS

_PATTERN_OF_PYTHON = "x-cascade-pattern"


class Schema(GenerateJsonSchema):
    """JSON Schema 2020-12 as pydantic makes it; but a default that JSON can't hold is refused, not left out."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "non-serializable-default":
            raise PydanticInvalidForJsonSchema(detail)
        super().emit_warning(kind, detail)


class InputSchema(Schema):
    """The same, of what is read: with all names of fields, and without what holds only after code of the model's."""

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return _judged_by_model(schema, super().function_before_schema(schema))

    def function_wrap_schema(self, schema: Any) -> JsonSchemaValue:
        return _judged_by_model(schema, super().function_wrap_schema(schema))

    def enum_schema(self, schema: Any) -> JsonSchemaValue:
        usual: Any = Enum._missing_
        takes_more = schema["cls"]._missing_.__func__ is not usual.__func__
        return super().enum_schema(schema) | ({MODEL: True} if takes_more else {})

    def complex_schema(self, schema: Any) -> JsonSchemaValue:
        return {**super().complex_schema(schema), MODEL: True}

    def named_tuple_schema(self, schema: Any) -> JsonSchemaValue:
        """A NamedTuple's, which may come as an object too."""
        return {**super().named_tuple_schema(schema), MODEL: True}

    def generator_schema(self, schema: Any) -> JsonSchemaValue:
        """An iterable's, which may be anything that can be iterated over, and is read when it is."""
        return {**super().generator_schema(schema), MODEL: True}

    def str_schema(self, schema: Any) -> JsonSchemaValue:
        """Text that is changed before it is looked at isn't as long, nor of the pattern, as it will be then."""
        published, config = super().str_schema(schema), self._config
        changes = ("strip_whitespace", "to_lower", "to_upper")
        if any(schema.get(change, getattr(config, f"str_{change}", False)) for change in changes):
            published = {key: value for key, value in published.items() if key == "type"}
        if schema.get("coerce_numbers_to_str", config.coerce_numbers_to_str):
            published[MODEL] = True
        is_of_python = schema.get("regex_engine", config.regex_engine) == "python-re"
        if "pattern" in published and (is_of_python or isinstance(schema.get("pattern"), re.Pattern)):
            published[_PATTERN_OF_PYTHON] = published.pop("pattern")
        return published

    def model_fields_schema(self, schema: Any) -> JsonSchemaValue:
        return _with_names(super().model_fields_schema(schema), schema["fields"].items())

    def typed_dict_schema(self, schema: Any) -> JsonSchemaValue:
        return _with_names(super().typed_dict_schema(schema), schema["fields"].items())

    def dataclass_args_schema(self, schema: Any) -> JsonSchemaValue:
        named = [(field["name"], field) for field in schema["fields"]]
        return _with_names(super().dataclass_args_schema(schema), named)


def _judged_by_model(schema: Any, published: JsonSchemaValue) -> JsonSchemaValue:
    return published if "json_schema_input_schema" in schema else {**published, MODEL: True}


def _with_names(published: JsonSchemaValue, fields: Iterable[tuple[str, Any]]) -> JsonSchemaValue:
    properties = published.get("properties", {})
    for name, field in fields:
        names = [*read_names(name, field)[1:], name]
        shown = next((each for each in names if each in properties), None)
        if shown is not None:
            marks = {NAMES: [each for each in names if each != shown], PATHS: heads_of_paths(field)}
            properties[shown].update({mark: found for mark, found in marks.items() if found})
    return published
