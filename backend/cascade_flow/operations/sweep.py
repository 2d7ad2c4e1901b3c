"""The sweep: looks at everything that is past due and does what somebody should have done (protocol.md §8).

It is safe to run twice at once and to die at any point: what it finds is read again, and every write is conditional.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from itertools import takewhile

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.commands import Reclaim
from cascade_flow.engine.joins import is_full
from cascade_flow.engine.state import ENDED, Branch, Facts, Run
from cascade_flow.errors import GoneError, PayloadLostError, TransientError
from cascade_flow.operations.after_commit import AfterCommit, wake_for
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.stops import Stops

_log = logging.getLogger(__name__)


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

    def sweep(self, *, until_us: int) -> Mapping[str, int]:
        """Act on what is past due, oldest first, until `until_us`; answers how often what was done."""
        self._done = Counter()
        found = due.entries(self._runtime.ledger.table, until_us=clock.now_us())
        for entry in takewhile(lambda _: clock.now_us() < until_us, found):
            self._done["looked at"] += 1
            self._attend_safely(entry)
        return dict(self._done)

    def attend(self, run_id: str, branch: str) -> None:
        """Look at one branch, or at a run (no branch), whatever the index says."""
        if branch:
            self._attend_branch(run_id, branch, 0)
        else:
            self._attend_run(run_id, 0)

    def _attend_safely(self, entry: due.Entry) -> None:
        """One entry that can't be dealt with now must not keep the others waiting."""
        try:
            if entry.branch:
                self._attend_branch(entry.run_id, entry.branch, entry.due_us)
            else:
                self._attend_run(entry.run_id, entry.due_us)
        except PayloadLostError:
            self._note_failure(entry)
        except (TransientError, GoneError, BranchRefused, RunRefused) as error:
            self._note("left for later", entry.run_id, entry.branch, error)
        except Exception:  # noqa: BLE001  one item that nobody foresaw must not end the sweep of all
            self._note_failure(entry)

    def _note_failure(self, entry: due.Entry) -> None:
        """Say, with the error that is being handled, that no later sweep will do better."""
        _log.exception("run %s, branch %r can't be attended to", entry.run_id, entry.branch)
        self._done["failed"] += 1

    def _attend_run(self, run_id: str, seen_us: int) -> None:
        run = self._runtime.ledger.run(run_id)
        if run is None or run.status in ENDED:
            return
        run = self._move_run(run)
        if run.status not in ENDED:
            self._look_later(run_id, "", seen_us, self._next_look_us(run))

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

    def _attend_branch(self, run_id: str, name: str, seen_us: int) -> None:
        branch = self._runtime.ledger.branch(run_id, name)
        if branch is None:
            return
        if branch.halt == "stop" or (not branch.live and branch.status != "open"):
            self._look_no_more(run_id, name, seen_us)
            return
        run = self._runtime.ledger.run(run_id)
        if run is None or run.status in ENDED:
            self._look_no_more(run_id, name, seen_us)
            return
        self._move_branch(self._runtime.facts(run), run, branch, seen_us)

    def _move_branch(self, facts: Facts, run: Run, branch: Branch, seen_us: int) -> None:
        if branch.owed is not None and not _is_at_work(branch):
            self._note("debts paid", run.run_id, branch.name)
            branch = self._after_commit.make_owed(facts, branch)
        moves = {"open": self._join, "scheduled": self._wake, "running": self._reclaim, "skipping": self._cascade}
        if (move := moves.get(branch.status)) is not None:
            move(facts, run, branch, seen_us)

    def _join(self, facts: Facts, run: Run, branch: Branch, seen_us: int) -> None:
        if is_full(facts.graph, branch) and self._after_commit.open_join(facts, branch):
            self._note("joins opened", run.run_id, branch.name)
            return
        self._look_later(run.run_id, branch.name, seen_us, clock.now_us() + self._runtime.timing.grace_us)

    def _wake(self, facts: Facts, run: Run, branch: Branch, seen_us: int) -> None:
        """Wake again; the longer it waits already (a long queue, a dead one), the rarer."""
        available_us, now_us = branch.available_at_us or 0, clock.now_us()
        if available_us > now_us:
            self._look_later(run.run_id, branch.name, seen_us, available_us)
            return
        self._note("wake-ups repeated", run.run_id, branch.name)
        self._runtime.queue.send([wake_for(run.run_id, branch)])
        pause_us = min(max(self._runtime.timing.grace_us, now_us - available_us), self._runtime.timing.horizon_us)
        self._look_later(run.run_id, branch.name, seen_us, now_us + pause_us)

    def _reclaim(self, facts: Facts, run: Run, branch: Branch, seen_us: int) -> None:
        if (branch.lease_us or 0) > clock.now_us():
            self._look_later(run.run_id, branch.name, seen_us, branch.lease_us or 0)
        elif branch.halt is not None:
            self._stops.carry_on(run.run_id)
        else:
            self._note("steps reclaimed", run.run_id, branch.name)
            command = Reclaim(reclaimed_by=self._name, threshold_us=self._runtime.timing.lease_us)
            self._steps.report(HeldAttempt(facts, run, branch), command)

    def _cascade(self, facts: Facts, run: Run, branch: Branch, seen_us: int) -> None:
        self._note("skips carried on", run.run_id, branch.name)
        self._steps.cascade(facts, run, branch)

    def _look_later(self, run_id: str, branch: str, seen_us: int, due_us: int) -> None:
        if seen_us:
            self._runtime.ledger.look_later(run_id, branch, seen_us, due_us)

    def _look_no_more(self, run_id: str, branch: str, seen_us: int) -> None:
        if seen_us:
            self._runtime.ledger.look_no_more(run_id, branch, seen_us)

    def _note(self, what: str, run_id: str, branch: str = "", error: Exception | None = None) -> None:
        self._done[what] += 1
        _log.info("%s: run %s %s %s", what, run_id, branch, error or "")


def _is_at_work(branch: Branch) -> bool:
    """Whether a worker holds the branch that may still be alive: it makes what the branch owes itself."""
    return branch.status == "running" and (branch.lease_us or 0) > clock.now_us()
