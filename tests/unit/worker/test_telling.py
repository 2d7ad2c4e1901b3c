"""What a held attempt tells of its checkpoints is all that there is to tell."""

from __future__ import annotations

from typing import Any

from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.model.parts import CheckpointRef, StepError
from cascade_flow.model.states import Checkpoint
from cascade_flow.worker.telling import Telling

OUTER = CheckpointRef(name="outer", sequence_number=1)
ERROR = StepError(name="ValueError", message="no")


class Told(Telling):
    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Any] = []

    def report(self, command: Any) -> None:
        self.commands.append(command)


def test_a_checkpoint_is_told_whole() -> None:
    told = Told()
    told.save(
        Checkpoint(name="inner", sequence_number=2, attempt_number=3, data="[1]", label="half", parent_checkpoint=OUTER)
    )
    told.failed(CheckpointRef(name="inner", sequence_number=2), OUTER, ERROR)
    assert told.commands == [
        KeepCheckpoint("inner", 2, "[1]", label="half", parent=OUTER),
        KeepCheckpoint("inner", 2, error=ERROR, parent=OUTER),
    ]
