"""Tries a failed or cancelled run again: the same run, its next attempt (protocol.md §7).

The run is put under way first, with the note that its branches are to be revived; then branch by branch, each under
the condition that the run still goes on. Whoever dies between leaves the note to the sweep.
"""

from __future__ import annotations

from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.runs import latest_end_us, started_again
from cascade_flow.engine.state import Branch, Facts, Run
from cascade_flow.errors import ConflictError, RunNotRetryableError, StaleAttemptError
from cascade_flow.graph import is_event
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.undone_below import undone_below
from cascade_flow.records import replace

_ROUNDS = 5


class Retries:
    """Runs that are tried again."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._steps = Steps(runtime)
        self._after_commit = AfterCommit(runtime)

    def retry(self, run_id: str, reason: str | None) -> Run:
        """Begin the run's next attempt. Raises RunNotFoundError, RunNotRetryableError, ConflictError."""
        run = self._runtime.submitted(run_id)
        if run.driver == "caller":
            raise RunNotRetryableError(
                f"run {run_id!r} is driven by its caller, who alone knows what is to be done again: let "
                "save_workflow_retry_started begin its next attempt, or resume_run make a new run, the engine's",
                run_id=run_id,
                status=run.status,
            )
        self._runtime.nobodys_child(run, RunNotRetryableError)
        if run.status not in ("failed", "cancelled"):
            state = f"run {run_id!r} is {run.status}: only a failed or cancelled run is tried again"
            raise RunNotRetryableError(state, run_id=run_id, status=run.status)
        if run.undone_by is not None:
            undone = f"what it had done is undone by run {run.undone_by!r}"
            raise _final(run, f"{undone}. Where that has failed, retry that one")
        if undone_below(self._runtime, run, run.run_id):
            raise _final(run, "a run of a sub-workflow of it has undone what that had done")
        try:
            return self.revive(self._start(run, reason))
        except RunRefused:
            raise ConflictError(f"run {run_id!r} is being tried again by somebody else", run_id=run_id) from None

    def revive(self, run: Run) -> Run:
        """Let every branch go on that the run's end had stopped; safe to be done twice, and by two at once."""
        facts = self._runtime.facts(run)
        for _ in range(_ROUNDS):
            left = [b for b in self._runtime.ledger.branches(run.run_id).values() if _waits(run, b)]
            if not left:
                break
            for branch in left:
                self._revive(facts, run, branch)
        else:  # others are quicker each time: the note stays, for the sweep
            return self._runtime.run(run.run_id)
        if run.owed is not None:
            run = self._after_commit.make_owed_roots(facts, run)
        self._runtime.run_ledger.revived(run)
        return self._runtime.run(run.run_id)

    def _start(self, run: Run, reason: str | None) -> Run:
        retried = [b.step for b in self._runtime.ledger.branches(run.run_id).values() if b.status == "failed" or b.halt]
        facts = replace(self._runtime.facts(run), run_attempt=run.run_attempt + 1)
        if latest_end_us(facts, run) <= clock.now_us():
            raise RunNotRetryableError(
                f"what is stored of run {run.run_id!r} expires too soon for another attempt: let resume_run make a new "
                "run that keeps what it has completed",
                run_id=run.run_id,
                status=run.status,
            )
        facts = self._with_place(facts)
        again = started_again(facts, run, retried, reason, now_us=clock.now_us())
        started = self._runtime.run_ledger.try_again(run, again.run, again.events)
        self._runtime.observer.committed(again.events)
        return started

    def _with_place(self, facts: Facts) -> Facts:
        """Where only so many runs of the workflow go on at once, this one counts if there is room."""
        if facts.limit is None:
            return facts
        from cascade_flow.operations.run_places import RunPlaces  # noqa: PLC0415  (few workflows have such a limit)

        return RunPlaces(self._runtime).again(facts)

    def _revive(self, facts: Facts, run: Run, branch: Branch) -> None:
        with suppress(StaleAttemptError, BranchRefused, ConflictError):
            self._steps.revive(facts, run, branch)
            if branch.status == "open" or is_event(facts.graph, branch.step):
                self._after_commit.look_at_join(facts, branch.name)


def _final(run: Run, why: str) -> RunNotRetryableError:
    """What is undone is over for good."""
    cure = "rerun or resume it, which makes a new run"
    return RunNotRetryableError(
        f"run {run.run_id!r} is {run.status} for good: {why}; {cure}", run_id=run.run_id, status=run.status
    )


def _waits(run: Run, branch: Branch) -> bool:
    stopped = branch.halt is not None or branch.status in ("failed", "parked", "open")
    return stopped and branch.run_attempt < run.run_attempt
