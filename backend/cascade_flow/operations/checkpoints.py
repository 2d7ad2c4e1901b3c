"""The checkpoints that a step's attempts have stored or failed at, read from the run's history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cascade_flow.engine.state import Facts
from cascade_flow.model.events import CheckpointRef, StepCheckpoint, StepCheckpointFailed
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.history import Histories
from cascade_flow.operations.kit import Kit


@dataclass(frozen=True)
class Taken:
    """A number that a checkpoint has taken among those of its name; `stored` is None where its code failed."""

    place: CheckpointRef
    attempt: int
    parent: CheckpointRef | None = None
    stored: Checkpoint | None = None

    @classmethod
    def by(cls, stored: Checkpoint) -> Taken:
        """That of a checkpoint that was stored."""
        place = CheckpointRef(name=stored.name, sequence_number=stored.sequence_number)
        return cls(place, stored.attempt_number, stored.parent_checkpoint, stored)


def recorded(kit: Kit, facts: Facts, step_id: str) -> Iterator[Taken]:
    """What all attempts of a step have stored, or failed at, so far; in order."""
    story = Histories(kit).story(facts.run_id)
    for event in story.events if story else ():
        if isinstance(event, StepCheckpoint | StepCheckpointFailed) and event.step_id == step_id:
            yield _taken(event)


def _taken(event: StepCheckpoint | StepCheckpointFailed) -> Taken:
    if isinstance(event, StepCheckpoint):
        return Taken.by(Checkpoint(**{name: getattr(event, name) for name in Checkpoint.model_fields}))
    place = CheckpointRef(name=event.name, sequence_number=event.sequence_number)
    return Taken(place, event.attempt_number, event.parent_checkpoint)
