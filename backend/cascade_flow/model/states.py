"""The states that a fold of events yields, and the small answers of the contract's operations.

Times are integers in microseconds since the Unix epoch, durations in microseconds; the names are the wire contract's.
How events change a state is said in `projection`, not here.
"""

from typing import Literal

from cascade_flow.model.parts import CheckpointRef, ResourceUsage, ScheduleReason, StepError
from cascade_flow.model.wire import Count, JsonObject, Number, Ordinal, Text, Whole, WireModel

RunStatus = Literal["pending", "claimed", "running", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "scheduled", "running", "completed", "failed", "skipped"]
AttemptStatus = Literal["running", "completed", "failed"]

TERMINAL_RUN_STATUSES: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled"})
TERMINAL_STEP_STATUSES: frozenset[StepStatus] = frozenset({"completed", "failed", "skipped"})


class RunState(WireModel):
    """Where a run stands."""

    run_id: Text
    workflow_slug: Text
    status: RunStatus
    available_at: Number
    priority: Whole
    workflow_attempt_number: Ordinal | None = None
    created_at: Number
    claimed_at: Number | None = None
    started_at: Number | None = None
    completed_at: Number | None = None
    claimed_by: Text | None = None
    last_heartbeat: Number | None = None
    timeout: Ordinal | None = None
    idempotency_key: Text | None = None
    metadata: JsonObject | None = None
    tags: list[Text] | None = None
    input: Text | None = None


class LinkedRun(RunState):
    """A run's state, and the run that undoes it, or that it undoes."""

    undoes: Text | None = None
    undone_by: Text | None = None


class StateChange(WireModel):
    """One entry of a step's diary."""

    status: StepStatus
    timestamp: Number
    message: Text | None = None


class StepState(WireModel):
    """Where a step stands."""

    step_id: Text
    run_id: Text
    workflow_slug: Text
    status: StepStatus
    available_at: Number | None = None
    schedule_reason: ScheduleReason | None = None
    priority: Whole | None = None
    attempt_number: Ordinal
    claimed_by: Text | None = None
    last_heartbeat: Number | None = None
    scheduled_at: Number | None = None
    start_time: Number | None = None
    end_time: Number | None = None
    duration: Number | None = None
    dependencies: list[Text]
    output: Text | None = None
    export_output: bool | None = None
    error: StepError | None = None
    terminal: bool | None = None
    next_retry_at: Number | None = None
    was_reclaimed: bool | None = None
    reclaimed_from: Text | None = None
    reclaimed_by: Text | None = None
    resource_usage: ResourceUsage | None = None
    state_changes: list[StateChange]


class StepRecord(WireModel):
    """The older, smaller view of a step."""

    step_id: Text
    run_id: Text
    status: StepStatus
    start_time: Number | None = None
    end_time: Number | None = None
    duration: Number | None = None
    dependencies: list[Text]
    output: Text | None = None
    error: StepError | None = None
    state_changes: list[StateChange]


class AttemptMetadata(WireModel):
    """One attempt of a step, from its start on."""

    attempt_number: Ordinal
    status: AttemptStatus
    start_time: Number
    end_time: Number | None = None
    duration: Number | None = None
    has_logs: bool
    log_count: Count
    resource_usage: ResourceUsage | None = None


class FailedStep(WireModel):
    """A step that failed for good, and why."""

    step_id: Text
    error: StepError
    attempt_number: Ordinal


class RunPage(WireModel):
    """A part of a list of runs; `total` counts the whole list."""

    runs: list[RunState]
    total: Count


class StepRef(WireModel):
    """Names a step of a run, with what its place in the queue depends on."""

    workflow_slug: Text
    run_id: Text
    step_id: Text
    attempt_number: Ordinal | None = None
    available_at_us: Number | None = None
    priority: Whole | None = None


class Claim(WireModel):
    """A worker holds this attempt."""

    attempt_number: Ordinal


class SubmittedRun(WireModel):
    """The run that stands for a submission; not new where its idempotency key was known."""

    run_id: Text
    is_new: bool


class SentEvent(WireModel):
    """An event from outside that has been taken; not new where the same was said before."""

    run_id: Text
    event: Text
    is_new: bool


class Checkpoint(WireModel):
    """What a step stores on its way; `data` is JSON text."""

    name: Text
    sequence_number: Count
    attempt_number: Ordinal
    data: Text
    label: Text | None = None
    parent_checkpoint: CheckpointRef | None = None
