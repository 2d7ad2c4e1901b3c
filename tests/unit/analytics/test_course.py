"""What the pictures of health are drawn from: a range in parts, and each step by itself."""

from __future__ import annotations

from cascade_flow.analytics.durations import compute_steps
from cascade_flow.analytics.intervals import compute_intervals
from cascade_flow.analytics.throughput import compute_success_rate
from cascade_flow.model.events import StepEvent, WorkflowEvent
from cascade_flow.model.reports import TimeRange
from unit.analytics.happened import (
    completed,
    failed,
    retrying,
    run_cancelled,
    run_completed,
    run_failed,
    scheduled,
    started,
)

RANGE = TimeRange(start_us=100, end_us=199, duration_us=99)
STEPS: list[StepEvent] = [
    scheduled(100, available_us=100),
    started(110),
    failed(120),
    retrying(120),
    started(160, 2),
    completed(199, 2),
]
RUNS: list[WorkflowEvent] = [run_completed(100), run_failed(149), run_cancelled(150), run_completed(199)]


def test_each_end_counts_in_its_part_and_both_ends_of_the_range_do() -> None:
    early, late = compute_intervals(STEPS, RUNS, RANGE, 2)
    assert [(each.start_us, each.end_us) for each in (early, late)] == [(100, 150), (150, 200)]
    assert (early.runs_completed, early.runs_failed, early.runs_cancelled) == (1, 1, 0)
    assert (late.runs_completed, late.runs_failed, late.runs_cancelled) == (1, 0, 1)
    assert (early.steps_failed, early.retries, late.steps_completed) == (0, 1, 1), "it failed, but not for good"
    assert (early.wait_p95_us, late.wait_p95_us) == (10, 0)


def test_parts_of_any_number_hold_what_the_whole_does() -> None:
    whole = compute_success_rate(STEPS, RUNS)
    for parts in (1, 3, 7, 99, 100, 200):
        found = compute_intervals(STEPS, RUNS, RANGE, parts)
        assert len(found) == parts
        assert sum(each.runs_completed for each in found) == whole.successful_runs
        assert sum(each.runs_failed for each in found) == whole.failed_runs


def test_steps_are_told_by_themselves_the_costliest_first() -> None:
    events = [
        completed(1, took_us=5, step_id="a"),
        completed(2, took_us=70, step_id="b"),
        failed(3, took_us=20, step_id="b"),
        retrying(3, step_id="b"),
        completed(4, took_us=50, step_id="b", workflow_slug="other"),
    ]
    found = compute_steps(events)
    [b, *_] = found
    assert [(each.workflow_slug, each.step_id) for each in found] == [("w", "b"), ("other", "b"), ("w", "a")]
    assert (b.count, b.median_us, b.p99_us, b.failures, b.retries) == (2, 70, 70, 1, 1)
    assert compute_steps([]) == []
