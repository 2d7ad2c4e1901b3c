"""The checkpoints that a step's attempts have stored, read from the run's history."""

from __future__ import annotations

from cascade_flow.engine.state import Facts
from cascade_flow.model.events import StepCheckpoint
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.history import Histories
from cascade_flow.operations.kit import Kit


def recorded(kit: Kit, facts: Facts, step_id: str) -> list[Checkpoint]:
    """The checkpoints of all attempts of a step so far, in order."""
    story = Histories(kit).story(facts.run_id)
    return [
        Checkpoint(
            name=event.name,
            sequence_number=event.sequence_number,
            attempt_number=event.attempt_number,
            data=event.data,
            label=event.label,
            parent_checkpoint=event.parent_checkpoint,
        )
        for event in (story.events if story else ())
        if isinstance(event, StepCheckpoint) and event.step_id == step_id
    ]
