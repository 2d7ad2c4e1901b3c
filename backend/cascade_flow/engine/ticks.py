"""Which of a schedule's times are to be submitted now, and which comes next: pure judgement."""

from __future__ import annotations

from typing import NamedTuple

from cascade_flow.calendars import Calendar, last_within
from cascade_flow.model.workflows import MissedTimes

LATE_US = 300_000_000
"""A time that is no longer past than this was not missed: sweeps come late, and some don't come."""
AT_ONCE = 100
"""Runs that one look at a schedule makes."""


class Ticks(NamedTuple):
    """The times for which runs are to be submitted, oldest first, and the first time after them."""

    times_us: list[int]
    next_us: int


def due_ticks(calendar: Calendar, missed: MissedTimes, *, next_us: int, now_us: int, lead_us: int) -> Ticks:
    """Of the times from `next_us` on those that are due within the lead, as far as `missed` says; a hundred at most."""
    times: list[int] = []
    for tick_us in calendar.after(_first(calendar, missed, next_us, now_us) - 1):
        if tick_us > now_us + lead_us or len(times) == AT_ONCE:
            return Ticks(times, tick_us)
        times.append(tick_us)
    raise AssertionError("a calendar has no end")


def _first(calendar: Calendar, missed: MissedTimes, next_us: int, now_us: int) -> int:
    """From where on times count: all, from the latest that is past, or those that were not missed."""
    if missed == "latest":
        latest_us = last_within(calendar, next_us, now_us)
        return next_us if latest_us is None else latest_us
    return next_us if missed == "all" else max(next_us, now_us - LATE_US)
