"""Workflows and their versions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    DynamoDBBackend,
    GitInfo,
    GraphInvalidError,
    InvalidIdError,
    PayloadTooLargeError,
    RetryTier,
    RunSubmission,
    StepDefinition,
    SubmittedRun,
    WorkflowRegistration,
    WorkflowRetiredError,
    WorkflowVersion,
)
from cascade_flow.model.workflows import StepNote, WorkflowNotes
from cascade_flow.operations.details import Details
from contract.outside import FLOW, Outside, register, step, submit
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")

SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
GIT = GitInfo(commit="8f14e45", branch="main", dirty=False)


def version(id: str, **options: Any) -> WorkflowVersion:
    given: dict[str, Any] = {"step_manifest": ["a"], "total_steps": 1, "created_at": 1, "version_number": 1, **options}
    return WorkflowVersion(workflow_slug=FLOW, version_id=id, **given)


def test_what_was_registered_is_found(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), location="shop/orders.py", input_schema_json=SCHEMA)
    found = backend.get_workflow_metadata(FLOW)
    assert found is not None
    assert (found.slug, found.name, found.location) == (FLOW, "Orders", "shop/orders.py")
    assert found.input_schema_json == SCHEMA


def test_what_was_not_is_not(backend: DynamoDBBackend) -> None:
    assert backend.get_workflow_metadata("unknown") is None
    assert backend.get_workflow_steps("unknown") == []
    assert backend.get_current_workflow_version("unknown") is None
    assert backend.get_workflow_version("unknown", "sha256:0") is None
    assert backend.list_workflow_versions("unknown") == []


def test_workflows_are_listed_by_slug(backend: DynamoDBBackend) -> None:
    for slug in ("ship", "bill", "orders"):
        register(backend, slug=slug)
    assert [workflow.slug for workflow in backend.list_workflow_metadata()] == ["bill", "orders", "ship"]


def test_steps_come_back_whole(backend: DynamoDBBackend) -> None:
    tiers = [RetryTier(max_attempts=2, delay_ms=5), RetryTier(retry_on=["IOError"], give_up_on=["KeyError"])]
    steps = [step("load/a", timeout_ms=900), step("b", "load/a", export_output=True, retry=tiers, skip_cascades=False)]
    register(backend, *steps)
    assert backend.get_workflow_steps(FLOW) == steps


def test_registering_the_same_again_makes_no_version(backend: DynamoDBBackend) -> None:
    register(backend, step("a"))
    register(backend, step("a"))
    [only] = backend.list_workflow_versions(FLOW)
    assert only.version_id.startswith("sha256:")
    assert backend.get_current_workflow_version(FLOW) == only


def test_another_graph_is_another_version(backend: DynamoDBBackend) -> None:
    register(backend, step("a"))
    register(backend, step("a"), step("b", "a"), version_id="sha256:2", git=GIT)
    first, second = backend.list_workflow_versions(FLOW)
    assert (first.version_number, first.step_manifest, first.total_steps) == (1, ["a"], 1)
    assert (second.version_number, second.step_manifest, second.total_steps) == (2, ["a", "b"], 2)
    assert (second.version_id, second.git) == ("sha256:2", GIT)
    assert backend.get_current_workflow_version(FLOW) == second
    assert backend.get_workflow_version(FLOW, first.version_id) == first
    assert backend.list_workflow_versions(FLOW, limit=1) == [first]


def test_the_last_registration_wins(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json=SCHEMA, location="old.py")
    register(backend)
    found = backend.get_workflow_metadata(FLOW)
    assert found is not None
    assert (found.input_schema_json, found.location) == (None, None)


def test_a_version_is_created_once(backend: DynamoDBBackend, time: TickingClock) -> None:
    backend.create_workflow_version(version("sha256:1", git=GIT))
    backend.create_workflow_version(version("sha256:1", step_manifest=["other"], created_at=9))
    backend.create_workflow_version(version("sha256:0", created_at=2))
    stored = backend.list_workflow_versions(FLOW)
    assert [(each.version_id, each.version_number) for each in stored] == [("sha256:1", 1), ("sha256:0", 2)]
    assert (stored[0].step_manifest, stored[0].git) == (["a"], GIT)
    assert backend.get_current_workflow_version(FLOW) == stored[1], "nobody has registered the workflow"
    register(backend, step("a"))
    assert backend.get_current_workflow_version(FLOW) == backend.list_workflow_versions(FLOW)[2]


NO_GRAPHS: Sequence[list[StepDefinition]] = (
    [],
    [step("a", "b"), step("b", "a")],
    [step("a", "x")],
    [step("a"), step("a")],
    [step("a"), step("b", "a", "a")],
)
BAD_IDS = ("", "a b", "a#b", "$x", "-a", "é", "x" * 257)


def test_what_is_no_graph_is_refused(backend: DynamoDBBackend) -> None:
    for steps in NO_GRAPHS:
        with pytest.raises(GraphInvalidError) as caught:
            backend.register_workflow(WorkflowRegistration(slug=FLOW, name=FLOW, steps=steps))
        assert caught.value.issues
    assert backend.get_workflow_metadata(FLOW) is None
    assert backend.list_workflow_versions(FLOW) == []


def test_a_bad_slug_is_refused(backend: DynamoDBBackend) -> None:
    for slug in (*BAD_IDS, "a/b"):
        with pytest.raises(InvalidIdError):
            register(backend, slug=slug)
        with pytest.raises(InvalidIdError):
            backend.create_workflow_version(version("sha256:1").model_copy(update={"workflow_slug": slug}))
        for look in (
            backend.get_workflow_metadata,
            backend.get_workflow_steps,
            backend.get_current_workflow_version,
            backend.list_workflow_versions,
            lambda slug: backend.get_workflow_version(slug, "sha256:1"),
        ):
            with pytest.raises(InvalidIdError):
                look(slug)
    assert backend.list_workflow_metadata() == []


def test_a_bad_step_id_is_refused(backend: DynamoDBBackend) -> None:
    for id in (*BAD_IDS, "a/", "/a", "a//b", "$"):
        with pytest.raises(InvalidIdError):
            register(backend, step(id))
    assert backend.list_workflow_metadata() == []


def test_a_version_that_was_told_of_without_its_steps_gets_them(backend: DynamoDBBackend) -> None:
    """A caller of the specification's first releases creates the version first, of which it knows the names alone."""
    backend.create_workflow_version(version("sha256:1", created_at=5))
    backend.register_workflow(WorkflowRegistration(slug=FLOW, name=FLOW, version_id="sha256:1", steps=[step("a")]))
    assert [each.id for each in backend.get_workflow_steps(FLOW)] == ["a"]
    [stored] = backend.list_workflow_versions(FLOW)
    assert (stored.created_at, stored.step_manifest) == (5, ["a"])
    backend.submit_run(RunSubmission(workflow_slug=FLOW))


