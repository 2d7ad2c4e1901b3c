"""Reports on what is under way, and every report on what just happened, as a caller of the contract gets them."""

from __future__ import annotations

import pytest

from cascade_flow import DynamoDBBackend, RetryTier, clock
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import Scope
from cascade_flow.errors import ReportTooLargeError
from cascade_flow.operations.analytics import Analytics
from contract.called import Called
from contract.outside import ERROR, FLOW, Outside, register, step, submit, sweep
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")

NOTHING = {"pendingRuns": 0, "runningRuns": 0, "scheduledSteps": 0, "runningSteps": 0}


def test_the_depth_of_the_queue(backend: DynamoDBBackend) -> None:
    register(backend, slug="bills")
    register(backend, step("a"), step("b"))
    assert backend.get_queue_depth().to_wire() == NOTHING
    later = submit(backend, "bills", available_at=clock.now_us() + 60_000_000)
    run = Outside(backend, submit(backend))
    attempt = run.take("a")
    scheduled = run.events("StepScheduled")
    pending = backend.get_run(later)
    assert pending is not None
    assert backend.get_queue_depth().to_wire() == {
        "pendingRuns": 1,
        "runningRuns": 1,
        "scheduledSteps": 1,
        "runningSteps": 1,
        "oldestScheduledStepUs": next(e.available_at_us for e in scheduled if e.step_id == "b"),
        "oldestPendingRunUs": pending.created_at,
    }
    assert backend.get_queue_depth(workflow_slug="bills").to_wire() == {
        "workflowSlug": "bills",
        "pendingRuns": 1,
        "runningRuns": 0,
        "scheduledSteps": 0,
        "runningSteps": 0,
        "oldestPendingRunUs": pending.created_at,
    }
    run.fail("a", attempt)
    assert backend.get_queue_depth(workflow_slug=FLOW).scheduled_steps == 2, "what is retried later waits, too"
    backend.cancel_run(run.run_id)
    backend.cancel_run(later)
    assert backend.get_queue_depth().to_wire() == NOTHING


