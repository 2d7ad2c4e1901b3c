"""Whether a value has arrived as it was sent: by its content and its types, not by its text.

Plain `==` is too lax for this (1 is True, a set of times forgets their offsets) and too strict (NaN is not NaN, objects
without an `==` are only themselves). What is not part of a value for pydantic is none here either: private attributes,
which of a model's fields were set, the name of a time zone (its offset is), and what an iterator would have given.
"""

from __future__ import annotations

import marshal
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from cascade_flow.model.events import ValidationIssue
from cascade_flow.records import dataclass, replace
from cascade_flow.serialization import DEEPEST, safe_serialize

Path = tuple[str | int, ...]

_JSON_TYPES = (str, int, float, list, dict)
_SCALARS = frozenset((str, int, bool, float, bytes))
_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Difference:
    """Where a value does not arrive as it was sent, and how to mend that."""

    sent: Any
    arrived: Any
    path: Path = ()

    def inside(self, key: str | int) -> Difference:
        """The same difference, seen from around."""
        return replace(self, path=(key, *self.path))

    def issue(self) -> ValidationIssue:
        """What is lost, and the cure, under the field's path."""
        change = f"{_brief(self.sent)} would arrive as {_brief(self.arrived)}"
        return ValidationIssue(path=shown(self.path), message=f"{change}: {self._cure()}")

    def _cure(self) -> str:
        sent, arrived = type(self.sent), type(self.arrived)
        if isinstance(self.sent, float) and not math.isfinite(self.sent):
            return "JSON has no such number: annotate it as float, which knows how to store it"
        if isinstance(self.sent, datetime | time):
            return "no text of a time holds seconds of an offset: convert it first, as with astimezone(UTC)"
        if sent is arrived:
            return "its serializers and its validators do not undo each other: change one of them"
        if issubclass(sent, arrived) and arrived is not object:
            return f"annotate it as {sent.__name__}, or as a union with it: a {arrived.__name__} is all that is read"
        if arrived is str and self.path and self.path[-1] == "[key]":
            return "keys of JSON are text: annotate the dict with the type of its keys"
        if isinstance(self.sent, Iterator):
            return "return a list"
        return f"annotate it as {sent.__name__}; in a union, make that the only member that can read it"


class Comparison:
    """One value beside another. `is_unsure` is set where something has neither an `==` nor attributes to look at.

    `is_open`: the declared type leaves open, somewhere, what may stand there. What then arrives as JSON's own has
    arrived if the type of what was sent makes that of it.
    """

    def __init__(self, *, is_open: bool) -> None:
        self.is_open = is_open
        self.is_unsure = False

    def difference(self, sent: Any, arrived: Any, depth: int = 0) -> Difference | None:
        """The first difference; None where there is none."""
        kind = type(sent)
        if sent is arrived or (kind in _SCALARS and kind is type(arrived) and sent == arrived):
            return None
        if depth > DEEPEST:
            self.is_unsure = True
            return None
        if kind is not type(arrived):
            return self._of_two_types(sent, arrived, depth)
        return _comparison_of(kind)(self, sent, arrived, depth + 1)

    def _of_two_types(self, sent: Any, arrived: Any, depth: int) -> Difference | None:
        lost = Difference(sent, arrived)
        if type(sent) is tuple and type(arrived) is list:
            return self.difference(list(sent), arrived, depth)
        if not self.is_open or sent is None or type(sent) in (bool, *_JSON_TYPES):
            return lost
        as_plain = type(arrived)
        if as_plain in _JSON_TYPES and isinstance(sent, as_plain) and not isinstance(sent, Enum):
            return lost if getattr(sent, "__dict__", None) else self.difference(as_plain(sent), arrived, depth)
        read = _read_back(type(sent), arrived)
        return None if type(read) is type(sent) and self.difference(sent, read, depth) is None else lost

    def _by_equality(self, sent: Any, arrived: Any, depth: int) -> Difference | None:
        if _has_no_equality(type(sent)):
            return self._by_attributes(sent, arrived, depth)
        try:
            return None if bool(sent == arrived) else Difference(sent, arrived)
        except (TypeError, ValueError, ArithmeticError):  # such as an array's, which is an array
            self.is_unsure = True
            return None

    def _by_attributes(self, sent: Any, arrived: Any, depth: int) -> Difference | None:
        if attributes := getattr(sent, "__dict__", None):
            return self._mapping(attributes, vars(arrived), depth)
        self.is_unsure = True
        return None

    def _iterator(self, _sent: Iterator[Any], arrived: Iterator[Any], _depth: int) -> Difference | None:
        """What was sent is used up; what arrives can at least be read to its end, or raises ValidationError."""
        deque(arrived, maxlen=0)
        return None

    def _number(self, sent: Any, arrived: Any, _depth: int) -> Difference | None:
        is_same = sent == arrived or (math.isnan(sent) and math.isnan(arrived))
        return None if is_same else Difference(sent, arrived)

    def _time(self, sent: datetime | time, arrived: datetime | time, _depth: int) -> Difference | None:
        on_clocks = sent.replace(tzinfo=None) == arrived.replace(tzinfo=None)
        is_same = on_clocks and sent.utcoffset() == arrived.utcoffset()
        return None if is_same else Difference(sent, arrived)

    def _mapping(self, sent: Mapping[Any, Any], arrived: Mapping[Any, Any], depth: int) -> Difference | None:
        if len(sent) != len(arrived):
            return Difference(sent, arrived)
        for (key, value), (other_key, other) in zip(sent.items(), arrived.items(), strict=True):
            if self.difference(key, other_key, depth):
                return Difference(key, other_key, (str(key), "[key]"))
            if found := self.difference(value, other, depth):
                return found.inside(str(key))
        return None

    def _items(self, sent: Iterable[Any], arrived: Iterable[Any], depth: int) -> Difference | None:
        ours, theirs = list(sent), list(arrived)
        if len(ours) != len(theirs):
            return Difference(sent, arrived)
        for at, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            if found := self.difference(our, their, depth):
                return found.inside(at)
        return None

    def _set(self, sent: Set[Any], arrived: Set[Any], _depth: int) -> Difference | None:
        is_same = set(map(_as_member, sent)) == set(map(_as_member, arrived))
        return None if is_same else Difference(sent, arrived)

    def _model(self, sent: BaseModel, arrived: BaseModel, depth: int) -> Difference | None:
        ours, theirs = sent.__dict__, arrived.__dict__
        for name in type(sent).__pydantic_fields__:
            if found := self.difference(ours.get(name), theirs.get(name), depth):
                return found if name == "root" else found.inside(name)
        extra, others = sent.__pydantic_extra__, arrived.__pydantic_extra__
        return self._mapping(extra or {}, others or {}, depth) if extra or others else None

    def _dataclass(self, sent: Any, arrived: Any, depth: int) -> Difference | None:
        for name in (field.name for field in fields(sent)):
            if found := self.difference(getattr(sent, name, None), getattr(arrived, name, None), depth):
                return found.inside(name)
        return None


