"""How long things take: attempts and runs by their own account, and the wait for a worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cascade_flow.analytics.percentiles import calculate_percentiles
from cascade_flow.model.events import (
    StepCompleted,
    StepEvent,
    StepFailed,
    StepScheduled,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
)
from cascade_flow.model.reports import SchedulingLatency, StepDuration, WorkflowDuration

_Attempt = tuple[str, str, int]


def compute_scheduling_latency(
    step_events: Iterable[StepEvent], *, workflow_slug: str | None = None, step_id: str | None = None
) -> SchedulingLatency:
    """From when an attempt could be claimed to its start; a start before that is left out."""
    available_us: dict[_Attempt, int] = {}
    started_us: dict[_Attempt, int] = {}
    for event in step_events:
        if isinstance(event, StepScheduled):
            available_us[_attempt(event)] = event.available_at_us
        elif isinstance(event, StepStarted):
            started_us[_attempt(event)] = event.timestamp_us
    waits = [started_us[attempt] - time_us for attempt, time_us in available_us.items() if attempt in started_us]
    distribution = _distribution(wait for wait in waits if wait >= 0)
    return SchedulingLatency(workflow_slug=workflow_slug, step_id=step_id, **distribution)


def compute_step_duration(
    step_events: Iterable[StepEvent], *, workflow_slug: str | None = None, step_id: str | None = None
) -> StepDuration:
    """Of attempts that completed or failed, as their workers measured it."""
    took = (event.duration_us for event in step_events if isinstance(event, StepCompleted | StepFailed))
    return StepDuration(workflow_slug=workflow_slug, step_id=step_id, **_distribution(took))


def compute_workflow_duration(
    workflow_events: Iterable[WorkflowEvent], *, workflow_slug: str | None = None
) -> WorkflowDuration:
    """Of runs that completed, failed or were cancelled."""
    ends = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
    took = (event.duration_us for event in workflow_events if isinstance(event, ends))
    return WorkflowDuration(workflow_slug=workflow_slug, **_distribution(took))


def _attempt(event: StepScheduled | StepStarted) -> _Attempt:
    return event.run_id, event.step_id, event.attempt_number


def _distribution(values_us: Iterable[int]) -> dict[str, Any]:
    found = calculate_percentiles(values_us)
    return {
        "count": found.count,
        "average_us": found.average,
        "median_us": found.median,
        "p95_us": found.p95,
        "p99_us": found.p99,
        "min_us": found.min,
        "max_us": found.max,
    }
