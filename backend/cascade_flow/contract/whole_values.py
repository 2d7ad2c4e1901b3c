"""An input or output is stored as JSON: of a model, what its JSON doesn't hold is refused at the door, by name.

A secret is written as asterisks, an excluded field not at all, and nothing would say so. What steps return is looked at
in `authoring.payloads`, where its type is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from cascade_flow.errors import ArgumentInvalidError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.serialization import DEEPEST, safe_serialize

_SECRETS = (Secret, SecretBytes, SecretStr)
_PLAIN = (str, int, float, bool, type(None))
_LOST = "would not arrive as it is, since JSON holds no secret and no excluded field: give plain values instead"


def check_whole(name: str, value: Any) -> None:
    """Raises ArgumentInvalidError, naming each place in the value that would be lost."""
    if issues := list(_lost(name, value, DEEPEST)):
        raise ArgumentInvalidError(issues=issues)


def _lost(path: str, value: Any, depth: int) -> Iterator[ValidationIssue]:
    if isinstance(value, _SECRETS):
        yield ValidationIssue(path=path, message=_LOST)
    elif isinstance(value, BaseModel):
        yield from _lost_of(path, value)
    elif depth:
        for part, item in _parts(value):
            if type(item) not in _PLAIN:
                yield from _lost(f"{path}.{part}", item, depth - 1)


def _lost_of(path: str, model: BaseModel) -> Iterator[ValidationIssue]:
    try:
        arrived = type(model).model_validate_json(safe_serialize(model), by_name=True)
    except Exception as error:
        said = f"can't be read as it is written: {error}"
        raise ArgumentInvalidError(issues=[ValidationIssue(path=path, message=said)]) from error
    for name, value in vars(model).items():
        if not _is_same(value, vars(arrived).get(name)):
            yield ValidationIssue(path=f"{path}.{name}", message=_LOST)


def _is_same(value: Any, arrived: Any) -> bool:
    if isinstance(value, _SECRETS):
        return bool(value == arrived)
    if isinstance(value, BaseModel):
        return type(value) is type(arrived) and _is_same(vars(value), vars(arrived))
    parts, theirs = dict(_parts(value)), dict(_parts(arrived))
    if parts or theirs:
        return parts.keys() == theirs.keys() and all(_is_same(each, theirs[part]) for part, each in parts.items())
    return bool(value == arrived) or safe_serialize(value) == safe_serialize(arrived)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a value is made of, by key, place or field."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
