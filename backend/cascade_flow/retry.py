"""Which attempt belongs to which tier of a step's retry policy, and when the next one is due. Pure arithmetic.

Tiers are tried in turn: the first `max_attempts` attempts belong to the first tier, the next ones to the second, and
so on. So an attempt's tier follows from its number alone, and nothing has to be remembered between attempts.
"""

from __future__ import annotations

from collections.abc import Sequence

from cascade_flow.model.workflows import RetryTier
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class PolicyPosition:
    """Where an attempt stands in the tiers: which policy, and which of its attempts (from 1)."""

    policy_index: int
    attempt_in_policy: int


def attempts_allowed(tiers: Sequence[RetryTier]) -> int:
    """How often a step may be tried at the most."""
    return sum(tier.max_attempts for tier in tiers)


def place_of(tiers: Sequence[RetryTier], attempt_number: int) -> PolicyPosition:
    """The tier of an attempt; one beyond the last tier's end still belongs to it."""
    before = 0
    for index, tier in enumerate(tiers):
        if attempt_number <= before + tier.max_attempts or index == len(tiers) - 1:
            return PolicyPosition(index, attempt_number - before)
        before += tier.max_attempts
    return PolicyPosition(0, attempt_number)


def may_retry(tiers: Sequence[RetryTier], attempt_number: int) -> bool:
    """Whether another attempt may follow this one."""
    return attempt_number < attempts_allowed(tiers)


def delay_ms(tiers: Sequence[RetryTier], attempt_number: int, *, chance: float) -> int:
    """How long to wait after this attempt failed, in milliseconds.

    `chance`, between 0 and 1, places the jitter: the delay moves by at most the tier's jitter share up or down.
    """
    tier = tiers[place_of(tiers, attempt_number).policy_index]
    spread = 1 + tier.jitter * (2 * chance - 1)
    return round(_grown_ms(tier, place_of(tiers, attempt_number).attempt_in_policy) * spread)


def _grown_ms(tier: RetryTier, attempt_in_policy: int) -> float:
    """No delay stays none, however large its factor has become."""
    try:
        return min(tier.delay_ms * tier.backoff ** (attempt_in_policy - 1), tier.max_delay_ms)
    except OverflowError:
        return tier.max_delay_ms if tier.delay_ms else 0
