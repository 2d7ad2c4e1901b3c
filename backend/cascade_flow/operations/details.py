"""What people look at: a run with every step of its graph, and the workflows there are. Read only; nothing is decided.

All that is said of a run is folded from one reading of its events, so that its parts agree with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from cascade_flow.dynamodb.registry import Entry
from cascade_flow.errors import RunNotFoundError, StepNotFoundError
from cascade_flow.model.events import (
    Event,
    StepEvent,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetryStarted,
)
from cascade_flow.model.states import RunState, StepState
from cascade_flow.model.workflows import StepDefinition, WorkflowVersion
from cascade_flow.operations.history import Histories, RunHistory, StepLine
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.views import Views
from cascade_flow.projection import project_run_state, project_step_state

End = WorkflowCompleted | WorkflowFailed | WorkflowCancelled
_STEP_EVENTS = get_args(StepEvent)


@dataclass(frozen=True)
class StepDetails:
    """A step of the run's graph, where it stands, and the event that skipped it if one did."""

    definition: StepDefinition
    state: StepState
    skipped: StepSkipped | None


@dataclass(frozen=True)
class RunDetails:
    """A run, its steps in declared order, and the event that ended it if it is over."""

    run: RunState
    version_id: str
    steps: tuple[StepDetails, ...]
    end: End | None


@dataclass(frozen=True)
class WorkflowDetails:
    """A registered workflow and its versions, oldest first."""

    entry: Entry
    versions: tuple[WorkflowVersion, ...]

    @property
    def steps(self) -> list[StepDefinition]:
        """The steps of the version that new runs get."""
        return next((v.steps for v in self.versions if v.version_id == self.entry.version_id), [])


class Details:
    """The details of what is in one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._histories = Histories(runtime)
        self._views = Views(runtime, self._histories)
        self._logs = Logs(runtime)

    def run(self, run_id: str) -> RunDetails:
        """Raises RunNotFoundError, InvalidIdError."""
        story = self._histories.story(run_id)
        if story is None or story.run.status == "reserved":
            raise RunNotFoundError(f"there is no run {run_id!r}; it may have been deleted after its retention")
        slug = story.run.workflow_slug
        return RunDetails(
            project_run_state(story.events, slug), story.run.version_id, _steps(story), _end(story.events)
        )

    def events(self, run_id: str, *, step_id: str | None, types: Sequence[str] | None) -> list[Event]:
        """A run's events that pass the filter, in order; raises RunNotFoundError, StepNotFoundError."""
        found = self._views.events(run_id, step_id=step_id, types=types)
        return found or self._none_of(run_id, step_id)

    def logs(self, run_id: str, *, step_id: str | None, attempt: int | None) -> list[StepLine]:
        """A run's log lines, in order; raises RunNotFoundError, StepNotFoundError."""
        return self._logs.lines(run_id, step_id, attempt) or self._none_of(run_id, step_id)

    def workflows(self) -> list[Entry]:
        """The workflows that can be run, by slug: one query."""
        return self._runtime.registry.runnable()

    def workflow(self, slug: str) -> WorkflowDetails:
        """Raises WorkflowNotFoundError, naming what there is."""
        return WorkflowDetails(self._runtime.registry.current(slug), tuple(self._runtime.registry.versions(slug)))

    def _none_of(self, run_id: str, step_id: str | None) -> list[Any]:
        """Nothing, of a run and a step that are there."""
        story = self._histories.story(self._runtime.run(run_id).run_id)
        if step_id is not None and story is not None and step_id not in story.steps:
            raise StepNotFoundError(f"run {run_id!r} has no step {step_id!r}; its steps are {', '.join(story.steps)}")
        return []


def _steps(story: RunHistory) -> tuple[StepDetails, ...]:
    events: dict[str, list[StepEvent]] = {id: [] for id in story.steps}
    for event in story.events:
        if isinstance(event, _STEP_EVENTS):
            events.setdefault(event.step_id, []).append(event)
    return tuple(_step(story, step, events) for step in story.steps.values())


def _step(story: RunHistory, step: StepDefinition, events: Mapping[str, list[StepEvent]]) -> StepDetails:
    mine = events[step.id]
    skips = [event for event in mine if isinstance(event, StepSkipped)]
    state = project_step_state(mine, story.run.workflow_slug) if mine else _pending(story, step)
    return StepDetails(step, state, skips[-1] if skips and state.status == "skipped" else None)


def _pending(story: RunHistory, step: StepDefinition) -> StepState:
    return StepState(
        step_id=step.id,
        run_id=story.run.run_id,
        workflow_slug=story.run.workflow_slug,
        status="pending",
        attempt_number=1,
        dependencies=step.dependencies,
        state_changes=[],
    )


def _end(events: Iterable[Event]) -> End | None:
    """How the run's newest attempt ended."""
    end: End | None = None
    for event in events:
        if isinstance(event, WorkflowRetryStarted):
            end = None
        elif isinstance(event, End):
            end = event
    return end
