"""A range in equal parts: what came to an end in each of them. The pictures of health are drawn from these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import field

from cascade_flow.analytics.durations import waits
from cascade_flow.analytics.percentiles import calculate_percentiles
from cascade_flow.model.events import (
    StepEvent,
    StepFailed,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
)
from cascade_flow.model.reports import Interval, TimeRange
from cascade_flow.records import dataclass


@dataclass
class _Part:
    """What one part of the range holds."""

    start_us: int
    end_us: int
    happened: Counter[str] = field(default_factory=Counter)
    took_us: list[int] = field(default_factory=list)
    waited_us: list[int] = field(default_factory=list)

    def report(self) -> Interval:
        runs, waited, count = calculate_percentiles(self.took_us), calculate_percentiles(self.waited_us), self.happened
        return Interval(
            start_us=self.start_us,
            end_us=self.end_us,
            runs_completed=count["WorkflowCompleted"],
            runs_failed=count["WorkflowFailed"],
            runs_cancelled=count["WorkflowCancelled"],
            steps_completed=count["StepCompleted"],
            steps_failed=count["StepFailed"],
            retries=count["StepRetrying"],
            reclamations=count["StepReclaimed"],
            run_median_us=runs.median,
            run_p95_us=runs.p95,
            wait_median_us=waited.median,
            wait_p95_us=waited.p95,
        )


def compute_intervals(
    step_events: Sequence[StepEvent], workflow_events: Iterable[WorkflowEvent], time_range: TimeRange, parts: int
) -> list[Interval]:
    """So many parts, oldest first; a step counts as failed where it failed for good."""
    cut = _Cut(time_range, parts)
    for run in workflow_events:
        if isinstance(run, WorkflowCompleted | WorkflowFailed | WorkflowCancelled):
            cut.at(run.timestamp_us).happened[run.type] += 1
            cut.at(run.timestamp_us).took_us.append(run.duration_us)
    for step in step_events:
        cut.at(step.timestamp_us).happened[step.type] += not isinstance(step, StepFailed) or step.terminal
    for start_us, wait_us in waits(step_events):
        cut.at(start_us).waited_us.append(wait_us)
    return [part.report() for part in cut.parts]


class _Cut:
    """A range, cut into parts."""

    def __init__(self, time_range: TimeRange, parts: int) -> None:
        self._start_us = int(time_range.start_us)
        self._size_us = -(-(int(time_range.duration_us) + 1) // parts)
        starts = (self._start_us + number * self._size_us for number in range(parts))
        self.parts = [_Part(start_us, start_us + self._size_us) for start_us in starts]

    def at(self, us: int) -> _Part:
        return self.parts[(us - self._start_us) // self._size_us]
