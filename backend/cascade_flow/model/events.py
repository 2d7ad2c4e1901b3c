"""The events as one union, and the two ways over the border: `parse_event` and `dump_event`.

The models themselves live in `step_events` and `workflow_events`; this module is where everybody imports them from.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.parts import (
    CheckpointRef,
    ErrorFingerprints,
    ResourceSnapshot,
    ResourceUsage,
    StepError,
    ValidationIssue,
)
from cascade_flow.model.step_events import (
    LogEntry,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.model.workflow_events import (
    RunSubmitted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowInputValidation,
    WorkflowRerunFromStep,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)

__all__ = [
    "EVENT_TYPES",
    "CheckpointRef",
    "ErrorFingerprints",
    "Event",
    "LogEntry",
    "ResourceSnapshot",
    "ResourceUsage",
    "RunSubmitted",
    "StepCheckpoint",
    "StepCheckpointFailed",
    "StepCompleted",
    "StepError",
    "StepEvent",
    "StepFailed",
    "StepHeartbeat",
    "StepReclaimed",
    "StepRetrying",
    "StepScheduled",
    "StepSkipped",
    "StepStarted",
    "ValidationIssue",
    "WorkflowCancelled",
    "WorkflowCompleted",
    "WorkflowEvent",
    "WorkflowFailed",
    "WorkflowInputValidation",
    "WorkflowRerunFromStep",
    "WorkflowResumed",
    "WorkflowRetryStarted",
    "WorkflowStarted",
    "dump_event",
    "make_event",
    "parse_event",
]

StepEvent = (
    StepScheduled
    | StepStarted
    | StepHeartbeat
    | StepCompleted
    | StepFailed
    | StepRetrying
    | StepReclaimed
    | StepSkipped
    | StepCheckpoint
    | StepCheckpointFailed
    | LogEntry
)
WorkflowEvent = (
    RunSubmitted
    | WorkflowStarted
    | WorkflowInputValidation
    | WorkflowCompleted
    | WorkflowFailed
    | WorkflowCancelled
    | WorkflowResumed
    | WorkflowRetryStarted
    | WorkflowRerunFromStep
)
Event = StepEvent | WorkflowEvent
_KINDS = {kind.__name__: kind for kind in (*get_args(WorkflowEvent), *get_args(StepEvent))}
EVENT_TYPES = tuple(_KINDS)

E = TypeVar("E", bound=Event)

_OURS_ALONE = {(StepCheckpointFailed, "parent_checkpoint")}
"""Fields that the wire contract doesn't know: whatever others write there is no fault."""
_HAVE_DEFAULTS_HERE_ONLY = ("event_id", "category")


def parse_event(data: Mapping[str, Any] | str | bytes) -> Event:
    """A wire event (JSON text, or the object it stands for) as its model.

    Raises EventInvalidError, whose `issues` name every faulty field. Unknown fields are ignored.
    """
    try:
        event = _validated(data)
    except ValidationError as error:
        _refuse([_issue_of(detail) for detail in error.errors(include_url=False, include_input=False)])
    if issues := [*_missing(event), *_nulls(event)]:
        _refuse(issues)
    return event


def make_event(kind: type[E], **fields: Any) -> E:
    """An event from its parts; raises EventInvalidError, whose `issues` name every faulty field."""
    try:
        return kind(**fields)
    except ValidationError as error:
        _refuse([_issue(detail["loc"], detail["msg"]) for detail in error.errors(include_url=False)])


def dump_event(event: Event) -> dict[str, Any]:
    """The event as JSON-ready data under its wire names, absent fields left out."""
    return event.to_wire()


@cache
def _any_event() -> TypeAdapter[Event]:
    """Made when it is first needed: it takes a third of a second to make, and most functions read a few kinds only."""
    return TypeAdapter(Annotated[Event, Field(discriminator="type")])


def _validated(data: Mapping[str, Any] | str | bytes) -> Event:
    if isinstance(data, Mapping):
        return _of_its_kind(data) or _any_event().validate_python(dict(data), by_alias=True, by_name=False)
    try:
        return _any_event().validate_json(data, by_alias=True, by_name=False)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        return _any_event().validate_python(_lenient_json(data, error), by_alias=True, by_name=False)


def _of_its_kind(data: Mapping[str, Any]) -> Event | None:
    """The event by the model of its type alone; None for what is none, which only all models together can tell."""
    named = data.get("type")
    kind = _KINDS.get(named) if isinstance(named, str) else None
    try:
        event: Event | None = kind and kind.model_validate(dict(data), by_alias=True, by_name=False)
    except ValidationError:
        return None
    return event


def _lenient_json(data: str | bytes, error: ValidationError) -> Any:
    """JSON with escaped lone surrogates, which is JSON and yet no Unicode: pydantic's own reader refuses it."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise error from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _missing(event: Event) -> Iterator[ValidationIssue]:
    for name in _HAVE_DEFAULTS_HERE_ONLY:
        if name not in event.model_fields_set:
            yield _issue((to_camel(name),), "Field required")


def _nulls(model: BaseModel, *at: str) -> Iterator[ValidationIssue]:
    """On the wire what is absent is left out; null is no value of any field."""
    for name in model.model_fields_set:
        value = getattr(model, name)
        if value is None and (type(model), name) not in _OURS_ALONE:
            yield _issue((*at, to_camel(name)), "Input should be left out where it is absent, not null")
        elif isinstance(value, BaseModel):
            yield from _nulls(value, *at, to_camel(name))


def _issue_of(detail: ErrorDetails) -> ValidationIssue:
    if detail["type"].startswith("union_tag"):
        return _issue(("type",), "Input should be the type of an event")
    return _issue(detail["loc"][1:], detail["msg"])


def _issue(location: tuple[int | str, ...], message: str) -> ValidationIssue:
    return ValidationIssue(path=".".join(map(str, location)), message=message)


def _refuse(issues: list[ValidationIssue]) -> NoReturn:
    raise EventInvalidError(issues=issues) from None
