"""Which of a schedule's times are submitted by one look, and which comes next."""

from __future__ import annotations

import pytest

from cascade_flow.calendars import Every
from cascade_flow.engine.ticks import Ticks, due_ticks

MINUTE = 60_000_000
HOURLY = Every(60 * MINUTE)
TEN = 10 * 60 * MINUTE
"""Ten hours after 1970 began: one of its times."""


@pytest.mark.parametrize(("early_us", "times"), [(MINUTE, [TEN]), (MINUTE + 1, [])])
def test_a_time_is_due_when_it_is_no_further_than_the_lead(early_us: int, times: list[int]) -> None:
    ticks = due_ticks(HOURLY, "all", next_us=TEN, now_us=TEN - early_us, lead_us=MINUTE)
    assert ticks == Ticks(times, TEN + 60 * MINUTE if times else TEN)


@pytest.mark.parametrize("missed", ["all", "latest", "skip"])
def test_a_time_that_was_submitted_ahead_is_not_due_again_before_it_comes(missed: str) -> None:
    next_us = TEN + 60 * MINUTE
    assert due_ticks(HOURLY, missed, next_us=next_us, now_us=TEN - 1, lead_us=MINUTE) == Ticks([], next_us)
