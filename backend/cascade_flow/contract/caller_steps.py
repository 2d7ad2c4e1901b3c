"""What somebody else's engine says of the steps of its runs, as a part of the contract.

Where this project's engine drives the run, it does these things itself, and all of them raise EngineDrivenError.
Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cascade_flow.contract.argument_checks import checked
from cascade_flow.model.events import ResourceUsage, StepError
from cascade_flow.operations.caller_steps import CallerSteps
from cascade_flow.operations.outputs import output_path
from cascade_flow.operations.runtime import Runtime


@checked
class StepsByCallers:
    """The steps of runs that a caller drives."""

    runtime: Runtime
    _caller_steps: CallerSteps

    def save_step_scheduled(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        *,
        available_at_us: int,
        reason: Literal["initial", "retry", "dependency-satisfied"],
        attempt_number: int,
        retry_delay_ms: int | None = None,
        priority: int | None = None,
    ) -> None:
        """An attempt may be claimed. Said again, it is stored again, and the attempt is nobody's again.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_steps.scheduled(
            workflow_slug,
            run_id,
            step_id,
            available_at_us=available_at_us,
            reason=reason,
            attempt_number=attempt_number,
            retry_delay_ms=retry_delay_ms,
            priority=priority,
        )

    def save_step_start(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        worker_id: str,
        *,
        dependencies: Sequence[str],
        slot_index: int | None = None,
        worker_concurrency: int | None = None,
    ) -> None:
        """A worker has begun the attempt that follows the earlier starts; said again, it has begun another.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_steps.started(
            workflow_slug,
            run_id,
            step_id,
            worker_id=worker_id,
            dependencies=list(dependencies),
            slot_index=slot_index,
            worker_concurrency=worker_concurrency,
        )

    def save_step_failed_and_schedule_retry(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        error: StepError,
        *,
        duration_us: int,
        attempt_number: int,
        next_retry_at_us: int,
        failure_reason: Literal["execution-error", "timeout"],
        available_at_us: int,
        next_attempt_number: int,
        retry_delay_ms: int,
        max_retries: int | None = None,
        total_policies: int | None = None,
        policy_index: int | None = None,
        attempt_in_policy: int | None = None,
        priority: int | None = None,
        resource_usage: ResourceUsage | None = None,
    ) -> None:
        """StepFailed, StepRetrying and StepScheduled, all three or none.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), StaleAttemptError (the
        attempt is not held), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_steps.failed_and_retried(
            (workflow_slug, run_id, step_id),
            error,
            failed={
                "duration_us": duration_us,
                "attempt_number": attempt_number,
                "next_retry_at_us": next_retry_at_us,
                "failure_reason": failure_reason,
                "resource_usage": resource_usage,
            },
            scheduled={
                "available_at_us": available_at_us,
                "attempt_number": next_attempt_number,
                "retry_delay_ms": retry_delay_ms,
                "priority": priority,
            },
            limits={"max_retries": max_retries, "total_policies": total_policies},
            policy={"policy_index": policy_index, "attempt_in_policy": attempt_in_policy},
        )

    def save_step_reclaimed(
        self,
        workflow_slug: str,
        run_id: str,
        step_id: str,
        *,
        original_worker_id: str,
        reclaimed_by: str,
        last_heartbeat_us: int,
        stale_threshold_us: int,
        stale_duration_us: int,
        attempt_number: int,
    ) -> None:
        """An attempt was taken from its worker; the next one is the caller's to schedule.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), StaleAttemptError (the
        attempt is not held), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_steps.reclaimed(
            workflow_slug,
            run_id,
            step_id,
            attempt_number=attempt_number,
            original_worker_id=original_worker_id,
            reclaimed_by=reclaimed_by,
            last_heartbeat_us=last_heartbeat_us,
            stale_threshold_us=stale_threshold_us,
            stale_duration_us=stale_duration_us,
        )

    def get_step_output_path(self, workflow_slug: str, run_id: str, step_id: str, attempt_number: int) -> str:
        """The S3 URI that a large output was offloaded to.

        Raises ConfigurationError (there is no bucket), RunNotFoundError, StepNotFoundError (the attempt has no output
        in S3), InvalidIdError.
        """
        return output_path(self.runtime, workflow_slug, run_id, step_id, attempt_number)
