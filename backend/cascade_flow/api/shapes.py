"""What each request may hold: strict shapes, every field bounded, every id checked, no field that nobody knows.

A shape is made of plain data (a JSON document, a query string, a path) and turns into what the backend takes. What an
answer looks like is `representations`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from cascade_flow import clock
from cascade_flow.api.documents import DEEPEST, LARGEST_BODY_BYTES, rejected
from cascade_flow.api.problems import MOST_ISSUES, RequestInvalidError
from cascade_flow.dynamodb.listing import EVERY, MOST_COUNTED, START, Filter, Place
from cascade_flow.errors import InvalidIdError
from cascade_flow.model import ids
from cascade_flow.model.events import EVENT_TYPES, ResourceSnapshot, ValidationIssue
from cascade_flow.model.states import RunStatus
from cascade_flow.model.wire import LARGEST_WHOLE, Count, JsonObject, Ordinal, Whole
from cascade_flow.model.workflows import RunSubmission
from cascade_flow.operations.steps import Slot

YEAR_US = 31_536_000_000_000
LARGEST_METADATA_BYTES = 8 * 1024
MOST_TAGS = 50
LONGEST_TAG = 128
LONGEST_REASON = 1_000
LARGEST_PRIORITY = 1_000_000
MOST_RUNS = 200
MOST_EVENTS = 1_000
MOST_LINES = 10_000
LONGEST_WAIT_MS = 20_000
"""What a claim may wait: API Gateway gives an answer 30 s."""
CURSOR = "^[0-9]{1,16}(~[^~]*)+$"


def _id(check: Callable[[str], str]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            return check(value)
        except InvalidIdError as error:
            raise PydanticCustomError("invalid_id", "{reason}", {"reason": str(error)}) from None

    return AfterValidator(checked)


def _reads_like(pattern: str) -> Any:
    """What the documentation says of an id, whose check is code."""
    return Field(json_schema_extra={"pattern": f"^{pattern}$", "maxLength": ids.LONGEST_ID})


def _at_most_in_a_year(time_us: int) -> int:
    if time_us > clock.now_us() + YEAR_US:
        raise PydanticCustomError("far_off", "lies more than a year ahead; it is in microseconds since 1970")
    return time_us


def _small(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > LARGEST_METADATA_BYTES:
        raise PydanticCustomError(
            "too_large",
            "has {size} bytes as JSON, and at most {limit} are taken",
            {"size": size, "limit": LARGEST_METADATA_BYTES},
        )
    return metadata


def _parts(values: Any) -> Any:
    """`a,b` and `a` + `b` mean the same."""
    return [part for value in values for part in value.split(",")] if isinstance(values, list) else values


def _place(cursor: Any) -> Any:
    """A place is written as its time and its runs, between tildes, which no id holds."""
    if not isinstance(cursor, str):
        return cursor
    if not re.fullmatch(CURSOR, cursor):
        raise PydanticCustomError("cursor", "is no cursor: take nextCursor of the answer before, as it is")
    time, *run_ids = cursor.split("~")
    return Place(int(time), tuple(run_ids))


def cursor_of(place: Place) -> str:
    """The place as a text that is sent as it is."""
    return "~".join([str(place.time_us), *place.ids])


def _event_type(name: str) -> str:
    if name not in EVENT_TYPES:
        known = ", ".join(EVENT_TYPES)
        raise PydanticCustomError("event_type", "is no event type; there are: {known}", {"known": known})
    return name


Slug = Annotated[str, _id(ids.check_slug), _reads_like(ids.PART)]
RunId = Annotated[str, _id(ids.check_run_id), _reads_like(ids.PART)]
StepId = Annotated[str, _id(ids.check_step_id), _reads_like(f"{ids.PART}(/{ids.PART})*")]
Pool = Annotated[str, _id(ids.check_pool), _reads_like(ids.PART)]
Name = Annotated[str, Field(min_length=1, max_length=ids.LONGEST_ID)]
Tag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS)]
Priority = Annotated[Whole, Field(ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)]
Metadata = Annotated[JsonObject, AfterValidator(_small)]
TimeUs = Annotated[Count, AfterValidator(_at_most_in_a_year)]
Cursor = Annotated[Place, BeforeValidator(_place), WithJsonSchema({"type": "string", "pattern": CURSOR})]
EventType = Annotated[str, AfterValidator(_event_type), Field(json_schema_extra={"enum": [*EVENT_TYPES]})]


class Shape(BaseModel):
    """A request, or a part of one, under its wire names; as a body it has so many bytes at the most, and is so deep."""

    largest_bytes: ClassVar[int] = LARGEST_BODY_BYTES
    deepest: ClassVar[int] = DEEPEST
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel, defer_build=True)

    @classmethod
    def of(cls, data: object) -> Self:
        """The data in this shape. Raises RequestInvalidError, with the path of every fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            issues = [_issue(cls, fault) for fault in error.errors(include_url=False)[:MOST_ISSUES]]
            raise RequestInvalidError(issues=issues) from None


