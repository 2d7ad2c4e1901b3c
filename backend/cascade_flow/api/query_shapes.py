"""What a question about runs may hold: which ones, and how much of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from cascade_flow.api.shapes import Cursor, Query, Slug, StepId, Tags
from cascade_flow.dynamodb.listing import EVERY, MOST_COUNTED, START, Filter
from cascade_flow.model.events import EVENT_TYPES
from cascade_flow.model.states import RunStatus
from cascade_flow.model.wire import LARGEST_WHOLE

MOST_RUNS = 200
MOST_EVENTS = 1_000
MOST_LINES = 10_000


def parts(values: Any) -> Any:
    """`a,b` and `a` + `b` mean the same."""
    return [part for value in values for part in value.split(",")] if isinstance(values, list) else values


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        known = ", ".join(EVENT_TYPES)
        raise PydanticCustomError("event_type", "is no event type; there are: {known}", {"known": known})
    return name


EventType = Annotated[str, AfterValidator(_event_type), Field(json_schema_extra={"enum": [*EVENT_TYPES]})]


class ListRuns(Query):
    """GET /runs: those behind `cursor`, which is an earlier answer's `nextCursor`; with `total` they are counted.

    `offset` passes over so many instead. `createdAfterUs` and `createdBeforeUs` are outside of their own range.
    """

    repeatable = frozenset({"status", "tag"})
    workflow: Slug | None = None
    """Only runs of this workflow."""
    status: Annotated[list[RunStatus], BeforeValidator(parts)] | None = None
    """Only runs in one of these states; `a,b` means the same as naming both."""
    tag: Tags | None = None
    """Only runs that have all of these tags."""
    limit: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 50
    created_after_us: Annotated[int, Field(ge=0)] | None = None
    """Only runs that were made later than this."""
    created_before_us: Annotated[int, Field(ge=0)] | None = None
    """Only runs that were made earlier than this."""
    cursor: Cursor = Field(default_factory=lambda: START)
    """An earlier answer's `nextCursor`: only runs behind that place."""
    offset: Annotated[int, Field(ge=0, le=MOST_COUNTED)] = 0
    """How many runs to pass over, instead of a cursor; each is read."""
    total: bool = False
    """Whether to count all that the filters pass."""
    by_status: bool = False
    """Whether to count those of each status, whichever the filters name."""

    @field_validator("offset")
    @classmethod
    def _instead_of_a_cursor(cls, offset: int, info: ValidationInfo) -> int:
        if offset and info.data.get("cursor", START) != START:
            raise PydanticCustomError("two_places", "stands beside cursor: give one of the two")
        return offset

    @property
    def wanted(self) -> Filter:
        return filter_of(self.status, self.tag, self.created_after_us, self.created_before_us)


class ShowStep(Query):
    """GET /runs/{runId}/steps/{stepId}: with `payloads=false` what it was given and gave is left out."""

    payloads: bool = True
    """Whether input and output are wanted; without them a look is cheaper."""


class ShowRun(ShowStep):
    """GET /runs/{runId}: the same of the run, and with `steps=false` its steps."""

    steps: bool = True
    """Whether the steps are wanted; those of an enormous graph are better read in pages, at /runs/{runId}/steps."""


class ListEvents(Query):
    """GET /runs/{runId}/events: those later than `afterUs`; with `payloads=false` without what users gave and got."""

    repeatable = frozenset({"type"})
    after_us: Annotated[int, Field(ge=0)] = 0
    """Only events that are later than this: an earlier answer's `nextUs`."""
    type: Annotated[list[EventType], BeforeValidator(parts)] | None = None
    step: StepId | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_EVENTS)] = MOST_EVENTS
    payloads: bool = True
    """Whether `input`, `output` and `data` are wanted; without them a look is cheaper."""


class ListLogs(Query):
    """GET /runs/{runId}/logs: those later than `afterUs`."""

    after_us: Annotated[int, Field(ge=0)] = 0
    """Only lines that are later than this: an earlier answer's `nextUs`."""
    step: StepId | None = None
    attempt: Annotated[int, Field(ge=1)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_LINES)] = MOST_LINES


def filter_of(
    status: Sequence[str] | None, tags: Sequence[str] | None, after_us: int | None, before_us: int | None
) -> Filter:
    """Which runs are wanted. No time lies beyond what a number of JSON holds."""
    return Filter(
        tuple(status or ()),
        tuple(tags or ()),
        EVERY.after_us if after_us is None else min(after_us, LARGEST_WHOLE),
        EVERY.before_us if before_us is None else min(before_us, LARGEST_WHOLE),
    )