_Compare = Callable[[Comparison, Any, Any, int], Difference | None]

_COMPARISONS: tuple[tuple[type | tuple[type, ...], _Compare], ...] = (
    (Enum, Comparison._by_equality),
    ((int, str, bytes), Comparison._by_equality),
    ((float, Decimal), Comparison._number),
    ((datetime, time), Comparison._time),
    (Mapping, Comparison._mapping),
    ((list, tuple, deque), Comparison._items),
    (Set, Comparison._set),
    (BaseModel, Comparison._model),
    (Iterator, Comparison._iterator),
)


def _found_comparison(kind: type) -> _Compare:
    for kinds, compare in _COMPARISONS:
        if issubclass(kind, kinds):
            return compare
    return Comparison._dataclass if is_dataclass(kind) else Comparison._by_equality


_comparison_of: Callable[[type], _Compare] = lru_cache(maxsize=512)(_found_comparison)


def _has_no_equality(kind: Any) -> bool:
    return kind.__eq__ is object.__eq__


def _as_member(item: Any) -> tuple[type, Any]:
    """A set's member as what tells it apart: 1 is not 1.0 here, and NaN is NaN."""
    return type(item), item if item == item else "NaN"


def _read_back(kind: type, arrived: Any) -> Any:
    try:
        return _adapter(kind).validate_python(arrived, by_name=True)
    except (ValidationError, PydanticUserError, TypeError):
        return None


@lru_cache(maxsize=512)
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def is_plainly_same(sent: Any, arrived: Any) -> bool:
    """Whether both are the same, and of Python's plainest types alone: a short way, ten times as fast as a comparison.

    Marshal writes exactly those types, no subclass of them, and tells 1, 1.0 and True apart.
    """
    try:
        return marshal.dumps(sent, 0) == marshal.dumps(arrived, 0)
    except ValueError:
        return False


def shown(path: Path) -> str:
    """A path as messages say it."""
    return ".".join(map(str, path))


def not_text(value: Any, path: Path = ()) -> Path | None:
    """Where in plain containers something lies that is neither UTF-8 nor can become that."""
    if isinstance(value, Mapping):
        places: Iterable[tuple[str | int, Any]] = ((str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple | Set):
        places = enumerate(value)
    else:
        return None if _is_text(value) else path
    return next((found for at, part in places if (found := not_text(part, (*path, at))) is not None), None)


def _is_text(value: Any) -> bool:
    try:
        value.decode() if isinstance(value, bytes | bytearray) else str(value).encode()
    except UnicodeError:
        return False
    return True


def _brief(value: object) -> str:
    text = safe_serialize(value)
    return f"{type(value).__name__} {text if len(text) <= _LONGEST_SHOWN else f'{text[:_LONGEST_SHOWN]}…'}"
