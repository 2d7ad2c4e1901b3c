"""A run's events, in order, with what claims, heartbeats and logs have left outside of the commits."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import Record, references_of, to_wire
from cascade_flow.dynamodb.ledger import History
from cascade_flow.engine.event_writer import rendered
from cascade_flow.engine.state import Branch, Run
from cascade_flow.errors import ConflictError
from cascade_flow.graph import Graph
from cascade_flow.model.events import (
    Event,
    LogEntry,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    parse_event,
)
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.payloads import key_in_bucket
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass, replace

_READS = 10
_OVER = (StepCompleted, StepSkipped)
_TOLD = {StepStarted: "dependencies", StepCompleted: "export_output"}
_NEVER_US = 2**62
_time_of = attrgetter("timestamp_us")
_TOLD_BY_ITS_HOLDER = ("execution-error", "timeout", "step-removed", "exhausted-retries")


@dataclass(frozen=True)
class RunHistory:
    """A run as stored, its steps and branches, and all its events but log lines.

    The steps are those of its graph; of a run that a caller drives, those that something happened to, and no branches.
    `aside` says where texts lie that were put aside, by an event's time and the field: of an outline, such a field
    holds `null`.
    """

    run: Run
    steps: Mapping[str, StepDefinition]
    branches: Mapping[str, Branch]
    events: tuple[Event, ...]
    aside: Mapping[float, Mapping[str, str]]


@dataclass(frozen=True)
class EventDetails:
    """An event, and where those of its texts lie that are in the bucket and were not read.

    Without `has_payloads` no text was asked for, and what stands in the event's place of one says nothing.
    """

    event: Event
    outside: Mapping[str, str]
    has_payloads: bool = True


class StepLine(NamedTuple):
    """A line of an attempt's log."""

    timestamp_us: int
    step_id: str
    attempt_number: int
    stream: str
    message: str


class Histories:
    """Reads what happened in runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def story(self, run_id: str, *, workflow_slug: str | None = None) -> RunHistory | None:
        """All that happened in a run but its logs; None where there is none, or where it is another workflow's."""
        outline = self.outline(run_id, workflow_slug=workflow_slug)
        return outline and replace(outline, events=tuple(self.whole(outline, outline.events)))

    def outline(self, run_id: str, *, workflow_slug: str | None = None) -> RunHistory | None:
        """The same without the texts that were put aside: `whole` reads those of the events that are wanted.

        A reading that shows an effect without its cause is done again.
        """
        for _ in range(_READS):
            history = self._runtime.ledger.history(check_run_id(run_id))
            if history is None or workflow_slug not in (None, history.run.workflow_slug):
                return None
            read = self._told_by_callers if history.run.driver == "caller" else self._driven_by_engine
            if (story := read(history)) is not None:
                return story
        raise ConflictError(f"run {run_id!r} moves faster than it can be read: try again", run_id=run_id)

    def whole(self, story: RunHistory, events: Sequence[Event], *, bucket: bool = True) -> list[Event]:
        """These events of an outline, with their texts; but those in the bucket only where it is to be read."""
        gaps = [_gaps(story, event, bucket=bucket) for event in events]
        texts = self._runtime.payloads.texts(story.run.run_id, {place for gap in gaps for place in gap.values()})
        return [
            event.model_copy(update={name: texts[place] for name, place in gap.items()}) if gap else event
            for event, gap in zip(events, gaps, strict=True)
        ]

    def log_lines(self, story: RunHistory, *, step_id: str | None = None, attempt: int | None = None) -> list[StepLine]:
        """A run's log lines in order: a zombie's dropped, a taken time moved on by a microsecond.

        A zombie is known by the end that others have given its attempt; what a holder wrote is all its own, whatever
        its clock did meanwhile. A caller may store its lines when it likes: of its runs none is dropped.
        """
        ends = {
            (event.step_id, event.attempt_number): event.timestamp_us
            for event in story.events
            if story.run.driver == "engine"
            and isinstance(event, StepFailed | StepReclaimed)
            and _ended_by_others(event)
        }
        found = [
            StepLine(time_us, step, number, stream, message)
            for item in self._runtime.ledger.table.query(keys.logs(story.run.run_id, step_id, attempt))
            for step, number, lines in [items.to_log_lines(item)]
            for end_us in [ends.get((step, number), _NEVER_US)]
            for time_us, stream, message in lines
            if time_us < end_us
        ]
        return list(_spread(sorted(found, key=_time_of), {event.timestamp_us for event in story.events}))

    def with_logs(self, story: RunHistory, *, step_id: str | None = None) -> list[Event]:
        """Events and log lines in one order."""
        lines = self.log_lines(story, step_id=step_id)
        return sorted([*story.events, *log_entries(story.run, lines)], key=_time_of)

    def _driven_by_engine(self, history: History) -> RunHistory | None:
        """None where the reading shows an effect without its cause."""
        facts = self._runtime.facts(history.run)
        held = (rendered(facts, branch) for branch in history.branches.values() if branch.status == "running")
        unique = {event.timestamp_us: event for events in (*held, self._stored(history)) for event in events}
        events = tuple(unique[time] for time in sorted(unique))
        if not has_causes(facts.graph, events):
            return None
        return RunHistory(history.run, facts.graph.steps, history.branches, events, _aside(history))

    def _told_by_callers(self, history: History) -> RunHistory:
        """Only the caller knows what causes what: the events are the story."""
        events = tuple(self._stored(history))
        return RunHistory(history.run, _steps_in(events), {}, events, _aside(history))

    def _stored(self, history: History) -> list[Event]:
        run = history.run
        records = map(_outlined, history.records)
        return [parse_event(to_wire(r, workflow_slug=run.workflow_slug, run_id=run.run_id)) for r in records]


