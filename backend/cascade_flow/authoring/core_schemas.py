"""What a type's core schema, as pydantic makes it, tells about its values before there is any.

Fields that are written but never read again, or not written at all, are found here. What a validator or serializer of
the model's own makes of its fields can't be seen; so values are looked at, too, when they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_FIELDS = ("model-fields", "dataclass-args", "typed-dict")
_OWN_VALIDATION = ("function-before", "function-wrap", "function-plain")
_NOT_SCHEMAS = ("metadata", "serialization", "config", "default", "expected")


def kinds_in(node: Any) -> frozenset[str]:
    """The kinds of all schemas inside a schema; "any" too where a model takes fields that it doesn't declare."""
    if isinstance(node, list | tuple):
        return frozenset().union(*map(kinds_in, node))
    if not isinstance(node, Mapping):
        return frozenset()
    inner = [kinds_in(child) for key, child in node.items() if key not in _NOT_SCHEMAS]
    takes_extras = "allow" in (node.get("extra_behavior"), (node.get("config") or {}).get("extra_fields_behavior"))
    own = {str(node.get("type"))} | ({"any"} if takes_extras else set())
    return frozenset(own).union(*inner)


def one_way_fields(schema: Schema) -> list[str]:
    """Every such field, with its cure; none where the type's values can be read as they are written."""
    return list(dict.fromkeys(_found(schema, "", is_plain=True)))


def _found(node: Any, place: str, *, is_plain: bool) -> Iterator[str]:
    """`is_plain`: nobody's own code stands between the fields and what is written and read."""
    if isinstance(node, list | tuple):
        for child in node:
            yield from _found(child, place, is_plain=is_plain)
    elif isinstance(node, Mapping):
        yield from _found_in(node, place, is_plain=is_plain)


def _found_in(node: Schema, place: str, *, is_plain: bool) -> Iterator[str]:
    writer = (node.get("serialization") or {}).get("function")
    if writer is not None:
        if _hides_secrets(writer):
            yield f"{place or 'it'} is a secret, of which only asterisks are stored: {_SECRETS}"
        return
    is_plain &= node.get("type") not in _OWN_VALIDATION
    if node.get("type") in _FIELDS:
        yield from _found_in_fields(node, place, is_plain=is_plain)
        return
    owner = getattr(node.get("cls"), "__name__", place)
    for key, child in node.items():
        if key not in _NOT_SCHEMAS:
            yield from _found(child, owner, is_plain=is_plain)


def _found_in_fields(node: Schema, owner: str, *, is_plain: bool) -> Iterator[str]:
    owner = getattr(node.get("cls"), "__name__", owner)
    fields = node["fields"]
    for name, field in fields.items() if isinstance(fields, Mapping) else ((each["name"], each) for each in fields):
        place = f"{owner}.{name}"
        if is_plain and field.get("serialization_exclude"):
            yield f"{place} has exclude=True and is not stored: take that out, or return a type without this field"
        elif is_plain and (written := field.get("serialization_alias")) not in (None, *read_names(name, field)):
            yield f"{place} is written as {written!r} but not read so: give it alias={written!r}, for both ways"
        yield from _found(field["schema"], place, is_plain=True)


_SECRETS = "fetch it in the step that needs it, or write a field_serializer that says how to store it"


def _hides_secrets(writer: Any) -> bool:
    return getattr(writer, "__module__", "") == "pydantic.types" and "secret" in getattr(writer, "__name__", "")


def read_names(name: str, field: Schema) -> list[str]:
    """What a field is read under: its name, always, and its aliases."""
    alias = field.get("validation_alias", [])
    if isinstance(alias, str):
        return [name, alias]
    return [name, *(path[0] for path in alias if isinstance(path, list) and len(path) == 1)]


def heads_of_paths(field: Schema) -> list[str]:
    """The names under which a field is read from further inside, as `AliasPath("a", 0)` says."""
    alias = field.get("validation_alias", [])
    paths = alias if not isinstance(alias, str) and all(isinstance(path, list) for path in alias) else [alias]
    return [path[0] for path in paths if isinstance(path, list) and len(path) > 1]
