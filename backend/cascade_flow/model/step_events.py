"""The events of a step, exactly as the wire contract has them. No rule of what follows from an event belongs here."""

from typing import Annotated, Any, Literal

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from cascade_flow.model.parts import (
    BaseEvent,
    CheckpointRef,
    ErrorFingerprints,
    LogStream,
    ResourceSnapshot,
    ResourceUsage,
    ScheduleReason,
    SkipType,
    StepError,
    StepFailureReason,
)
from cascade_flow.model.wire import Count, JsonObject, Number, Ordinal, Text, Whole


def _or_nothing(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        return None


class BaseStepEvent(BaseEvent):
    """What every step event has."""

    category: Literal["step"] = "step"
    step_id: Text


class StepScheduled(BaseStepEvent):
    """The step may be claimed, from `available_at_us` on."""

    type: Literal["StepScheduled"] = "StepScheduled"
    available_at_us: Number
    reason: ScheduleReason
    attempt_number: Ordinal
    retry_delay_ms: Count | None = None
    priority: Whole | None = None
    policy_index: Count | None = None
    attempt_in_policy: Ordinal | None = None


class StepStarted(BaseStepEvent):
    """A worker has claimed the step's attempt and runs it."""

    type: Literal["StepStarted"] = "StepStarted"
    worker_id: Text
    dependencies: list[Text]
    attempt_number: Ordinal
    slot_index: Count | None = None
    worker_concurrency: Ordinal | None = None


class StepHeartbeat(BaseStepEvent):
    """The worker still runs the attempt."""

    type: Literal["StepHeartbeat"] = "StepHeartbeat"
    worker_id: Text
    attempt_number: Ordinal
    slot_index: Count | None = None
    worker_concurrency: Ordinal | None = None
    resource_snapshot: ResourceSnapshot | None = None


class StepCompleted(BaseStepEvent):
    """The attempt succeeded; `output` is JSON text."""

    type: Literal["StepCompleted"] = "StepCompleted"
    output: Text
    duration_us: Number
    attempt_number: Ordinal
    export_output: bool
    resource_usage: ResourceUsage | None = None


class StepFailed(BaseStepEvent):
    """The attempt failed; where `terminal`, the step with it."""

    type: Literal["StepFailed"] = "StepFailed"
    error: StepError
    error_fingerprints: ErrorFingerprints
    duration_us: Number
    attempt_number: Ordinal
    terminal: bool
    next_retry_at_us: Number | None = None
    failure_reason: StepFailureReason
    policy_index: Count | None = None
    attempt_in_policy: Ordinal | None = None
    resource_usage: ResourceUsage | None = None


class StepRetrying(BaseStepEvent):
    """Another attempt will follow; `attempt_number` is the one that failed."""

    type: Literal["StepRetrying"] = "StepRetrying"
    attempt_number: Ordinal
    next_attempt: Ordinal
    error: StepError
    max_retries: Count | None = None
    total_policies: Ordinal | None = None
    policy_index: Count | None = None


class StepReclaimed(BaseStepEvent):
    """The attempt was taken from a worker that fell silent."""

    type: Literal["StepReclaimed"] = "StepReclaimed"
    original_worker_id: Text
    reclaimed_by: Text
    last_heartbeat_us: Number
    stale_threshold_us: Number
    stale_duration_us: Number
    attempt_number: Ordinal


class StepSkipped(BaseStepEvent):
    """The step won't run: its code said so, or a step it depends on was skipped (`cascade`)."""

    type: Literal["StepSkipped"] = "StepSkipped"
    skip_type: SkipType
    reason: Text
    metadata: JsonObject | None = None
    duration_us: Number
    attempt_number: Ordinal
    cascaded_from: Text | None = None


class StepCheckpoint(BaseStepEvent):
    """The attempt stored something that its successors can go on from; `data` is JSON text."""

    type: Literal["StepCheckpoint"] = "StepCheckpoint"
    name: Text
    sequence_number: Count
    attempt_number: Ordinal
    data: Text
    label: Text | None = None
    parent_checkpoint: CheckpointRef | None = None


class StepCheckpointFailed(BaseStepEvent):
    """A checkpoint's own code failed. That it names its parent is ours: what others write there is left out."""

    type: Literal["StepCheckpointFailed"] = "StepCheckpointFailed"
    name: Text
    sequence_number: Count
    attempt_number: Ordinal
    error: StepError
    parent_checkpoint: Annotated[CheckpointRef | None, WrapValidator(_or_nothing)] = None


class LogEntry(BaseStepEvent):
    """A line that the attempt wrote."""

    type: Literal["LogEntry"] = "LogEntry"
    stream: LogStream
    message: Text
    attempt_number: Ordinal
