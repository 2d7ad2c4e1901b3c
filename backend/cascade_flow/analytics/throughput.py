"""How much comes to an end, and how well: counts of the events that end runs and steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cascade_flow.analytics.percentiles import percentage
from cascade_flow.model.events import StepEvent, StepFailed, WorkflowEvent
from cascade_flow.model.reports import SuccessRate, Throughput

_HOUR_US = 3_600_000_000


def compute_throughput(
    step_events: Iterable[StepEvent],
    workflow_events: Iterable[WorkflowEvent],
    time_range_us: int,
    *,
    workflow_slug: str | None = None,
) -> Throughput:
    """What ended, and how much of it in an hour of the range; a run that was cancelled is none that was done."""
    steps, runs = _step_ends(step_events), _types(workflow_events)
    runs_done = runs["WorkflowCompleted"] + runs["WorkflowFailed"]
    hours = time_range_us / _HOUR_US
    return Throughput(
        workflow_slug=workflow_slug,
        time_range_us=time_range_us,
        runs_completed=runs["WorkflowCompleted"],
        runs_failed=runs["WorkflowFailed"],
        steps_completed=steps["StepCompleted"],
        steps_failed=steps["StepFailed"],
        steps_skipped=steps["StepSkipped"],
        runs_per_hour=runs_done / hours if hours > 0 else 0,
        steps_per_hour=steps.total() / hours if hours > 0 else 0,
    )


def compute_success_rate(
    step_events: Iterable[StepEvent],
    workflow_events: Iterable[WorkflowEvent],
    *,
    workflow_slug: str | None = None,
    step_id: str | None = None,
) -> SuccessRate:
    """How runs and steps ended, in numbers and in percent."""
    steps, runs = _step_ends(step_events), _types(workflow_events)
    total_runs = runs["WorkflowCompleted"] + runs["WorkflowFailed"] + runs["WorkflowCancelled"]
    return SuccessRate(
        workflow_slug=workflow_slug,
        step_id=step_id,
        total_runs=total_runs,
        successful_runs=runs["WorkflowCompleted"],
        failed_runs=runs["WorkflowFailed"],
        cancelled_runs=runs["WorkflowCancelled"],
        success_rate=percentage(runs["WorkflowCompleted"], total_runs),
        failure_rate=percentage(runs["WorkflowFailed"], total_runs),
        total_steps=steps.total(),
        successful_steps=steps["StepCompleted"],
        failed_steps=steps["StepFailed"],
        skipped_steps=steps["StepSkipped"],
        step_success_rate=percentage(steps["StepCompleted"], steps.total()),
        step_failure_rate=percentage(steps["StepFailed"], steps.total()),
    )


def _types(events: Iterable[WorkflowEvent]) -> Counter[str]:
    return Counter(event.type for event in events)


def _step_ends(step_events: Iterable[StepEvent]) -> Counter[str]:
    """How often a step completed, was skipped, or failed for good."""
    return Counter(
        event.type
        for event in step_events
        if event.type in ("StepCompleted", "StepSkipped") or (isinstance(event, StepFailed) and event.terminal)
    )