def test_a_report_that_can_not_be_made_in_time_is_told_so(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.take("a")
    in_time, late = (Analytics(backend.runtime, until_us=clock.now_us() + us) for us in (60_000_000, -1))
    assert in_time.queue_depth() == backend.get_queue_depth()
    with pytest.raises(ReportTooLargeError):
        late.queue_depth()


def test_the_depth_by_workflow(backend: DynamoDBBackend) -> None:
    register(backend, slug="bills")
    register(backend, step("a"), step("b"))
    register(backend, slug="mails")
    submit(backend, "bills")
    first = Outside(backend, submit(backend))
    mail = Outside(backend, submit(backend, "mails"), "mails")
    mail.take("a")
    found = backend.get_queue_depth_by_workflow()
    assert [(each.workflow_slug, each.workflow_name, each.pending_runs, each.scheduled_steps) for each in found] == [
        (FLOW, FLOW.title(), 0, 2),
        ("bills", "Bills", 0, 1),
    ]
    assert found[0].oldest_pending_item_us == min(e.available_at_us for e in first.events("StepScheduled"))


def test_workers_are_those_of_running_runs(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b"), step("c", "a"), step("d", retry=[RetryTier(max_attempts=1)]))
    assert backend.get_active_workers().workers == []
    run.complete("a", run.take("a"))
    claim = run.claim("b", slot_index=3, worker_concurrency=4)
    assert claim is not None
    run.beat("b")
    [worker] = backend.get_active_workers().workers
    beat, start = run.events("StepHeartbeat")[-1], run.events("StepStarted")[-1]
    assert worker.to_wire() == {
        "workerId": "worker-1",
        "lastSeenUs": beat.timestamp_us,
        "currentlyRunningSteps": 1,
        "totalStepsProcessed": 1,
        "failedSteps": 0,
        "reclaimedFromCount": 0,
        "workerConcurrency": 4,
        "activeSteps": [
            {
                "workflowSlug": FLOW,
                "runId": run.run_id,
                "stepId": "b",
                "startedAtUs": start.timestamp_us,
                "lastHeartbeatUs": beat.timestamp_us,
                "slotIndex": 3,
            }
        ],
    }
    time.pause_us(2 * TIMING.lease_us)
    sweep(backend)
    found = backend.get_active_workers(stale_threshold_us=TIMING.lease_us)
    assert (found.workers, found.total_active_workers, found.stale_threshold_us) == ([], 0, TIMING.lease_us)
    everybody = backend.get_active_workers(include_inactive=True)
    assert [(each.worker_id, each.reclaimed_from_count) for each in everybody.workers] == [("worker-1", 1)]
    assert backend.get_active_workers(include_inactive=True, start_us=clock.now_us()).workers == []
    assert backend.get_active_workers(include_inactive=True, end_us=clock.now_us()) == everybody
    assert backend.get_worker_by_id("worker-1") == everybody.workers[0]
    assert [backend.get_worker_by_id(other) for other in ("worker-2", "worker-")] == [None, None]
    run.fail("d", run.take("d"), terminal=True)
    assert backend.get_worker_by_id("worker-1") is None, "the run has failed"


def test_reports_know_what_just_happened(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a", retry=[RetryTier(max_attempts=2, delay_ms=1_000)]))
    run.do("a")
    run.fail("b", run.take("b"))
    time.pause_us(5_000_000)
    run.take("b")
    time.pause_us(2 * TIMING.lease_us)
    sweep(backend)
    end_us = clock.now_us()
    past = Past.of(Scope.of(end_us, end_us=end_us), [backend.load_events(FLOW, run.run_id)])
    assert (past.throughput().runs_failed, past.worker_stability().total_reclamations) == (1, 1)
    assert backend.get_error_analysis(end_us=end_us) == past.error_analysis()
    assert backend.get_retry_analysis(end_us=end_us) == past.retry_analysis()
    assert backend.get_scheduling_latency(end_us=end_us) == past.scheduling_latency()
    assert backend.get_step_duration(end_us=end_us) == past.step_duration()
    assert backend.get_workflow_duration(end_us=end_us) == past.workflow_duration()
    assert backend.get_worker_stability(end_us=end_us) == past.worker_stability()
    assert backend.get_success_rate(end_us=end_us) == past.success_rate()
    summary = backend.get_analytics_summary(start_us=end_us - 3_600_000_000, end_us=end_us)
    assert summary.throughput == backend.get_throughput(start_us=end_us - 3_600_000_000, end_us=end_us)
    assert (summary.throughput.runs_per_hour, summary.error_analysis) == (1, past.error_analysis())


def test_an_error_of_a_run_under_way_is_listed(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b"))
    run.fail("a", run.take("a"))
    [group] = backend.get_errors_list().errors
    assert (group.error_message, group.error_name, group.sample_stack) == (ERROR.message, ERROR.name, ERROR.stack)
    detail = backend.get_error_detail(group.fingerprint, "exact")
    assert [(each.workflow_slug, each.run_id, each.step_id) for each in detail.occurrences] == [(FLOW, run.run_id, "a")]


def test_runs_that_a_caller_drives_are_told_of_as_well(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.schedule("a", available_at_us=clock.now_us() + 5_000_000)
    run.schedule("b")
    run.begin("b")
    depth = backend.get_queue_depth(workflow_slug=FLOW)
    assert (depth.running_runs, depth.scheduled_steps, depth.running_steps) == (1, 1, 1)
    assert depth.oldest_scheduled_step_us == run.events("StepScheduled")[0].available_at_us
    assert [(each.worker_id, each.currently_running_steps) for each in backend.get_active_workers().workers] == [
        (run.name, 1)
    ]
    run.complete("b")
    run.fail("a", terminal=True)
    assert backend.get_error_analysis().total_failures == 1
    run.give_up()
    assert backend.get_queue_depth().to_wire() == NOTHING
    rate = backend.get_success_rate(workflow_slug=FLOW)
    assert (rate.failed_runs, rate.successful_steps, rate.failed_steps) == (1, 1, 1)
