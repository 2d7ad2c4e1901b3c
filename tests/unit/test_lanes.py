"""How many things are done at once: as many as there are lanes, all of them, and answered in their order."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, get_ident
from unittest.mock import Mock

import pytest

from cascade_flow.operations import lanes as module
from cascade_flow.operations.lanes import Lanes, OneByOne, Threads

LANES: dict[int, Callable[[], Lanes]] = {1: OneByOne, 2: lambda: Threads(2), 7: lambda: Threads(7)}


@pytest.mark.parametrize("width", LANES)
@pytest.mark.parametrize("many", [0, 1, 2, 9])
def test_each_is_done_and_answered_in_its_order(width: int, many: int) -> None:
    lanes = LANES[width]()
    assert lanes.each(lambda number: number * 10, range(many)) == [number * 10 for number in range(many)]
    assert lanes.width == width


def test_two_things_are_done_at_once_where_there_are_two_lanes() -> None:
    both = Barrier(2, timeout=10)
    assert sorted(Threads(2).each(lambda _: both.wait(), "ab")) == [0, 1]


@pytest.mark.parametrize("width", LANES)
def test_a_single_thing_needs_no_thread(width: int) -> None:
    assert LANES[width]().each(lambda _: get_ident(), "a") == [get_ident()]


def test_several_things_are_done_by_threads_of_their_own() -> None:
    assert get_ident() not in Threads(2).each(lambda _: get_ident(), "ab")


def test_one_by_one_is_done_in_order_by_who_asks() -> None:
    done = list[tuple[str, int]]()
    OneByOne().each(lambda one: done.append((one, get_ident())), "abc")
    assert done == [(one, get_ident()) for one in "abc"]


def test_no_more_threads_are_there_than_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Mock()
    monkeypatch.setattr(module, "ThreadPoolExecutor", pool)
    Threads(7)
    pool.assert_called_once_with(7)
