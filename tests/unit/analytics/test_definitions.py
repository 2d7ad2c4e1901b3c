"""The definitions of the wire contract, number by number."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.analytics import (
    calculate_percentiles,
    compute_error_analysis,
    compute_retry_analysis,
    compute_scheduling_latency,
    compute_step_duration,
    compute_success_rate,
    compute_throughput,
    compute_worker_stability,
    compute_workflow_duration,
)
from cascade_flow.model.events import StepEvent, WorkflowEvent
from unit.analytics.happened import (
    completed,
    failed,
    reclaimed,
    retrying,
    run_cancelled,
    run_completed,
    run_failed,
    scheduled,
    skipped,
    started,
)


def test_percentiles_are_values_that_were_given() -> None:
    found = calculate_percentiles(range(100, 0, -1))
    assert (found.count, found.min, found.max, found.average) == (100, 1, 100, 50.5)
    assert (found.median, found.p95, found.p99) == (51, 96, 100)


@pytest.mark.parametrize(("values", "median", "p95"), [([7], 7, 7), ([1, 2], 2, 2), ([3, 1, 2], 2, 3)])
def test_percentiles_of_a_few(values: list[int], median: int, p95: int) -> None:
    found = calculate_percentiles(values)
    assert (found.median, found.p95, found.p99) == (median, p95, p95)


def test_percentiles_of_nothing_are_zeros() -> None:
    assert set(calculate_percentiles([]).to_wire().values()) == {0}


def test_reports_have_the_contracts_names() -> None:
    assert compute_step_duration([completed(1, took_us=5)], workflow_slug="w", step_id="s").to_wire() == {
        "workflowSlug": "w",
        "stepId": "s",
        "count": 1,
        "averageUs": 5,
        "medianUs": 5,
        "p95Us": 5,
        "p99Us": 5,
        "minUs": 5,
        "maxUs": 5,
    }


def test_failures_are_counted_by_reason_and_by_message() -> None:
    found = compute_error_analysis(
        [
            failed(30, message="late", reason="timeout", run_id="r2"),
            completed(35),
            failed(10, message="no"),
            failed(20, 2, message="no", reason="exhausted-retries", terminal=True),
            failed(40, message="no", run_id="r2"),
        ],
        workflow_slug="w",
    )
    assert (found.total_failures, found.unique_errors, found.first_failure, found.last_failure) == (4, 2, 10, 40)
    assert [(each.failure_reason, each.count, each.percentage) for each in found.breakdown_by_reason] == [
        ("timeout", 1, 25),
        ("execution-error", 2, 50),
        ("exhausted-retries", 1, 25),
    ]
    most = found.most_common_errors[0]
    assert (most.message, most.count, most.failure_reason, most.last_occurrence) == ("no", 3, "execution-error", 40)
    assert [(each.run_id, each.attempt_number, each.timestamp_us) for each in most.occurrences] == [
        ("r", 1, 10),
        ("r", 2, 20),
        ("r2", 1, 40),
    ]


def test_the_ten_most_common_errors_are_named() -> None:
    found = compute_error_analysis([failed(us, message=f"m{us % 12}") for us in range(13)])
    assert found.unique_errors == 12
    assert [each.message for each in found.most_common_errors] == [f"m{n}" for n in range(10)]


def test_nothing_failed() -> None:
    assert compute_error_analysis([completed(1)], step_id="s").to_wire() == {
        "stepId": "s",
        "totalFailures": 0,
        "uniqueErrors": 0,
        "breakdownByReason": [],
        "mostCommonErrors": [],
    }


def retried_to(end: StepEvent, **ids: Any) -> list[StepEvent]:
    return [failed(1, **ids), retrying(2, **ids), failed(3, 2, **ids), retrying(4, 2, **ids), end]


def test_retries_are_judged_by_how_their_steps_ended() -> None:
    found = compute_retry_analysis(
        [
            *retried_to(completed(9, 3)),
            *retried_to(completed(9, 3, run_id="r2"), run_id="r2"),
            *retried_to(failed(9, 4, terminal=True, step_id="t"), step_id="t"),
            *retried_to(started(9, 3, step_id="still running"), step_id="still running"),
            completed(9, step_id="at once"),
            failed(9, step_id="for good", terminal=True),
        ]
    )
    assert (found.total_retries, found.retries_succeeded, found.retries_failed) == (8, 2, 1)
    assert (found.average_attempts_before_success, found.average_attempts_before_failure) == (3, 4)
    assert found.retry_effectiveness_rate == pytest.approx(200 / 3)


def test_what_failed_for_good_and_succeeded_when_its_run_was_tried_again_has_succeeded() -> None:
    found = compute_retry_analysis([*retried_to(failed(9, 3, terminal=True)), completed(19, 4)])
    assert (found.retries_succeeded, found.retries_failed, found.retry_effectiveness_rate) == (1, 0, 100)
    assert (found.average_attempts_before_success, found.average_attempts_before_failure) == (4, 0)


def test_a_step_that_ran_again_without_a_retry_has_not_retried() -> None:
    found = compute_retry_analysis([reclaimed(1), completed(2, 2), retrying(3, step_id="t")])
    assert (found.total_retries, found.retries_succeeded, found.retry_effectiveness_rate) == (1, 0, 0)


def test_latency_is_from_when_an_attempt_may_start_to_its_start() -> None:
    found = compute_scheduling_latency(
        [
            scheduled(1, available_us=10),
            started(15),
            scheduled(20, 2, available_us=100),
            started(107, 2),
            scheduled(1, available_us=10, run_id="ahead"),
            started(9, run_id="ahead"),
            scheduled(1, available_us=10, run_id="waits"),
            started(50, run_id="cut off"),
            scheduled(1, available_us=10, run_id="at once"),
            started(10, run_id="at once"),
        ]
    )
    assert (found.count, found.min_us, found.max_us, found.average_us) == (3, 0, 7, 4)


def test_durations_are_those_that_were_measured() -> None:
    steps: list[StepEvent] = [completed(1, took_us=10), failed(2, took_us=20), skipped(3), started(4)]
    assert (compute_step_duration(steps).count, compute_step_duration(steps).average_us) == (2, 15)
    runs: list[WorkflowEvent] = [run_completed(1, took_us=1), run_failed(2, took_us=2), run_cancelled(3, took_us=6)]
    assert (compute_workflow_duration(runs).count, compute_workflow_duration(runs).average_us) == (3, 3)
    assert compute_workflow_duration(runs, workflow_slug="w").workflow_slug == "w"


def test_unstable_workers_are_those_that_fell_silent() -> None:
    silent = [reclaimed(9, "ann", silent_us=10), reclaimed(9, "bob", silent_us=20), reclaimed(9, "bob", silent_us=60)]
    found = compute_worker_stability([*silent, started(10, worker="eve")])
    assert (found.total_reclamations, found.unique_workers_with_reclamations) == (3, 2)
    assert found.steps_reclaimed_by_worker == {"ann": 1, "bob": 2}
    assert found.average_stale_time_us == 30
    assert [(each.worker_id, each.reclamation_count) for each in found.most_unstable_workers] == [
        ("bob", 2),
        ("ann", 1),
    ]


STEPS: list[StepEvent] = [completed(1), completed(1, step_id="b"), failed(2), failed(3, 2, terminal=True), skipped(4)]
RUNS: list[WorkflowEvent] = [run_completed(1), run_completed(2), run_failed(3), run_cancelled(4)]


def test_throughput_is_what_ended_in_an_hour() -> None:
    found = compute_throughput(STEPS, RUNS, 7_200_000_000)
    assert (found.runs_completed, found.runs_failed) == (2, 1)
    assert (found.steps_completed, found.steps_failed, found.steps_skipped) == (2, 1, 1)
    assert (found.runs_per_hour, found.steps_per_hour) == (1.5, 2)
    assert compute_throughput(STEPS, RUNS, 0).runs_per_hour == 0


def test_rates_are_percentages_of_what_ended() -> None:
    found = compute_success_rate(STEPS, RUNS)
    assert (found.total_runs, found.successful_runs, found.failed_runs, found.cancelled_runs) == (4, 2, 1, 1)
    assert (found.success_rate, found.failure_rate) == (50, 25)
    assert (found.total_steps, found.successful_steps, found.failed_steps, found.skipped_steps) == (4, 2, 1, 1)
    assert (found.step_success_rate, found.step_failure_rate) == (50, 25)
    assert compute_success_rate([], []).success_rate == 0
