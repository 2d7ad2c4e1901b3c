"""A time in which nobody waits: it passes as the machine's does, and whatever is waited for is skipped."""

from __future__ import annotations

from datetime import timedelta

from cascade_flow.cli.formatting import seconds_of
from cascade_flow.clock import SystemClock
from cascade_flow.errors import ArgumentInvalidError

Span = str | float | timedelta
"""`"90s"`, `"5m"`, `"1h"`, `"2d"`; a number of seconds; a `timedelta`."""


class SkippingClock:
    """The machine's time, and what has been skipped of it."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._skipped_us = 0

    def now_us(self) -> int:
        return self._machine.now_us() + self._skipped_us

    def pause_us(self, us: int) -> None:
        self._skipped_us += us

    def skip_to(self, time_us: int) -> None:
        """Let it be at least this late."""
        self._skipped_us += max(0, time_us - self.now_us())


def span_us(span: Span, what: str) -> int:
    """A span of time in microseconds. Raises ArgumentInvalidError, naming `what`."""
    seconds = _seconds(span)
    if seconds is None or seconds < 0:
        raise ArgumentInvalidError(f"{what} is {span!r}: give seconds, a timedelta, or a text such as 90s, 5m, 2h, 1d")
    return round(seconds * 1_000_000)


def _seconds(span: Span) -> float | None:
    if isinstance(span, timedelta):
        return span.total_seconds()
    return seconds_of(span) if isinstance(span, str) else float(span)
