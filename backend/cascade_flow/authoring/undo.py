"""What undoes a step: a function beside it, and a step of the run that comes where the first one fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.steps import Declaration, Function, Step, resolve
from cascade_flow.errors import DefinitionError
from cascade_flow.records import replace


class _Undone(Names):
    """The only step of which an undo receives anything."""

    def __init__(self, step_id: str, function: Function) -> None:
        super().__init__({step_id: function})
        self._step_id = step_id

    def advice(self, name: str) -> str:
        step = self._step_id
        return (
            f"an undo receives what {step!r} has returned, and nothing of other steps: let {step!r} return what it "
            "takes to undo it"
        )


def undone_by(undo: Declaration, names: Names, steps: Mapping[str, Step]) -> Step | None:
    """The step that a declaration undoes; None where that is itself no step. DefinitionError where it can't be."""
    assert undo.undoes is not None, "asked of undos"
    step = steps.get(names.meant(undo.undoes))
    if step is None:
        return None
    if step.declared.event is not None:
        raise DefinitionError(f"{step.id!r} is an event: nothing of this workflow's has done it, so nothing undoes it")
    if step.undo is not None:
        raise DefinitionError(f"step {step.id!r} is undone by {step.undo.id!r} already: leave one of the two")
    return step


def resolve_undo(undo: Declaration, undone: Step, *, input_type: Any) -> Step:
    """What undoes a step, with its parameters' sources. Raises DefinitionError, with every mistake."""
    names = _Undone(undone.id, undone.function)
    return replace(resolve(undo, names=names, input_type=input_type), dependencies=(undone.id,))
