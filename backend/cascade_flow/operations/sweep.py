"""The sweep: looks at everything that is past due and does what somebody should have done (protocol.md §8).

It is safe to run twice at once and to die at any point: what it finds is read again, and every write is conditional.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.commands import Reclaim
from cascade_flow.engine.joins import is_full
from cascade_flow.engine.state import ENDED, Branch, Facts, Run
from cascade_flow.errors import StaleAttemptError, TransientError
from cascade_flow.operations.after_commit import AfterCommit, wake_for
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.stops import Stops

_log = logging.getLogger(__name__)
_NAMED = 50
_UNSEEN = 0
"""The time of an entry that nobody has seen in the index: such a one is not moved."""


@dataclass(frozen=True)
class Failure:
    """An item of a run (no branch: the run itself) that can't be dealt with until somebody mends what it fails at."""

    run_id: str
    branch: str
    error: str


@dataclass(frozen=True)
class Swept:
    """How often what was done; and the first of those items at which the sweep has failed.

    `oldest_due_s` is how long the oldest of what waits has waited for somebody; 0 where nothing did. `left`: its time was
    over before all was looked at.
    """

    done: Mapping[str, int]
    failures: Sequence[Failure]
    oldest_due_s: int = 0
    left: bool = False
    took_ms: int = 0


