"""Where the checkpoints of a step lie in these tests, over all its attempts, and an attempt that keeps them there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cascade_flow.model.events import CheckpointRef, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.checkpoints import CheckpointNumber
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.interrupt import Interrupt


class Shelf:
    """The checkpoints of one step, over all its attempts."""

    def __init__(self) -> None:
        self.checkpoints: list[Checkpoint] = []
        self.failures: list[tuple[str, int, StepError]] = []
        self.parents: list[CheckpointRef | None] = []
        """Of those that failed."""
        self.taken: list[CheckpointNumber] = []
        self.asked = 0
        self.attempt = 1
        self.refusal: Exception | None = None

    def recorded(self) -> Sequence[CheckpointNumber]:
        self.asked += 1
        return list(self.taken)

    def save(self, checkpoint: Checkpoint) -> None:
        if self.refusal:
            raise self.refusal
        self.checkpoints.append(checkpoint)
        self.taken.append(CheckpointNumber.by(checkpoint))

    def failed(self, place: CheckpointRef, parent: CheckpointRef | None, error: StepError) -> None:
        if self.refusal:
            raise self.refusal
        self.parents.append(parent)
        self.failures.append((place.name, place.sequence_number, error))
        self.taken.append(CheckpointNumber(place, self.attempt, parent))

    def places(self) -> list[tuple[str, int]]:
        return [(each.name, each.sequence_number) for each in self.checkpoints]


class Counted:
    """A function that counts its calls and returns that number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def away() -> int:
    raise OSError("away")


def attempt(shelf: Shelf, number: int = 1, **options: Any) -> AttemptContext:
    shelf.attempt = number
    named: dict[str, Any] = {"run_id": "r", "workflow_slug": "w", "step_id": "s", "interrupt": Interrupt()}
    return AttemptContext(**{**named, "beat": lambda: None, "store": shelf, **options}, attempt=number)
