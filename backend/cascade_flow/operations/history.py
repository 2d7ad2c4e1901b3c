"""A run's events, in order, with what claims, heartbeats and logs have left outside of the commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cascade_flow.dynamodb import items, keys
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
    make_event,
)
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.runtime import Runtime

_READS = 10
_OVER = (StepCompleted, StepSkipped)
_TOLD = {StepStarted: "dependencies", StepCompleted: "export_output"}
_TOLD_BY_ITS_HOLDER = ("execution-error", "timeout", "step-removed", "exhausted-retries")


class AttemptLine(NamedTuple):
    """One line as an attempt wrote it."""

    time_us: int
    step_id: str
    attempt: int
    stream: str
    message: str


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

    def log_lines(self, run: Run, *, step_id: str | None = None, attempt: int | None = None) -> list[AttemptLine]:
        """A run's log lines as they are stored, in the order of their times."""
        found = [
            AttemptLine(time_us, step, number, stream, message)
            for item in self._runtime.ledger.table.query(keys.logs(run.run_id, step_id, attempt))
            for step, number, lines in [items.to_log_lines(item)]
            for time_us, stream, message in lines
        ]
        return sorted(found, key=lambda line: line.time_us)

    def with_logs(self, story: RunHistory, lines: Iterable[AttemptLine]) -> list[Event]:
        """Events and log lines in one order; see `log_events`."""
        return sorted([*story.events, *self.log_events(story, lines)], key=lambda event: event.timestamp_us)

    def log_events(
        self, story: RunHistory, lines: Iterable[AttemptLine], *, after_us: int = 0, limit: int | None = None
    ) -> list[LogEntry]:
        """Lines as events: a zombie's lines dropped, a taken time moved on by a microsecond; those of a page, if asked.

        A zombie is known by the end that others have given its attempt. What a holder wrote before it reported is all
        its own, whatever its clock did meanwhile. A caller may store its lines when it likes: of its runs none is
        dropped.
        """
        ends = {
            (event.step_id, event.attempt_number): event.timestamp_us
            for event in story.events
            if isinstance(event, StepFailed | StepReclaimed) and _ended_by_others(event)
            if story.run.driver == "engine"
        }
        alive = [line for line in lines if line.time_us < ends.get((line.step_id, line.attempt), 2**62)]
        placed = _unique(alive, {event.timestamp_us for event in story.events})
        later = sorted((line for line in placed if line.time_us > after_us), key=lambda line: line.time_us)
        return [_log_event(story.run, line) for line in later[:limit]]

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


def _ended_by_others(event: StepFailed | StepReclaimed) -> bool:
    """Whether an attempt's end was told by somebody who is not its holder."""
    return isinstance(event, StepReclaimed) or event.failure_reason not in _TOLD_BY_ITS_HOLDER


def _steps_in(events: Iterable[Event]) -> dict[str, StepDefinition]:
    """The steps that something happened to, as far as their starts and ends have told of them."""
    found: dict[str, StepDefinition] = {}
    for event in events:
        if event.category == "step":
            known = found.setdefault(event.step_id, StepDefinition(id=event.step_id, name=event.step_id))
            told = _TOLD.get(type(event))
            found[event.step_id] = known.model_copy(update={told: getattr(event, told)}) if told else known
    return found


def _unique(lines: Iterable[AttemptLine], taken: set[int]) -> Iterable[AttemptLine]:
    for line in lines:
        time_us = line.time_us
        while time_us in taken:
            time_us += 1
        taken.add(time_us)
        yield line._replace(time_us=time_us)


def _log_event(run: Run, line: AttemptLine) -> LogEntry:
    return make_event(
        LogEntry,
        timestamp_us=line.time_us,
        workflow_slug=run.workflow_slug,
        run_id=run.run_id,
        step_id=line.step_id,
        stream=line.stream,
        message=line.message,
        attempt_number=line.attempt,
    )
