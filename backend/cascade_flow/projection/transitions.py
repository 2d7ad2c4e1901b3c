"""Which events move a state at all: those that the tables of the two folds list."""

from __future__ import annotations

from cascade_flow.model.events import Event
from cascade_flow.projection import run, step


def changes_state(event: Event) -> bool:
    """Whether this kind of event can change the state of a run or of a step."""
    return event.type in run.TRANSITIONS or event.type in step.TRANSITIONS or event.type == "RunSubmitted"
