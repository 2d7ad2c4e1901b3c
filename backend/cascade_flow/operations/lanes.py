"""How many things are done at once: one after the other, or in the threads of a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

_Given = TypeVar("_Given")
_Answer = TypeVar("_Answer")


class Lanes(Protocol):
    """Does the same with many things, up to `width` of them at once."""

    @property
    def width(self) -> int: ...

    def each(self, act: Callable[[_Given], _Answer], over: Sequence[_Given]) -> list[_Answer]:
        """What `act` answers to each of these, in their order; returns when all is done."""


class OneByOne:
    """No two things at once: where time is played, or processors are few."""

    width = 1

    def each(self, act: Callable[[_Given], _Answer], over: Sequence[_Given]) -> list[_Answer]:
        return [act(one) for one in over]


class Threads:
    """A pool of threads, kept for as long as the process lives; a single thing needs none."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._pool = ThreadPoolExecutor(width)

    def each(self, act: Callable[[_Given], _Answer], over: Sequence[_Given]) -> list[_Answer]:
        if len(over) < 2:
            return [act(one) for one in over]
        return list(self._pool.map(act, over))
