"""Conditions, and how DynamoDB spells them: as far as the engine asks, by boto3's words and in its form.

Held against boto3's own builder in `tests/unit/aws/test_conditions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from cascade_flow.records import dataclass


class Condition:
    """What is asked of an item; `&` and `|` join two."""

    def __and__(self, other: Condition) -> Condition:
        return _Joined(self, "AND", other)

    def __or__(self, other: Condition) -> Condition:
        return _Joined(self, "OR", other)

    def spelled(self, told: Expressions) -> str:
        """The condition's text; its names and values are put among what is told."""
        raise NotImplementedError


@dataclass
class Expressions:
    """Names and values that the expressions of one request stand for."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def name(self, attribute: str) -> str:
        placeholder = f"#n{len(self.names)}"
        self.names[placeholder] = attribute
        return placeholder

    def value(self, given: Any) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = given
        return placeholder


@dataclass(frozen=True)
class _Joined(Condition):
    left: Condition
    word: str
    right: Condition

    def spelled(self, told: Expressions) -> str:
        return f"({self.left.spelled(told)} {self.word} {self.right.spelled(told)})"


@dataclass(frozen=True)
class _Asked(Condition):
    """One question: its form, an attribute, and values."""

    form: str
    attribute: str
    values: tuple[Any, ...] = ()

    def spelled(self, told: Expressions) -> str:
        name = told.name(self.attribute)
        return self.form.format(name, *(told.value(value) for value in self.values))


def _comparison(operator: str) -> Callable[[Key, Any], Condition]:
    return lambda key, value: _Asked(f"{{}} {operator} {{}}", key.name, (value,))


@dataclass(frozen=True)
class Key:
    """An attribute of a key."""

    name: str

    eq = _comparison("=")
    lt = _comparison("<")
    lte = _comparison("<=")
    gt = _comparison(">")
    gte = _comparison(">=")

    def between(self, first: Any, last: Any) -> Condition:
        return _Asked("{} BETWEEN {} AND {}", self.name, (first, last))


class Attr(Key):
    """Any attribute."""

    ne = _comparison("<>")

    def exists(self) -> Condition:
        return _Asked("attribute_exists({})", self.name)

    def not_exists(self) -> Condition:
        return _Asked("attribute_not_exists({})", self.name)
