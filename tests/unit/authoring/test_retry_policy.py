"""Which errors a policy covers, and which policy judges which attempt."""

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from cascade_flow.authoring.durations import milliseconds
from cascade_flow.authoring.retry import Retry, policies, retryable
from cascade_flow.model.workflows import RetryTier
from cascade_flow.retry import attempts_allowed, delay_ms, place_of


class Flaky(Exception):
    pass


class VeryFlaky(Flaky):
    pass


def test_every_error_is_covered_unless_classes_are_named() -> None:
    assert Retry().covers(Flaky())
    assert Retry().covers(SystemExit(1))
    assert Retry(retry_on=Flaky).covers(VeryFlaky())
    assert not Retry(retry_on=(Flaky, OSError)).covers(ValueError())


def test_giving_up_wins_over_retrying() -> None:
    policy = Retry(retry_on=Flaky, give_up_on=(VeryFlaky,))
    assert policy.covers(Flaky())
    assert not policy.covers(VeryFlaky())


def test_a_timeout_counts_as_an_os_error_as_everywhere_in_python() -> None:
    assert Retry(retry_on=OSError).covers(TimeoutError())


def test_classes_are_stored_by_name() -> None:
    tier = Retry(retry_on=(OSError, Flaky), delay=timedelta(minutes=1)).tier()
    assert tier.retry_on == ["OSError", f"{__name__}.Flaky"]
    assert tier.delay_ms == 60_000


tiers = st.lists(st.integers(1, 5).map(lambda n: Retry(max_attempts=n)), min_size=1, max_size=5)


@given(tiers, st.data())
def test_an_attempt_belongs_to_the_tier_whose_turn_it_is(policies: list[Retry], data: st.DataObject) -> None:
    stored = [policy.tier() for policy in policies]
    turns = [(index, n + 1) for index, policy in enumerate(policies) for n in range(policy.max_attempts)]
    assert attempts_allowed(stored) == len(turns)
    attempt = data.draw(st.integers(1, len(turns)))
    place = place_of(stored, attempt)
    assert (place.policy_index, place.attempt_in_policy) == turns[attempt - 1]


@given(tiers, st.data())
def test_only_the_tier_of_the_attempt_judges_its_error(listed: list[Retry], data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, len(listed) - 1))
    judged = [
        Retry(max_attempts=policy.max_attempts, give_up_on=Flaky if index == chosen else ())
        for index, policy in enumerate(listed)
    ]
    before = sum(policy.max_attempts for policy in listed[:chosen])
    attempts = range(1, sum(policy.max_attempts for policy in listed) + 1)
    gives_up = {n for n in attempts if not retryable(judged, n, Flaky())}
    assert gives_up == set(range(before + 1, before + listed[chosen].max_attempts + 1))


@given(st.floats(0.001, 10**6))
def test_durations_round_up_to_whole_milliseconds(seconds: float) -> None:
    ms = milliseconds(seconds, "x")
    assert ms >= 1
    assert abs(ms - seconds * 1000) <= 1.001
    assert abs(milliseconds(timedelta(seconds=seconds), "x") - ms) <= 1


@pytest.mark.parametrize(("seconds", "ms"), [(0.0012, 2), (0.0018, 2), (0.002, 2), (1.001, 1_001), (2.3, 2_300)])
def test_a_part_of_a_millisecond_is_a_whole_one(seconds: float, ms: int) -> None:
    assert milliseconds(seconds, "x") == ms


def test_a_lone_policy_and_none_make_one_tier() -> None:
    assert policies(None) == (Retry(),)
    assert policies(Retry(max_attempts=1)) == (Retry(max_attempts=1),)


@given(st.integers(1, 2**53), st.floats(1, 1e308), st.floats(0, 1))
def test_no_delay_stays_none_however_often_it_grows(attempt: int, backoff: float, chance: float) -> None:
    tier = RetryTier(max_attempts=2**53 - 1, delay_ms=0, backoff=backoff)
    assert delay_ms([tier], attempt, chance=chance) == 0


@given(st.integers(1, 2**53), st.floats(1, 1e308), st.integers(1, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_a_delay_grows_up_to_its_bound(attempt: int, backoff: float, delay: int, most: int) -> None:
    tier = RetryTier(max_attempts=2**53 - 1, delay_ms=delay, backoff=backoff, max_delay_ms=most, jitter=0)
    later = delay_ms([tier], attempt + 1, chance=0.5)
    assert delay_ms([tier], attempt, chance=0.5) <= later <= most
    assert delay_ms([tier], 1, chance=0.5) == min(delay, most)
