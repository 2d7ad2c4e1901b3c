"""What a command's exit status means, and which error leads to which. The README's table says the same."""

from __future__ import annotations

from collections.abc import Mapping

from cascade_flow.errors import (
    CascadeFlowError,
    EventClosedError,
    GoneError,
    RequestError,
    RunNotCancellableError,
    RunNotRetryableError,
    SetupError,
)

OK = 0
RUN_NOT_COMPLETED = NOT_AS_PROMISED = 1
WRONG_USE = 2
UNAVAILABLE = 3
NOT_THERE = 4
NOT_IN_THIS_STATE = 5
INTERRUPTED = 130

_STATUSES: Mapping[type[CascadeFlowError], int] = {
    RequestError: WRONG_USE,
    SetupError: WRONG_USE,
    GoneError: NOT_THERE,
    EventClosedError: NOT_IN_THIS_STATE,
    RunNotCancellableError: NOT_IN_THIS_STATE,
    RunNotRetryableError: NOT_IN_THIS_STATE,
    CascadeFlowError: UNAVAILABLE,
}


def status_of(error: CascadeFlowError) -> int:
    """The exit status for an error: that of its nearest class in the table."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
