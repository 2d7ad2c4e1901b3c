"""How a step says "not yet": come again later. No failure, and no attempt of its retry policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.mistakes import Mistakes, shown
from cascade_flow.errors import DefinitionError
from cascade_flow.records import dataclass

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = timedelta(seconds=1)
"""Between two questions: who asks more often wants an event."""


class Later(Exception):
    """Raise it in a step to be called again later: `raise Later(timedelta(minutes=5), "not ready")`.

    It is no failure: the retry policy doesn't count it, checkpoints stay, and no worker waits meanwhile. `after` is how
    long from now (seconds or a timedelta), `at` an instant instead, with its time zone; a step with a `Poll` may leave
    out both. It comes after a second at the earliest. `reason` is shown to people.

    Raises DefinitionError, at once and in the step, for a time that is none.
    """

    def __init__(
        self, after: Duration | None = None, reason: object = "not ready", *, at: datetime | None = None
    ) -> None:
        super().__init__(reason)
        if after is not None and at is not None:
            raise DefinitionError("Later: give how long from now, or at=, not both")
        self.reason = reason
        self.delay_ms = None if after is None else milliseconds(after, "Later: the time from now")
        self.at_us = None if at is None else _instant_us(at)


@dataclass(frozen=True, kw_only=True)
class Poll:
    """How a step asks again that says `Later`: `every` so often (seconds or a timedelta, a second at least) unless it
    says when; and `give_up_after` its first attempt has begun so long ago it fails for good (none: the run's own time
    bounds it).

    A value that makes no sense is a mistake of the step that is given it, and told with the step's name.
    """

    every: Duration
    give_up_after: Duration | None = None

    def check(self) -> None:
        """Raise DefinitionError, naming every value that makes no sense."""
        mistakes = Mistakes()
        with mistakes.noted():
            if self.every_ms < _LEAST // timedelta(milliseconds=1):
                raise DefinitionError(f"Poll: every is {shown(self.every)}: give a second or more")
        with mistakes.noted():
            milliseconds(1 if self.give_up_after is None else self.give_up_after, "Poll: give_up_after")
        mistakes.check()

    @property
    def every_ms(self) -> int:
        return milliseconds(self.every, "Poll: every")

    @property
    def give_up_after_ms(self) -> int | None:
        return None if self.give_up_after is None else milliseconds(self.give_up_after, "Poll: give_up_after")


def _instant_us(at: datetime) -> int:
    if not isinstance(at, datetime):
        raise DefinitionError(f"Later: at is {shown(at)}: give a datetime with a time zone")
    if at.utcoffset() is None:
        raise DefinitionError(
            f"Later: at is {shown(at)}, which has no time zone, so it names no instant: give it one, as in "
            "datetime(2027, 1, 4, 9, tzinfo=ZoneInfo('Europe/Berlin')) or datetime.now(UTC) + timedelta(hours=1)"
        )
    return (at - _EPOCH) // timedelta(microseconds=1)
