"""What a worker does where children do a step's work: for the step it hands out and collects, for a child its item, or
its batch of them.

Imported only where a workflow has such steps.
"""

from __future__ import annotations

from collections.abc import Callable

from cascade_flow import clock
from cascade_flow.authoring import StepInputs
from cascade_flow.engine.commands import Command, Complete
from cascade_flow.engine.state import Claimant
from cascade_flow.errors import CascadeFlowError, StaleAttemptError, TransientError
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.collection import Collection
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from cascade_flow.worker.batches import batch_of
from cascade_flow.worker.runner import Work
from cascade_flow.worker.verdicts import unforeseen


class Parent:
    """A step whose work children do, in the hands of a worker."""

    def __init__(self, runtime: Runtime, held: HeldAttempt, definition: ChildrenDefinition) -> None:
        self._expansion = Expansion(runtime)
        self._collection = Collection(runtime)
        self._steps = Steps(runtime)
        self._held = held
        self._definition = definition

    def command(self, claimant: Claimant | None, run: Callable[[], Command | None]) -> Command | None:
        """What is to be reported: `run` calls the code of a step that runs a workflow, which gives that its input.

        What can't be handed out, or collected, is the step's failure.
        """
        started_us = clock.now_us()
        try:
            if self._held.branch.family is None:
                return self._handed_out(run)
            text = self._collection.collect(self._held.facts, self._held.branch)
            return Complete(text, max(0, clock.now_us() - started_us), claimant=claimant)
        except (StaleAttemptError, TransientError):
            raise
        except CascadeFlowError as error:  # whose words say it all: no frame of ours helps anybody
            return unforeseen(error.with_traceback(None), clock.now_us() - started_us)

    def _handed_out(self, run: Callable[[], Command | None]) -> Command | None:
        if self._definition.kind == "map":
            given = self._steps.inputs(self._held).outputs[self._definition.over or ""]
            return self._expansion.command(self._held, given)
        called = run()
        if not isinstance(called, Complete):
            return called
        return self._expansion.command(self._held, called.output)


def of_item(definition: ChildrenDefinition, number: int, given: StepInputs) -> tuple[StepInputs, Work | None]:
    """What a map's child is given, with its item's place; and its work, where that is a batch."""
    given = replace(given, index=number * definition.batch)
    return given, batch_of(definition.over or "") if definition.batch > 1 else None
