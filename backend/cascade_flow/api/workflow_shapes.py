"""What a workflow is registered with over HTTP: the words are those in which it is shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from cascade_flow.api.schedule_shapes import NewSchedule
from cascade_flow.api.shapes import YEAR_US, LimitName, Name, Pool, Shape, Slug, StepId, WorkflowAddress
from cascade_flow.model.wire import Ordinal
from cascade_flow.model.workflows import (
    ChildrenDefinition,
    EventDefinition,
    GitInfo,
    RetryTier,
    RunLimit,
    StepDefinition,
    StepLimit,
    UndoDefinition,
    WorkflowRegistration,
)

MOST_STEPS = 1_000
MOST_TIERS = 10
MOST_ERRORS = 50
MOST_SCHEDULES = 100
_Text = Annotated[str, Field(max_length=1_000)]
_Delay = Annotated[int, Field(ge=0, le=YEAR_US, multiple_of=1_000)]
_Timeout = Annotated[int, Field(ge=1_000, le=YEAR_US, multiple_of=1_000)]
_Errors = Annotated[list[Name], Field(max_length=MOST_ERRORS)]


class VersionAddress(WorkflowAddress):
    """/workflows/{slug}/versions/{versionId}."""

    version_id: Name


class NewTier(Shape):
    """One policy of a step's retries; what is left out is as where code declares a step."""

    max_attempts: Annotated[Ordinal, Field(le=1_000)] | None = None
    delay_us: _Delay | None = None
    backoff: Annotated[float, Field(ge=1, le=1_000)] | None = None
    max_delay_us: _Delay | None = None
    jitter: Annotated[float, Field(ge=0, le=1)] | None = None
    retry_on: _Errors | None = None
    give_up_on: _Errors | None = None


class NewLimit(Shape):
    """What a step shares with all that name the same limit: so many places, or so many starts in a time."""

    name: LimitName
    at_most: Annotated[int, Field(ge=1, le=1_000_000)]
    per_us: _Timeout | None = None
    """The time in which so many may start; without it, so many run at once."""
    key: Name | None = None
    """A field of the input, with dots between the parts: each of its values has a limit of its own."""

    @property
    def definition(self) -> StepLimit:
        """The limit as the engine knows it."""
        return StepLimit(**{"name": self.name, **_declared(self)})


class NewRunLimit(Shape):
    """How many runs of the workflow go on at once."""

    at_most: Annotated[int, Field(ge=1, le=1_000)]
    key: Name | None = None
    """A field of the input, with dots between the parts: the runs of each of its values are counted by themselves."""
    skips: bool = False
    """Whether a submission while so many go on is answered with one of them, instead of waiting."""


class NewEvent(Shape):
    """What a node without code waits for, from outside."""

    payload_schema_json: JsonValue = Field(default=None, alias="payloadSchemaJSON")
    """A JSON Schema (2020-12) that the payload must match."""
    timeout_us: _Timeout | None = None
    """How long it is waited for, once all that it depends on is over."""
    on_timeout: Literal["fail", "skip"] | None = None

    @property
    def definition(self) -> EventDefinition:
        """The event as the engine knows it."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return EventDefinition(**{name: value for name, value in said.items() if value is not None})


class NewUndo(Shape):
    """What undoes a step that has completed, without its code: a step of the run that undoes another."""

    step_id: StepId
    name: Name | None = None
    timeout_us: _Timeout | None = None
    retry: Annotated[list[NewTier], Field(min_length=1, max_length=MOST_TIERS)] | None = None
    executor: Pool | None = None
    """The pool of workers that run it; Lambda's where none is named."""
    limit: NewLimit | None = None
    """What it must get before it starts."""

    @property
    def definition(self) -> UndoDefinition:
        """The undo as the engine knows it."""
        return UndoDefinition(**_told_of(self))


class NewChildren(Shape):
    """The runs that do a step's work: one for each item of what a step gave, or one of another workflow."""

    kind: Literal["map", "workflow"]
    over: StepId | None = None
    """Of a map: the step whose list is gone over, or whose dict; one of those that it depends on."""
    concurrency: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Of a map: how many of its runs may go on at once; 50 if nothing is said."""
    batch: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Of a map: how many items one run does; 1 if nothing is said."""
    tolerate: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of a map: the share of the items that may fail; 0 if nothing is said."""
    workflow_slug: Slug | None = None
    """Of a sub-workflow: the workflow that it runs."""

    @property
    def definition(self) -> ChildrenDefinition:
        """The children as the engine knows them."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "workflow_slug"}
        known = {name: value for name, value in said.items() if value is not None}
        return ChildrenDefinition(**known, workflow=self.workflow_slug)


