"""Runs that are stopped while they run: cancelled, out of time, or because one of their steps failed for good."""

from __future__ import annotations

import pytest

from cascade_flow import (
    RunNotCancellableError,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepStarted,
    WorkflowCancelled,
    WorkflowFailed,
)
from cascade_flow.clock import now_us
from cascade_flow.wake import Wake
from e2e.stack import HEARTBEAT_US, SWEEP_US, TIMING, Stack, of_kind
from e2e.waiting import until
from e2e.workflows.trials.meeting import Meeting


def test_cancel_with_a_running_and_a_scheduled_step(stack: Stack, meeting: Meeting) -> None:
    with stack.wakeups.unheard():
        run_id = stack.submit("fork", input=meeting.model_dump(mode="json"))
        assert claim(stack, run_id, "staying") == 200
        assert stack.client.cancel(run_id, "enough of it")["status"] == "cancelled"
        cancelled_us = now_us()
        assert stack.wakeups.waiting() >= 2
    stack.wakeups.send(Wake(run_id, "trying", "trying", attempt=1), times=3)
    stack.wakeups.send(Wake(run_id), times=3)
    stack.wakeups.all_taken()
    until(lambda: now_us() > cancelled_us + max(TIMING.grace_us, TIMING.lease_us) + 2 * SWEEP_US)
    assert [claim(stack, run_id, step) for step in ("staying", "trying", "follower")] == [204, 204, 204]

    run = stack.finished(run_id, "cancelled")
    assert (run.count(StepScheduled), run.count(StepStarted), run.count(StepCompleted)) == (2, 1, 0)
    assert meeting.visits("staying") == meeting.visits("trying") == []
    [end] = of_kind(run, WorkflowCancelled)
    assert (end.reason, end.completed_steps) == ("enough of it", 0)
    with pytest.raises(RunNotCancellableError):
        stack.client.cancel(run_id)


def claim(stack: Stack, run_id: str, step_id: str) -> int:
    """What the API answers to somebody who wants this step."""
    return stack.call("POST", "/steps/claim", {"workerId": "elsewhere", "runId": run_id, "stepId": step_id}).status_code


def test_cancelled_code_is_stopped_at_its_next_heartbeat(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(run_id))
    stack.client.cancel(run_id)
    until(lambda: meeting.was_thrown_out("during"), within_us=10 * HEARTBEAT_US)
    assert stack.finished(run_id, "cancelled").count(StepCompleted) == 1
    assert meeting.visits("after") == []


def test_a_run_past_its_timeout(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"), timeout_s=3)
    run = stack.finished(run_id, "failed")
    [end] = of_kind(run, WorkflowFailed)
    assert (end.failure_reason, end.failed_step) == ("timeout", None)
    assert end.duration_us >= 3_000_000
    until(lambda: meeting.was_thrown_out("during"))
    assert meeting.visits("after") == []


def test_a_running_branch_may_finish_when_another_has_failed(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("lopsided", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("staying"), otherwise=lambda: stack.told(run_id))
    until(lambda: stack.events(run_id, StepFailed), otherwise=lambda: stack.told(run_id))
    assert stack.status(run_id) == "running"
    meeting.let_go("staying")

    run = stack.finished(run_id, "failed")
    [end] = of_kind(run, WorkflowFailed)
    assert (end.failed_step, end.error.message, end.completed_steps) == ("failing", "this side is lost", 1)
    assert run.count(StepCompleted, "staying") == 1
    assert run.count(StepScheduled, "follower") == 0
    assert meeting.visits("follower") == []
