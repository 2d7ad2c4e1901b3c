"""The only reader of time: every instant is asked for here, in integer microseconds since the Unix epoch.

Tests replace the clock with `use(SteppingClock(...))`, for all threads of the process. Bottom floor: the standard
library only; nothing here formats or knows a time zone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar


class Clock(Protocol):
    """What tells the time."""

    def now_us(self) -> int:
        """The time now, in microseconds since the Unix epoch."""

    def pause_us(self, us: int) -> Any:
        """Let this much time pass."""


class SystemClock:
    """The machine's own time."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def pause_us(self, us: int) -> None:
        time.sleep(us / 1_000_000)


class SteppingClock:
    """A time that stands still until it is told to advance; safe to share between threads."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us
        self._lock = threading.Lock()

    def now_us(self) -> int:
        with self._lock:
            return self._now_us

    def advance(self, us: int) -> int:
        """Move on by `us` microseconds; answers the new time. ValueError where that would be backwards."""
        if us < 0:
            raise ValueError(f"a clock can't be moved back by {-us} µs: begin with another start")
        with self._lock:
            self._now_us += us
            return self._now_us

    pause_us = advance


ClockT = TypeVar("ClockT", bound=Clock)

_clock: Clock = SystemClock()


def now_us() -> int:
    """The time now, in microseconds since the Unix epoch."""
    return _clock.now_us()


def pause_us(us: int) -> None:
    """Let this many microseconds pass: only between two tries of a request, or two looks of one that waits."""
    _clock.pause_us(us)


@contextmanager
def use(clock: ClockT) -> Iterator[ClockT]:
    """Let `clock` tell the time to the whole process, until the block ends."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before
