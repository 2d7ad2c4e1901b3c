"""What a wish for work may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from cascade_flow.api.shapes import Name, Pool, RunId, Shape, Slug, StepId
from cascade_flow.model.wire import Count, Ordinal
from cascade_flow.operations.steps import Slot

LONGEST_WAIT_MS = 20_000
"""What a claim may wait: API Gateway gives an answer 30 s."""


class ClaimStep(Shape):
    """A wish for work: for the step that is named, or else for any that is due, of a pool or of none."""

    worker_id: Name
    """Who asks: a name of the worker's own, the same as long as it lives."""
    pool: Pool | None = None
    """Only steps of this pool; without it, only those of none."""
    workflow_slug: Slug | None = None
    """Only steps of this workflow."""
    run_id: RunId | None = None
    step_id: StepId | None = Field(default=None, validate_default=True)
    slot_index: Count | None = None
    worker_concurrency: Ordinal | None = None
    wait_ms: Annotated[Count, Field(le=LONGEST_WAIT_MS)] = 0
    """How long the answer may wait for a step to come due (a long poll)."""

    @field_validator("step_id")
    @classmethod
    def _with_its_run(cls, step_id: str | None, info: ValidationInfo) -> str | None:
        if "run_id" in info.data and (info.data["run_id"] is None) is not (step_id is None):
            raise PydanticCustomError("half_a_step", "runId and stepId name a step together: give both or none")
        return step_id

    @property
    def slot(self) -> Slot:
        return Slot(self.slot_index, self.worker_concurrency)