def test_what_no_item_holds_is_not_registered(backend: DynamoDBBackend) -> None:
    large = secrets.token_hex(400_000)
    with pytest.raises(PayloadTooLargeError):
        backend.register_workflow(
            WorkflowRegistration(slug=FLOW, name=FLOW, steps=[StepDefinition(id="a", name=large)])
        )
    with pytest.raises(PayloadTooLargeError):
        backend.create_workflow_version(version("sha256:1", step_manifest=[large]))
    assert backend.list_workflow_metadata() == []


def deploy(backend: DynamoDBBackend, *slugs: str) -> None:
    """What a deployment with these workflows registers."""
    declared = [WorkflowRegistration(slug=slug, name=slug.title(), steps=[step("a")]) for slug in slugs]
    backend.runtime.registry.deploy(declared)


def test_what_code_says_of_a_workflow_lies_beside_its_version_and_changes_nothing_of_it(
    backend: DynamoDBBackend,
) -> None:
    deploy(backend, FLOW)
    [plain] = backend.list_workflow_versions(FLOW)
    declared = [WorkflowRegistration(slug=FLOW, name="Orders", steps=[step("a")])]
    said = WorkflowNotes(description="Sells.", steps={"a": StepNote(description="Takes the money.", code="c0de")})
    backend.runtime.registry.deploy(declared, {FLOW: said})
    assert backend.list_workflow_versions(FLOW) == [plain]
    details = Details(backend.runtime).workflow(FLOW)
    assert (details.entry.description, details.notes) == ("Sells.", {plain.version_id: said})
    assert [note for _, note in Details(backend.runtime).version(FLOW, plain.version_id).steps] == [said.steps["a"]]
    backend.runtime.registry.deploy(declared, {FLOW: WorkflowNotes()})
    assert Details(backend.runtime).workflow(FLOW).entry.description is None


