"""Which of a schedule's times are submitted by one look, and which comes next."""

from __future__ import annotations

import pytest

from cascade_flow.calendars import Every
from cascade_flow.engine.ticks import Ticks, due_ticks
from cascade_flow.model.workflows import MissedTimes

MINUTE = 60_000_000
HOURLY = Every(60 * MINUTE)
TEN = 10 * 60 * MINUTE
"""Ten hours after 1970 began: one of its times."""


@pytest.mark.parametrize(("early_us", "times"), [(MINUTE, [TEN]), (MINUTE + 1, [])])
def test_a_time_is_due_when_it_is_no_further_than_the_lead(early_us: int, times: list[int]) -> None:
    ticks = due_ticks(HOURLY, "all", next_us=TEN, now_us=TEN - early_us, lead_us=MINUTE)
    assert ticks == Ticks(times, TEN + 60 * MINUTE if times else TEN)


HOUR = 60 * MINUTE
LATE = 5 * MINUTE
TWO_DAYS = [TEN - HOUR * number for number in range(48, -1, -1)]


@pytest.mark.parametrize(
    ("missed", "after_us", "times"),
    [
        ("all", 0, TWO_DAYS),
        ("latest", 0, [TEN]),
        ("skip", 0, [TEN]),
        ("all", LATE, TWO_DAYS),
        ("latest", LATE, [TEN]),
        ("skip", LATE, [TEN]),
        ("all", LATE + 1, TWO_DAYS),
        ("latest", LATE + 1, [TEN]),
        ("skip", LATE + 1, []),
        ("latest", -1, [TEN - HOUR, TEN]),
        ("skip", -1, [TEN]),
    ],
)
def test_what_is_submitted_of_the_times_of_two_days(missed: MissedTimes, after_us: int, times: list[int]) -> None:
    """The oldest first; the latest is the last that is past, and not the one that is ahead."""
    ticks = due_ticks(HOURLY, missed, next_us=TWO_DAYS[0], now_us=TEN + after_us, lead_us=MINUTE)
    assert ticks == Ticks(times, TEN + HOUR)


def test_of_what_is_late_and_was_not_missed_the_latest_counts_too() -> None:
    minutely, next_us = Every(MINUTE), TEN - 3 * MINUTE
    latest = due_ticks(minutely, "latest", next_us=next_us, now_us=TEN, lead_us=0)
    assert latest == Ticks([TEN], TEN + MINUTE)
    kept = due_ticks(minutely, "skip", next_us=next_us, now_us=TEN, lead_us=0)
    assert kept.times_us == [next_us, next_us + MINUTE, next_us + 2 * MINUTE, TEN]


@pytest.mark.parametrize(("hours", "more"), [(98, 0), (99, 0), (100, 1), (150, 51)])
def test_a_look_makes_a_hundred_runs_at_most_and_the_next_begins_with_the_first_that_is_left(
    hours: int, more: int
) -> None:
    first_us = TEN + 7 * HOUR
    last_us = first_us + hours * HOUR
    ticks = due_ticks(HOURLY, "all", next_us=first_us, now_us=last_us, lead_us=MINUTE)
    assert ticks.times_us == [first_us + HOUR * number for number in range(min(100, hours + 1))]
    assert ticks.next_us == (first_us + 100 * HOUR if more else last_us + HOUR)


@pytest.mark.parametrize("missed", ["all", "latest", "skip"])
def test_a_time_that_was_submitted_ahead_is_not_due_again_before_it_comes(missed: str) -> None:
    next_us = TEN + 60 * MINUTE
    assert due_ticks(HOURLY, missed, next_us=next_us, now_us=TEN - 1, lead_us=MINUTE) == Ticks([], next_us)
