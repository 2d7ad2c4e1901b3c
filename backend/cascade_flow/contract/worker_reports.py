"""What workers say of the attempts that they hold, on runs of either driver, as a part of the contract.

Where this project's engine drives the run, the consequences of a report are in the same commit; where a caller does,
the report is just the event. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cascade_flow.contract.argument_checks import checked
from cascade_flow.engine.commands import FailureReason
from cascade_flow.model.events import LogEntry, ResourceSnapshot, ResourceUsage, StepError
from cascade_flow.model.states import Checkpoint, Claim
from cascade_flow.operations import reports
from cascade_flow.operations.reports import Reports
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import Slot
from cascade_flow.serialization import safe_serialize


@checked
class WorkerReports:
    """Claims, heartbeats and what came of attempts."""

    runtime: Runtime
    _reports: Reports

    def is_step_claimable(self, workflow_slug: str, run_id: str, step_id: str) -> bool:
        """Whether a step is scheduled and due.

        Raises RunNotFoundError, StepNotFoundError (the graph has none such), InvalidIdError.
        """
        return self._reports.claimable(workflow_slug, run_id, step_id)

    def claim_scheduled_step(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        worker_id: str,
        *,
        dependencies: Sequence[str] = (),
        slot_index: int | None = None,
        worker_concurrency: int | None = None,
    ) -> Claim | None:
        """Take a scheduled attempt; of all who try exactly one gets it, the rest get None.

        Who has lost the answer to a claim gets None for another one: the attempt is reclaimed when it falls silent.

        Raises RunNotFoundError, StepNotFoundError (the graph has none such), InvalidIdError, EventInvalidError (a value
        that no event holds).
        """
        return self._reports.claim(
            workflow_slug,
            run_id,
            step_id,
            worker_id,
            dependencies=dependencies,
            slot=Slot(slot_index, worker_concurrency),
        )

    def save_step_heartbeat(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        worker_id: str,
        attempt_number: int,
        *,
        slot_index: int | None = None,
        worker_concurrency: int | None = None,
        resource_snapshot: ResourceSnapshot | None = None,
    ) -> None:
        """Prolong the lease of an attempt. Said again, it is another heartbeat.

        Raises StaleAttemptError (the attempt is not held, or another worker's), RunNotFoundError, StepNotFoundError
        (the graph has none such), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._reports.heartbeat(
            workflow_slug,
            run_id,
            step_id,
            reports.beat(
                step_id,
                worker_id,
                attempt_number,
                slot=Slot(slot_index, worker_concurrency),
                resource_snapshot=resource_snapshot,
            ),
        )

    def save_step_complete(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        output: Any,
        *,
        duration_us: int,
        attempt_number: int,
        logs: Sequence[LogEntry] = (),
        export_output: bool = False,
        resource_usage: ResourceUsage | None = None,
    ) -> None:
        """Report that an attempt completed.

        Raises StaleAttemptError (the attempt is not held), RunNotFoundError, StepNotFoundError (the graph has none
        such), InvalidIdError, EventInvalidError (a value that no event holds), PayloadTooLargeError,
        ArgumentInvalidError (a batch of a map's items gives no list of so many results).
        """
        self._reports.report(
            workflow_slug,
            run_id,
            step_id,
            reports.completion(
                step_id,
                attempt_number,
                safe_serialize(output),
                duration_us=duration_us,
                export_output=export_output,
                usage=resource_usage,
            ),
            logs=logs,
        )

    def save_step_failed(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        error: StepError,
        *,
        duration_us: int,
        attempt_number: int,
        terminal: bool,
        failure_reason: FailureReason,
        next_retry_at_us: int | None = None,
        resource_usage: ResourceUsage | None = None,
    ) -> None:
        """Report that an attempt failed; where the engine drives, the step's policy decides unless it is terminal.

        A failure for good may also be said of an attempt that is scheduled and that nobody has begun.

        Raises StaleAttemptError (the attempt is not held), RunNotFoundError, StepNotFoundError (the graph has none
        such), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._reports.report(
            workflow_slug,
            run_id,
            step_id,
            reports.failure(
                step_id,
                attempt_number,
                error,
                duration_us=duration_us,
                terminal=terminal,
                reason=failure_reason,
                next_retry_at_us=next_retry_at_us,
                usage=resource_usage,
                chance=self.runtime.chance(),
            ),
        )

    def save_step_skipped(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        *,
        skip_type: Literal["primary", "cascade"],
        reason: str,
        duration_us: int,
        attempt_number: int,
        metadata: Mapping[str, Any] | None = None,
        cascaded_from: str | None = None,
    ) -> None:
        """Report that a step has nothing to do; where the engine drives, it skips what depends on it.

        It may also be said of an attempt that is scheduled and that nobody has begun.

        Raises StaleAttemptError (the attempt is neither held nor scheduled), RunNotFoundError, StepNotFoundError (the
        graph has none such), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._reports.report(
            workflow_slug,
            run_id,
            step_id,
            reports.skip(
                step_id,
                attempt_number,
                reason=reason,
                duration_us=duration_us,
                metadata=metadata,
                skip_type=skip_type,
                cascaded_from=cascaded_from,
            ),
        )

    def save_step_checkpoint(self, workflow_slug: str, run_id: str, step_id: str, checkpoint: Checkpoint) -> None:
        """Store a part of a running step's work. Said again, it is stored again.

        Raises StaleAttemptError (the attempt is not held), RunNotFoundError, StepNotFoundError (the graph has none
        such), InvalidIdError, PayloadTooLargeError.
        """
        self._reports.report(workflow_slug, run_id, step_id, reports.checkpoint(step_id, checkpoint))

    def save_step_checkpoint_failed(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        *,
        name: str,
        sequence_number: int,
        attempt_number: int,
        error: StepError,
    ) -> None:
        """Record that a part of a running step's work failed. Said again, it is stored again.

        Raises StaleAttemptError (the attempt is not held), RunNotFoundError, StepNotFoundError (the graph has none
        such), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._reports.report(
            workflow_slug,
            run_id,
            step_id,
            reports.checkpoint_failure(
                step_id, attempt_number, name=name, sequence_number=sequence_number, error=error
            ),
        )

    def save_step_logs(self, workflow_slug: str, run_id: str, step_id: str, logs: Sequence[LogEntry]) -> None:
        """Store log lines, so that a running step can be followed; the same lines again change nothing.

        Raises RunNotFoundError, StepNotFoundError (the graph has none such), InvalidIdError, EventInvalidError (a time
        that is none).
        """
        self._reports.logs(workflow_slug, run_id, step_id, logs)
