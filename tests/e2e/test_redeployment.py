"""Changed code is deployed while runs are under way: each goes on by the graph that it began with."""

from __future__ import annotations

import pytest

from cascade_flow import StepCompleted, StepFailed, WorkflowFailed, WorkflowRetiredError
from cascade_flow.client import Json
from cascade_flow.local import up
from e2e.stack import Stack, of_kind
from e2e.waiting import until
from e2e.workflows.trials.meeting import Meeting


def deploy_renamed(stack: Stack, step: str, name: str) -> None:
    """Deploy the workflow `changing` with another name for one of its steps, and `leaving` no more."""
    source = stack.project.workflows_dir / "trials/changing.py"
    source.write_text(source.read_text(encoding="utf-8").replace(f"def {step}(", f"def {name}("), encoding="utf-8")
    (stack.project.workflows_dir / "trials/leaving.py").unlink()
    assert list(up(stack.project)), "nothing was deployed"


def foreseen(stack: Stack, run_id: str) -> list[Json]:
    """What a preflight says of the run, if the workflow had a step of another name."""
    planned = {"workflowSlug": "changing", "versionId": "sha256:other", "stepIds": ["kept", "added"]}
    return [run for piece in stack.client.preflight([planned]) for run in piece["broken"] if run["runId"] == run_id]


def test_a_step_is_removed_while_a_run_needs_it(stack: Stack, meeting: Meeting) -> None:
    at_work = stack.submit("walk", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(at_work))
    before = stack.submit("changing")
    stack.finished(before)
    left = stack.submit("leaving")
    stack.finished(left)
    with stack.wakeups.unheard():
        under_way = stack.submit("changing")
        assert foreseen(stack, under_way) == [{"runId": under_way, "workflowSlug": "changing", "stepIds": ["removed"]}]
        assert stack.client.diagnosis(under_way)["findings"][0]["code"] in ("queued", "wake-up-lost")
        deploy_renamed(stack, "removed", "added")
    after = stack.submit("changing")

    stack.finished(after)
    assert stack.client.run(after)["output"] == {"kept": "kept", "added": "kept"}
    run = stack.finished(under_way, "failed")
    assert [event.step_id for event in of_kind(run, StepCompleted)] == ["kept"]
    [failed] = of_kind(run, StepFailed)
    assert (failed.step_id, failed.failure_reason, failed.terminal) == ("removed", "step-removed", True)
    [end] = of_kind(run, WorkflowFailed)
    assert "it was removed or renamed" in end.error.message
    assert [step["stepId"] for step in stack.client.run(before)["steps"]] == ["kept", "removed"]
    assert [version["versionNumber"] for version in stack.client.workflow("changing")["versions"]] == [1, 2]

    assert "leaving" not in [workflow["workflowSlug"] for workflow in stack.client.workflows()]
    with pytest.raises(WorkflowRetiredError, match="the deployment no longer has it"):
        stack.submit("leaving")
    assert stack.client.run(left)["output"] == {"here": "here"}

    meeting.let_go("during")
    assert stack.finished(at_work).count(StepCompleted) == 3
    assert len(meeting.visits("after")) == 1
