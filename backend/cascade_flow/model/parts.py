"""What events and states are made of: the head of every event, errors, fingerprints, resources, issues."""

from typing import Annotated, Literal

from pydantic import Field

from cascade_flow.model.wire import Count, Number, Text, WireModel

ScheduleReason = Literal["initial", "retry", "dependency-satisfied"]
StepFailureReason = Literal[
    "exhausted-retries", "worker-crash", "timeout", "cancelled", "execution-error", "step-removed"
]
WorkflowFailureReason = Literal["step-failed", "worker-crash", "timeout", "cancelled"]
SkipType = Literal["primary", "cascade"]
LogStream = Literal["stdout", "stderr"]


EventId = Annotated[str, Field(pattern=r"^[0-9]+$")]


class BaseEvent(WireModel):
    """What every event has. `event_id`, where it is not given, is the timestamp as text."""

    timestamp_us: Number
    event_id: EventId = Field(default_factory=lambda given: str(given["timestamp_us"]))
    workflow_slug: Text
    run_id: Text


class StepError(WireModel):
    """What went wrong in user code or around it."""

    message: Text
    name: Text | None = None
    stack: Text | None = None


class ErrorFingerprints(WireModel):
    """Hashes by which errors of one kind are recognized (see `cascade_flow.fingerprints`)."""

    name_hash: Text
    message_hash: Text
    stack_exact_hash: Text
    stack_normalized_hash: Text
    stack_portable_hash: Text


class ResourceUsage(WireModel):
    """What an attempt used, from its start to its end."""

    peak_memory_bytes: Number
    cpu_time_user_us: Number
    cpu_time_system_us: Number
    cpu_time_total_us: Number
    voluntary_context_switches: Count
    involuntary_context_switches: Count


class ResourceSnapshot(WireModel):
    """What an attempt uses at one moment."""

    memory_bytes: Number
    cpu_time_us: Number | None = None


class ValidationIssue(WireModel):
    """One fault of a value: where (a dotted path), and what."""

    path: Text
    message: Text


class CheckpointRef(WireModel):
    """Names a checkpoint of the same step."""

    name: Text
    sequence_number: Count
