"""What is under way: the depth of the queue, and the workers as their steps' events show them."""

from __future__ import annotations

from cascade_flow.analytics.depth import LiveRun, compute_queue_depth, compute_queue_depth_by_workflow
from cascade_flow.analytics.workers import active_workers, compute_workers
from cascade_flow.model.events import StepEvent
from cascade_flow.model.reports import ActiveWorker
from unit.analytics.happened import beat, completed, failed, reclaimed, scheduled, skipped, started

LIVE = [
    LiveRun("bill", "pending", 30),
    LiveRun("bill", "pending", 20),
    LiveRun("bill", "running", 5, scheduled_us=(40, 10)),
    LiveRun("mail", "running", 1, running_steps=2),
    LiveRun("ship", "running", 1, scheduled_us=(7,), running_steps=1),
]


def test_depth_counts_what_waits_and_what_runs() -> None:
    assert compute_queue_depth(LIVE).to_wire() == {
        "pendingRuns": 2,
        "runningRuns": 3,
        "scheduledSteps": 3,
        "runningSteps": 3,
        "oldestScheduledStepUs": 7,
        "oldestPendingRunUs": 20,
    }


def test_depth_of_one_workflow_and_of_none() -> None:
    assert compute_queue_depth(LIVE, workflow_slug="mail").to_wire() == {
        "workflowSlug": "mail",
        "pendingRuns": 0,
        "runningRuns": 1,
        "scheduledSteps": 0,
        "runningSteps": 2,
    }
    assert compute_queue_depth([]).running_runs == 0


def test_workflows_of_which_something_waits_the_longest_queue_first() -> None:
    found = compute_queue_depth_by_workflow(LIVE, {"bill": "Bills"})
    assert [depth.to_wire() for depth in found] == [
        {
            "workflowSlug": "bill",
            "workflowName": "Bills",
            "pendingRuns": 2,
            "scheduledSteps": 2,
            "oldestPendingItemUs": 10,
        },
        {"workflowSlug": "ship", "pendingRuns": 0, "scheduledSteps": 1, "oldestPendingItemUs": 7},
    ]


def test_what_waits_for_longest_may_be_a_run() -> None:
    [found] = compute_queue_depth_by_workflow([LiveRun("bill", "pending", 8, scheduled_us=(9,))], {})
    assert found.oldest_pending_item_us == 8


def by_id(workers: list[ActiveWorker]) -> dict[str, ActiveWorker]:
    return {worker.worker_id: worker for worker in workers}


def test_a_worker_is_what_its_steps_say() -> None:
    found = compute_workers(
        [
            started(10, worker_concurrency=4, slot_index=0),
            failed(20),
            scheduled(21, 2, available_us=21),
            started(30, 2, slot_index=2),
            beat(40, 2),
            started(15, worker="ann", step_id="b"),
            completed(25, step_id="b"),
            started(15, worker="ann", step_id="c"),
            skipped(60, step_id="c"),
        ]
    )
    assert [worker.to_wire() for worker in found] == [
        {
            "workerId": "ann",
            "lastSeenUs": 40,
            "currentlyRunningSteps": 1,
            "totalStepsProcessed": 1,
            "failedSteps": 1,
            "reclaimedFromCount": 0,
            "workerConcurrency": 4,
            "activeSteps": [
                {
                    "workflowSlug": "w",
                    "runId": "r",
                    "stepId": "s",
                    "startedAtUs": 30,
                    "lastHeartbeatUs": 40,
                    "slotIndex": 2,
                }
            ],
        }
    ]


def test_a_step_that_was_taken_away_is_nobodys() -> None:
    history: list[StepEvent] = [
        started(10),
        reclaimed(50, silent_us=40),
        scheduled(51, 2, available_us=51),
        started(60, 2, "bob"),
    ]
    found = by_id(compute_workers(history))
    assert (found["ann"].reclaimed_from_count, found["ann"].last_seen_us, found["ann"].active_steps) == (1, 10, [])
    assert [step.last_heartbeat_us for step in found["bob"].active_steps] == [60]


def test_who_was_not_seen_lately_is_left_out_unless_busy() -> None:
    busy, idle, gone = compute_workers(
        [
            started(10, worker="busy"),
            *(started(90, worker="idle", step_id="b"), completed(95, step_id="b")),
            *(started(20, worker="gone", step_id="c"), completed(25, step_id="c")),
        ]
    )
    workers = [busy, idle, gone]
    assert [worker.worker_id for worker in workers] == ["busy", "idle", "gone"]
    found = active_workers(workers, now_us=100, stale_threshold_us=10)
    assert found.workers == [busy, idle]
    assert (found.total_active_workers, found.total_running_steps, found.stale_threshold_us) == (1, 1, 10)
    everybody = active_workers(workers, now_us=100, stale_threshold_us=10, include_inactive=True)
    assert everybody.workers == workers
    seen = active_workers(workers, now_us=100, include_inactive=True, start_us=25, end_us=95)
    assert seen.workers == [idle, gone]
