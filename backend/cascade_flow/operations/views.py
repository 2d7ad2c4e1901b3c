"""What is read of a run: its events by filter, and the views that are folds of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from cascade_flow.model.events import Event, LogEntry, StepEvent, StepHeartbeat, StepRetrying
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.states import FailedStep, StepRecord, StepState
from cascade_flow.operations.history import Histories
from cascade_flow.operations.runtime import Runtime
from cascade_flow.projection import project_step_record, project_step_state

_STEP_EVENTS = get_args(StepEvent)
_NOT_PROJECTED = (LogEntry, StepHeartbeat, StepRetrying)


class Views:
    """Reads runs for people and programs."""

    def __init__(self, runtime: Runtime, histories: Histories) -> None:
        self._runtime = runtime
        self._histories = histories

    def exists(self, workflow_slug: str, run_id: str) -> bool:
        run = self._runtime.ledger.run(check_run_id(run_id))
        return run is not None and run.workflow_slug == workflow_slug

    def events(
        self,
        run_id: str,
        *,
        category: str | None = None,
        step_id: str | None = None,
        types: Sequence[str] | None = None,
        workflow_slug: str | None = None,
    ) -> list[Event]:
        """A run's events that pass the filter, in order; [] where there is no such run (of this workflow)."""
        story = self._histories.story(run_id, workflow_slug=workflow_slug)
        if story is None:
            return []
        events: Sequence[Event] = story.events
        if category != "workflow" and (types is None or "LogEntry" in types):
            events = self._histories.with_logs(story, step_id=step_id)
        wanted = [
            event for event in events if category in (None, event.category) and (types is None or event.type in types)
        ]
        return [event for event in wanted if step_id in (None, getattr(event, "step_id", None))]

    def step_events(self, workflow_slug: str, run_id: str) -> dict[str, list[StepEvent]]:
        """The events that a step's state is folded from, by step."""
        found: dict[str, list[StepEvent]] = {}
        story = self._histories.story(run_id, workflow_slug=workflow_slug)
        for event in story.events if story else ():
            if isinstance(event, _STEP_EVENTS) and not isinstance(event, _NOT_PROJECTED):
                found.setdefault(event.step_id, []).append(event)
        return found

    def states(self, workflow_slug: str, run_id: str) -> list[StepState]:
        """The states of the steps that anything happened to, heartbeats included."""
        return [project_step_state(events, workflow_slug) for events in self._by_step(workflow_slug, run_id)]

    def records(self, workflow_slug: str, run_id: str) -> list[StepRecord]:
        """The records of the steps that anything happened to, in the order in which they were first told of."""
        return [project_step_record(events) for events in self._by_step(workflow_slug, run_id)]

    def failed_steps(self, workflow_slug: str, run_id: str) -> list[FailedStep]:
        return [
            FailedStep(step_id=state.step_id, error=state.error, attempt_number=state.attempt_number)
            for state in self.states(workflow_slug, run_id)
            if state.status == "failed" and state.terminal and state.error is not None
        ]

    def _by_step(self, workflow_slug: str, run_id: str) -> Iterable[list[StepEvent]]:
        found: dict[str, list[StepEvent]] = {}
        story = self._histories.story(run_id, workflow_slug=workflow_slug)
        for event in story.events if story else ():
            if isinstance(event, _STEP_EVENTS):
                found.setdefault(event.step_id, []).append(event)
        return found.values()
