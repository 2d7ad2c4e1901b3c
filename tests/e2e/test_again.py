"""What was begun is carried on: the same run tried again, new runs that keep what is done, parts of a step."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from cascade_flow import (
    ResourceUsage,
    StepCheckpoint,
    StepCompleted,
    StepHeartbeat,
    StepStarted,
    WorkflowRerunFromStep,
    WorkflowResumed,
    WorkflowRetryStarted,
)
from cascade_flow.local import worker_pids
from e2e.stack import Stack, of_kind
from e2e.waiting import until
from e2e.workflows.trials.meeting import Meeting


@pytest.fixture
def cancelled(stack: Stack, meeting: Meeting) -> str:
    """A run that was cancelled in its second step of three."""
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(run_id))
    stack.client.cancel(run_id, "not now")
    stack.finished(run_id, "cancelled")
    until(lambda: meeting.was_thrown_out("during"))
    meeting.let_go("during")
    return run_id


def test_a_cancelled_run_is_tried_again(stack: Stack, meeting: Meeting, cancelled: str) -> None:
    assert stack.backend.retry_run(cancelled, "now").workflow_attempt_number == 2
    run = stack.finished(cancelled)
    assert stack.client.run(cancelled)["output"] == {"after": ["before", "during 2", "after"]}
    assert len(meeting.visits("before")) == len(meeting.visits("after")) == 1
    [again] = of_kind(run, WorkflowRetryStarted)
    assert (again.reason, again.retried_steps) == ("now", ["during"])


def test_a_cancelled_run_is_resumed_as_another(stack: Stack, meeting: Meeting, cancelled: str) -> None:
    resumed = stack.backend.resume_run(cancelled).run_id
    run = stack.finished(resumed)
    assert stack.status(cancelled) == "cancelled"
    assert stack.client.run(resumed)["output"] == {"after": ["before", "during 1", "after"]}
    assert len(meeting.visits("before")) == len(meeting.visits("after")) == 1
    [event] = of_kind(run, WorkflowResumed)
    assert (event.original_run_id, event.resumed_steps, event.pending_steps) == (cancelled, 1, 2)


def test_a_run_begins_again_in_its_middle_with_another_input(stack: Stack, meeting: Meeting, tmp_path: Path) -> None:
    meeting.let_go("during")
    parent = stack.submit("walk", input=meeting.model_dump(mode="json"))
    stack.finished(parent)
    elsewhere = Meeting(folder=tmp_path / "elsewhere")
    elsewhere.folder.mkdir()
    elsewhere.let_go("during")
    child = stack.backend.rerun_from(
        parent_run_id=parent, from_step_id="during", input=elsewhere.model_dump(mode="json")
    ).run_id

    run = stack.finished(child)
    assert len(meeting.visits("during")) == len(elsewhere.visits("during")) == len(elsewhere.visits("after")) == 1
    assert not elsewhere.visits("before")
    assert stack.client.run(child)["output"] == {"after": ["before", "during 1", "after"]}
    [event] = of_kind(run, WorkflowRerunFromStep)
    assert (event.parent_run_id, event.rerun_from_step_id, sorted(event.rerun_step_ids)) == (
        parent,
        "during",
        ["after", "during"],
    )


def test_parts_that_were_stored_are_not_done_again(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("climb", input=meeting.model_dump(mode="json"))
    [first] = until(lambda: meeting.visits("summit"), otherwise=lambda: stack.told(run_id))
    assert first.pid in worker_pids(stack.project)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: len(meeting.visits("summit")) == 2, otherwise=lambda: stack.told(run_id))
    until(lambda: stack.events(run_id, StepHeartbeat, "summit"), otherwise=lambda: stack.told(run_id))
    [beat, *_] = stack.events(run_id, StepHeartbeat, "summit")
    meeting.let_go("summit")

    run = stack.finished(run_id)
    parts = ["camp of attempt 1", "tent of attempt 1", "rest of attempt 2"]
    assert stack.client.run(run_id)["output"] == {"summit": parts}
    assert [len(meeting.visits(part)) for part in ("camp", "tent", "rest")] == [1, 1, 1]
    assert run.count(StepStarted) == 2
    stored = {event.name: event for event in of_kind(run, StepCheckpoint)}
    assert stored.keys() == {"camp", "tent", "rest"}
    inside = stored["tent"].parent_checkpoint
    assert inside is not None
    assert inside.name == "camp"
    [completed] = of_kind(run, StepCompleted)
    assert isinstance(completed.resource_usage, ResourceUsage)
    assert completed.resource_usage.peak_memory_bytes > 1_000_000
    assert beat.resource_snapshot is not None
    assert beat.resource_snapshot.memory_bytes > 1_000_000
