"""The contract's operations as data: what one is told, how our backend is asked for it, and how the peer's is.

The names, arguments and options are ours; `calls_of` words them as the peer wants them. What has no counterpart there
is said in `peer.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic.alias_generators import to_camel

from cascade_flow import CascadeFlowError, DynamoDBBackend, Event, WorkflowRegistration
from cascade_flow.model.wire import WireModel

Call = Sequence[Any]
"""A call of the peer's backend: the method and its arguments."""


@dataclass(frozen=True)
class Operation:
    """One operation at one moment. `place` are its arguments by position, `told` its options."""

    name: str
    place: tuple[Any, ...]
    told: Mapping[str, Any] = field(default_factory=dict)
    at_us: int = 0

    @property
    def run_id(self) -> str:
        """The run that it writes to, where it writes to one."""
        if self.name == "cancel_run":
            return str(self.place[0])
        return str(self.place[2] if self.name.startswith("copy_") else self.place[1])

    @property
    def step_id(self) -> str:
        return str(self.place[2])

    @property
    def attempt(self) -> int:
        """The attempt that a report is about."""
        if self.name == "save_step_heartbeat":
            return int(self.place[4])
        if self.name == "save_step_checkpoint":
            return int(self.place[3].attempt_number)
        return int(self.told["attempt_number"])

    def __str__(self) -> str:
        given = [*map(repr, self.place), *(f"{name}={value!r}" for name, value in self.told.items())]
        return f"{self.at_us}: {self.name}({', '.join(given)})"


@dataclass(frozen=True)
class Outcome:
    """What our backend did with an operation: an answer or a refusal."""

    value: Any = None
    refusal: CascadeFlowError | None = None


def perform(backend: DynamoDBBackend, operation: Operation) -> Outcome:
    """Ask our backend for it."""
    try:
        return Outcome(getattr(backend, operation.name)(*operation.place, **operation.told))
    except CascadeFlowError as error:
        return Outcome(refusal=error)


def calls_of(operation: Operation) -> list[Call]:
    """How the peer is asked for the same."""
    special = _SPECIAL.get(operation.name)
    return special(operation) if special else [_call(operation, _metadata(operation.told))]


def to_wire(value: Any) -> Any:
    """A value as JSON: events, models and what holds them."""
    if isinstance(value, WireModel):
        return value.to_wire()
    if isinstance(value, Mapping):
        return {name: to_wire(inner) for name, inner in value.items() if inner is not None}
    return [to_wire(inner) for inner in value] if isinstance(value, list | tuple) else value


def _call(operation: Operation, *more: Any) -> Call:
    return [to_camel(operation.name), *map(to_wire, operation.place), *more]


def _metadata(told: Mapping[str, Any], *left_out: str) -> dict[str, Any]:
    """Options as the peer names them: without the unit where it is the microsecond."""
    said = {name: value for name, value in told.items() if name not in left_out and value is not None}
    return {to_camel(name.removesuffix("_us")): to_wire(value) for name, value in said.items()}


# -- what the peer words otherwise -------------------------------------------------------------------------------------

_OF_FAILURE = frozenset({"duration_us", "attempt_number", "next_retry_at_us", "failure_reason", "resource_usage"})


def _completed(operation: Operation) -> list[Call]:
    logs = [
        {"timestamp": line.timestamp_us, "stream": line.stream, "message": line.message}
        for line in operation.told.get("logs", ())
    ]
    metadata = {**_metadata(operation.told, "logs", "export_output"), "logs": logs}
    return [_call(operation, metadata, operation.told.get("export_output", False))]


def _retried(operation: Operation) -> list[Call]:
    of_schedule = operation.told.keys() - _OF_FAILURE
    return [_call(operation, _metadata(operation.told, *of_schedule), _metadata(operation.told, *_OF_FAILURE))]


def _run_failed(operation: Operation) -> list[Call]:
    return [_call(operation, _metadata(operation.told, "failure_reason"), operation.told["failure_reason"])]


def _batch(operation: Operation) -> list[Call]:
    events: Sequence[Event] = operation.place[0]
    said = [{"workflowSlug": e.workflow_slug, "runId": e.run_id, "event": to_wire(e)} for e in events]
    return [["batchAppendEvents", said]]


def _registered(operation: Operation) -> list[Call]:
    registration: WorkflowRegistration = operation.place[0]
    fields = {"slug", "name", "location", "inputSchemaJSON", "steps"}
    return [["registerWorkflow", {name: value for name, value in to_wire(registration).items() if name in fields}]]


def _by_position(operation: Operation) -> list[Call]:
    given = _call(operation, *operation.told.values())
    return [given if given[-1] is not None else given[:-1]]


_SPECIAL: Mapping[str, Callable[[Operation], list[Call]]] = {
    "save_step_complete": _completed,
    "save_step_failed_and_schedule_retry": _retried,
    "save_workflow_failed": _run_failed,
    "batch_append_events": _batch,
    "register_workflow": _registered,
    "copy_entire_run": _by_position,
    "copy_workflow_events": _by_position,
    "copy_step_events": _by_position,
    "delete_step_events": _by_position,
    "delete_workflow_terminal_events": _by_position,
    "cancel_run": _by_position,
    "initialize_run": _by_position,
    "append_event": _by_position,
    "create_workflow_version": _by_position,
}
