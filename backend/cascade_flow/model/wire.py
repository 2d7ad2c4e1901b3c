"""What every model shares: frozen, strict, snake_case in Python, camelCase on the wire; and the scalars of the wire.

Strict means that nothing is coerced. JSON knows one kind of number, so `1.0` is the whole number 1; and text that is
no Unicode (lone surrogates) can't be stored, so each such half is replaced by U+FFFD. Nothing about events or states
belongs here.
"""

import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetPydanticSchema, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

LARGEST_WHOLE = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly."""


class WireModel(BaseModel):
    """A frozen value with wire names; unknown fields are ignored, None means absent."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """The value as JSON-ready data under its wire names, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def _whole(value: object) -> object:
    return int(value) if type(value) is float and value.is_integer() else value


def _finite(value: object) -> object:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and abs(value) <= sys.float_info.max:
        return value
    raise PydanticCustomError("finite_number", "Input should be a finite number")


def well_formed(text: str) -> str:
    """The text as Unicode: half surrogates replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _storable(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "Numbers inside should be finite")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return _storable_object(value)
    return value


def _storable_object(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {well_formed(key): _storable(item) for key, item in value.items()}


Text = Annotated[str, AfterValidator(well_formed)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_storable_object)]

_NUMBER_SCHEMA = core_schema.no_info_plain_validator_function(
    _finite, json_schema_input_schema=core_schema.float_schema()
)
Number = Annotated[int, GetPydanticSchema(lambda _source, _handler: _NUMBER_SCHEMA)]
"""A number without limits. This project writes integers; a foreign event may carry a fraction, which is kept."""

Whole = Annotated[int, BeforeValidator(_whole), Field(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=LARGEST_WHOLE)]
Ordinal = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=LARGEST_WHOLE)]
