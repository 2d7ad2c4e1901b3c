"""What a worker elsewhere says of the attempt that it holds, and how it ended, on runs that the engine drives.

It names run, step, attempt and itself; what it holds is read first, and its words count under that fence. Who says the
same again, since the answer was lost, is answered the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb.codec import Record
from cascade_flow.dynamodb.items import LogLine
from cascade_flow.engine.commands import (
    Command,
    Complete,
    Fail,
    FailureReason,
    KeepCheckpoint,
    Postpone,
    Reclaim,
    SkipStep,
)
from cascade_flow.engine.decide import GAVE_UP
from cascade_flow.engine.repeats import DECIDED, repeat_of
from cascade_flow.engine.state import Branch, Claimant
from cascade_flow.errors import ArgumentInvalidError, StaleAttemptError
from cascade_flow.model.events import (
    Event,
    LogEntry,
    ResourceUsage,
    StepCompleted,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.ids import check_run_id, check_step_id
from cascade_flow.model.parts import StepError
from cascade_flow.model.states import StepStatus
from cascade_flow.operations import reports
from cascade_flow.operations.history import Histories, RunHistory
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.reports import Report
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.records import dataclass, replace

_ROUNDS = 3
_MEASURED = frozenset({"duration_us", "resource_usage"})
"""What need not be the same when it is said again."""


@dataclass(frozen=True)
class Attempt:
    """An attempt of a step, and the worker that says it holds it."""

    run_id: str
    step_id: str
    worker_id: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How the work went: how long it took, what it used, and the time of its newest log line."""

    duration_us: int | None = None
    usage: ResourceUsage | None = None
    told_us: int = 0


@dataclass(frozen=True)
class Outcome:
    """Where a report leaves the step; when it is tried again, if it is; and the attempt that its worker holds then."""

    status: StepStatus
    next_retry_at_us: int | None = None
    next: HeldAttempt | None = None


