"""Workflows as they are declared, registered, versioned and submitted.

The ids are checked where a registration or submission comes in (`model.ids`); the graph is checked in `graph`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from cascade_flow.model.wire import Count, JsonObject, Number, Ordinal, Text, Whole, WireModel


class RetryTier(WireModel):
    """One policy of a step's retries. Tiers are tried in turn.

    The delay before retry n is `delay_ms * backoff ** (n - 1)`, at most `max_delay_ms`, shifted by a random share of
    itself of at most `jitter`. `retry_on` and `give_up_on` name error classes; an empty `retry_on` means every error.
    """

    max_attempts: Ordinal = 3
    delay_ms: Count = 1_000
    backoff: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    max_delay_ms: Count = 300_000
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.1
    retry_on: list[Text] = Field(default_factory=list)
    give_up_on: list[Text] = Field(default_factory=list)


class StepLimit(WireModel):
    """What a step must get before it starts, shared by all runs of all workflows that name the limit.

    A place: `at_most` attempts run at once. With `per_ms` a turn: so many start within any such time. `key` names a
    field of the run's input (with dots between the parts); then each of its values has a limit of its own.
    """

    name: Text
    at_most: Ordinal
    per_ms: Ordinal | None = None
    key: Text | None = None


class RunLimit(WireModel):
    """How many runs of a workflow go on at once; by `key`, for each value of a field of the input. Further ones wait,
    or, with `skips`, are the run that is there.
    """

    at_most: Ordinal
    key: Text | None = None
    skips: bool = False


class EventDefinition(WireModel):
    """What a node without code waits for, beside its dependencies: a payload from outside, of this JSON Schema.

    `timeout_us` counts from when all that it depends on is over; then the node fails, or is skipped.
    """

    payload_schema_json: JsonValue = Field(default=None, alias="payloadSchemaJSON")
    timeout_us: Ordinal | None = None
    on_timeout: Literal["fail", "skip"] = "fail"


class UndoDefinition(WireModel):
    """What undoes a step that has completed, without its code: a step of the run that undoes another."""

    id: Text
    name: Text
    timeout_ms: Ordinal | None = None
    retry: list[RetryTier] = Field(default_factory=lambda: [RetryTier()], min_length=1)
    executor: Text | None = None
    limit: StepLimit | None = None


class ChildrenDefinition(WireModel):
    """The runs that do a step's work: one for each item of what the step `over` gave, or one of another `workflow`.

    Of a map: `concurrency` of its runs go on at once, each with `batch` items, of which a share of `tolerate` may fail.
    """

    kind: Literal["map", "workflow"]
    over: Text | None = None
    concurrency: Ordinal = 50
    batch: Ordinal = 1
    tolerate: Annotated[float, Field(ge=0, le=1)] = 0.0
    workflow: Text | None = None


class StepDefinition(WireModel):
    """A step without its code: what it is called, what it waits for, how it is tried, and who carries it out.

    `executor` names a pool: only a worker that asks for that pool gets the step. None: Lambda's workers. `limit` is
    what it shares with others. `delay_ms` is how long after all that it waits for it starts. A step that says that it
    isn't ready is asked again after `poll_every_ms`, unless it says when, and fails for good `give_up_after_ms` after
    its first attempt began. One with an `event` has no code at all, and nobody carries it out. Where `children` do the
    work, all that is said of how it is tried holds for each item. What it has done is undone by its `undo`, where the
    run fails or is cancelled.
    """

    id: Text
    name: Text
    dependencies: list[Text] = Field(default_factory=list)
    export_output: bool = False
    timeout_ms: Ordinal | None = None
    retry: list[RetryTier] = Field(default_factory=lambda: [RetryTier()], min_length=1)
    skip_cascades: bool = True
    executor: Text | None = None
    limit: StepLimit | None = None
    event: EventDefinition | None = None
    delay_ms: Ordinal | None = None
    poll_every_ms: Ordinal | None = None
    give_up_after_ms: Ordinal | None = None
    children: ChildrenDefinition | None = None
    undo: UndoDefinition | None = None


class GitInfo(WireModel):
    """The commit that a version was made from."""

    commit: Text
    dirty: bool
    branch: Text


class WorkflowMetadata(WireModel):
    """What is known of a workflow without its steps; the schema is JSON Schema 2020-12."""

    slug: Text
    name: Text
    location: Text | None = None
    input_schema_json: JsonValue = Field(default=None, alias="inputSchemaJSON")


MissedTimes = Literal["latest", "all", "none"]


class ScheduleDefinition(WireModel):
    """When runs of a workflow begin by themselves: by a cron expression and a time zone, or every so often.

    `missed` says what becomes of times at which nobody could look, or during which the schedule was paused.
    """

    name: Text
    cron: Text | None = None
    timezone: Text | None = None
    every_us: Ordinal | None = None
    input: JsonValue = None
    missed: MissedTimes = "latest"


class WorkflowRegistration(WorkflowMetadata):
    """A workflow as its code declares it. Its schedules are no part of any version."""

    steps: list[StepDefinition]
    version_id: Text | None = None
    git: GitInfo | None = None
    timeout_us: Ordinal | None = None
    run_limit: RunLimit | None = None
    schedules: list[ScheduleDefinition] | None = None


class StepNote(WireModel):
    """What the code of a step says of it to people; `code` is another text wherever its source is another."""

    description: Text | None = None
    code: Text | None = None


class WorkflowNotes(WireModel):
    """What code says of a workflow to people. It decides nothing, and is no part of a version."""

    description: Text | None = None
    steps: dict[Text, StepNote] = Field(default_factory=dict)


class WorkflowVersion(WireModel):
    """A workflow at one point in time; `version_id` is a hash of its content, number 1 is the oldest."""

    workflow_slug: Text
    version_id: Text
    version_number: Ordinal
    created_at: Number
    step_manifest: list[Text]
    total_steps: Count
    git: GitInfo | None = None
    steps: list[StepDefinition] = Field(default_factory=list)


class RunSubmission(WireModel):
    """The wish for a run. `input` is a JSON value; `available_at` and `timeout` are microseconds."""

    workflow_slug: Text
    input: Any = None
    run_id: Text | None = None
    available_at: Number | None = None
    priority: Whole | None = None
    timeout: Ordinal | None = None
    idempotency_key: Text | None = None
    metadata: JsonObject | None = None
    tags: list[Text] | None = None
