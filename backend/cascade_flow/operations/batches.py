"""One thing done with every run that a filter passes, in pieces: whoever asks goes on where the last piece ended.

Runs are looked at newest first. What can't be done with one, since it ended meanwhile or never could be, is told and
stops nothing; so a piece may be asked for twice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb.listing import Filter, Place
from cascade_flow.engine.undo import TAG
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    SetupError,
    ThrottledError,
    TransientError,
)
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime

CANCELLABLE = ("pending", "running")
RETRYABLE = ("failed",)
"""Which runs are meant where no status is named. What somebody has cancelled is not tried again unless that is said."""


class Bounds(NamedTuple):
    """How many runs are looked at, behind which place, and until when."""

    limit: int
    after: Place
    until_us: int


class Refusal(NamedTuple):
    """A run with which it couldn't be done, and why."""

    run_id: str
    error: CascadeFlowError


class Piece(NamedTuple):
    """With how many runs it was done, with which it wasn't, and where to go on if there may be more."""

    done: int
    refused: list[Refusal]
    more: Place | None


class Batches:
    """What is done with many runs of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runs = Runs(runtime)
        self._retries = Retries(runtime)

    def cancel(self, slug: str | None, wanted: Filter, reason: str | None, bounds: Bounds) -> Piece:
        """Stop the next runs; one that undoes another only where the filter names these by their tag: what is stopped
        is undone, and who stops it all doesn't mean that. Raises WorkflowNotFoundError, and what is no run's own fault.
        """
        meant = wanted if wanted.status else wanted._replace(status=CANCELLABLE)
        cancel = partial(self._runs.cancel, reason=reason, undos=TAG in wanted.tags)
        return self._each(cancel, slug, meant, bounds)

    def retry(self, slug: str | None, wanted: Filter, reason: str | None, bounds: Bounds) -> Piece:
        """Try the next runs again. Raises as `cancel`."""
        meant = wanted if wanted.status else wanted._replace(status=RETRYABLE)
        retry = partial(self._retries.retry, reason=reason)
        return self._each(retry, slug, meant, bounds)

    def _each(self, act: Callable[[str], object], slug: str | None, wanted: Filter, bounds: Bounds) -> Piece:
        """One run at least, so that every piece goes on; a table that is busy ends a piece early."""
        found = self._runs.found(slug, wanted, limit=bounds.limit, after=bounds.after)
        refused, after = list[Refusal](), bounds.after
        for done, (run_id, behind) in enumerate(zip(found.ids, found.behind, strict=True)):
            if done and clock.now_us() >= bounds.until_us:
                return Piece(done - len(refused), refused, after)
            try:
                refused += _refusals(act, run_id)
            except TransientError:
                if not done:
                    raise
                return Piece(done - len(refused), refused, after)
            after = behind
        return Piece(len(found.ids) - len(refused), refused, found.more)


def _refusals(act: Callable[[str], object], run_id: str) -> list[Refusal]:
    """Why it couldn't be done with this run, if so. Raises what no run can help."""
    try:
        act(run_id)
    except (SetupError, ThrottledError, BackendUnavailableError):
        raise
    except CascadeFlowError as error:
        return [Refusal(run_id, error)]
    return []