class WorkerOutcomes:
    """Log lines, checkpoints and ends of attempts. StaleAttemptError: the attempt is held no more."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._steps = Steps(runtime)
        self._logs = Logs(runtime)
        self._histories = Histories(runtime)

    def log(self, attempt: Attempt, lines: Sequence[LogLine]) -> None:
        """Store lines; the same lines again change nothing."""
        held = self._holding(attempt)
        self._logs.store(held.run, attempt.step_id, attempt.number, lines)

    def keep_checkpoint(self, attempt: Attempt, kept: KeepCheckpoint) -> None:
        """Store a part of the work, or that it failed. Said again, it may be stored again, which harms nobody."""
        held = self._holding(attempt)
        if not any(_is_of(record, held.branch, kept) for record in held.branch.tail):
            self._steps.report(held, kept)

    def complete(
        self, attempt: Attempt, output: str, measures: Measures, *, claims_next: Slot | None = None
    ) -> Outcome:
        """The step returned (JSON text). Who `claims_next` holds the branch's next step too, if it may.

        Raises ArgumentInvalidError where it is a batch's, and no list of its items' results.
        """
        report = reports.completion(
            attempt.step_id, attempt.number, output, duration_us=0, export_output=False, usage=measures.usage
        )
        return self._end(attempt, report, measures, claims_next)

    def fail(
        self, attempt: Attempt, error: StepError, measures: Measures, *, reason: FailureReason, is_retryable: bool
    ) -> Outcome:
        """The step failed: its policy says whether it is tried again, unless that is of no use."""
        report = reports.failure(
            attempt.step_id,
            attempt.number,
            error,
            duration_us=0,
            terminal=not is_retryable,
            reason=reason,
            next_retry_at_us=None,
            usage=measures.usage,
            chance=self._runtime.chance(),
        )
        return self._end(attempt, report, measures)

    def skip(self, attempt: Attempt, reason: str, metadata: Mapping[str, Any] | None, measures: Measures) -> Outcome:
        """There is nothing to do."""
        report = reports.skip(
            attempt.step_id, attempt.number, reason=reason, duration_us=0, metadata=metadata, skip_type="primary"
        )
        return self._end(attempt, report, measures)

    def postpone(
        self, attempt: Attempt, reason: str, measures: Measures, *, at_us: int | None, delay_us: int | None
    ) -> Outcome:
        """The step isn't ready: it comes again, at a time, after a delay, or as it was declared; no policy counts it.

        Raises ArgumentInvalidError where nothing says when.
        """
        report = reports.postponement(attempt.step_id, attempt.number, reason, at_us=at_us, delay_us=delay_us)
        return self._end(attempt, report, measures)

    def let_go(self, attempt: Attempt) -> Outcome:
        """The worker must end: its step is for another at once, as if the lease were over, but that it was no try.

        The worker's own heartbeats may come between: then it is said again.
        """
        for _ in range(_ROUNDS - 1):
            with suppress(StaleAttemptError):
                return self._let_go(attempt)
        return self._let_go(attempt)

    def _let_go(self, attempt: Attempt) -> Outcome:
        try:
            return _tried_again(
                self._steps.report(self._holding(attempt), Reclaim(attempt.worker_id, 0, released=True)).branch
            )
        except StaleAttemptError:
            own = self._own_events(attempt)
            if not any(isinstance(event, StepReclaimed) for event in own):
                raise
            return self._after_release(attempt)

    def _after_release(self, attempt: Attempt) -> Outcome:
        """What was answered first to a release, or a postponement, that is stored."""
        _, following = self._told_of(replace(attempt, number=attempt.number + 1))
        due_us = next((event.available_at_us for event in following if isinstance(event, StepScheduled)), None)
        return Outcome("failed") if due_us is None else Outcome("scheduled", due_us)

    def _end(self, attempt: Attempt, report: Report, measures: Measures, claims_next: Slot | None = None) -> Outcome:
        try:
            held = replace(self._holding(attempt), told_us=measures.told_us)
            _check_time(held, report.command)
            reports.check_results(self._runtime, held, report.command)
            after = self._steps.report(held, self._command(held, report, measures, claims_next))
        except StaleAttemptError as error:
            return self._said_again(attempt, report, error, claims_next)
        outcome = _tried_again(after.branch) if report.event.kind in _AGAIN else Outcome(_STATUS[report.event.kind])
        return replace(outcome, next=self._next(attempt, after.branch if after.running else None))

    def _command(
        self, held: HeldAttempt, report: Report, measures: Measures, claims_next: Slot | None
    ) -> Complete | Fail | SkipStep | Postpone:
        command = report.command
        assert isinstance(command, Complete | Fail | SkipStep | Postpone)
        spent_us = max(0, clock.now_us() - held.started_us) if measures.duration_us is None else measures.duration_us
        command = replace(command, duration_us=spent_us)
        if claims_next is None or isinstance(command, Fail | Postpone):
            return command
        return replace(command, claimant=self._claimant(held, claims_next))

    def _claimant(self, held: HeldAttempt, slot: Slot) -> Claimant | None:
        """The worker, if the branch's next step is for the same workers."""
        graph, worker = held.facts.graph, held.branch.worker
        following = graph.next_in_branch(held.branch.step)
        if (
            worker is None
            or following is None
            or graph.step(following).executor != graph.step(held.branch.step).executor
        ):
            return None
        lease_us, pool = clock.now_us() + self._runtime.timing.lease_us, graph.step(following).executor
        return Claimant(worker, lease_us, slot.index, slot.concurrency, pool=pool)

    def _next(self, attempt: Attempt, branch: Branch | None) -> HeldAttempt | None:
        """What the worker holds on the same branch by now; that it does was said by its own report."""
        if branch is None or (branch.status, branch.worker) != ("running", attempt.worker_id):
            return None
        return self._steps.held_by(attempt.run_id, branch)

    def _said_again(
        self, attempt: Attempt, report: Report, error: StaleAttemptError, claims_next: Slot | None
    ) -> Outcome:
        """What was answered first to words that are stored; the error where others are, or none."""
        own = self._own_events(attempt)
        if report.event.kind is LogEntry and any(isinstance(event, StepFailed) and _gave_up(event) for event in own):
            return Outcome("failed")
        if not repeat_of(error, [report.event], own, besides=DECIDED | _MEASURED).facts.get("stored"):
            raise error
        if report.event.kind is LogEntry:
            return self._after_release(attempt)
        if report.event.kind is not StepFailed:
            branch = self._branch(attempt) if claims_next else None
            return Outcome(_STATUS[report.event.kind], next=self._next(attempt, branch))
        due_us = next(event.next_retry_at_us for event in own if isinstance(event, StepFailed))
        return Outcome("failed") if due_us is None else Outcome("scheduled", due_us)

    def _own_events(self, attempt: Attempt) -> Sequence[Event]:
        """What happened in the attempt, if it was this worker's."""
        story, told = self._told_of(attempt)
        is_own = any(isinstance(event, StepStarted) and event.worker_id == attempt.worker_id for event in told)
        return self._histories.whole(story, told) if story and is_own else []

    def _told_of(self, attempt: Attempt) -> tuple[RunHistory | None, Sequence[Event]]:
        """What happened in the attempt, whosever it was."""
        story = self._histories.outline(attempt.run_id)
        return story, [event for event in story.events if _is_in(attempt, event)] if story else []

    def _holding(self, attempt: Attempt) -> HeldAttempt:
        run = self._runtime.run(check_run_id(attempt.run_id))
        return self._steps.holding(run, check_step_id(attempt.step_id), attempt.worker_id, attempt.number)

    def _branch(self, attempt: Attempt) -> Branch | None:
        graph = self._runtime.facts(self._runtime.run(attempt.run_id)).graph
        return self._runtime.ledger.branch(attempt.run_id, graph.branch_of(attempt.step_id))


_AGAIN = (StepFailed, LogEntry)
"""What is told of an attempt after which another may come."""
_STATUS: Mapping[type[Event], StepStatus] = {StepCompleted: "completed", StepSkipped: "skipped"}


def _check_time(held: HeldAttempt, command: Command) -> None:
    if not isinstance(command, Postpone) or held.facts.graph.step(held.branch.step).poll_every_ms is not None:
        return
    if command.at_us is None and command.delay_us is None:
        raise ArgumentInvalidError(
            f"step {held.branch.step!r} is to come again, and nothing says when: give availableAtUs or delayUs, or "
            "declare how often it asks"
        )


def _gave_up(event: StepFailed) -> bool:
    return event.error.name == GAVE_UP


def _tried_again(branch: Branch) -> Outcome:
    """Where a failure, or a worker's end, has left a step."""
    return Outcome("scheduled", branch.available_at_us) if branch.status == "scheduled" else Outcome("failed")


def _is_in(attempt: Attempt, event: Event) -> bool:
    if event.category != "step":
        return False
    return (event.step_id, event.attempt_number) == (attempt.step_id, attempt.number)


def _is_of(record: Record, branch: Branch, kept: KeepCheckpoint) -> bool:
    """Whether a record is what was said first of this checkpoint."""
    place = (record.get("stepId"), record.get("attemptNumber"), record.get("name"), record.get("sequenceNumber"))
    same = place == (branch.step, branch.attempt, kept.name, kept.sequence_number)
    return same and record.get("data") == kept.data
