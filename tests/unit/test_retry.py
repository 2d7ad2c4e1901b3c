"""Which tier an attempt belongs to, whether another may follow, and after how long."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from cascade_flow import RetryTier
from cascade_flow.retry import PolicyPosition, attempts_allowed, delay_ms, may_retry, place_of

TIERS = [
    RetryTier(max_attempts=2, delay_ms=100, backoff=3, max_delay_ms=10_000, jitter=0),
    RetryTier(max_attempts=3, delay_ms=1_000, backoff=2, max_delay_ms=1_500, jitter=0.5),
]


def test_a_third_tier_begins_after_the_first_two() -> None:
    tiers = [*TIERS, RetryTier(max_attempts=1)]
    assert [place_of(tiers, attempt).policy_index for attempt in range(1, 8)] == [0, 0, 1, 1, 1, 2, 2]
    assert place_of(tiers, 7) == PolicyPosition(2, 2)


@pytest.mark.parametrize(
    ("attempt", "place"), [(1, (0, 1)), (2, (0, 2)), (3, (1, 1)), (4, (1, 2)), (5, (1, 3)), (6, (1, 4)), (9, (1, 7))]
)
def test_tiers_are_tried_in_turn_and_the_last_holds_all_that_follows(attempt: int, place: tuple[int, int]) -> None:
    assert place_of(TIERS, attempt) == PolicyPosition(*place)


def test_an_attempt_without_a_policy_is_the_first_tiers() -> None:
    assert place_of([], 4) == PolicyPosition(0, 4)


def test_a_place_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        place_of(TIERS, 1).policy_index = 2  # type: ignore[misc]


def test_another_attempt_may_follow_all_but_the_last() -> None:
    assert attempts_allowed(TIERS) == 5
    assert [may_retry(TIERS, attempt) for attempt in range(1, 7)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize(
    ("attempt", "chance", "delay"),
    [
        (1, 0.0, 100),
        (2, 1.0, 300),
        (3, 0.5, 1_000),
        (3, 0.0, 500),
        (3, 1.0, 1_500),
        (3, 0.4999, 1_000),
        (3, 0.4994, 999),
        (4, 0.5, 1_500),
        (4, 1.0, 2_250),
        (5, 0.25, 1_125),
    ],
)
def test_a_delay_grows_up_to_its_limit_and_is_shifted_by_its_share(attempt: int, chance: float, delay: int) -> None:
    assert delay_ms(TIERS, attempt, chance=chance) == delay


@pytest.mark.parametrize(("delay", "longest", "waits"), [(0, 300_000, 0), (1, 300_000, 300_000)])
def test_a_factor_that_no_number_holds_makes_the_longest_delay_and_leaves_none_none(
    delay: int, longest: int, waits: int
) -> None:
    tier = RetryTier(max_attempts=2_000, delay_ms=delay, backoff=10, max_delay_ms=longest, jitter=0)
    assert delay_ms([tier], 1_500, chance=0.5) == waits
