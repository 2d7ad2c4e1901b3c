"""What somebody else's engine says of the runs that it drives, as a part of the contract. Nothing is decided here.

Whoever has lost the answer to a call may repeat it. Where a docstring says "said again, it is stored again", the
contract gives the call no key, so that the repetition is a second event. Elsewhere it adds nothing; a StaleAttemptError
whose facts hold `stored` says that the very same was stored before.

All operations here but the first two and `list_active_workflows` are refused with EngineDrivenError on runs that this
project's engine drives, or change no state there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cascade_flow.contract.argument_checks import checked
from cascade_flow.engine.caller import draft
from cascade_flow.model.events import (
    StepError,
    ValidationIssue,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowInputValidation,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.operations.appends import Appends
from cascade_flow.operations.caller_runs import CallerRuns
from cascade_flow.serialization import safe_serialize


@checked
class RunsByCallers:
    """The runs that a caller drives."""

    _caller_runs: CallerRuns
    _appends: Appends

    def initialize_run(self, workflow_slug: str, run_id: str) -> None:
        """Reserve a run's id; doing it again changes nothing.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), InvalidIdError.
        """
        self._caller_runs.initialize(workflow_slug, run_id)

    def save_run_submitted(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        version_id: str,
        available_at_us: int,
        priority: int,
        has_input_schema: bool,
        input: str | None = None,
        timeout_us: int | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> None:
        """The run exists from now on; `input` is JSON text.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), ConflictError (it was
        submitted before), InvalidIdError, EventInvalidError (a value that no event holds), PayloadTooLargeError.
        """
        self._caller_runs.submitted(
            workflow_slug,
            run_id,
            version_id=version_id,
            available_at_us=available_at_us,
            priority=priority,
            has_input_schema=has_input_schema,
            input=input,
            timeout_us=timeout_us,
            idempotency_key=idempotency_key,
            metadata=None if metadata is None else dict(metadata),
            tags=None if tags is None else list(tags),
        )

    def save_workflow_start(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        version_id: str,
        workflow_attempt_number: int,
        has_input_schema: bool,
        has_input: bool,
    ) -> None:
        """The run is under way. Said again, it is stored again.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowStarted,
            version_id=version_id,
            workflow_attempt_number=workflow_attempt_number,
            has_input_schema=has_input_schema,
            has_input=has_input,
        )

    def save_workflow_input_validation(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        workflow_attempt_number: int,
        has_schema: bool,
        success: bool,
        error: StepError | None = None,
        validation_errors: Sequence[ValidationIssue] | None = None,
    ) -> None:
        """The run's input was held against its schema; changes no state, on runs of either driver.

        Said again, it is stored again.

        Raises EngineDrivenError (the engine's run has ended), RunNotFoundError (the id belongs to another workflow's
        run), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._appends.append_draft(
            workflow_slug,
            run_id,
            draft(
                WorkflowInputValidation,
                workflow_attempt_number=workflow_attempt_number,
                has_schema=has_schema,
                success=success,
                error=error,
                validation_errors=None if validation_errors is None else list(validation_errors),
            ),
        )

    def save_workflow_complete(
        self,
        workflow_slug: str,
        run_id: str,
        output: Any,
        *,
        workflow_attempt_number: int,
        duration_us: int,
        total_steps: int,
    ) -> None:
        """The run completed.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds), PayloadTooLargeError.
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowCompleted,
            output=safe_serialize(output),
            workflow_attempt_number=workflow_attempt_number,
            duration_us=duration_us,
            total_steps=total_steps,
        )

    def save_workflow_failed(
        self,
        workflow_slug: str,
        run_id: str,
        error: StepError,
        *,
        workflow_attempt_number: int,
        duration_us: int,
        completed_steps: int,
        failure_reason: str,
        failed_step: str | None = None,
    ) -> None:
        """The run failed.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowFailed,
            error=error,
            workflow_attempt_number=workflow_attempt_number,
            duration_us=duration_us,
            completed_steps=completed_steps,
            failure_reason=failure_reason,
            failed_step=failed_step,
        )

    def save_workflow_resumed(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        version_id: str,
        original_run_id: str,
        resumed_steps: int,
        pending_steps: int,
    ) -> None:
        """This run keeps the completed steps of another. Said again, it is stored again.

        Raises EngineDrivenError, RunNotFoundError (the id belongs to another workflow's run), InvalidIdError,
        EventInvalidError (a value that no event holds).
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowResumed,
            version_id=version_id,
            original_run_id=original_run_id,
            resumed_steps=resumed_steps,
            pending_steps=pending_steps,
        )

    def save_workflow_cancelled(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        workflow_attempt_number: int,
        duration_us: int,
        completed_steps: int,
        reason: str | None = None,
    ) -> None:
        """The run was stopped.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), StaleAttemptError (the
        run has ended), InvalidIdError, EventInvalidError (a value that no event holds).
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowCancelled,
            workflow_attempt_number=workflow_attempt_number,
            duration_us=duration_us,
            completed_steps=completed_steps,
            reason=reason,
        )

    def save_workflow_retry_started(
        self,
        workflow_slug: str,
        run_id: str,
        *,
        workflow_attempt_number: int,
        previous_attempt_number: int,
        retried_steps: Sequence[str],
        reason: str | None = None,
    ) -> None:
        """The run is tried again; its attempt is the new one. Said again, it is stored again.

        Raises EngineDrivenError, RunNotFoundError (there is none, or it is another workflow's), InvalidIdError,
        EventInvalidError (a value that no event holds).
        """
        self._caller_runs.tell(
            workflow_slug,
            run_id,
            WorkflowRetryStarted,
            workflow_attempt_number=workflow_attempt_number,
            previous_attempt_number=previous_attempt_number,
            retried_steps=list(retried_steps),
            reason=reason,
        )

    def list_active_workflows(self) -> list[str]:
        """The workflows with a run, of either driver, that has not ended; by slug."""
        return self._caller_runs.active()
