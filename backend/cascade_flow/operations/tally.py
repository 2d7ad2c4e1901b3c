"""What a sweep comes to: what it has done, what it failed at, how late it was. Safe to share between threads."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from threading import Lock

from cascade_flow.records import dataclass

_log = logging.getLogger(__name__)
_NAMED = 50


@dataclass(frozen=True)
class Failure:
    """An item of a run (no branch: the run itself) that can't be dealt with until somebody mends what it fails at; or a
    time of a schedule, of which the error alone tells.
    """

    run_id: str
    branch: str
    error: str


@dataclass(frozen=True)
class Swept:
    """How often what was done; and the first of those items at which the sweep has failed.

    `oldest_due_s` is how long the oldest of what waits has waited for somebody; 0 where nothing did. `left`: its time
    was over before all was looked at. `called_out`: how many further reapers were asked to take a shard. `pools`: how
    many seconds the step has waited that each pool's workers are to claim next, where one waits.
    """

    done: Mapping[str, int]
    failures: Sequence[Failure]
    oldest_due_s: int = 0
    left: bool = False
    took_ms: int = 0
    called_out: int = 0
    pools: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """Collects what becomes a `Swept`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._done: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._oldest_us = 0
        self._left = False

    def count(self, what: str) -> None:
        with self._lock:
            self._done[what] += 1

    def note(self, what: str, run_id: str, branch: str = "", error: Exception | None = None) -> None:
        self.count(what)
        _log.info("%s: run %s %s %s", what, run_id, branch, error or "")

    def fail(self, run_id: str, branch: str, error: Exception) -> None:
        """All are counted, and the first of them named."""
        _log.error("failed: run %s, branch %r: %r", run_id, branch, error, exc_info=error)
        self._fail(Failure(run_id, branch, f"{type(error).__name__}: {error}"))

    def fail_tick(self, slug: str, schedule: str, error: Exception) -> None:
        """A schedule's time for which there can be no run counts as any other failure."""
        _log.error("failed: schedule %s of %s: %r", schedule, slug, error)
        self._fail(Failure("", "", f"schedule {schedule} of {slug}: {type(error).__name__}: {error}"))

    def _fail(self, failure: Failure) -> None:
        self.count("failed")
        with self._lock:
            if len(self._failures) < _NAMED:
                self._failures.append(failure)

    def waited(self, us: int) -> None:
        """Note how long something has waited for somebody."""
        with self._lock:
            self._oldest_us = max(self._oldest_us, us)

    def leave(self) -> None:
        """Note that something was there, and no time."""
        self._left = True

    def swept(self, *, took_us: int, called_out: int, pools_us: Mapping[str, int]) -> Swept:
        oldest_s, took_ms = self._oldest_us // 1_000_000, took_us // 1_000
        pools = {pool: us // 1_000_000 for pool, us in pools_us.items()}
        return Swept(dict(self._done), list(self._failures), oldest_s, self._left, took_ms, called_out, pools)
