"""Workflows as they are registered and submitted, and the states' names on the wire."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cascade_flow.model.states import RunPage, RunState, StepRef
from cascade_flow.model.workflows import RetryTier, RunSubmission, StepDefinition, WorkflowRegistration, WorkflowVersion

REGISTRATION = {
    "slug": "weather",
    "name": "Weather",
    "inputSchemaJSON": {"type": "object"},
    "steps": [{"id": "read", "name": "Read", "dependencies": [], "exportOutput": True}],
}


def test_a_registration_of_the_peer_is_one_here() -> None:
    registration = WorkflowRegistration.model_validate(REGISTRATION)
    assert registration.input_schema_json == {"type": "object"}
    assert registration.steps[0].export_output
    assert registration.to_wire()["inputSchemaJSON"] == {"type": "object"}


def test_a_step_is_tried_three_times_unless_it_says_otherwise() -> None:
    step = StepDefinition(id="a", name="a")
    assert step.retry == [RetryTier()]
    assert (step.retry[0].max_attempts, step.retry[0].delay_ms, step.skip_cascades) == (3, 1_000, True)


@pytest.mark.parametrize(
    "wrong",
    [{"max_attempts": 0}, {"delay_ms": -1}, {"backoff": 0.5}, {"backoff": float("inf")}, {"jitter": 1.5}],
)
def test_tiers_have_limits(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RetryTier(**wrong)  # type: ignore[arg-type]


def test_a_step_needs_a_tier() -> None:
    with pytest.raises(ValidationError):
        StepDefinition(id="a", name="a", retry=[])


def test_versions_and_submissions_have_wire_names() -> None:
    version = WorkflowVersion(
        workflow_slug="w", version_id="sha256:0", version_number=1, created_at=5, step_manifest=["a"], total_steps=1
    )
    assert version.to_wire()["stepManifest"] == ["a"]
    submission = RunSubmission(workflow_slug="w", input={"city": "Ulm"}, available_at=5, idempotency_key="k")
    assert submission.to_wire() == {
        "workflowSlug": "w",
        "input": {"city": "Ulm"},
        "availableAt": 5,
        "idempotencyKey": "k",
    }


def test_states_have_wire_names() -> None:
    run = RunState(run_id="r", workflow_slug="w", status="pending", available_at=5, priority=0, created_at=5)
    assert RunPage(runs=[run], total=1).to_wire()["runs"][0]["createdAt"] == 5
    assert StepRef(workflow_slug="w", run_id="r", step_id="s").to_wire() == {
        "workflowSlug": "w",
        "runId": "r",
        "stepId": "s",
    }
