"""What a diagnosis and a preflight are asked with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cascade_flow.api.shapes import Name, Query, Shape, Slug, StepId
from cascade_flow.operations.live_pieces import START_US
from cascade_flow.operations.preflight import Planned

MOST_RUNS_LOOKED_AT = 200
MOST_WORKFLOWS = 1_000
MOST_STEPS = 10_000

Behind = Annotated[str, Field(pattern=r"^[0-9]{1,16}$")]
"""Where an earlier piece ended: its `nextCursor`."""


class ListDiagnoses(Query):
    """GET /diagnosis: of so many runs behind `cursor`, which is an earlier answer's `nextCursor`."""

    limit: Annotated[int, Field(ge=1, le=MOST_RUNS_LOOKED_AT)] = 50
    cursor: Behind | None = None

    @property
    def after_us(self) -> int:
        return START_US if self.cursor is None else int(self.cursor)


class PlannedWorkflow(Shape):
    """A workflow as it is to be deployed."""

    workflow_slug: Slug
    version_id: Name
    step_ids: Annotated[list[StepId], Field(max_length=MOST_STEPS)]


class AskPreflight(Shape):
    """POST /preflight: all workflows that the deployment has; one that is not among them is to be retired."""

    workflows: Annotated[list[PlannedWorkflow], Field(max_length=MOST_WORKFLOWS)]
    limit: Annotated[int, Field(ge=1, le=MOST_RUNS_LOOKED_AT)] = 100
    cursor: Behind | None = None

    @property
    def after_us(self) -> int:
        return START_US if self.cursor is None else int(self.cursor)

    @property
    def planned(self) -> dict[str, Planned]:
        return {each.workflow_slug: Planned(each.version_id, frozenset(each.step_ids)) for each in self.workflows}
