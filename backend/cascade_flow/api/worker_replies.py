"""What workers elsewhere are answered, as types; the rest is in `replies`, which says what they are for."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from cascade_flow.api.replies import Input, Outputs
from cascade_flow.model.states import StepStatus


class CheckpointPlace(TypedDict):
    """A checkpoint by its name, and its number among those of that name."""

    name: str
    sequence: int


class KnownCheckpoint(CheckpointPlace):
    """What an earlier attempt has stored, or failed at (then it has no data): go on from there."""

    attemptNumber: int
    data: NotRequired[Any]
    dataUrl: NotRequired[str]
    """Where large data are read; it stands instead of `data`."""
    parent: NotRequired[CheckpointPlace]
    """The checkpoint that it is a part of."""


class Checkpoints(TypedDict):
    """What earlier attempts of a step have stored, oldest first."""

    checkpoints: list[KnownCheckpoint]
    checkpointsUrl: NotRequired[str]
    """Where a list that is too long for an answer is read, as an input is; then `checkpoints` is empty."""


class Lease(TypedDict):
    """How long the worker is believed to live now."""

    leaseUntilUs: int
    """Until then nobody else gets the step; heartbeats move it on."""
    leaseUs: int
    """How long a lease is: a heartbeat in each third of it, and two may be lost."""


class Claimed(Input, Outputs, Checkpoints, Lease):
    """A step that this worker now holds, and all that it needs for it."""

    runId: str
    workflowSlug: str
    stepId: str
    attemptNumber: int
    countedAttempt: int
    """The attempt's number as the retry policy counts it: without those that were not ready, and without those of the
    run's earlier attempts.
    """
    versionId: str
    """The version of the workflow that the run goes by."""
    firstRunId: str
    """The run that this one was resumed or rerun from, or itself."""
    skipped: list[str]
    """The dependencies that were skipped."""
    startedAtUs: int
    """When the attempt began; its log lines are later."""
    idempotencyKey: str
    """The same in every attempt and rerun: hand it to services that take one."""
    timeoutUs: int | None


class StepOutcome(TypedDict):
    """Where the step stands by what was said."""

    status: StepStatus
    """`scheduled`: it will be tried again."""
    nextRetryAtUs: NotRequired[int]
    """When it is tried again."""
    next: NotRequired[Claimed]
    """The branch's next step, which this worker holds now: only where it was asked for, and is for the same workers."""


class Stored(TypedDict):
    """It is stored."""
