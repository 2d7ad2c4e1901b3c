"""What may be asked of a run that is there: its steps, another try, a new run out of it; and of many runs at once."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cascade_flow.api.query_shapes import MOST_RUNS, filter_of, parts
from cascade_flow.api.shapes import Cursor, Query, Shape, Slug, StepId, Tags
from cascade_flow.api.submission_shapes import CancelRun
from cascade_flow.dynamodb.listing import EVERY, START, Filter
from cascade_flow.model.states import RunStatus
from cascade_flow.model.wire import LARGEST_WHOLE, Count, Whole

MOST_STEPS = 1_000
MOST_CHILDREN = 1_000


class RetryRun(CancelRun):
    """A wish to try a run again."""


class RerunFrom(Shape):
    """A wish for a new run that goes on from another one."""

    from_step_id: StepId
    """The step that runs again, with all that depend on it."""
    input: Any = None
    """What the new run is given; that of the other one where nothing is said."""


class SomeRuns(CancelRun):
    """Some of the runs that a filter passes; at least one thing must be said of them."""

    workflow_slug: Slug | None = None
    """Runs of this workflow."""
    status: list[RunStatus] | None = None
    """Runs in one of these states; where none is named, those with which it can be done."""
    tags: Tags | None = None
    """Runs that have all of these tags."""
    created_after_us: Count | None = None
    """Runs that were made later than this."""
    created_before_us: Count | None = None
    """Runs that were made earlier than this."""
    cursor: Cursor = Field(default_factory=lambda: START)
    """An earlier answer's `nextCursor`: only runs behind that place."""
    limit: Annotated[Whole, Field(ge=1, le=MOST_RUNS)] = 100
    """How many runs are looked at, at the most."""

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.workflow_slug is None and self.wanted == EVERY:
            raise PydanticCustomError("no_filter", "names no runs: say which, by workflow, status, tags or time")
        return self

    @property
    def wanted(self) -> Filter:
        return filter_of(self.status, self.tags, self.created_after_us, self.created_before_us)


class ListSteps(Query):
    """GET /runs/{runId}/steps."""

    limit: Annotated[int, Field(ge=1, le=MOST_STEPS)] = MOST_STEPS
    cursor: Annotated[int, Field(ge=0, le=LARGEST_WHOLE)] = 0
    """An earlier answer's `nextCursor`: only steps behind that place."""


class ListChildren(Query):
    """GET /runs/{runId}/children/{stepId}."""

    repeatable = frozenset({"status"})
    status: Annotated[list[RunStatus], BeforeValidator(parts)] | None = None
    """Only runs in one of these states; `a,b` means the same as naming both."""
    limit: Annotated[int, Field(ge=1, le=MOST_CHILDREN)] = 100
    cursor: Annotated[int, Field(ge=-1, le=LARGEST_WHOLE)] = -1
    """An earlier answer's `nextCursor`: only runs behind that place."""


class PlanRerun(Query):
    """GET /runs/{runId}/rerun."""

    from_step_id: StepId | None = None
    """The step that would run again; without one it is asked what a resume would do."""
