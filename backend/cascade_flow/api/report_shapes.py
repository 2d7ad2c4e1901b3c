"""What may be asked about no single run: reports of a range of time, workers, dead letters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from cascade_flow.analytics.scope import AnalyticsOptions
from cascade_flow.analytics.workers import STALE_THRESHOLD_US
from cascade_flow.api.shapes import Name, Query, RunId, Shape, Slug, StepId
from cascade_flow.dynamodb.listing import MOST_COUNTED
from cascade_flow.fingerprints import GroupingStrategy
from cascade_flow.model.wire import LARGEST_WHOLE, Whole

MOST_GROUPS = 200
MOST_INTERVALS = 200
MOST_OCCURRENCES = 1_000
MOST_WORKERS = 1_000

AtUs = Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]
Offset = Annotated[int, Field(ge=0, le=MOST_COUNTED)]


class FingerprintAddress(Shape):
    """/analytics/errors/{fingerprint}."""

    fingerprint: Name


class WorkerAddress(Shape):
    """/workers/{workerId}."""

    worker_id: Name


class Range(Query):
    """From when to when, both included; by default the last 24 hours."""

    start_us: AtUs | None = None
    """From then on; 24 hours ago where nothing is said."""
    end_us: AtUs | None = None
    """Until then, included; now where nothing is said."""

    @field_validator("end_us")
    @classmethod
    def _behind_its_start(cls, end_us: int | None, info: ValidationInfo) -> int | None:
        if end_us is not None and end_us < (info.data.get("start_us") or 0):
            raise PydanticCustomError("range", "lies before startUs")
        return end_us


class AskReport(Range):
    """GET /analytics/...: about a workflow, a step, some runs, or all of them."""

    repeatable = frozenset({"run"})
    workflow: Slug | None = None
    """Only what happened in runs of this workflow."""
    step: StepId | None = None
    """Only what happened to steps of this id."""
    run: Annotated[list[RunId], Field(max_length=100)] | None = None
    """Only what happened in these runs."""

    @property
    def options(self) -> AnalyticsOptions:
        """What the use case takes."""
        return AnalyticsOptions(
            start_us=self.start_us,
            end_us=self.end_us,
            workflow_slug=self.workflow,
            step_id=self.step,
            run_ids=self.run,
        )


class AskSummary(AskReport):
    """GET /analytics/summary: also by step and by parts of the range, where that is asked for."""

    by_step: bool = False
    """Whether to tell how long each step takes."""
    intervals: Annotated[int, Field(ge=1, le=MOST_INTERVALS)] | None = None
    """Into how many equal parts to cut the range, each told by itself."""


class AskDepth(Query):
    """GET /analytics/queue-depth: of a workflow, or of all."""

    workflow: Slug | None = None
    """Only what waits of this workflow."""


class ListErrors(Range):
    """GET /analytics/errors: groups of failures that have one fingerprint, by how much of an error counts for that."""

    workflow: Slug | None = None
    """Only failures in runs of this workflow."""
    grouping: GroupingStrategy = "exact"
    """What of a traceback counts: all of it, its lines without numbers, or these without folders."""
    limit: Annotated[int, Field(ge=1, le=MOST_GROUPS)] = 50
    offset: Offset = 0
    """How many groups to pass over."""


class ShowError(Range):
    """GET /analytics/errors/{fingerprint}: with the grouping that the fingerprint is of."""

    grouping: GroupingStrategy = "exact"
    """The grouping that the fingerprint is of."""
    limit: Annotated[int, Field(ge=1, le=MOST_OCCURRENCES)] = 100
    offset: Offset = 0
    """How many occurrences to pass over."""


class ListWorkers(Query):
    """GET /workers: those with a step in hand or seen lately, or all who did anything for a run that is running."""

    include_inactive: bool = False
    """Also those that have no step in hand and were not seen lately."""
    stale_after_us: Annotated[int, Field(ge=0, le=LARGEST_WHOLE)] = STALE_THRESHOLD_US
    """What lately means."""
    limit: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = 200
    cursor: Name | None = None
    """An earlier answer's `nextCursor`: only workers behind that one."""


class ListDeadLetters(Query):
    """GET /dead-letters."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20


class Redrive(Shape):
    """A wish to put messages back into the queue."""

    limit: Annotated[Whole, Field(ge=1, le=1_000)] = 100
    """How many at most."""