class Query(Shape):
    """A query string: text, so numbers are read from it; a name may stand several times where it is `repeatable`."""

    model_config = ConfigDict(strict=False)
    repeatable: ClassVar[frozenset[str]] = frozenset()


class Headers(Shape):
    """The headers that a request may have, by names in lower case; whatever else its way has added is not read."""

    model_config = ConfigDict(extra="ignore", alias_generator=lambda name: name.replace("_", "-"))


class WorkflowAddress(Shape):
    """/workflows/{slug}."""

    slug: Slug


class RunAddress(Shape):
    """/runs/{runId}."""

    run_id: RunId


class StepAddress(RunAddress):
    """/runs/{runId}/steps/{stepId}."""

    step_id: StepId


class NewRun(Shape):
    """A wish for a run."""

    input: Any = None
    """What the workflow is given; it must match the workflow's input schema."""
    run_id: RunId | None = None
    """The run's id, where it isn't to be chosen by the service."""
    available_at_us: TimeUs | None = None
    """When the run may start, at most a year ahead; at once where neither this nor `delayUs` is given."""
    delay_us: Annotated[Whole, Field(ge=0, le=YEAR_US)] | None = None
    """How long the run has to wait before it may start; it can't stand beside `availableAtUs`."""
    priority: Priority | None = None
    timeout_us: Annotated[Whole, Field(ge=1_000, le=YEAR_US)] | None = None
    """How long the run may last; it fails when that is over."""
    idempotency_key: Name | None = None
    """The same submission with the same key makes no second run; another with it is refused (409)."""
    metadata: Metadata | None = None
    """Whatever helps you to know the run again, up to 8 KB of JSON."""
    tags: Tags | None = None
    """What runs can be found by."""

    @field_validator("delay_us")
    @classmethod
    def _instead_of_a_time(cls, delay_us: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("available_at_us") is not None:
            raise PydanticCustomError("two_times", "stands beside availableAtUs: give one of the two")
        return delay_us

    def keyed(self, key: str | None) -> Self:
        """The same; its idempotency key may stand in the header as well. Raises RequestInvalidError."""
        if key is None or key == self.idempotency_key:
            return self
        if self.idempotency_key is not None:
            raise rejected("is not the key in the header Idempotency-Key: send one of the two", path="idempotencyKey")
        return self.model_copy(update={"idempotency_key": key})

    def submission_of(self, workflow_slug: str) -> RunSubmission:
        """What the backend takes."""
        return RunSubmission(
            workflow_slug=workflow_slug,
            input=self.input,
            run_id=self.run_id,
            available_at=self._due_us(),
            priority=self.priority,
            timeout=self.timeout_us,
            idempotency_key=self.idempotency_key,
            metadata=self.metadata,
            tags=self.tags,
        )

    def _due_us(self) -> int | None:
        return self.available_at_us if self.delay_us is None else clock.now_us() + self.delay_us


class SubmitRun(NewRun):
    """A wish for a run of a workflow that it names."""

    workflow_slug: Slug


class Submission(Headers):
    """POST /runs."""

    idempotency_key: Name | None = None
    """Stands for `idempotencyKey` in the body; one of the two is enough."""


class CancelRun(Shape):
    """Why a run is stopped."""

    reason: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None
    """For people; it is shown with the run."""


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


class AttemptReport(Shape):
    """What every report names: who holds the attempt, and which one."""

    worker_id: Name
    """Who claimed it."""
    attempt_number: Ordinal
    """Which attempt of the step."""


class Snapshot(Shape):
    """What an attempt uses at the moment."""

    memory_bytes: Count
    cpu_time_us: Count | None = None


class Heartbeat(AttemptReport):
    """A sign of life from the worker that holds an attempt."""

    resource_snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> ResourceSnapshot | None:
        given = self.resource_snapshot
        if given is None:
            return None
        return ResourceSnapshot(memory_bytes=given.memory_bytes, cpu_time_us=given.cpu_time_us)


class ListRuns(Query):
    """GET /runs: those behind `cursor`, which is an earlier answer's `nextCursor`; with `total` they are counted.

    `offset` passes over so many instead. `createdAfterUs` and `createdBeforeUs` are outside of their own range.
    """

    repeatable = frozenset({"status", "tag"})
    workflow: Slug | None = None
    """Only runs of this workflow."""
    status: Annotated[list[RunStatus], BeforeValidator(_parts)] | None = None
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
    """GET /runs/{runId}/events: those later than `afterUs`."""

    repeatable = frozenset({"type"})
    after_us: Annotated[int, Field(ge=0)] = 0
    """Only events that are later than this: an earlier answer's `nextUs`."""
    type: Annotated[list[EventType], BeforeValidator(_parts)] | None = None
    step: StepId | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_EVENTS)] = MOST_EVENTS


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


def _issue(shape: type[Shape], fault: ErrorDetails) -> ValidationIssue:
    names = {name: field.alias for name, field in shape.model_fields.items()}
    path = ".".join(str(names.get(str(part), part)) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return ValidationIssue(path=path, message=fault["msg"])
    known = ", ".join(str(name) for name in names.values()) or "none"
    return ValidationIssue(path=path, message=f"there is no such field; there are: {known}")
