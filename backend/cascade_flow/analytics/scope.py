"""What a question about the past is about: which events of which runs.

A copied event (a run that goes on from another one begins with copies) counts once, in the run that it happened in.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from cascade_flow.model.events import Event, RunSubmitted, WorkflowRerunFromStep, WorkflowResumed
from cascade_flow.model.reports import TimeRange
from cascade_flow.records import dataclass

DAY_US = 86_400_000_000


class AnalyticsOptions(TypedDict, total=False):
    """What a report may be limited to; by default everything of the last 24 hours, both ends of a range included."""

    start_us: int | None
    end_us: int | None
    workflow_slug: str | None
    step_id: str | None
    run_ids: Sequence[str] | None


@dataclass(frozen=True)
class Scope:
    """The options, with the time range that they mean at a certain moment."""

    start_us: int
    end_us: int
    workflow_slug: str | None = None
    step_id: str | None = None
    run_ids: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        now_us: int,
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        workflow_slug: str | None = None,
        step_id: str | None = None,
        run_ids: Sequence[str] | None = None,
    ) -> Scope:
        """What these options mean now."""
        return cls(
            start_us=now_us - DAY_US if start_us is None else start_us,
            end_us=now_us if end_us is None else end_us,
            workflow_slug=workflow_slug,
            step_id=step_id,
            run_ids=None if run_ids is None else tuple(dict.fromkeys(run_ids)),
        )

    @property
    def time_range(self) -> TimeRange:
        return TimeRange(start_us=self.start_us, end_us=self.end_us, duration_us=self.end_us - self.start_us)

    def events(self, history: Sequence[Event]) -> list[Event]:
        """Those of a run's events that the question is about; about a step, a run's own events say nothing."""
        return [
            event
            for event in own_events(history)
            if self.start_us <= event.timestamp_us <= self.end_us
            and self.step_id in (None, getattr(event, "step_id", None))
            and self.workflow_slug in (None, event.workflow_slug)
        ]


def own_events(history: Sequence[Event]) -> Sequence[Event]:
    """A run's events without those that were copied from the run that it goes on from: they are older than it."""
    if not any(isinstance(event, WorkflowResumed | WorkflowRerunFromStep) for event in history):
        return history
    born_us = next((event.timestamp_us for event in history if isinstance(event, RunSubmitted)), 0)
    return [event for event in history if event.timestamp_us >= born_us]
