"""What whoever calls an address is told where it is not taken: no more than they must know, and when to try again."""

from __future__ import annotations

import pytest

from cascade_flow import ValidationIssue
from cascade_flow.api.callbacks import _told
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConfigurationError,
    ConflictError,
    EventClosedError,
    InputInvalidError,
    PayloadTooLargeError,
    RunNotFoundError,
    ThrottledError,
)

FAULTS = [ValidationIssue(path="a", message="is too small"), ValidationIssue(path="", message="has no b")]
WRONG = InputInvalidError("no", issues=FAULTS)
NOTHING = "There is nothing at this address."
BUSY = "We are busy: nothing was stored, try again in a moment."


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RunNotFoundError(run_id="secret"), 404, NOTHING),
        (EventClosedError("no", state="sent"), 409, "This address was used already: the first answer counts."),
        (EventClosedError("no", state="timed-out"), 410, "It is too late: nobody waits for this any more."),
        (EventClosedError("no", state="cancelled"), 410, "It is too late: nobody waits for this any more."),
        (PayloadTooLargeError("no"), 413, "This is too large."),
        (WRONG, 422, "a: is too small; it: has no b"),
        (ConflictError(), 503, BUSY),
        (ThrottledError(), 503, BUSY),
        (BackendUnavailableError(), 503, BUSY),
        (ConfigurationError("secret"), 500, "Something is wrong on our side: nothing was stored."),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each)[:20],
)
def test_whoever_calls_is_told_no_more_than_they_must_know(error: CascadeFlowError, status: int, said: str) -> None:
    assert _told(error) == (status, said)
