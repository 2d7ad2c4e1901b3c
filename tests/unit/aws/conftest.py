"""A clock that stands still: what is waited for between two tries takes no time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cascade_flow import clock

NOW_US = 1_795_370_280_000_000


@pytest.fixture(autouse=True)
def still() -> Iterator[clock.SteppingClock]:
    with clock.use(clock.SteppingClock(NOW_US)) as stepping:
        yield stepping
