"""Data classes of our own are those of `dataclasses`, but for their price: each is held against its like there."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field
from functools import cached_property
from typing import Any

import pytest

from cascade_flow import records

Module = Any
"""Ours, or `dataclasses`."""


def point(module: Module, **options: bool) -> Any:
    @module.dataclass(**options)
    class Point:
        """A place, and who has seen it."""

        x: int
        y: int = 2
        seen: list[str] = field(default_factory=list, compare=False, repr=False)
        kind: str = field(default="point", init=False)

        @property
        def both(self) -> int:
            return self.x + self.y

    return Point


def named(module: Module, **options: bool) -> Any:
    @module.dataclass(**options)
    class Named:
        """A name, and how large it is."""

        name: str
        size: int = 0

    return Named


PAIRS = [
    (like(records, **options), like(dataclasses, **options))
    for like in (point, named)
    for options in ({"frozen": True}, {"frozen": False}, {"frozen": True, "kw_only": True})
]
GIVEN: Any = [{}, {"x": 1}, {"x": 1, "y": 7}, {"name": "n"}, {"name": "n", "size": 3}, {"x": 1, "other": 1}]


def outcome(act: Any) -> Any:
    try:
        return act()
    except Exception as error:  # noqa: BLE001  (whichever it is, the other must raise it too)
        return type(error)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("given", GIVEN, ids=str)
def test_each_is_made_shown_and_taken_apart_as_its_like(ours: Any, theirs: Any, given: Any) -> None:
    for act in (repr, dataclasses.asdict, dataclasses.astuple):
        assert outcome(lambda act=act: act(ours(**given))) == outcome(lambda act=act: act(theirs(**given)))
    by_place = given.values()
    assert outcome(lambda: repr(ours(*by_place))) == outcome(lambda: repr(theirs(*by_place)))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("change", [{"y": 9}, {"size": 9}, {"x": 9, "seen": ["it"]}, {"nothing": 1}], ids=str)
def test_each_is_changed_compared_and_hashed_as_its_like(ours: Any, theirs: Any, change: Any) -> None:
    first = {dataclasses.fields(ours)[0].name: 1}
    kept, like = ours(**first), theirs(**first)
    changed = outcome(lambda: records.replace(kept, **change))
    expected = outcome(lambda: dataclasses.replace(like, **change))
    if isinstance(expected, type):
        assert changed is expected
        return
    assert repr(changed) == repr(expected)
    assert (changed == kept, kept == ours(**first), kept == 1) == (expected == like, like == theirs(**first), False)
    assert outcome(lambda: hash(kept) == hash(ours(**first))) == outcome(lambda: hash(like) == hash(theirs(**first)))
    for twin in (copy.copy(kept), copy.deepcopy(kept), dataclasses.replace(kept)):
        assert twin == kept


def test_what_is_frozen_stays_as_it_is() -> None:
    it = point(records, frozen=True)(1)
    for act in (lambda: setattr(it, "x", 2), lambda: delattr(it, "x"), lambda: setattr(it, "z", 2)):
        with pytest.raises(FrozenInstanceError):
            act()
    assert (it.x, it.both) == (1, 3)


def test_one_that_is_not_frozen_changes_and_is_not_hashed() -> None:
    it = point(records, frozen=False)(1)
    it.x = 5
    assert it.both == 7
    with pytest.raises(TypeError):
        hash(it)


def test_each_is_made_anew_with_what_a_factory_gives() -> None:
    kind = point(records, frozen=True)
    assert kind(1).seen is not kind(1).seen
    assert kind(1, seen=["it"]).seen == ["it"]


@records.dataclass(frozen=True)
class Base:
    """One that others go on from."""

    first: int

    @cached_property
    def twice(self) -> int:
        return 2 * self.first


@records.dataclass(frozen=True)
class Derived(Base):
    """One that goes on from another, with words of its own for how it is shown."""

    second: int = 2

    def __repr__(self) -> str:
        return f"{self.first} and {self.second}"


def test_one_goes_on_from_another() -> None:
    derived = Derived(1)
    assert (repr(derived), derived.second, Derived(1, 3).first) == ("1 and 2", 2, 1)
    assert derived != Base(1)
    assert pickle.loads(pickle.dumps(derived)) == derived


def test_what_was_computed_from_a_record_is_not_its_changed_ones() -> None:
    base = Base(1)
    assert base.twice == 2
    assert records.replace(base, first=5).twice == 10
