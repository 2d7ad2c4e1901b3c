"""An item that nobody can deal with keeps no list from its readers: it is left out, and named in the log.

The sweep meets the same items, puts them off and counts them; what is the matter with one is found there too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from cascade_flow.errors import SetupError, TransientError

K = TypeVar("K")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def readable(read: Callable[[Sequence[K]], Iterable[T]], wanted: Sequence[K], *, what: str = "run") -> list[T]:
    """What `read` makes of all these, but for those at which it fails for reasons of their own.

    It is asked for all at once; where that fails for each half, so that it costs little to find the few.
    """
    try:
        return list(read(wanted))
    except (SetupError, TransientError):
        raise
    except Exception as error:  # noqa: BLE001  one item that nobody foresaw must not end the list of all
        if len(wanted) <= 1:
            _log.error("passed over: %s %s: %r", what, *wanted or ("",), error, exc_info=error)
            return []
    middle = len(wanted) // 2
    return [found for half in (wanted[:middle], wanted[middle:]) for found in readable(read, half, what=what)]
