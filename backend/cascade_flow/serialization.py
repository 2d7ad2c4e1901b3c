"""User values as JSON text, always: what JSON can't hold becomes a readable form or a placeholder.

A value passes through the code of its own class (a model's serializers, a `repr`), which may raise anything; so this
module has the one broad `except` outside of the worker and the handlers. Reading values back is not done here: that
is the business of those who know their types.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from numbers import Integral, Rational, Real
from os import PathLike, fspath
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from cascade_flow.model.wire import well_formed

DEEPEST = 100
"""Levels of nesting; beyond them stands a placeholder. JSON readers give up at some 200."""

LONGEST_REPR = 200
LARGEST_INT_BITS = 4_096

Ancestors = tuple[int, ...]
"""The identities of the containers that a value is in, outermost first."""


def safe_serialize(value: object) -> str:
    """JSON text of any value; never raises. Dates and decimals become text, sets and tuples lists, models objects."""
    return json.dumps(_readable(value, ()), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _readable(value: Any, inside: Ancestors) -> Any:
    if value is None or type(value) is bool:
        return value
    if id(value) in inside:
        return f"[circular: {_name(value)}]"
    if len(inside) > DEEPEST:
        return f"[nested too deeply: {_name(value)}]"
    try:
        return _conversion_of(type(value))(value, (*inside, id(value)))
    except Exception:  # noqa: BLE001  the code of the value's own class ran
        return _placeholder(value)


def _text(value: str, _inside: Ancestors) -> str:
    return well_formed(str.__str__(value))


def _whole(value: Integral, _inside: Ancestors) -> int | str:
    number = int(value)
    return number if number.bit_length() <= LARGEST_INT_BITS else hex(number)


def _fraction(value: Rational, _inside: Ancestors) -> str:
    return f"{value.numerator}/{value.denominator}"


def _real(value: Real, _inside: Ancestors) -> float | str:
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"


def _bytes(value: bytes | bytearray | memoryview, _inside: Ancestors) -> str:
    octets = bytes(value)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return f"base64:{b64encode(octets).decode()}"


def _array(items: Iterable[object], inside: Ancestors) -> list[Any]:
    return [_readable(item, inside) for item in items]


def _set(items: Set[object], inside: Ancestors) -> list[Any]:
    """In a fixed order: a set's own differs from process to process."""
    return sorted(_array(items, inside), key=json.dumps)


def _mapping(value: Mapping[object, object], inside: Ancestors) -> dict[str, Any]:
    return _object(value.items(), inside)


def _object(items: Iterable[tuple[object, object]], inside: Ancestors) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in items:
        result[_free_key(result, key, inside)] = _readable(item, inside)
    return result


def _free_key(taken: Mapping[str, Any], key: object, inside: Ancestors) -> str:
    readable = _readable(key, inside)
    text = readable if isinstance(readable, str) else json.dumps(readable, ensure_ascii=False)
    while text in taken:
        text = f"{text} ({_name(key)})"
    return text


def _model(value: BaseModel, inside: Ancestors) -> Any:
    try:
        dumped = value.model_dump(mode="json", by_alias=True)
    except ValueError:  # something in it is circular or unknown to pydantic: then field by field
        return _object(vars(value).items(), inside)
    return _readable(dumped, inside)


def _path(value: PathLike[Any], inside: Ancestors) -> Any:
    return _readable(fspath(value), inside)


def _member(value: Enum, inside: Ancestors) -> Any:
    return _readable(value.value, inside)


def _iterator(value: Iterator[object], _inside: Ancestors) -> str:
    return f"[{_name(value)}]"


def _fields(value: Any, inside: Ancestors) -> dict[str, Any]:
    return _object(((field.name, getattr(value, field.name)) for field in fields(value)), inside)


def _listable(value: Any, inside: Ancestors) -> Any:
    return _readable(value.tolist(), inside)


def _other(value: object, inside: Ancestors) -> Any:
    return _readable(to_jsonable_python(value), inside)


Conversion = Callable[[Any, Ancestors], Any]

_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Conversion], ...] = (
    (Enum, _member),
    (str, _text),
    (Integral, _whole),
    (Rational, _fraction),
    (Real, _real),
    (dict, _mapping),
    ((list, tuple, deque), _array),
    ((bytes, bytearray, memoryview), _bytes),
    (PathLike, _path),
    (BaseModel, _model),
    (Mapping, _mapping),
    (Set, _set),
    (Iterator, _iterator),
)


def _found_conversion(kind: type) -> Conversion:
    for kinds, convert in _CONVERSIONS:
        if issubclass(kind, kinds):
            return convert
    if is_dataclass(kind):
        return _fields
    return _listable if hasattr(kind, "tolist") else _other


_conversion_of: Callable[[type], Conversion] = lru_cache(maxsize=512)(_found_conversion)


def _placeholder(value: object) -> str:
    try:
        return well_formed(f"[{_described(value)}]")
    except Exception:  # noqa: BLE001  the code of the value's own class ran
        return f"[{_name(value)}]"


def _described(value: object) -> str:
    if callable(value):
        return f"function: {getattr(value, '__qualname__', _name(value))}"
    if type(value).__repr__ is object.__repr__:
        return _name(value)
    return f"{_name(value)}: {repr(value)[:LONGEST_REPR]}"


def _name(value: object) -> str:
    return type(value).__name__
