"""Times as people write them: seconds or a `timedelta`. Past this door every time is an integer that names its unit."""

from __future__ import annotations

import math
from datetime import timedelta

from cascade_flow.authoring.mistakes import shown
from cascade_flow.errors import DefinitionError

Duration = float | timedelta
"""A number of seconds (2, 0.5) or a `timedelta`."""

LONGEST = timedelta(days=365)
"""What a run may last; so nothing in it is longer."""


def milliseconds(duration: Duration, what: str, *, zero: bool = False) -> int:
    """The duration in whole milliseconds, at least one where it is more than nothing.

    Raises DefinitionError, naming `what`, for what is no duration, negative, longer than a year, or nothing where
    `zero` isn't allowed.
    """
    seconds = _seconds(duration)
    if seconds is None or not 0 <= seconds <= LONGEST.total_seconds() or (seconds == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise DefinitionError(f"{what} is {shown(duration)}: give {least} seconds, or a timedelta; at most a year")
    return max(math.ceil(round(seconds * 1000, 3)), 1 if seconds else 0)


def _seconds(duration: object) -> float | None:
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return duration if isinstance(duration, int | float) and not isinstance(duration, bool) else None
