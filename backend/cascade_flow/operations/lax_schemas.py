"""The JSON Schema of a pydantic model, as the door reads it: whatever the model would take, it lets pass.

A model publishes what it would like to be given; what it takes is more. It reads numbers, times and truth values from
text, fields under several names, and whatever a validator of its own turns into what it wants. Where only the model can
tell, nothing is refused here: the step that reads the input does that. (But a Decimal is refused as the triple of sign,
digits and exponent that Python also makes one from.) The keywords below are this project's own, and
stand in the published schema where that alone says too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

LAX = "x-cascade-lax"
"""At the top: this is a pydantic model's, to be read as this module says."""
NAMES = "x-cascade-names"
"""Of a property: the other names under which it may stand, in the order in which they are tried."""
PATHS = "x-cascade-paths"
"""Of a property: names under which it may stand somewhere further inside."""
MODEL = "x-cascade-judged-by-model"
"""Of any schema: code of the model's own looks at the value first, so that only it can tell what fits."""

Schema = dict[str, Any]

_DROPPED = (
    *("$schema", "format", "not", "if", "then", "else", "contains", "dependentRequired", "dependentSchemas"),
    *(
        "patternProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
        "discriminator",
    ),
)
_TIMES = ("date-time", "date", "time", "duration")


def widened(schema: Any) -> Any:
    """The schema of everything that the model might take."""
    if not isinstance(schema, dict):
        return schema
    if schema.get(MODEL):
        return {}
    wide = {key: _WITHIN.get(key, _as_it_is)(value) for key, value in schema.items() if key not in _DROPPED}
    if "oneOf" in wide:  # a value that is read from text may be several of these
        wide["anyOf"] = wide.pop("oneOf")
    if "patternProperties" in schema or "propertyNames" in schema:
        wide.pop("additionalProperties", None)
    if schema.get("uniqueItems"):  # what stands there twice is taken once
        wide.pop("maxItems", None)
    return _with_all_names(schema, _with_text(schema, wide))


def _as_it_is(value: Any) -> Any:
    return value


def _all_of_these(schemas: Any) -> Any:
    return [widened(schema) for schema in schemas]


def _each(schemas: Any) -> Any:
    return {name: widened(schema) for name, schema in schemas.items()}


_WITHIN: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("properties", "$defs"), _each),
    **dict.fromkeys(("items", "additionalProperties"), widened),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _all_of_these),
}


def _with_text(schema: Schema, wide: Schema) -> Schema:
    """Numbers, times and truth values as the text, and as each other, that they are also read from."""
    kind, form = schema.get("type"), schema.get("format")
    if any(type(value) is not str for value in [*schema.get("enum", ()), schema.get("const", "")] if value is not None):
        wide = {key: value for key, value in wide.items() if key not in ("enum", "const")}
    if type(schema.get("multipleOf")) is float:
        wide = {key: value for key, value in wide.items() if key != "multipleOf"}
    if kind in ("integer", "number", "boolean"):
        return {**wide, "type": ["number", "string", "boolean"], "format": kind}
    if kind == "string" and form in _TIMES:
        return {**wide, "type": ["number", "string"], "format": form}
    if kind == "string" and form:
        return {key: value for key, value in wide.items() if key in ("$defs", "anyOf", "allOf")}
    if "pattern" in wide and (pattern := unicode_pattern(wide.pop("pattern"))) is not None:
        wide["pattern"] = pattern
    return wide


def _with_all_names(schema: Schema, wide: Schema) -> Schema:
    """A property of several names is read under the first that is there, and only that is looked at."""
    properties, required = dict(wide.get("properties", {})), list(wide.get("required", ()))
    conditions = list(wide.get("allOf", ()))
    for name, own in schema.get("properties", {}).items():
        others, heads = own.get(NAMES, []), own.get(PATHS, [])
        if others or heads:
            conditions += _first_there([name, *others], heads, wide["properties"][name])
            properties.update(dict.fromkeys((name, *others, *heads), True))
            if name in required:
                required.remove(name)
                conditions.append({"if": {"not": _any_there([*others, *heads])}, "then": {"required": [name]}})
    replaced = {"properties": properties, "required": required, "allOf": conditions}
    kept = {key: value for key, value in wide.items() if key not in replaced}
    return kept | {key: value for key, value in replaced.items() if value}


def _first_there(names: list[str], heads: list[str], schema: Any) -> list[Schema]:
    """Nothing is asked of a name where one before it is there, or one that leads further inside."""
    return [
        {
            "if": {"required": [name], "not": _any_there([*heads, *names[:at]])},
            "then": {"properties": {name: schema}},
        }
        for at, name in enumerate(names)
    ]


def _any_there(names: list[str]) -> Any:
    return {"anyOf": [{"required": [name]} for name in names]} if names else False


# -- what text is read as a number, a time or a truth value ------------------------------------------------------------


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _is_number(text: str) -> bool:
    return _has_digit(text) or text.strip().lstrip("+-").lower() in ("nan", "inf", "infinity")


def _is_truth(text: str) -> bool:
    return text.strip().lower() in ["0", "1", "t", "f", "true", "false", "y", "n", "yes", "no", "on", "off"]


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "integer": _has_digit,
    "number": _is_number,
    "boolean": _is_truth,
    **dict.fromkeys(_TIMES, _has_digit),
}
"""What text can't be read as is refused; what looks like it is left to the model."""


# -- patterns ----------------------------------------------------------------------------------------------------------

_CLASSES = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "s": r"\p{White_Space}",
    "S": r"\P{White_Space}",
    "w": r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}",
}
_TOKEN = re.compile(r"\\(.)|(\[)|(\])", re.DOTALL)
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]")


def unicode_pattern(pattern: str) -> str | None:
    """The pattern with the classes that pydantic means, which are Unicode's; None where it can't be said so.

    JSON Schema's own `\\d`, `\\w` and `\\s` are ASCII's.
    """
    if _LOOKS_AROUND.search(pattern):
        return None
    depth, parts, end = 0, [], 0
    for token in _TOKEN.finditer(pattern):
        depth += bool(token[2]) - bool(token[3])
        said = _said(token[1], is_inside=depth > 0) if token[1] else token[0]
        if said is None:
            return None
        parts += [pattern[end : token.start()], said]
        end = token.end()
    return "".join([*parts, pattern[end:]])


def _said(letter: str, *, is_inside: bool) -> str | None:
    if letter == "W":
        return None if is_inside else f"[^{_CLASSES['w']}]"
    if letter == "w" and not is_inside:
        return f"[{_CLASSES['w']}]"
    return _CLASSES.get(letter, f"\\{letter}")
