"""What reports need of a run that has ended, and nothing else: a tenth of its events' bytes.

A digest is made of a run's own events and gives events back, with those fields that reports ask for; so each report is
the same function of the one as of the other. Only for the events that `_FIELDS` lists: the others are in no report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cascade_flow.analytics.scope import own_events
from cascade_flow.model.events import (
    ErrorFingerprints,
    Event,
    StepCompleted,
    StepError,
    StepFailed,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
)
from cascade_flow.model.wire import WireModel
from cascade_flow.records import dataclass

_Row = list[Any]
"""The number of its kind, microseconds since the row before, the number of its step, the attempt, and its fields."""

_ENDS = ("duration_us",)
_FIELDS: Mapping[type[Event], tuple[str, ...]] = {
    StepScheduled: ("available_at_us",),
    StepStarted: (),
    StepCompleted: _ENDS,
    StepFailed: (*_ENDS, "terminal", "failure_reason", "error", "error_fingerprints"),
    StepRetrying: (),
    StepReclaimed: ("original_worker_id", "stale_duration_us"),
    StepSkipped: (),
    WorkflowCompleted: _ENDS,
    WorkflowFailed: _ENDS,
    WorkflowCancelled: _ENDS,
}
"""The kinds in the order of their numbers, which are stored: add at the end."""
_KINDS = tuple(_FIELDS)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_MODELS: Mapping[str, type[WireModel]] = {"error": StepError, "error_fingerprints": ErrorFingerprints}
_MADE_BY_HAND = {"__pydantic_fields_set__": frozenset[str](), "__pydantic_extra__": None, "__pydantic_private__": None}


@dataclass(frozen=True)
class Digest:
    """A run that has ended; `listed_us` is the time under which the index has it, which nothing else of it ever had."""

    run_id: str
    workflow_slug: str
    listed_us: int
    expires_s: int
    steps: Sequence[str]
    rows: Sequence[_Row]

    def to_text(self) -> str:
        """The digest as JSON."""
        told = [self.run_id, self.workflow_slug, self.listed_us, self.expires_s, self.steps, self.rows]
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)

    def events(self) -> Iterator[Event]:
        """The run's own events, as far as reports ask for them, in order."""
        at_us, place = 0, {"workflow_slug": self.workflow_slug, "run_id": self.run_id}
        for number, after_us, step, attempt, *values in self.rows:
            at_us += after_us
            kind = _KINDS[number]
            named = {} if step is None else {"step_id": self.steps[step], "attempt_number": attempt}
            told = {name: _told(name, value, at_us) for name, value in zip(_FIELDS[kind], values, strict=True)}
            yield _made(kind, {**place, "timestamp_us": at_us, **named, **told})


def matters(event: Event) -> bool:
    """Whether any report asks for events of this kind."""
    return type(event) in _NUMBERS


def digest_of(run_id: str, slug: str, events: Sequence[Event], *, listed_us: int, expires_s: int) -> Digest:
    """What reports need of these events, which are all of a run's and in order."""
    steps: dict[str, int] = {}
    rows: list[_Row] = []
    before_us = 0
    for event in filter(matters, own_events(events)):
        step = steps.setdefault(event.step_id, len(steps)) if event.category == "step" else None
        rows.append([_NUMBERS[type(event)], event.timestamp_us - before_us, step, *_values(event)])
        before_us = event.timestamp_us
    return Digest(run_id, slug, listed_us, expires_s, list(steps), rows)


def to_digests(text: str) -> Iterator[Digest]:
    """The digests in a list of JSON."""
    return (Digest(*told) for told in json.loads(text))


def _values(event: Event) -> list[Any]:
    return [getattr(event, "attempt_number", None), *(_kept(event, name) for name in _FIELDS[type(event)])]


def _kept(event: Event, name: str) -> Any:
    """A field as it is stored; a whole time as what it is later than its event, which packs better."""
    value = getattr(event, name)
    if name in _MODELS:
        return value.to_wire()
    return value - event.timestamp_us if name == "available_at_us" and type(value) is int else value


def _told(name: str, value: Any, at_us: int) -> Any:
    """The field that `_kept` was given."""
    if name in _MODELS:
        return _MODELS[name].model_validate(value)
    return value + at_us if name == "available_at_us" and type(value) is int else value


def _made(kind: type[Event], fields: dict[str, Any]) -> Event:
    """An event of which only these fields are known: pydantic's own way takes twenty times as long."""
    event = kind.__new__(kind)
    given = {"category": kind.model_fields["category"].default, "type": kind.__name__, **fields}
    for name, value in {"__dict__": given, **_MADE_BY_HAND}.items():
        object.__setattr__(event, name, value)
    return event