class NewStep(Shape):
    """A step without its code."""

    step_id: StepId
    name: Name | None = None
    dependencies: Annotated[list[StepId], Field(max_length=MOST_STEPS)] | None = None
    export_output: bool | None = None
    timeout_us: _Timeout | None = None
    retry: Annotated[list[NewTier], Field(min_length=1, max_length=MOST_TIERS)] | None = None
    skip_cascades: bool | None = None
    executor: Pool | None = None
    """The pool of workers that run it; Lambda's where none is named."""
    limit: NewLimit | None = None
    """What it must get before it starts."""
    event: NewEvent | None = None
    """What it waits for, where it has no code."""
    children: NewChildren | None = None
    """The runs that do its work, where it has some; what is said of how it is tried then holds for each item."""
    delay_us: _Delay | None = None
    """How long after all that it waits for it starts."""
    poll_every_us: Annotated[int, Field(ge=1_000_000, le=YEAR_US, multiple_of=1_000)] | None = None
    """After how long it comes again that isn't ready, unless it says so itself."""
    give_up_after_us: _Timeout | None = None
    """After how long of not being ready it fails for good; none: the run's time bounds it."""
    undo: NewUndo | None = None
    """What undoes it, where the run fails or is cancelled after it."""

    @property
    def definition(self) -> StepDefinition:
        """The step as the engine knows it."""
        told = _told_of(self)
        if self.event:
            told["event"] = self.event.definition
        if self.undo:
            told["undo"] = self.undo.definition
        if self.children:
            told["children"] = self.children.definition
        return StepDefinition(**told)


class NewGit(Shape):
    """The commit that a version was made from."""

    commit: Name
    dirty: bool
    branch: Name


class RegisterWorkflow(Shape):
    """A workflow without its code."""

    name: Name
    location: _Text | None = None
    """Where its code is, for people."""
    input_schema_json: JsonValue = Field(default=None, alias="inputSchemaJSON")
    """A JSON Schema (2020-12) that every run's input must match."""
    steps: Annotated[list[NewStep], Field(min_length=1, max_length=MOST_STEPS)]
    """In declared order."""
    version_id: Name | None = None
    """The version's name; where none is given, it is named by its content."""
    git: NewGit | None = None
    timeout_us: Annotated[int, Field(ge=1_000, le=YEAR_US)] | None = None
    """How long a run may last that doesn't say it itself."""
    run_limit: NewRunLimit | None = None
    """How many runs go on at once; without it, as many as there are."""
    schedules: Annotated[list[NewSchedule], Field(max_length=MOST_SCHEDULES)] | None = None
    """When runs begin by themselves; a registration without any takes out those that there were."""

    def registration_of(self, slug: str) -> WorkflowRegistration:
        """What the registry takes."""
        return WorkflowRegistration(
            slug=slug,
            name=self.name,
            location=self.location,
            input_schema_json=self.input_schema_json,
            steps=[step.definition for step in self.steps],
            version_id=self.version_id,
            git=GitInfo(**_declared(self.git)) if self.git else None,
            timeout_us=self.timeout_us,
            run_limit=RunLimit(**_declared(self.run_limit)) if self.run_limit else None,
            schedules=None if self.schedules is None else [each.definition for each in self.schedules],
        )


def _told_of(shape: NewStep | NewUndo) -> dict[str, Any]:
    told = {"name": shape.step_id, **_declared(shape)}
    if shape.retry:
        told["retry"] = [RetryTier(**_declared(tier)) for tier in shape.retry]
    if shape.limit:
        told["limit"] = shape.limit.definition
    return told


def _declared(shape: Shape) -> dict[str, Any]:
    """What was said, in the words of a declaration, whose times are milliseconds."""
    said = {name: getattr(shape, name) for name in type(shape).model_fields}
    return dict(_field(name, value) for name, value in said.items() if value is not None)


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_us"):
        return f"{name.removesuffix('_us')}_ms", value // 1_000
    return "id" if name == "step_id" else name, value
