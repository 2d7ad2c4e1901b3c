"""What is read of a run: its events by filter, and the views that are folds of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from cascade_flow.model.events import Event, LogEntry, StepEvent, StepHeartbeat, StepRetrying
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.states import FailedStep, StepRecord, StepState
from cascade_flow.operations.history import Histories, RunHistory, by_step
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
        story = self._histories.outline(run_id, workflow_slug=workflow_slug)
        if story is None:
            return []
        return self._histories.whole(story, self.among(story, category=category, step_id=step_id, types=types))

    def among(
        self,
        story: RunHistory,
        *,
        category: str | None = None,
        step_id: str | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """The events of an outline, and its log lines, that pass the filter, in order; no text is read."""
        events: Sequence[Event] = story.events
        if category != "workflow" and (types is None or "LogEntry" in types):
            events = self._histories.with_logs(story, step_id=step_id)
        wanted = [
            event for event in events if category in (None, event.category) and (types is None or event.type in types)
        ]
        return [event for event in wanted if step_id in (None, getattr(event, "step_id", None))]

    def step_events(self, workflow_slug: str, run_id: str) -> dict[str, list[StepEvent]]:
        """The events that a step's state is folded from, by step."""
        events = self._of_steps(workflow_slug, run_id)
        return by_step(event for event in events if not isinstance(event, _NOT_PROJECTED))

    def states(self, workflow_slug: str, run_id: str) -> list[StepState]:
        """The states of the steps that anything happened to, heartbeats included."""
        return [project_step_state(events, workflow_slug) for events in self._by_step(workflow_slug, run_id).values()]

    def records(self, workflow_slug: str, run_id: str) -> list[StepRecord]:
        """The records of the steps that anything happened to, in the order in which they were first told of."""
        return [project_step_record(events) for events in self._by_step(workflow_slug, run_id).values()]

    def failed_steps(self, workflow_slug: str, run_id: str) -> list[FailedStep]:
        story = self._histories.outline(run_id, workflow_slug=workflow_slug)
        found = by_step(story.events if story else ())
        return [
            FailedStep(step_id=state.step_id, error=state.error, attempt_number=state.attempt_number)
            for state in (project_step_state(events, workflow_slug) for events in found.values())
            if state.status == "failed" and state.terminal and state.error is not None
        ]

    def _by_step(self, workflow_slug: str, run_id: str) -> dict[str, list[StepEvent]]:
        return by_step(self._of_steps(workflow_slug, run_id))

    def _of_steps(self, workflow_slug: str, run_id: str) -> list[Event]:
        story = self._histories.outline(run_id, workflow_slug=workflow_slug)
        told = [event for event in story.events if isinstance(event, _STEP_EVENTS)] if story else []
        return self._histories.whole(story, told) if story else []
