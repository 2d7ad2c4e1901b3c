"""A run's events, in order, with what claims, heartbeats and logs have left outside of the commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import to_wire
from cascade_flow.dynamodb.ledger import History
from cascade_flow.engine.pen import rendered
from cascade_flow.engine.state import Branch, Facts, Run
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
    parse_event,
)
from cascade_flow.model.ids import check_run_id
from cascade_flow.operations.kit import Kit

_READS = 10
_OVER = (StepCompleted, StepSkipped)
_ATTEMPT_ENDS = (StepCompleted, StepFailed, StepReclaimed, StepSkipped)


@dataclass(frozen=True)
class Story:
    """A run as stored, and all its events but log lines."""

    run: Run
    facts: Facts
    branches: Mapping[str, Branch]
    events: tuple[Event, ...]


class Histories:
    """Reads what happened in runs."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def story(self, run_id: str, *, workflow_slug: str | None = None) -> Story | None:
        """All that happened in a run but its logs; None where there is none, or where it is another workflow's.

        A reading that shows an effect without its cause is done again.
        """
        for _ in range(_READS):
            history = self._kit.ledger.history(check_run_id(run_id))
            if history is None or workflow_slug not in (None, history.run.workflow_slug):
                return None
            story = self._story(history)
            if has_causes(story.facts.graph, story.events):
                return story
        raise ConflictError(f"run {run_id!r} moves faster than it can be read: try again", run_id=run_id)

    def log_events(self, run: Run, *, step_id: str | None = None, attempt: int | None = None) -> list[LogEntry]:
        """A run's log lines as events, each at a time of its own; those after their attempt's end are left out."""
        found = [
            _log_event(run, step, number, *line)
            for item in self._kit.ledger.table.query(keys.logs(run.run_id, step_id, attempt))
            for step, number, lines in [items.to_log_lines(item)]
            for line in lines
        ]
        return sorted(found, key=lambda event: event.timestamp_us)

    def with_logs(self, story: Story, logs: Iterable[LogEntry]) -> list[Event]:
        """Events and log lines in one order: a zombie's lines dropped, a taken time moved on by a microsecond."""
        ends = {
            (event.step_id, event.attempt_number): event.timestamp_us
            for event in story.events
            if isinstance(event, _ATTEMPT_ENDS)
        }
        alive = [line for line in logs if line.timestamp_us < ends.get((line.step_id, line.attempt_number), 2**62)]
        taken = {event.timestamp_us for event in story.events}
        return sorted([*story.events, *_unique(alive, taken)], key=lambda event: event.timestamp_us)

    def _story(self, history: History) -> Story:
        run = history.run
        facts = self._kit.facts(run)
        stored = self._kit.payloads.events(history.records, workflow_slug=run.workflow_slug, run_id=run.run_id)
        held = (rendered(facts, branch) for branch in history.branches.values() if branch.status == "running")
        unique = {event.timestamp_us: event for events in (*held, stored) for event in events}
        return Story(run, facts, history.branches, tuple(unique[time] for time in sorted(unique)))


def has_causes(graph: Graph, events: Sequence[Event]) -> bool:
    """Whether every step that was scheduled has its dependencies' ends before it."""
    over: set[str] = set()
    for event in events:
        if isinstance(event, _OVER):
            over.add(event.step_id)
        elif isinstance(event, StepScheduled) and not over.issuperset(graph.step(event.step_id).dependencies):
            return False
    return True


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
