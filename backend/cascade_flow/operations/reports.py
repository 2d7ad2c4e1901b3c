"""Reports of workers that are no part of the engine: they name run, step and attempt, and say what came of it.

The run's driver decides who takes a report: the engine, as a command with consequences, or the log of a caller, as the
event that it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from cascade_flow import clock
from cascade_flow.engine.caller import Draft, Known, draft, placed
from cascade_flow.engine.commands import Command, Complete, Fail, FailureReason, KeepCheckpoint, Postpone, SkipStep
from cascade_flow.engine.repeats import DECIDED, repeat_of
from cascade_flow.engine.state import Run
from cascade_flow.engine.waits import line_of
from cascade_flow.errors import StaleAttemptError
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    LogEntry,
    ResourceUsage,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.ids import check_step_id
from cascade_flow.model.states import Checkpoint, Claim
from cascade_flow.operations.caller_steps import CallerSteps
from cascade_flow.operations.history import Histories
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class Report:
    """What came of an attempt: what the engine makes of it, and what a caller's log holds.

    `without_work`: it may be said of an attempt that nobody has begun.
    """

    command: Command
    event: Draft
    without_work: bool = False


class Reports:
    """What a worker outside of the engine may say."""

    def __init__(self, runtime: Runtime, callers: CallerSteps) -> None:
        self._runtime = runtime
        self._steps = Steps(runtime)
        self._callers = callers
        self._logs = Logs(runtime)
        self._histories = Histories(runtime)

    def claim(
        self, slug: str, run_id: str, step_id: str, worker_id: str, *, dependencies: Sequence[str], slot: Slot
    ) -> Claim | None:
        """Take the scheduled attempt of a step; raises RunNotFoundError, StepNotFoundError, EventInvalidError."""
        run = self._runtime.run_of(slug, run_id)
        told = {"worker_id": worker_id, "dependencies": list(dependencies), **_place(slot)}
        if run.driver == "caller":
            return self._callers.claim(run, check_step_id(step_id), **told)
        _check(run, draft(StepStarted, step_id=step_id, attempt_number=1, **told))
        held = self._steps.claim_step(run, check_step_id(step_id), worker_id, slot=slot)
        return None if held is None else Claim(attempt_number=held.branch.attempt)

    def claimable(self, slug: str, run_id: str, step_id: str) -> bool:
        """Whether a step is scheduled and due; raises RunNotFoundError, StepNotFoundError."""
        run = self._runtime.run_of(slug, run_id)
        if run.driver == "caller":
            return self._callers.claimable(run, step_id)
        branch = self._runtime.ledger.branch(run_id, self._runtime.facts(run).graph.branch_of(step_id))
        if branch is None or branch.step != step_id or branch.status != "scheduled" or branch.halt:
            return False
        return (branch.available_at_us or 0) <= clock.now_us()

    def heartbeat(self, slug: str, run_id: str, step_id: str, beat: Draft) -> None:
        """Prolong a lease; raises StaleAttemptError."""
        run = self._runtime.run_of(slug, run_id)
        if run.driver == "caller":
            self._callers.heartbeat(run, check_step_id(step_id), beat)
            return
        _check(run, beat)
        worker, attempt = beat.fields["worker_id"], beat.fields["attempt_number"]
        held = self._steps.holding(run, check_step_id(step_id), worker, attempt)
        self._steps.heartbeat(held, snapshot=beat.fields["resource_snapshot"])

    def report(self, slug: str, run_id: str, step_id: str, report: Report, *, logs: Sequence[LogEntry] = ()) -> None:
        """Commit what came of an attempt; raises StaleAttemptError, ArgumentInvalidError (not a batch's results)."""
        run = self._runtime.run_of(slug, run_id)
        if run.driver == "caller":
            self._callers.must_take(run, check_step_id(step_id), report.event, without_work=report.without_work)
            self._store(run, step_id, logs)
            self._callers.report(run, step_id, report.event, without_work=report.without_work)
            return
        try:
            self._commit(run, check_step_id(step_id), report, logs)
        except StaleAttemptError as error:
            story = self._histories.story(run.run_id)
            raise repeat_of(error, [report.event], story.events if story else (), besides=DECIDED) from None

    def _commit(self, run: Run, step_id: str, report: Report, logs: Sequence[LogEntry]) -> None:
        attempt = report.event.fields["attempt_number"]
        if report.without_work:
            self._steps.report_without_work(run, step_id, attempt, report.command)
            return
        held = self._steps.holding(run, step_id, None, attempt)
        check_results(self._runtime, held, report.command)
        self._store(run, step_id, logs)
        self._steps.report(held, report.command)

    def logs(self, slug: str, run_id: str, step_id: str, logs: Sequence[LogEntry]) -> None:
        """Store log lines; raises RunNotFoundError, StepNotFoundError."""
        run = self._runtime.run_of(slug, run_id)
        if run.driver == "engine":
            self._runtime.facts(run).graph.step(check_step_id(step_id))
        elif run.status == "reserved":
            self._callers.speak(run)
        self._store(run, check_step_id(step_id), logs)

    def _store(self, run: Run, step_id: str, logs: Sequence[LogEntry]) -> None:
        for attempt, lines in groupby(logs, key=lambda line: line.attempt_number):
            self._logs.store(run, step_id, attempt, [(line.timestamp_us, line.stream, line.message) for line in lines])


def check_results(runtime: Runtime, held: HeldAttempt, command: Command) -> None:
    """Whether what somebody else's worker returned is what the step is to give; raises ArgumentInvalidError."""
    if isinstance(command, Complete) and held.facts.up is not None and held.facts.up.is_item:
        from cascade_flow.operations.item_inputs import check_batch  # noqa: PLC0415  (most steps are no map's)

        check_batch(runtime, held.run, command.output)


def beat(step_id: str, worker_id: str, attempt: int, *, slot: Slot, **told: Any) -> Draft:
    """The worker still holds the attempt."""
    return draft(StepHeartbeat, step_id=step_id, worker_id=worker_id, attempt_number=attempt, **_place(slot), **told)


def completion(
    step_id: str, attempt: int, output: str, *, duration_us: int, export_output: bool, usage: ResourceUsage | None
) -> Report:
    """The attempt succeeded; `output` is JSON text."""
    told = {"step_id": step_id, "attempt_number": attempt, "output": output, "duration_us": duration_us}
    event = draft(StepCompleted, **told, export_output=export_output, resource_usage=usage)
    return Report(Complete(output, duration_us, usage), event)


def failure(
    step_id: str,
    attempt: int,
    error: StepError,
    *,
    duration_us: int,
    terminal: bool,
    reason: FailureReason,
    next_retry_at_us: int | None,
    usage: ResourceUsage | None,
    chance: float,
) -> Report:
    """The attempt failed; the engine's policy decides on a retry unless it is terminal."""
    event = draft(
        StepFailed,
        step_id=step_id,
        attempt_number=attempt,
        error=error,
        error_fingerprints=compute_error_fingerprints(error),
        duration_us=duration_us,
        terminal=terminal,
        next_retry_at_us=next_retry_at_us,
        failure_reason=reason,
        resource_usage=usage,
    )
    return Report(Fail(error, reason, duration_us, not terminal, chance, usage), event, without_work=terminal)


def skip(
    step_id: str, attempt: int, *, reason: str, duration_us: int, metadata: Mapping[str, Any] | None, **told: Any
) -> Report:
    """There is nothing to do; the engine skips what depends on it."""
    kept = None if metadata is None else dict(metadata)
    said = {"step_id": step_id, "attempt_number": attempt, "reason": reason, "duration_us": duration_us}
    event = draft(StepSkipped, **said, metadata=kept, **told)
    return Report(SkipStep(reason, duration_us, metadata), event, without_work=True)


def postponement(step_id: str, attempt: int, reason: str, *, at_us: int | None, delay_us: int | None) -> Report:
    """The step isn't ready; the line that says so is what a log holds of it."""
    event = draft(LogEntry, step_id=step_id, attempt_number=attempt, stream="stdout", message=line_of(reason))
    return Report(Postpone(reason, 0, at_us, delay_us), event)


def checkpoint(step_id: str, kept: Checkpoint) -> Report:
    """A part of the work is done."""
    command = KeepCheckpoint(
        kept.name, kept.sequence_number, kept.data, label=kept.label, parent=kept.parent_checkpoint
    )
    told = {name: getattr(kept, name) for name in Checkpoint.model_fields}
    return Report(command, draft(StepCheckpoint, step_id=step_id, **told))


def checkpoint_failure(step_id: str, attempt: int, *, name: str, sequence_number: int, error: StepError) -> Report:
    """A part of the work failed."""
    told = {"step_id": step_id, "name": name, "sequence_number": sequence_number, "error": error}
    event = draft(StepCheckpointFailed, attempt_number=attempt, **told)
    return Report(KeepCheckpoint(name, sequence_number, error=error), event)


def _check(run: Run, said: Draft) -> None:
    """Raises EventInvalidError for what rides as plain attributes, and would be found out only by its readers."""
    placed(Known(run.workflow_slug, run.run_id, run), [said], now_us=run.created_us, taken=frozenset())


def _place(slot: Slot) -> dict[str, int | None]:
    return {"slot_index": slot.index, "worker_concurrency": slot.concurrency}
