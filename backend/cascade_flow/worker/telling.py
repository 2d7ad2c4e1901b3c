"""What a held attempt tells of itself, to whomever its words go: the table, or the API of an engine elsewhere.

A child that was forked off has a copy of the attempt, and would take it from its parent: it tells nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cascade_flow.engine.commands import Command, KeepCheckpoint
from cascade_flow.errors import DefinitionError
from cascade_flow.model.events import CheckpointRef, StepError

if TYPE_CHECKING:
    from cascade_flow.model.states import Checkpoint


class Telling:
    """A lease's words: `report` is where they go."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def report(self, command: Command) -> Any:
        raise NotImplementedError

    def save(self, checkpoint: Checkpoint) -> None:
        self.report(
            KeepCheckpoint(
                checkpoint.name,
                checkpoint.sequence_number,
                checkpoint.data,
                label=checkpoint.label,
                parent=checkpoint.parent_checkpoint,
            )
        )

    def failed(self, place: CheckpointRef, parent: CheckpointRef | None, error: StepError) -> None:
        self.report(KeepCheckpoint(place.name, place.sequence_number, error=error, parent=parent))

    def _is_copy(self) -> bool:
        return os.getpid() != self._process

    def _require_original(self, step: str) -> None:
        """Raises DefinitionError in a forked child."""
        if self._is_copy():
            raise DefinitionError(
                f"step {step!r}: a forked child can't store anything, such as a checkpoint, of its "
                "parent's attempt: hand the result to the parent, and store it there"
            )
