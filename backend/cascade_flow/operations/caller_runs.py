"""Caller-driven runs as a whole: reserved, submitted, started, ended, tried again, as somebody else's engine says.

Also the two questions that are asked of runs of both drivers: which workflows are active, and an event that changes no
state on a run that the engine drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.engine.caller import Draft, Known, draft, must_go_on
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.errors import ConflictError, RunNotCancellableError
from cascade_flow.model.events import (
    RunSubmitted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.operations.caller import Caller, Subject
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.unreadable import readable

_TAKEN = "the id is taken by submit_run, which submits and starts a run in one: choose another id"
_INSTEAD: dict[type[WorkflowEvent], str] = {
    RunSubmitted: _TAKEN,
    WorkflowStarted: "it starts a run itself when the run is due",
    WorkflowCompleted: "it completes a run itself with the last of its steps",
    WorkflowFailed: "it fails a run itself when a step fails for good",
    WorkflowCancelled: "cancel it with cancel_run",
    WorkflowResumed: "let resume_run make a new run that keeps the completed steps",
    WorkflowRetryStarted: "let retry_run try the run again",
}
_ENDS = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
_MAKES = (RunSubmitted, WorkflowStarted, WorkflowResumed)
_UNTIL_IT_ENDS = (WorkflowStarted, *_ENDS)


class CallerRuns:
    """The caller-driven runs of one table."""

    def __init__(self, runtime: Runtime, caller: Caller) -> None:
        self._runtime = runtime
        self._caller = caller

    def initialize(self, slug: str, run_id: str) -> None:
        """Reserve a run's id; doing it again changes nothing.

        Raises EngineDrivenError and RunNotFoundError where the id belongs to another run, InvalidIdError.
        """
        self._caller.reserve(Subject(slug, run_id, instead=_TAKEN, makes=True))

    def tell(self, slug: str, run_id: str, kind: type[WorkflowEvent], **told: Any) -> None:
        """An event of the run. Raises EngineDrivenError; StaleAttemptError where the run has ended already."""
        place = Subject(
            slug,
            run_id,
            instead=_INSTEAD.get(kind, "append_event takes what changes no state"),
            makes=issubclass(kind, _MAKES),
            live=issubclass(kind, _UNTIL_IT_ENDS),
            whole=issubclass(kind, _ENDS),
        )
        self._caller.say(place, [draft(kind, **told)], must_go_on if place.live else _whatever)

    def submitted(self, slug: str, run_id: str, **told: Any) -> None:
        """The run exists from now on. Raises EngineDrivenError; ConflictError where it was submitted before."""

        def judge(known_run: Known) -> Sequence[Draft]:
            if known_run.run is not None and known_run.run.status != "reserved":
                raise ConflictError(f"run {run_id!r} was submitted already: choose another id")
            return [draft(RunSubmitted, **told)]

        self._caller.tell(Subject(slug, run_id, instead=_TAKEN, makes=True), judge)

    def cancel(self, run: Run, reason: str | None) -> None:
        """Cancel a run in one write; nothing of it can be claimed after it. Raises RunNotCancellableError."""

        def judge(known_run: Known) -> Sequence[Draft]:
            now = known_run.run or run
            if now.status in ENDED:
                over = f"run {run.run_id!r} has {now.status} already: there is nothing to cancel"
                raise RunNotCancellableError(over, run_id=run.run_id, status=now.status)
            return [_cancelled(known_run, now, reason)]

        self._caller.tell(Subject(run.workflow_slug, run.run_id, live=True, whole=True), judge)

    def active(self) -> list[str]:
        """The workflows, of both drivers, with a run that has not ended; in the order of their slugs."""
        ids = {entry.run_id for entry in due.live(self._runtime.ledger.table) if not entry.branch}
        found = readable(self._runtime.ledger.runs, list(ids))
        return sorted({run.workflow_slug for run in found if run.status not in ENDED})


def _whatever(known_run: Known) -> None:
    """A fence that lets everything pass."""


def _cancelled(known_run: Known, run: Run, reason: str | None) -> Draft:
    completed = sum(step.state.status == "completed" for step in known_run.steps.values())
    return draft(
        WorkflowCancelled,
        workflow_attempt_number=run.run_attempt,
        reason=reason,
        duration_us=max(0, clock.now_us() - run.created_us),
        completed_steps=completed,
    )