class Sweep:
    """One look at all that is past due."""

    def __init__(self, runtime: Runtime, *, name: str) -> None:
        self._runtime = runtime
        self._name = name
        self._runs = Runs(runtime)
        self._steps = Steps(runtime)
        self._after_commit = AfterCommit(runtime)
        self._stops = Stops(runtime)
        self._retries = Retries(runtime)
        self._done: Counter[str] = Counter()
        self._failures: list[Failure] = []
        self._oldest_us = 0

    def sweep(self, *, until_us: int) -> Swept:
        """Act on what is past due, oldest first, until `until_us`."""
        self._done, self._failures, self._oldest_us, begun_us = Counter(), [], 0, clock.now_us()
        found = due.entries(self._runtime.ledger.table, until_us=begun_us)
        for entry in takewhile(lambda _: clock.now_us() < until_us, found):
            self._done["looked at"] += 1
            self._attend_safely(entry)
        left = next(found, None) is not None
        took_ms = (clock.now_us() - begun_us) // 1_000
        return Swept(dict(self._done), self._failures, self._oldest_us // 1_000_000, left, took_ms)

    def attend(self, run_id: str, branch: str) -> None:
        """Look at one branch, or at a run (no branch), whatever the index says."""
        self._attend(due.Entry(_UNSEEN, keys.branch(run_id, branch)))

    def _attend_safely(self, entry: due.Entry) -> None:
        """One entry that can't be dealt with now must not keep the others waiting, in no later sweep either."""
        try:
            self._attend(entry)
        except (TransientError, StaleAttemptError, BranchRefused, RunRefused) as error:
            self._note("left for later", entry.run_id, entry.branch, error)
        except Exception as error:  # noqa: BLE001  one item that nobody foresaw must not end the sweep of all
            self._fail(entry, error)

    def _fail(self, entry: due.Entry, error: Exception) -> None:
        """Name an item that no sweep can deal with until something is mended, and look at it ever more rarely."""
        _log.error("failed: run %s, branch %r: %r", entry.run_id, entry.branch, error, exc_info=error)
        self._done["failed"] += 1
        if len(self._failures) < _NAMED:
            self._failures.append(Failure(entry.run_id, entry.branch, f"{type(error).__name__}: {error}"))
        timing = self._runtime.timing
        with suppress(TransientError):
            due.put_off(self._runtime.ledger.table, entry, least_us=timing.grace_us, most_us=timing.horizon_us)

    def _attend(self, entry: due.Entry) -> None:
        if entry.branch:
            self._attend_branch(entry)
        else:
            self._attend_run(entry)

    def _attend_run(self, entry: due.Entry) -> None:
        run = self._runtime.ledger.run(entry.run_id)
        if run is None:
            self._look_no_more(entry)
            return
        if run.status in ENDED:
            return
        run = self._move_run(run)
        if run.status not in ENDED:
            self._look_later(entry, self._next_look_us(run))

    def _move_run(self, run: Run) -> Run:
        now_us = clock.now_us()
        if run.stop is not None:
            self._note("stops resumed", run.run_id)
            return self._stops.carry_on(run.run_id)
        if run.reviving:
            self._note("retries resumed", run.run_id)
            return self._retries.revive(run)
        if run.deadline_us <= now_us:
            self._note("runs timed out", run.run_id)
            self._runs.time_out(run)
            return self._runtime.run(run.run_id)
        if run.status == "pending" and run.available_at_us <= now_us:
            self._note("runs started", run.run_id)
            return self._runs.start(run)
        return self._runs.make_owed_roots(run) if run.owed is not None else run

    def _next_look_us(self, run: Run) -> int:
        soon_us = clock.now_us() + self._runtime.timing.grace_us
        if run.stop is not None or run.owed is not None or run.reviving:
            return soon_us
        return max(run.available_at_us, soon_us) if run.status == "pending" else max(run.deadline_us, soon_us)

    def _attend_branch(self, entry: due.Entry) -> None:
        branch = self._runtime.ledger.branch(entry.run_id, entry.branch)
        if branch is None or branch.halt == "stop" or (not branch.live and branch.status != "open"):
            self._look_no_more(entry)
            return
        run = self._runtime.ledger.run(entry.run_id)
        if run is None or run.status in ENDED:
            self._look_no_more(entry)
            return
        self._move_branch(self._runtime.facts(run), run, branch, entry)

    def _move_branch(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        if branch.owed is not None and not _is_at_work(branch):
            self._note("debts paid", run.run_id, branch.name)
            branch = self._after_commit.make_owed(facts, branch)
        moves = {"open": self._join, "scheduled": self._wake, "running": self._reclaim, "skipping": self._cascade}
        if (move := moves.get(branch.status)) is not None:
            move(facts, run, branch, entry)

    def _join(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        if is_full(facts.graph, branch) and self._after_commit.open_join(facts, branch):
            self._note("joins opened", run.run_id, branch.name)
            return
        self._look_later(entry, clock.now_us() + self._runtime.timing.grace_us)

    def _wake(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        """Wake again; the longer it waits already (a long queue, a dead one), the rarer."""
        available_us, now_us = branch.available_at_us or 0, clock.now_us()
        if available_us > now_us:
            self._look_later(entry, available_us)
            return
        self._note("wake-ups repeated", run.run_id, branch.name)
        self._waited(now_us - available_us)
        self._runtime.queue.send([wake_for(run.run_id, branch)])
        pause_us = min(max(self._runtime.timing.grace_us, now_us - available_us), self._runtime.timing.horizon_us)
        self._look_later(entry, now_us + pause_us)

    def _reclaim(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        if (branch.lease_us or 0) > clock.now_us():
            self._look_later(entry, branch.lease_us or 0)
        elif branch.halt is not None:
            self._stops.carry_on(run.run_id)
        else:
            self._note("steps reclaimed", run.run_id, branch.name)
            self._waited(clock.now_us() - (branch.lease_us or 0))
            command = Reclaim(reclaimed_by=self._name, threshold_us=self._runtime.timing.lease_us)
            self._steps.report(HeldAttempt(facts, run, branch), command)

    def _cascade(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        self._note("skips carried on", run.run_id, branch.name)
        self._steps.cascade(facts, run, branch)

    def _look_later(self, entry: due.Entry, due_us: int) -> None:
        if entry.due_us != _UNSEEN:
            due.look_later(self._runtime.ledger.table, entry, due_us)

    def _look_no_more(self, entry: due.Entry) -> None:
        if entry.due_us != _UNSEEN:
            due.look_no_more(self._runtime.ledger.table, entry)

    def _waited(self, us: int) -> None:
        """Note how long a step has waited for a worker."""
        self._oldest_us = max(self._oldest_us, us)

    def _note(self, what: str, run_id: str, branch: str = "", error: Exception | None = None) -> None:
        self._done[what] += 1
        _log.info("%s: run %s %s %s", what, run_id, branch, error or "")


def _is_at_work(branch: Branch) -> bool:
    """Whether a worker holds the branch that may still be alive: it makes what the branch owes itself."""
    return branch.status == "running" and (branch.lease_us or 0) > clock.now_us()
