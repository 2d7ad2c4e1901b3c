"""The events of a run as a whole, exactly as the wire contract has them. No rule of what follows belongs here."""

from typing import Literal

from cascade_flow.model.parts import BaseEvent, StepError, ValidationIssue, WorkflowFailureReason
from cascade_flow.model.wire import Count, JsonObject, Number, Ordinal, Text, Whole


class BaseWorkflowEvent(BaseEvent):
    """What every workflow event has."""

    category: Literal["workflow"] = "workflow"


class RunSubmitted(BaseWorkflowEvent):
    """The run exists; it may start from `available_at_us` on. `input` is JSON text."""

    type: Literal["RunSubmitted"] = "RunSubmitted"
    version_id: Text
    available_at_us: Number
    priority: Whole
    input: Text | None = None
    has_input_schema: bool
    timeout_us: Ordinal | None = None
    idempotency_key: Text | None = None
    metadata: JsonObject | None = None
    tags: list[Text] | None = None


class WorkflowStarted(BaseWorkflowEvent):
    """The run's first steps are scheduled."""

    type: Literal["WorkflowStarted"] = "WorkflowStarted"
    version_id: Text
    workflow_attempt_number: Ordinal
    has_input_schema: bool
    has_input: bool


class WorkflowInputValidation(BaseWorkflowEvent):
    """The input was held against the workflow's schema."""

    type: Literal["WorkflowInputValidation"] = "WorkflowInputValidation"
    workflow_attempt_number: Ordinal
    has_schema: bool
    success: bool
    error: StepError | None = None
    validation_errors: list[ValidationIssue] | None = None


class WorkflowCompleted(BaseWorkflowEvent):
    """The run succeeded; `output` is JSON text and holds the exported steps' outputs."""

    type: Literal["WorkflowCompleted"] = "WorkflowCompleted"
    workflow_attempt_number: Ordinal
    output: Text
    duration_us: Number
    total_steps: Ordinal


class WorkflowFailed(BaseWorkflowEvent):
    """The run failed."""

    type: Literal["WorkflowFailed"] = "WorkflowFailed"
    workflow_attempt_number: Ordinal
    error: StepError
    duration_us: Number
    completed_steps: Count
    failed_step: Text | None = None
    failure_reason: WorkflowFailureReason


class WorkflowCancelled(BaseWorkflowEvent):
    """Somebody stopped the run."""

    type: Literal["WorkflowCancelled"] = "WorkflowCancelled"
    workflow_attempt_number: Ordinal
    reason: Text | None = None
    duration_us: Number
    completed_steps: Count


class WorkflowResumed(BaseWorkflowEvent):
    """This run keeps the completed steps of another one."""

    type: Literal["WorkflowResumed"] = "WorkflowResumed"
    version_id: Text
    original_run_id: Text
    resumed_steps: Count
    pending_steps: Count


class WorkflowRetryStarted(BaseWorkflowEvent):
    """The run is tried again; `workflow_attempt_number` is the new one."""

    type: Literal["WorkflowRetryStarted"] = "WorkflowRetryStarted"
    workflow_attempt_number: Ordinal
    previous_attempt_number: Ordinal
    retried_steps: list[Text]
    reason: Text | None = None


class WorkflowRerunFromStep(BaseWorkflowEvent):
    """This run repeats another one from a step on."""

    type: Literal["WorkflowRerunFromStep"] = "WorkflowRerunFromStep"
    parent_run_id: Text
    rerun_from_step_id: Text
    rerun_step_ids: list[Text]
    version_id: Text
    parent_version_id: Text
