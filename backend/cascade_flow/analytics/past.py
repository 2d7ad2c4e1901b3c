"""What happened within a scope, and each report on it: the one place that knows which report needs which events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from cascade_flow.analytics.durations import (
    compute_scheduling_latency,
    compute_step_duration,
    compute_steps,
    compute_workflow_duration,
)
from cascade_flow.analytics.errors import compute_error_analysis
from cascade_flow.analytics.intervals import compute_intervals
from cascade_flow.analytics.retries import compute_retry_analysis
from cascade_flow.analytics.scope import Scope
from cascade_flow.analytics.throughput import compute_success_rate, compute_throughput
from cascade_flow.analytics.workers import compute_worker_stability
from cascade_flow.model.events import Event, StepEvent, WorkflowEvent
from cascade_flow.model.reports import (
    AnalyticsSummary,
    ErrorAnalysis,
    Interval,
    QueueDepth,
    RetryAnalysis,
    SchedulingLatency,
    StepDuration,
    StepReport,
    SuccessRate,
    Throughput,
    WorkerStability,
    WorkflowDuration,
)
from cascade_flow.records import dataclass

_STEP_EVENTS, _WORKFLOW_EVENTS = get_args(StepEvent), get_args(WorkflowEvent)


@dataclass(frozen=True)
class Past:
    """The events of a scope, in order of time."""

    scope: Scope
    steps: Sequence[StepEvent]
    runs: Sequence[WorkflowEvent]

    @classmethod
    def of(cls, scope: Scope, histories: Iterable[Sequence[Event]]) -> Past:
        """What of these runs' histories lies in the scope."""
        found = [event for history in histories for event in scope.events(history)]
        found.sort(key=lambda event: event.timestamp_us)
        steps = [event for event in found if isinstance(event, _STEP_EVENTS)]
        return cls(scope, steps, [event for event in found if isinstance(event, _WORKFLOW_EVENTS)])

    def error_analysis(self) -> ErrorAnalysis:
        slug, step_id = self.scope.workflow_slug, self.scope.step_id
        return compute_error_analysis(self.steps, workflow_slug=slug, step_id=step_id)

    def retry_analysis(self) -> RetryAnalysis:
        return compute_retry_analysis(self.steps)

    def scheduling_latency(self) -> SchedulingLatency:
        slug, step_id = self.scope.workflow_slug, self.scope.step_id
        return compute_scheduling_latency(self.steps, workflow_slug=slug, step_id=step_id)

    def step_duration(self) -> StepDuration:
        slug, step_id = self.scope.workflow_slug, self.scope.step_id
        return compute_step_duration(self.steps, workflow_slug=slug, step_id=step_id)

    def workflow_duration(self) -> WorkflowDuration:
        return compute_workflow_duration(self.runs, workflow_slug=self.scope.workflow_slug)

    def worker_stability(self) -> WorkerStability:
        return compute_worker_stability(self.steps)

    def throughput(self) -> Throughput:
        slug, range_us = self.scope.workflow_slug, self.scope.time_range.duration_us
        return compute_throughput(self.steps, self.runs, range_us, workflow_slug=slug)

    def success_rate(self) -> SuccessRate:
        slug, step_id = self.scope.workflow_slug, self.scope.step_id
        return compute_success_rate(self.steps, self.runs, workflow_slug=slug, step_id=step_id)

    def by_step(self) -> list[StepReport]:
        return compute_steps(self.steps)

    def intervals(self, parts: int) -> list[Interval]:
        return compute_intervals(self.steps, self.runs, self.scope.time_range, parts)

    def summary(self, depth: QueueDepth) -> AnalyticsSummary:
        """All of these, and how deep the queue is now."""
        return AnalyticsSummary(
            time_range=self.scope.time_range,
            error_analysis=self.error_analysis(),
            retry_analysis=self.retry_analysis(),
            scheduling_latency=self.scheduling_latency(),
            step_duration=self.step_duration(),
            workflow_duration=self.workflow_duration(),
            worker_stability=self.worker_stability(),
            throughput=self.throughput(),
            queue_depth=depth,
            success_rate=self.success_rate(),
        )