def _gaps(story: RunHistory, event: Event, *, bucket: bool) -> Mapping[str, str]:
    places = story.aside.get(event.timestamp_us, {})
    return {name: place for name, place in places.items() if bucket or key_in_bucket(place) is None}


def _outlined(record: Record) -> Record:
    return {**record, **dict.fromkeys(references_of(record), "null")}


def _aside(history: History) -> Mapping[float, Mapping[str, str]]:
    found = ((record["timestampUs"], references_of(record)) for record in history.records)
    return {time_us: places for time_us, places in found if places}


def has_causes(graph: Graph, events: Sequence[Event]) -> bool:
    """Whether every step that was scheduled has its dependencies' ends before it."""
    over: set[str] = set()
    for event in events:
        if isinstance(event, _OVER):
            over.add(event.step_id)
        elif isinstance(event, StepScheduled) and not over.issuperset(graph.step(event.step_id).dependencies):
            return False
    return True


def by_step(events: Iterable[Event]) -> dict[str, list[StepEvent]]:
    """The steps' events among these, by step, in the order in which the steps were first told of."""
    found: dict[str, list[StepEvent]] = {}
    for event in events:
        if event.category == "step":
            found.setdefault(event.step_id, []).append(event)
    return found


def _steps_in(events: Iterable[Event]) -> dict[str, StepDefinition]:
    """The steps that something happened to, as far as their starts and ends have told of them."""
    found: dict[str, StepDefinition] = {}
    for event in events:
        if event.category == "step":
            known = found.setdefault(event.step_id, StepDefinition(id=event.step_id, name=event.step_id))
            told = _TOLD.get(type(event))
            found[event.step_id] = known.model_copy(update={told: getattr(event, told)}) if told else known
    return found


def log_entries(run: Run, lines: Iterable[StepLine]) -> Iterator[LogEntry]:
    """Lines as events: much dearer, so only for whoever wants events."""
    for line in lines:
        record: dict[str, Any] = {
            "timestampUs": line.timestamp_us,
            "type": "LogEntry",
            "stepId": line.step_id,
            "stream": line.stream,
            "message": line.message,
            "attemptNumber": line.attempt_number,
        }
        event = parse_event(to_wire(record, workflow_slug=run.workflow_slug, run_id=run.run_id))
        assert isinstance(event, LogEntry)
        yield event


def _ended_by_others(event: StepFailed | StepReclaimed) -> bool:
    """Whether somebody else than its holder has ended an attempt."""
    return isinstance(event, StepReclaimed) or event.failure_reason not in _TOLD_BY_ITS_HOLDER


def _spread(lines: Iterable[StepLine], taken: Container[int]) -> Iterator[StepLine]:
    """The lines, which are in order, each at a time of its own that is not taken; one look at each."""
    last_us = -1
    for line in lines:
        last_us = max(line.timestamp_us, last_us + 1)
        while last_us in taken:
            last_us += 1
        yield line if last_us == line.timestamp_us else line._replace(timestamp_us=last_us)
