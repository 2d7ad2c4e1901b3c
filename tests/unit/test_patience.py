"""Pauses between two tries grow, up to five seconds, and no two who were refused together make the same."""

from __future__ import annotations

import pytest

from cascade_flow.operations.patience import _pause_us


@pytest.mark.parametrize(("attempt", "longest_us"), [(0, 200_000), (1, 400_000), (4, 3_200_000), (5, 5_000_000)])
def test_a_pause_is_between_half_and_all_of_a_time_that_doubles(attempt: int, longest_us: int) -> None:
    pauses_us = {_pause_us(attempt) for _ in range(50)}
    assert longest_us / 2 <= min(pauses_us) < max(pauses_us) <= longest_us
