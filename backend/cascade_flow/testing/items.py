"""What a test reads of a map's items: of each its status, output, error, attempts and logs, as of a step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.payloads import Payload
from cascade_flow.model.events import RunSubmitted, StepCheckpoint, StepCheckpointFailed
from cascade_flow.model.parts import StepError
from cascade_flow.model.states import StepStatus
from cascade_flow.testing.places import Story
from cascade_flow.testing.results import Inside, StepResult, unexpected


class ItemResult(StepResult):
    """What has become of one item of a map; `run_id` is the run that does it."""

    def __init__(self, workflow: Workflow, run_id: str, step_id: str, inside: Inside) -> None:
        super().__init__(workflow, inside.place.story(run_id), step_id, inside)
        self.run_id = run_id

    def logs(self, attempt: int | None = None) -> str:
        """What was written and logged for it, one line each."""
        return "\n".join(line.message for line in self._story.lines if attempt in (None, line.attempt))

    @property
    def _payload(self) -> Payload:
        return self._workflow.definition().steps[self.step_id].output


class BatchedItem(ItemResult):
    """One of several that a worker does in a row: they have their attempts and their logs in common."""

    def __init__(self, workflow: Workflow, run_id: str, step_id: str, inside: Inside, place: int) -> None:
        super().__init__(workflow, run_id, step_id, inside)
        self._place = place

    @property
    def status(self) -> StepStatus:
        return "completed" if self._kept is not None else super().status

    @property
    def output(self) -> Any:
        """What the step returned for it, as its type; raises UnexpectedEnd where it has not completed."""
        __tracebackhide__ = True
        if (kept := self._kept) is None:
            raise unexpected(f"an item of step {self.step_id!r} is {self.status}, and so has no output", [self])
        return self._payload.load(kept.data, f"an item of step {self.step_id!r}")

    @property
    def error(self) -> StepError | None:
        """Why its last attempt failed: `name`, `message`, `stack`; None where it did not."""
        failed = [each for each in self._events if isinstance(each, StepCheckpointFailed) and self._is_mine(each)]
        return failed[-1].error if failed and self._kept is None else None

    @property
    def _kept(self) -> StepCheckpoint | None:
        kept = [each for each in self._events if isinstance(each, StepCheckpoint) and self._is_mine(each)]
        return kept[-1] if kept else None

    def _is_mine(self, event: StepCheckpoint | StepCheckpointFailed) -> bool:
        is_items = event.parent_checkpoint is None and event.name == "item"
        return is_items and event.sequence_number == self._place


def items(workflow: Workflow, step_id: str, inside: Inside) -> list[ItemResult]:
    """Those of a map, in order."""
    return [item for run_id in inside.children(step_id) for item in _items_of(workflow, run_id, step_id, inside)]


def _items_of(workflow: Workflow, run_id: str, step_id: str, inside: Inside) -> Iterator[ItemResult]:
    children = workflow.definition().steps[step_id].definition.children
    assert children is not None, f"{step_id} is no map"
    if children.batch == 1:
        yield ItemResult(workflow, run_id, step_id, inside)
    else:
        for place in range(_size(inside.place.story(run_id))):
            yield BatchedItem(workflow, run_id, step_id, inside, place)


def _size(story: Story) -> int:
    """How many items are in a batch."""
    submitted = next(event for event in story.events if isinstance(event, RunSubmitted))
    return len(json.loads(submitted.input or "[]"))
