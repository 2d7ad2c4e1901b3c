"""What a test reads of a map's items: of each its status, output, error and attempts, as of a step."""

from __future__ import annotations

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.payloads import Payload
from cascade_flow.testing.results import Inside, StepResult


class ItemResult(StepResult):
    """What has become of one item of a map; of a batch, all of its items have their attempts in common."""

    def __init__(self, workflow: Workflow, run_id: str, step_id: str, inside: Inside) -> None:
        super().__init__(workflow, inside.place.story(run_id), step_id, inside)
        self.run_id = run_id

    @property
    def _payload(self) -> Payload:
        return self._workflow.definition().steps[self.step_id].output


def items(workflow: Workflow, step_id: str, inside: Inside) -> list[ItemResult]:
    """Those of a map, in order."""
    return [ItemResult(workflow, run_id, step_id, inside) for run_id in inside.children(step_id)]
