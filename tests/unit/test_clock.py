"""Time: the system's, and one that only moves when told."""

from __future__ import annotations

import threading

import pytest

from cascade_flow.clock import SteppingClock, SystemClock, now_us, use

YEAR_2020_US = 1_577_836_800_000_000


def test_the_system_tells_microseconds_since_the_epoch() -> None:
    assert YEAR_2020_US < SystemClock().now_us() < 3 * YEAR_2020_US
    assert now_us() <= now_us()


def test_a_stepping_clock_moves_when_told() -> None:
    clock = SteppingClock(10)
    assert (clock.now_us(), clock.advance(5), clock.now_us()) == (10, 15, 15)


def test_a_stepping_clock_never_moves_back() -> None:
    with pytest.raises(ValueError, match="back"):
        SteppingClock(10).advance(-1)


def test_a_clock_in_use_tells_the_time_to_every_thread() -> None:
    seen: list[int] = []
    with use(SteppingClock(7)):
        thread = threading.Thread(target=lambda: seen.append(now_us()))
        thread.start()
        thread.join()
    assert seen == [7]
    assert now_us() > YEAR_2020_US


def test_the_clock_before_comes_back_after_an_error() -> None:
    with pytest.raises(KeyError), use(SteppingClock(7)):
        raise KeyError
    assert now_us() > YEAR_2020_US
