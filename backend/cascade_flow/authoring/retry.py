"""How often, how soon and after which errors a step is tried again, as its author says it.

When the next attempt is due is decided in `cascade_flow.retry`, from the tiers that are made here; which errors count
is decided here, since only the worker has the exception itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.errors import DefinitionError
from cascade_flow.model.workflows import RetryTier
from cascade_flow.retry import place_of

ErrorClasses = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A retry policy.

    `max_attempts` counts the first attempt too: `Retry(max_attempts=1)` never retries. The n-th retry waits
    `delay * backoff ** (n - 1)`, at most `max_delay` (seconds, or a timedelta), moved by a random share of at most
    `jitter` (0.1 = up to 10 % more or less).

    `retry_on` are the error classes to retry after (none: all of them), `give_up_on` those that end the step at once;
    `give_up_on` wins. A step that ran into its timeout counts as a TimeoutError. A worker that died is no error of
    the step: such an attempt is repeated while any are left.

    Raises DefinitionError where a value makes no sense.
    """

    max_attempts: int = 3
    delay: Duration = 1.0
    backoff: float = 2.0
    max_delay: Duration = timedelta(minutes=5)
    jitter: float = 0.1
    retry_on: ErrorClasses = ()
    give_up_on: ErrorClasses = ()

    def __post_init__(self) -> None:
        _check(_is_whole(self.max_attempts) and self.max_attempts >= 1, "max_attempts", self.max_attempts, "1 or more")
        _check(_is_number(self.backoff) and 1 <= self.backoff < float("inf"), "backoff", self.backoff, "1 or more")
        _check(_is_number(self.jitter) and 0 <= self.jitter <= 1, "jitter", self.jitter, "a share between 0 and 1")
        for name in ("retry_on", "give_up_on"):
            for error in _classes(getattr(self, name)):
                _check(_is_error_class(error), name, error, "exception classes, such as (OSError, ValueError)")
        self.tier()

    def tier(self) -> RetryTier:
        """The policy as it is stored: times in milliseconds, error classes by name."""
        return RetryTier(
            max_attempts=self.max_attempts,
            delay_ms=milliseconds(self.delay, "Retry: delay", zero=True),
            backoff=float(self.backoff),
            max_delay_ms=milliseconds(self.max_delay, "Retry: max_delay", zero=True),
            jitter=float(self.jitter),
            retry_on=[_name(error) for error in _classes(self.retry_on)],
            give_up_on=[_name(error) for error in _classes(self.give_up_on)],
        )

    def covers(self, error: BaseException) -> bool:
        """Whether another attempt makes sense after this error."""
        if isinstance(error, _classes(self.give_up_on)):
            return False
        return isinstance(error, _classes(self.retry_on) or BaseException)


def policies(retry: Retry | Sequence[Retry] | None) -> tuple[Retry, ...]:
    """One policy, several that are used up in turn, or None for the default one, as a tuple. DefinitionError else."""
    if retry is None or isinstance(retry, Retry):
        return (retry or Retry(),)
    listed = tuple(retry) if isinstance(retry, Sequence) else ()
    if not listed or not all(isinstance(policy, Retry) for policy in listed):
        raise DefinitionError(
            f"retry is {retry!r}: give a Retry or a list of them; Retry(max_attempts=1) never retries"
        )
    return listed


def retryable(tiers: Sequence[Retry], attempt_number: int, error: BaseException) -> bool:
    """Whether the policy that this attempt belongs to goes on after this error; not whether any attempts are left."""
    place = place_of([policy.tier() for policy in tiers], attempt_number)
    return tiers[place.policy_index].covers(error)


def _classes(errors: ErrorClasses) -> tuple[type[BaseException], ...]:
    return tuple(errors) if isinstance(errors, tuple | list) else (errors,)


def _name(error: type[BaseException]) -> str:
    return error.__qualname__ if error.__module__ == "builtins" else f"{error.__module__}.{error.__qualname__}"


def _is_error_class(error: object) -> bool:
    return isinstance(error, type) and issubclass(error, BaseException)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(holds: bool, name: str, value: object, cure: str) -> None:
    if not holds:
        raise DefinitionError(f"Retry: {name} is {value!r}: give {cure}")
