"""Waits for what passes: a table that is busy, or a service that is away, costs a worker time and not its work."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TypeVar

from cascade_flow import clock
from cascade_flow.errors import TransientError
from cascade_flow.records import dataclass

_FIRST_PAUSE_US = 200_000
_LONGEST_PAUSE_US = 5_000_000
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Asks again, ever less often, until this time; then the last refusal stands."""

    until_us: int

    @classmethod
    def of_ms(cls, left_ms: int) -> Patience:
        """For so long from now on."""
        return cls(clock.now_us() + left_ms * 1_000)

    def ask(self, request: Callable[[], _T]) -> _T:
        """What the request answers. Raises whatever does not pass, and in the end TransientError."""
        attempt = 0
        while True:
            try:
                return request()
            except TransientError as error:
                pause_us = _pause_us(attempt)
                if clock.now_us() + pause_us > self.until_us:
                    raise
                _log.info("asking again in %d ms: %s", pause_us // 1_000, error)
            clock.pause_us(pause_us)
            attempt += 1


def _pause_us(attempt: int) -> int:
    """Between half and all of a time that doubles: workers that were refused together don't come back together."""
    longest_us: int = min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US * 2 ** min(attempt, 10))
    return round(longest_us * random.uniform(0.5, 1))
