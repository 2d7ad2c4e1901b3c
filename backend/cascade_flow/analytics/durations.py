"""How long things take: attempts and runs by their own account, and the wait for a worker."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from cascade_flow.analytics.percentiles import calculate_percentiles
from cascade_flow.model.events import (
    StepCompleted,
    StepEvent,
    StepFailed,
    StepRetrying,
    StepScheduled,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
)
from cascade_flow.model.reports import SchedulingLatency, StepDuration, StepReport, WorkflowDuration

_Attempt = tuple[str, str, int]
_Step = tuple[str, str]


def compute_scheduling_latency(
    step_events: Iterable[StepEvent], *, workflow_slug: str | None = None, step_id: str | None = None
) -> SchedulingLatency:
    """From when an attempt could be claimed to its start; a start before that is left out."""
    distribution = _distribution(wait_us for _, wait_us in waits(step_events))
    return SchedulingLatency(workflow_slug=workflow_slug, step_id=step_id, **distribution)


def waits(step_events: Iterable[StepEvent]) -> list[tuple[int, int]]:
    """When attempts started, and how long each had waited for that."""
    available_us: dict[_Attempt, int] = {}
    started_us: dict[_Attempt, int] = {}
    for event in step_events:
        if isinstance(event, StepScheduled):
            available_us[_attempt(event)] = event.available_at_us
        elif isinstance(event, StepStarted):
            started_us[_attempt(event)] = event.timestamp_us
    begun = [(started_us[attempt], time_us) for attempt, time_us in available_us.items() if attempt in started_us]
    return [(start_us, start_us - time_us) for start_us, time_us in begun if start_us >= time_us]


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


def compute_steps(step_events: Iterable[StepEvent]) -> list[StepReport]:
    """As `compute_step_duration`, of each step by itself, that on which most time was spent first."""
    took, failures, retries = defaultdict[_Step, list[int]](list), Counter[_Step](), Counter[_Step]()
    for event in step_events:
        step = (event.workflow_slug, event.step_id)
        if isinstance(event, StepCompleted | StepFailed):
            took[step].append(event.duration_us)
        failures[step] += isinstance(event, StepFailed)
        retries[step] += isinstance(event, StepRetrying)
    ordered = sorted(took, key=lambda step: (-sum(took[step]), step))
    counts = {step: {"failures": failures[step], "retries": retries[step]} for step in ordered}
    return [StepReport(workflow_slug=s[0], step_id=s[1], **counts[s], **_distribution(took[s])) for s in ordered]


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
