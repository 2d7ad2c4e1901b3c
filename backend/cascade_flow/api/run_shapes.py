"""What may be asked of a run that is there: its steps, another try, a new run out of it; and of many runs at once."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cascade_flow.api.shapes import (
    MOST_RUNS,
    CancelRun,
    Cursor,
    Query,
    Shape,
    Slug,
    StepId,
    Tags,
    filter_of,
)
from cascade_flow.dynamodb.listing import EVERY, START, Filter
from cascade_flow.model.states import RunStatus
from cascade_flow.model.wire import LARGEST_WHOLE, Count, Whole

MOST_STEPS = 1_000


class RetryRun(CancelRun):
    """POST /runs/{runId}/retry."""


class RerunFrom(Shape):
    """POST /runs/{runId}/rerun: without `input` with that of the run that it goes on from."""

    from_step_id: StepId
    input: Any = None


class SomeRuns(CancelRun):
    """POST /runs/cancel and /runs/retry: so many of the runs that a filter passes, from `cursor` on."""

    workflow_slug: Slug | None = None
    status: list[RunStatus] | None = None
    tags: Tags | None = None
    created_after_us: Count | None = None
    created_before_us: Count | None = None
    cursor: Cursor = START
    limit: Annotated[Whole, Field(ge=1, le=MOST_RUNS)] = 100

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.workflow_slug is None and self.wanted == EVERY:
            raise PydanticCustomError("no_filter", "names no runs: say which, by workflow, status, tags or time")
        return self

    @property
    def wanted(self) -> Filter:
        return filter_of(self.status, self.tags, self.created_after_us, self.created_before_us)


class ListSteps(Query):
    """GET /runs/{runId}/steps: those behind `cursor`, which is an earlier answer's `nextCursor`."""

    limit: Annotated[int, Field(ge=1, le=MOST_STEPS)] = MOST_STEPS
    cursor: Annotated[int, Field(ge=0, le=LARGEST_WHOLE)] = 0


class PlanRerun(Query):
    """GET /runs/{runId}/rerun: from a step on, or else as a resumption."""

    from_step_id: StepId | None = None
