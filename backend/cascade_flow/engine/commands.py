"""What may be asked of a branch: frozen data, named in the imperative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cascade_flow.engine.state import Claimant
from cascade_flow.model.events import CheckpointRef, ResourceUsage, StepError
from cascade_flow.records import dataclass

if TYPE_CHECKING:
    from cascade_flow.engine.event_writer import EventWriter
    from cascade_flow.engine.state import Branch, Commit, Facts

FailureReason = Literal["execution-error", "timeout", "worker-crash", "cancelled", "step-removed", "exhausted-retries"]


@dataclass(frozen=True)
class Complete:
    """The step returned. With a claimant the same worker starts the branch's next step in the same commit."""

    output: str
    duration_us: int
    resource_usage: ResourceUsage | None = None
    claimant: Claimant | None = None


@dataclass(frozen=True)
class Fail:
    """The step raised, or ran out of time. `chance` (0 to 1) places the jitter of the retry's delay."""

    error: StepError
    reason: FailureReason
    duration_us: int
    retryable: bool = True
    chance: float = 0.5
    resource_usage: ResourceUsage | None = None


@dataclass(frozen=True)
class SkipStep:
    """The step said that there is nothing to do."""

    reason: str
    duration_us: int
    metadata: Mapping[str, Any] | None = None
    claimant: Claimant | None = None


@dataclass(frozen=True)
class Postpone:
    """The step said that it isn't ready: it comes again, at a time, after a delay, or as it was declared."""

    reason: str
    duration_us: int
    at_us: int | None = None
    delay_us: int | None = None


@dataclass(frozen=True)
class Cascade:
    """The branch's first step is to be skipped because its dependency was."""


@dataclass(frozen=True)
class Reclaim:
    """Take the attempt away from its worker, which fell silent; or has `released` it: that was no try of the step."""

    reclaimed_by: str
    threshold_us: int
    released: bool = False


@dataclass(frozen=True)
class KeepCheckpoint:
    """The step finished a part of its work that a later attempt need not repeat (or failed at it: `error`)."""

    name: str
    sequence_number: int
    data: str | None = None
    error: StepError | None = None
    label: str | None = None
    parent: CheckpointRef | None = None


@dataclass(frozen=True)
class Revive:
    """The run is tried again: what failed, was halted or was parked goes on."""


class OwnDecision(Protocol):
    """A command of few workflows, which brings what is made of it."""

    def judged(self, facts: Facts, branch: Branch, writer: EventWriter) -> Commit: ...


Command = Complete | Fail | SkipStep | Postpone | Cascade | Reclaim | KeepCheckpoint | Revive | OwnDecision
