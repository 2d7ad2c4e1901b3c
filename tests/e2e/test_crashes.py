"""Worker processes that are killed while they run a step."""

from __future__ import annotations

import os
import signal

from cascade_flow import (
    StepCompleted,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepScheduled,
    StepStarted,
    WorkflowFailed,
)
from cascade_flow.local import worker_pids
from e2e.stack import SWEEP_US, TIMING, Stack, of_kind
from e2e.waiting import until
from e2e.workflows.trials.graphs import WIDTH
from e2e.workflows.trials.meeting import Meeting


def kill(stack: Stack, pid: int) -> None:
    """Kill a worker, and nothing but a worker of this stack."""
    assert pid in worker_pids(stack.project)
    os.kill(pid, signal.SIGKILL)


def test_a_worker_killed_in_a_step(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    [first] = until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(run_id))
    kill(stack, first.pid)
    until(lambda: len(meeting.visits("during")) == 2, otherwise=lambda: stack.told(run_id))
    meeting.let_go("during")

    run = stack.finished(run_id)
    assert stack.client.run(run_id)["output"] == {"after": ["before", "during 2", "after"]}
    assert [visit.attempt for visit in meeting.visits("during")] == [1, 2]
    assert len(meeting.visits("before")) == len(meeting.visits("after")) == 1
    assert (run.count(StepStarted, "during"), run.count(StepCompleted, "during")) == (2, 1)
    [reclaimed] = of_kind(run, StepReclaimed)
    assert (reclaimed.step_id, reclaimed.attempt_number) == ("during", 1)
    assert reclaimed.stale_duration_us >= TIMING.lease_us


def test_all_workers_killed_in_the_middle_of_a_wide_run(stack: Stack) -> None:
    run_id = stack.submit("wide", input={"number": 1})
    until(lambda: len(stack.events(run_id, StepCompleted)) > WIDTH // 4, otherwise=lambda: stack.told(run_id))
    assert stack.status(run_id) == "running"
    for pid in worker_pids(stack.project):
        os.kill(pid, signal.SIGKILL)

    run = stack.finished(run_id)
    assert run.count(StepCompleted) == WIDTH + 2
    assert stack.client.run(run_id)["output"] == {"total": 4}


def test_a_worker_that_is_only_slow_keeps_its_step(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    [first] = until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(run_id))
    [started] = stack.events(run_id, StepStarted, "during")
    late_us = started.timestamp_us + TIMING.lease_us + 2 * SWEEP_US
    until(lambda: any(beat.timestamp_us > late_us for beat in stack.events(run_id, StepHeartbeat, "during")))
    meeting.let_go("during")

    run = stack.finished(run_id)
    assert meeting.visits("during") == [first]
    assert run.count(StepReclaimed) == 0


def test_a_step_that_kills_its_worker_every_time(stack: Stack) -> None:
    poison = stack.submit("poison")
    healthy = [stack.submit("diamond", input={"number": number}) for number in range(5)]

    for run_id in healthy:
        assert stack.finished(run_id).count(StepFailed) == 0
    run = stack.finished(poison, "failed")
    assert [event.attempt_number for event in of_kind(run, StepStarted)] == [1, 2]
    [failed] = of_kind(run, StepFailed)
    assert (failed.failure_reason, failed.terminal, failed.attempt_number) == ("worker-crash", True, 2)
    [end] = of_kind(run, WorkflowFailed)
    assert (end.failed_step, end.failure_reason) == ("deadly", "worker-crash")
    assert run.count(StepScheduled, "survivor") == 0
