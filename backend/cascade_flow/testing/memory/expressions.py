"""DynamoDB's expressions of conditions, filters and updates, as functions of an item. Pure.

What is not DynamoDB's, or not known here (functions of values, paths into lists and maps, sets), is refused: a test
must not pass on a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
Value = Mapping[str, Any] | None


@dataclass(frozen=True)
class Bound:
    """What an expression's placeholders stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Bound:
        return cls(request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))


Test = Callable[[Item, Bound], bool]
Operand = Callable[[Item, Bound], Value]
Change = Callable[[dict[str, Any], Item, Bound], None]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?\w+)")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")


def comparable(value: Mapping[str, Any]) -> tuple[str, Any]:
    """A value beside its type, in DynamoDB's order within it: UTF-8 is ordered as code points are."""
    ((kind, content),) = value.items()
    return kind, _number(content) if kind == "N" else content


def _number(text: str) -> int | Decimal:
    return int(text) if text.isdigit() else Decimal(text)


@lru_cache(maxsize=10_000)
def condition(text: str) -> Test:
    """A condition, a filter or a key condition."""
    reading = _Reading(text)
    test = reading.either()
    reading.must_end()
    return test


@lru_cache(maxsize=10_000)
def update(text: str) -> tuple[Change, ...]:
    """The changes of an update: each writes into a new image what it finds in the old one."""
    reading = _Reading(text)
    changes = tuple(reading.changes())
    reading.must_end()
    return changes


class _Reading:
    """One text, read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._left = list(reversed(_tokens(text)))
        self._changed: set[str] = set()

    def must_end(self) -> None:
        if self._left:
            raise self._wrong()

    def either(self) -> Test:
        tests = [self._all()]
        while self._takes("OR"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda item, bound: any(test(item, bound) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._takes("AND"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item, bound: all(test(item, bound) for test in tests)

    def _one(self) -> Test:
        if self._takes("NOT"):
            test = self._one()
            return lambda item, bound: not test(item, bound)
        if self._takes("("):
            test = self.either()
            self._must_take(")")
            return test
        if self._next() in ("attribute_exists", "attribute_not_exists"):
            return self._existence(self._left.pop() == "attribute_exists")
        return self._comparison()

    def _existence(self, wanted: bool) -> Test:
        (path,) = self._arguments()
        return lambda item, bound: (path(item, bound) is not None) is wanted

    def _comparison(self) -> Test:
        left = self._operand()
        if self._takes("BETWEEN"):
            first = self._operand()
            self._must_take("AND")
            last = self._operand()
            return lambda item, bound: _is(ge, left, first, item, bound) and _is(le, left, last, item, bound)
        if self._takes("IN"):
            ones = self._arguments()
            return lambda item, bound: any(_is(eq, left, one, item, bound) for one in ones)
        compare = _COMPARED.get(self._left.pop()) if self._left else None
        if compare is None:
            raise self._wrong()
        right = self._operand()
        return lambda item, bound: _is(compare, left, right, item, bound)

    def _arguments(self) -> list[Operand]:
        self._must_take("(")
        found = [self._operand()]
        while self._takes(","):
            found.append(self._operand())
        self._must_take(")")
        return found

    def _operand(self) -> Operand:
        token = self._left.pop() if self._left else ""
        if token.startswith(":"):
            return lambda item, bound: bound.values[token]
        if not re.fullmatch(r"#?\w+", token):
            raise self._wrong()
        return lambda item, bound: item.get(bound.names[token] if token[0] == "#" else token)

    def changes(self) -> Iterator[Change]:
        while self._left:
            clause = self._left.pop()
            if clause not in _CLAUSES[:3]:
                raise self._wrong()
            read = {"SET": self._set, "REMOVE": self._remove, "ADD": self._add}[clause]
            yield read()
            while self._takes(","):
                yield read()

    def _path(self) -> str:
        """What is changed next: DynamoDB refuses who changes something twice."""
        name = self._left.pop()
        if name in self._changed:
            raise self._wrong()
        self._changed.add(name)
        return name

    def _set(self) -> Change:
        name = self._path()
        self._must_take("=")
        value = self._set_value()

        def change(new: dict[str, Any], old: Item, bound: Bound) -> None:
            new[_name(name, bound)] = value(old, bound)

        return change

    def _set_value(self) -> Operand:
        if self._takes("if_not_exists"):
            path, default = self._arguments()
            return lambda item, bound: found if (found := path(item, bound)) is not None else default(item, bound)
        return self._operand()

    def _remove(self) -> Change:
        name = self._path()
        return lambda new, old, bound: new.pop(_name(name, bound), None) and None

    def _add(self) -> Change:
        name, value = self._path(), self._operand()

        def change(new: dict[str, Any], old: Item, bound: Bound) -> None:
            before = _number(old.get(_name(name, bound), {"N": "0"})["N"])
            new[_name(name, bound)] = {"N": str(before + _number((value(old, bound) or {})["N"]))}

        return change

    def _next(self) -> str:
        return self._left[-1] if self._left else ""

    def _takes(self, token: str) -> bool:
        found = self._next() == token
        if found:
            self._left.pop()
        return found

    def _must_take(self, token: str) -> None:
        if not self._takes(token):
            raise self._wrong()

    def _wrong(self) -> NotImplementedError:
        return NotImplementedError(f"this is not understood from {self._next()!r} on: {self._text}")


def _tokens(text: str) -> list[str]:
    found = _TOKEN.findall(text)
    if "".join(found) != re.sub(r"\s", "", text):
        raise NotImplementedError(f"this is not understood: {text}")
    return found


def _name(token: str, bound: Bound) -> str:
    return bound.names[token] if token.startswith("#") else token


def _is(compare: Callable[[Any, Any], bool], left: Operand, right: Operand, item: Item, bound: Bound) -> bool:
    """Values of two types, or one that is missing, are different, and nothing else can be said of them."""
    mine, other = left(item, bound), right(item, bound)
    if mine is None or other is None:
        return compare is ne and mine is not other
    (kind, value), (other_kind, other_value) = comparable(mine), comparable(other)
    return compare(value, other_value) if kind == other_kind else compare is ne
