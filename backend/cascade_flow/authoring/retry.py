"""How often, how soon and after which errors a step is tried again, as its author says it.

When the next attempt is due is decided in `cascade_flow.retry`, from the tiers that are made here; which errors count
is decided here, since only the worker has the exception itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import UnionType

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.mistakes import Mistakes, shown
from cascade_flow.errors import DefinitionError
from cascade_flow.model.workflows import RetryTier
from cascade_flow.records import dataclass
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

    A value that makes no sense is a mistake of the step that is given the policy, and told with the step's name.
    """

    max_attempts: int = 3
    delay: Duration = 1.0
    backoff: float = 2.0
    max_delay: Duration = timedelta(minutes=5)
    jitter: float = 0.1
    retry_on: ErrorClasses = ()
    give_up_on: ErrorClasses = ()

    def check(self) -> None:
        """Raise DefinitionError, naming every value that makes no sense."""
        mistakes = Mistakes()
        for name, (kinds, bounds, cure) in _BOUNDS.items():
            with mistakes.noted():
                _check(_is_within(getattr(self, name), kinds, bounds), name, getattr(self, name), cure)
        for name in ("delay", "max_delay"):
            with mistakes.noted():
                milliseconds(getattr(self, name), f"Retry: {name}", zero=True)
        for name in ("retry_on", "give_up_on"):
            for error in _classes(getattr(self, name)):
                with mistakes.noted():
                    _check(_is_error_class(error), name, error, "exception classes, such as (OSError, ValueError)")
        mistakes.check()

    def tier(self) -> RetryTier:
        """The policy as it is stored: times in milliseconds, error classes by name. Raises DefinitionError."""
        self.check()
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
        return _sound((retry or Retry(),))
    listed = tuple(retry) if isinstance(retry, Sequence) else ()
    if not listed or not all(isinstance(policy, Retry) for policy in listed):
        raise DefinitionError(
            f"retry is {shown(retry)}: give a Retry or a list of them; Retry(max_attempts=1) never retries"
        )
    return _sound(listed)


def _sound(listed: tuple[Retry, ...]) -> tuple[Retry, ...]:
    mistakes = Mistakes()
    for policy in listed:
        with mistakes.noted():
            policy.check()
    mistakes.check()
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


_BOUNDS = {
    "max_attempts": (int, range(1, 1_000_001), "a whole number from 1 to 1,000,000"),
    "backoff": (int | float, range(1, 1_000_001), "a number from 1 to 1,000,000"),
    "jitter": (int | float, range(2), "a share between 0 and 1"),
}


def _is_within(value: object, kinds: type | UnionType, bounds: range) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(value, kinds):
        return False
    return bounds[0] <= value <= bounds[-1]


def _check(holds: bool, name: str, value: object, cure: str) -> None:
    if not holds:
        raise DefinitionError(f"Retry: {name} is {shown(value)}: give {cure}")
