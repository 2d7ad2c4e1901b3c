"""Which tests execute which lines of the product, and how long each takes: found by running them once, traced."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper, partial
from time import process_time
from types import FrameType
from typing import Any

import greenlet
import pytest

from mutants.mutant import PACKAGE

Line = tuple[str, int]
Run = Callable[[int], bool]
"""Runs the test of this number, and says whether it passes."""


@dataclass
class Reach:
    """Tests by the lines that they execute (a file of the package and a number), and the seconds of each."""

    tests: dict[Line, set[int]] = field(default_factory=partial(defaultdict, set))
    seconds: dict[int, float] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    def of(self, place: str, lines: Sequence[int]) -> set[int]:
        """The tests that execute one of these lines of a module."""
        return set().union(*(self.tests.get((place, line), set()) for line in lines))


def reach_of(items: Sequence[pytest.Item], run: Run, among: Set[str]) -> Reach:
    """What each of these tests executes of these modules when it is run."""
    reach = Reach()
    for number in range(len(items)):
        _forget_answers()
        begun, seen = process_time(), set[Line]()
        with _traced(seen, among):
            if not run(number):
                reach.failed.add(number)
        reach.seconds[number] = process_time() - begun
        for line in () if number in reach.failed else seen:
            reach.tests[line].add(number)
    return reach


def _forget_answers() -> None:
    """What an earlier test has asked for is worked out again: whoever only finds it there would not be seen."""
    for module in [module for name, module in sys.modules.items() if name.startswith("cascade_flow")]:
        for cached in (each for each in vars(module).values() if isinstance(each, _lru_cache_wrapper)):
            cached.cache_clear()


@contextmanager
def _traced(seen: set[Line], among: Set[str]) -> Iterator[None]:
    tracer = _tracer(seen, among)
    previous = greenlet.settrace(lambda event, told: sys.settrace(tracer))
    threading.settrace(tracer)
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(None)
        threading.settrace(None)
        greenlet.settrace(previous)


def _tracer(seen: set[Line], among: Set[str]) -> Any:
    places = {str(PACKAGE / place): place for place in among}

    def called(frame: FrameType, event: str, told: object) -> Any:
        place = places.get(frame.f_code.co_filename)
        if place is None:
            return None
        seen.add((place, frame.f_lineno))

        def within(frame: FrameType, event: str, told: object) -> Any:
            seen.add((place, frame.f_lineno))
            return within

        return within

    return called
