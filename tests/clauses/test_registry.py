"""The registry: a version is created once, and what a deployment retires is what only deployments have registered."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from cascade_flow import (
    EventDefinition,
    GitInfo,
    GraphInvalidError,
    InvalidIdError,
    RunSubmission,
    StepLimit,
    WorkflowNotFoundError,
    WorkflowRegistration,
    WorkflowVersion,
    clock,
)
from cascade_flow.dynamodb import shards
from cascade_flow.dynamodb.registry import get_workflow
from cascade_flow.graph import Graph
from cascade_flow.model.workflows import RunLimit, UndoDefinition, WorkflowNotes
from cascade_flow.operations.details import Details
from clauses.stage import registration
from clauses.test_microseconds import at
from faults.moments import pausing
from simulation import BEGIN_US, World, step


def test_a_version_that_is_there_is_not_created_again(world: World) -> None:
    world.backend.register_workflow(registration(slug="flow"))
    [first] = world.backend.list_workflow_versions("flow")
    world.clock.pause_us(1_000_000)
    world.another().register_workflow(registration(slug="flow"))
    assert world.backend.list_workflow_versions("flow") == [first]


def test_a_version_that_has_steps_keeps_them_whatever_is_registered_under_its_id(world: World) -> None:
    world.backend.register_workflow(registration(step("a"), version_id="v1"))
    world.another().register_workflow(registration(step("a"), step("b"), version_id="v1"))
    assert list(world.another().runtime.registry.graph("flow", "v1").steps) == ["a"]
    assert [each.id for each in world.backend.get_workflow_steps("flow")] == ["a"]


def test_each_version_is_found_by_its_id_and_the_current_one_is_what_was_registered_last(world: World) -> None:
    manifests = {"v1": ["a"], "v2": ["a", "b"], "v3": ["c"]}
    for version_id in ("v1", "v2", "v3", "v2"):
        world.backend.register_workflow(registration(*map(step, manifests[version_id]), version_id=version_id))
        world.clock.pause_us(1_000_000)
    found = {version_id: world.backend.get_workflow_version("flow", version_id) for version_id in (*manifests, "v4")}
    assert {name: each and each.step_manifest for name, each in found.items()} == {**manifests, "v4": None}
    assert world.backend.get_current_workflow_version("flow") == found["v2"]
    assert [each.id for each in world.backend.get_workflow_steps("flow")] == ["a", "b"]


def test_a_version_is_named_by_its_steps_in_one_order_of_their_fields(world: World) -> None:
    """The name outlives this release: under another the same steps would be another version."""
    world.backend.register_workflow(registration(slug="flow"))
    tier = '"backoff": 2.0, "delayMs": 1000, "giveUpOn": [], "jitter": 0.1, "maxAttempts": 3, "maxDelayMs": 300000'
    before, after = '"dependencies": [], "exportOutput": false, "id": "a", "name": "a"', '"skipCascades": true'
    text = f'[{{{before}, "retry": [{{{tier}, "retryOn": []}}], {after}}}]'
    [version] = world.backend.list_workflow_versions("flow")
    assert version.version_id == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_who_names_no_workflow_is_told_which_can_be_run(world: World) -> None:
    unknown = RunSubmission(workflow_slug="unknown")
    world.backend.runtime.registry.deploy([registration(slug="old")])
    world.backend.runtime.registry.deploy([])
    with pytest.raises(WorkflowNotFoundError, match=r"registered: none$"):
        world.backend.submit_run(unknown)
    for slug in ("flow", "bills"):
        world.backend.register_workflow(registration(slug=slug))
    with pytest.raises(WorkflowNotFoundError, match=r"registered: bills, flow$"):
        world.backend.submit_run(unknown)


def test_what_can_not_begin_before_its_runs_time_is_over_is_no_version(world: World) -> None:
    steps = [step("a", delay_ms=3_000), step("b", "a", delay_ms=2_000)]
    late = registration(slug="flow").model_copy(update={"steps": steps, "timeout_us": 5_000_000})
    with pytest.raises(GraphInvalidError, match="step 'b'"):
        world.backend.register_workflow(late)
    assert world.backend.list_workflow_metadata() == []
    world.backend.register_workflow(late.model_copy(update={"timeout_us": 5_000_001}))


@pytest.mark.parametrize("name", ["erp#1", "not a name", "@flow"])
def test_a_limits_name_is_one_of_which_a_key_can_be_made_and_no_run_limits(world: World, name: str) -> None:
    named = step("a", limit=StepLimit(name=name, at_most=1))
    with pytest.raises(InvalidIdError, match="limit"):
        world.backend.register_workflow(registration(slug="flow").model_copy(update={"steps": [named]}))


@pytest.mark.parametrize(
    "wrong", [{"id": "a#b"}, {"limit": StepLimit(name="not a name", at_most=1)}, {"executor": "#"}]
)
def test_what_undoes_a_step_has_names_of_which_keys_can_be_made(world: World, wrong: dict[str, Any]) -> None:
    undo = UndoDefinition(**{"id": "un-a", "name": "un-a", **wrong})
    with pytest.raises(InvalidIdError):
        world.backend.register_workflow(registration(slug="flow").model_copy(update={"steps": [step("a", undo=undo)]}))
    assert world.backend.list_workflow_metadata() == []


def test_the_pools_of_all_that_may_run_are_known_before_it_does(world: World) -> None:
    undo = UndoDefinition(id="un-a", name="un-a", executor="gpu")
    steps = [step("a", executor="big", undo=undo)]
    world.backend.register_workflow(registration(slug="flow").model_copy(update={"steps": steps}))
    version = WorkflowVersion(
        workflow_slug="flow", version_id="v2", version_number=2, created_at=1, step_manifest=["b"], total_steps=1
    )
    world.backend.create_workflow_version(version.model_copy(update={"steps": [step("b", executor="small")]}))
    assert sorted(shards.pools(world.another().runtime.ledger.table)) == ["big", "gpu", "small"]


def test_a_graph_is_read_again_of_what_was_used_longest_ago_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.registry._GRAPHS_KEPT", 2)
    registry, read = world.backend.runtime.registry, list[str]()

    def read_graph(slug: str, _: str) -> Graph:
        read.append(slug)
        return Graph([step("a")])

    monkeypatch.setattr(registry, "_read_graph", read_graph)
    for slug in ("one", "two", "one", "three", "one", "two"):
        registry.graph(slug, "sha256:1")
    assert read == ["one", "two", "three", "two"]


def test_what_is_registered_anew_has_no_limit_and_no_timeout_of_before(world: World) -> None:
    table = world.observer.runtime.ledger.table
    limited = {"timeout_us": 5_000_000, "run_limit": RunLimit(at_most=2)}
    world.backend.register_workflow(registration(slug="flow").model_copy(update=limited))
    known = get_workflow(table, "flow")
    assert known is not None
    assert (known.timeout_us, known.run_limit) == (5_000_000, RunLimit(at_most=2))
    world.backend.register_workflow(registration(slug="flow"))
    known = get_workflow(table, "flow")
    assert known is not None
    assert (known.timeout_us, known.run_limit) == (None, None)


def test_what_a_caller_registers_meanwhile_is_not_retired(world: World) -> None:
    world.backend.runtime.registry.deploy([registration(slug="flow"), registration(slug="other")])
    late = pausing(world, "UpdateItem", lambda: world.observer.register_workflow(registration(slug="flow")), at=2)
    late.runtime.registry.deploy([registration(slug="other")])
    assert [flow.slug for flow in world.backend.list_workflow_metadata()] == ["flow", "other"]


def test_what_no_deployment_has_any_more_is_retired(world: World) -> None:
    world.backend.runtime.registry.deploy([registration(slug="flow"), registration(slug="other")])
    world.backend.runtime.registry.deploy([registration(slug="other")])
    assert [flow.slug for flow in world.backend.list_workflow_metadata()] == ["other"]


def test_a_workflow_was_retired_when_it_was_retired_first(world: World) -> None:
    world.backend.runtime.registry.deploy([registration(slug="flow")])
    known = []
    for _ in range(2):
        world.backend.runtime.registry.deploy([])
        known.append(get_workflow(world.observer.runtime.ledger.table, "flow"))
        world.clock.pause_us(1_000_000)
    assert known[0] is not None
    assert known[0].retired_us is not None
    assert known[1] == known[0]


def test_of_what_is_retired_it_is_told_when_and_its_runs_and_steps_stay(world: World) -> None:
    registry = world.backend.runtime.registry
    registry.deploy([registration(slug="flow")])
    run_id = world.submit()
    with at(clock.now_us() + 60_000_000):
        registry.deploy([])
        retired_us = clock.now_us()
    entry = get_workflow(world.observer.runtime.ledger.table, "flow")
    assert entry is not None
    assert entry.retired_us == retired_us
    assert [run.run_id for run in world.backend.list_runs().runs] == [run_id]
    assert [each.id for each in registry.steps("flow")] == ["a"]
    assert registry.metadata("flow") == entry.metadata
    assert (registry.names(), registry.all_metadata()) == ({"flow": "flow"}, [])


def test_of_a_version_that_nobody_has_registered_no_steps_are_the_current_ones(world: World) -> None:
    registry = world.backend.runtime.registry
    registry.create_version(
        WorkflowVersion(
            workflow_slug="flow",
            version_id="v1",
            version_number=1,
            created_at=1,
            step_manifest=["a"],
            total_steps=1,
            steps=[step("a")],
        )
    )
    assert registry.steps("flow") == []
    current = registry.current_version("flow")
    assert current is not None
    assert current.version_id == "v1"


def test_what_is_said_of_some_workflows_is_said_of_no_others(world: World) -> None:
    said = WorkflowNotes(description="Sells.")
    world.backend.runtime.registry.deploy([registration(slug="bill"), registration(slug="flow")], {"flow": said})
    found = {slug: Details(world.observer.runtime).workflow(slug) for slug in ("bill", "flow")}
    assert {slug: each.entry.description for slug, each in found.items()} == {"bill": None, "flow": "Sells."}
    [version] = world.observer.list_workflow_versions("flow")
    assert found["flow"].notes == {version.version_id: said}


def test_a_version_says_all_of_its_steps_in_the_order_in_which_they_are_declared(world: World) -> None:
    git = GitInfo(commit="c0ffee", branch="main", dirty=False)
    steps = [step("b"), step("e", "b", event=EventDefinition()), step("a", "e")]
    with at(BEGIN_US):
        world.backend.register_workflow(WorkflowRegistration(slug="flow", name="Its name", steps=steps, git=git))
    [version] = world.observer.list_workflow_versions("flow")
    told = [each.to_wire() for each in steps]
    text = json.dumps(told, sort_keys=True)
    assert version == WorkflowVersion(
        workflow_slug="flow",
        version_id=f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        version_number=1,
        created_at=BEGIN_US,
        step_manifest=["b", "e", "a"],
        total_steps=3,
        git=git,
        steps=steps,
    )


def test_who_registers_under_an_id_of_its_own_finds_the_version_by_it(world: World) -> None:
    world.backend.register_workflow(registration(step("b"), step("a"), version_id="v1"))
    [version] = world.observer.list_workflow_versions("flow")
    assert (version.version_id, version.step_manifest) == ("v1", ["b", "a"])
