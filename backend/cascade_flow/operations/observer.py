"""Who hears what was committed, once it was.

It decides nothing: whatever an observer does, the engine goes on the same. What counts, measures and traces stands
above, in `api/telemetry`; nobody here knows of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event


class Observer:
    """Hears and keeps it to itself. One that does more must not raise, and may be told by several threads at once."""

    def committed(self, events: Sequence[Event]) -> None:
        """These events are in the log."""

    def undoing(self, events: Sequence[Event]) -> None:
        """The same of a run that undoes another: its steps are steps, its end is no run's of the workflow."""
        self.committed([event for event in events if event.category == "step"])

    def claimed(self, facts: Facts, branch: Branch) -> None:
        """A worker has taken the branch's attempt."""

    def overtaken(self, facts: Facts) -> None:
        """A worker's result was refused: the attempt was no longer its own."""
