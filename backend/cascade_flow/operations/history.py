"""A run's events, in order, with what claims, heartbeats and logs have left outside of the commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import to_wire
from cascade_flow.dynamodb.ledger import History
from cascade_flow.engine.event_writer import rendered
from cascade_flow.engine.state import Branch, Run
from cascade_flow.errors import ConflictError
from cascade_flow.graph import Graph
from cascade_flow.model.events import (
    Event,
    LogEntry,
    StepCompleted,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    parse_event,
)
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.runtime import Runtime

_READS = 10
_OVER = (StepCompleted, StepSkipped)
_TOLD = {StepStarted: "dependencies", StepCompleted: "export_output"}
_ATTEMPT_ENDS = (StepCompleted, StepFailed, StepReclaimed, StepSkipped)


@dataclass(frozen=True)
class RunHistory:
    """A run as stored, its steps and branches, and all its events but log lines.

    The steps are those of its graph; of a run that a caller drives, those that something happened to, and no branches.
    """

    run: Run
    steps: Mapping[str, StepDefinition]
    branches: Mapping[str, Branch]
    events: tuple[Event, ...]


class Histories:
    """Reads what happened in runs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def story(self, run_id: str, *, workflow_slug: str | None = None) -> RunHistory | None:
        """All that happened in a run but its logs; None where there is none, or where it is another workflow's.

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

    def log_events(self, run: Run, *, step_id: str | None = None, attempt: int | None = None) -> list[LogEntry]:
        """A run's log lines as events, each at a time of its own; those after their attempt's end are left out."""
        found = [
            _log_event(run, step, number, *line)
            for item in self._runtime.ledger.table.query(keys.logs(run.run_id, step_id, attempt))
            for step, number, lines in [items.to_log_lines(item)]
            for line in lines
        ]
        return sorted(found, key=lambda event: event.timestamp_us)

    def with_logs(self, story: RunHistory, logs: Iterable[LogEntry]) -> list[Event]:
        """Events and log lines in one order: a zombie's lines dropped, a taken time moved on by a microsecond.

        A caller may store its lines when it likes: of its runs none is dropped.
        """
        ends = {
            (event.step_id, event.attempt_number): event.timestamp_us
            for event in story.events
            if isinstance(event, _ATTEMPT_ENDS) and story.run.driver == "engine"
        }
        alive = [line for line in logs if line.timestamp_us < ends.get((line.step_id, line.attempt_number), 2**62)]
        taken = {event.timestamp_us for event in story.events}
        return sorted([*story.events, *_unique(alive, taken)], key=lambda event: event.timestamp_us)

    def _driven_by_engine(self, history: History) -> RunHistory | None:
        """None where the reading shows an effect without its cause."""
        facts = self._runtime.facts(history.run)
        held = (rendered(facts, branch) for branch in history.branches.values() if branch.status == "running")
        unique = {event.timestamp_us: event for events in (*held, self._stored(history)) for event in events}
        events = tuple(unique[time] for time in sorted(unique))
        if not has_causes(facts.graph, events):
            return None
        return RunHistory(history.run, facts.graph.steps, history.branches, events)

    def _told_by_callers(self, history: History) -> RunHistory:
        """Only the caller knows what causes what: the events are the story."""
        events = tuple(self._stored(history))
        return RunHistory(history.run, _steps_in(events), {}, events)

    def _stored(self, history: History) -> list[Event]:
        run = history.run
        return self._runtime.payloads.events(history.records, workflow_slug=run.workflow_slug, run_id=run.run_id)


def has_causes(graph: Graph, events: Sequence[Event]) -> bool:
    """Whether every step that was scheduled has its dependencies' ends before it."""
    over: set[str] = set()
    for event in events:
        if isinstance(event, _OVER):
            over.add(event.step_id)
        elif isinstance(event, StepScheduled) and not over.issuperset(graph.step(event.step_id).dependencies):
            return False
    return True


def _steps_in(events: Iterable[Event]) -> dict[str, StepDefinition]:
    """The steps that something happened to, as far as their starts and ends have told of them."""
    found: dict[str, StepDefinition] = {}
    for event in events:
        if event.category == "step":
            known = found.setdefault(event.step_id, StepDefinition(id=event.step_id, name=event.step_id))
            told = _TOLD.get(type(event))
            found[event.step_id] = known.model_copy(update={told: getattr(event, told)}) if told else known
    return found


def _unique(lines: Iterable[LogEntry], taken: set[int]) -> Iterable[LogEntry]:
    for line in lines:
        time_us = line.timestamp_us
        while time_us in taken:
            time_us += 1
        taken.add(time_us)
        yield line.model_copy(update={"timestamp_us": time_us, "event_id": str(time_us)})


def _log_event(run: Run, step_id: str, attempt: int, time_us: int, stream: str, message: str) -> LogEntry:
    record: dict[str, Any] = {
        "timestampUs": time_us,
        "type": "LogEntry",
        "stepId": step_id,
        "stream": stream,
        "message": message,
        "attemptNumber": attempt,
    }
    event = parse_event(to_wire(record, workflow_slug=run.workflow_slug, run_id=run.run_id))
    assert isinstance(event, LogEntry)
    return event