def listed(backend: DynamoDBBackend) -> list[str]:
    return [workflow.slug for workflow in backend.list_workflow_metadata()]


def test_what_a_deployment_has_no_more_is_retired(backend: DynamoDBBackend) -> None:
    deploy(backend, "bill", FLOW)
    failed, live = Outside(backend, submit(backend)), Outside(backend, submit(backend))
    failed.fail("a", failed.take("a"), terminal=True)
    live.take("a")
    deploy(backend, "bill")
    assert listed(backend) == ["bill"]
    refused = pytest.raises(WorkflowRetiredError, match=f"workflow '{FLOW}' is retired")
    with refused:
        backend.submit_run(RunSubmission(workflow_slug=FLOW))
    with refused:
        backend.rerun_from(parent_run_id=failed.run_id, from_step_id="a")
    with refused:
        backend.resume_run(failed.run_id)
    assert backend.get_workflow_metadata(FLOW) is not None
    assert len(backend.list_workflow_versions(FLOW)) == 1
    assert backend.list_runs().total == 2, "history stays"
    live.complete("a", 1, "done")
    assert live.status == "completed", "what is under way goes on"


def test_a_submission_that_made_its_run_already_is_answered_with_it(backend: DynamoDBBackend) -> None:
    deploy(backend, FLOW)
    wish = RunSubmission(workflow_slug=FLOW, input=1, idempotency_key="k")
    made = backend.submit_run(wish)
    register(backend, step("a"), input_schema_json=SCHEMA)
    assert backend.submit_run(wish) == SubmittedRun(run_id=made.run_id, is_new=False), "it fits the schema no more"
    deploy(backend, FLOW)
    deploy(backend, "bill")
    assert backend.submit_run(wish) == SubmittedRun(run_id=made.run_id, is_new=False), "the workflow is retired"
    for other in ({"idempotency_key": "l"}, {"input": 2}, {"run_id": "another"}):
        with pytest.raises(WorkflowRetiredError):
            backend.submit_run(wish.model_copy(update=other))


def test_what_is_deployed_again_can_be_run_again(backend: DynamoDBBackend) -> None:
    deploy(backend, FLOW)
    deploy(backend, "bill")
    deploy(backend, "bill")
    assert listed(backend) == ["bill"]
    deploy(backend, "bill", FLOW)
    assert listed(backend) == ["bill", FLOW]
    assert backend.submit_run(RunSubmission(workflow_slug=FLOW)).is_new
    assert len(backend.list_workflow_versions(FLOW)) == 1


def test_what_callers_have_registered_is_theirs(backend: DynamoDBBackend) -> None:
    register(backend, slug="theirs")
    deploy(backend, "bill", FLOW)
    register(backend, slug=FLOW)
    deploy(backend, "bill")
    assert listed(backend) == ["bill", FLOW, "theirs"]


@pytest.mark.parametrize("schema", [{"type": "text"}, {"properties": {"a": {"pattern": "(?=a)b"}}}, "text"])
def test_an_input_schema_that_can_not_be_checked_is_refused_by_name(backend: DynamoDBBackend, schema: Any) -> None:
    with pytest.raises(ArgumentInvalidError, match=f"workflow {FLOW!r} has no usable") as caught:
        register(backend, step("a"), input_schema_json=schema)
    assert [issue.path.partition(".")[0] for issue in caught.value.issues] == ["input_schema_json"]
    assert backend.get_workflow_metadata(FLOW) is None
