"""Data classes that cost little to declare, to make and to change, by the words of `dataclasses`.

That module compiles six methods of each class where it is declared, most of which nobody calls: of a function's cold
start that was a quarter. Here all classes share theirs, but for `__init__`, which is compiled when the first of its
kind is made. `dataclasses.fields` and its kin know these classes; to a type checker they are those of that module. What
no function imports uses that module itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

__all__ = ["dataclass", "replace"]

_Record = TypeVar("_Record")

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:

    def dataclass(declared: type | None = None, *, frozen: bool = False, kw_only: bool = False) -> Any:
        """Make a class that holds what its fields say; an object of a `frozen` one never changes."""
        made = partial(_declared, frozen=frozen, kw_only=kw_only)
        return made if declared is None else made(declared)

    def replace(record: _Record, /, **changes: Any) -> _Record:
        """A record like this one, but for these fields; raises TypeError for what is none."""
        names, told = _names(type(record)), vars(record)
        values = {name: told[name] for name in names} | changes
        if len(values) != len(names):
            raise TypeError(f"{type(record).__name__} has no {sorted(changes.keys() - set(names))}")
        made = object.__new__(type(record))
        vars(made).update(values)
        return made


def _declared(declared: type[_Record], *, frozen: bool, kw_only: bool) -> type[_Record]:
    dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(declared)
    methods = {"__init__": _first_init(declared), **_SHARED, **(_FROZEN if frozen else _CHANGING)}
    for name, method in methods.items():
        if name not in vars(declared):
            setattr(declared, name, method)
    return declared


def _first_init(declared: type) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        declared.__init__ = _compiled(declared)  # type: ignore[misc]
        self.__init__(*args, **given)

    return __init__


def _compiled(declared: type) -> Callable[..., None]:
    """The method that takes the fields as arguments and writes them down: nothing but their names is compiled."""
    fields = _fields(declared)
    by_place, by_name = ([field for field in fields if field.init and field.kw_only is only] for only in (False, True))
    parameters = [*map(_parameter, by_place), *(["*"] if by_name else []), *map(_parameter, by_name)]
    lines = [f"    _told[{field.name!r}] = {_value(field)}\n" for field in fields]
    known = {name: value for field in fields for name, value in _defaults(field)}
    text = f"def __init__(self, {', '.join(parameters)}):\n    _told = self.__dict__\n{''.join(lines)}"
    exec(text, known)  # nosec B102
    made: Callable[..., None] = known["__init__"]
    return made


def _parameter(field: Field[Any]) -> str:
    return field.name if field.default is field.default_factory is MISSING else f"{field.name}=_default_{field.name}"


def _value(field: Field[Any]) -> str:
    """A factory is its own mark: it is called where nothing was given."""
    default = f"_default_{field.name}"
    made = default if field.default_factory is MISSING else f"{default}()"
    if not field.init:
        return made
    return field.name if field.default_factory is MISSING else f"{made} if {field.name} is {default} else {field.name}"


def _defaults(field: Field[Any]) -> Iterator[tuple[str, Any]]:
    yield f"_default_{field.name}", field.default if field.default_factory is MISSING else field.default_factory


@cache
def _names(declared: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in _fields(declared))


@cache
def _compared(declared: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in _fields(declared) if field.compare)


def _fields(declared: Any) -> tuple[Field[Any], ...]:
    return dataclasses.fields(declared)


def _values(record: Any) -> tuple[Any, ...]:
    told = vars(record)
    return tuple(told[name] for name in _compared(record.__class__))


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _repr(self: Any) -> str:
    fields = (field for field in _fields(self) if field.repr)
    told = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields)
    return f"{type(self).__qualname__}({told})"


def _set(_: object, name: str, __: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_: object, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED: Mapping[str, Any] = {"__eq__": _eq, "__repr__": _repr}
_FROZEN: Mapping[str, Any] = {"__hash__": _hash, "__setattr__": _set, "__delattr__": _delete}
_CHANGING: Mapping[str, Any] = {"__hash__": None}
