"""The registry: a version is created once, and what a deployment retires is what only deployments have registered."""

from __future__ import annotations

import pytest

from cascade_flow import GraphInvalidError, InvalidIdError, StepLimit, WorkflowRegistration
from cascade_flow.dynamodb.registry import get_workflow
from cascade_flow.graph import Graph
from cascade_flow.model.workflows import RunLimit
from faults.moments import pausing
from simulation import World, step


def registration(slug: str) -> WorkflowRegistration:
    return WorkflowRegistration(slug=slug, name=slug, steps=[step("a")])


def test_a_version_that_is_there_is_not_created_again(world: World) -> None:
    world.backend.register_workflow(registration("flow"))
    [first] = world.backend.list_workflow_versions("flow")
    world.clock.pause_us(1_000_000)
    world.another().register_workflow(registration("flow"))
    assert world.backend.list_workflow_versions("flow") == [first]


def test_what_can_not_begin_before_its_runs_time_is_over_is_no_version(world: World) -> None:
    steps = [step("a", delay_ms=3_000), step("b", "a", delay_ms=2_000)]
    late = registration("flow").model_copy(update={"steps": steps, "timeout_us": 5_000_000})
    with pytest.raises(GraphInvalidError, match="step 'b'"):
        world.backend.register_workflow(late)
    assert world.backend.list_workflow_metadata() == []
    world.backend.register_workflow(late.model_copy(update={"timeout_us": 5_000_001}))


@pytest.mark.parametrize("name", ["erp#1", "not a name", "@flow"])
def test_a_limits_name_is_one_of_which_a_key_can_be_made_and_no_run_limits(world: World, name: str) -> None:
    named = step("a", limit=StepLimit(name=name, at_most=1))
    with pytest.raises(InvalidIdError, match="limit"):
        world.backend.register_workflow(registration("flow").model_copy(update={"steps": [named]}))


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
    world.backend.register_workflow(registration("flow").model_copy(update=limited))
    known = get_workflow(table, "flow")
    assert known is not None
    assert (known.timeout_us, known.run_limit) == (5_000_000, RunLimit(at_most=2))
    world.backend.register_workflow(registration("flow"))
    known = get_workflow(table, "flow")
    assert known is not None
    assert (known.timeout_us, known.run_limit) == (None, None)


def test_what_a_caller_registers_meanwhile_is_not_retired(world: World) -> None:
    world.backend.runtime.registry.deploy([registration("flow"), registration("other")])
    late = pausing(world, "UpdateItem", lambda: world.observer.register_workflow(registration("flow")), at=2)
    late.runtime.registry.deploy([registration("other")])
    assert [flow.slug for flow in world.backend.list_workflow_metadata()] == ["flow", "other"]


def test_what_no_deployment_has_any_more_is_retired(world: World) -> None:
    world.backend.runtime.registry.deploy([registration("flow"), registration("other")])
    world.backend.runtime.registry.deploy([registration("other")])
    assert [flow.slug for flow in world.backend.list_workflow_metadata()] == ["other"]


def test_a_workflow_was_retired_when_it_was_retired_first(world: World) -> None:
    world.backend.runtime.registry.deploy([registration("flow")])
    known = []
    for _ in range(2):
        world.backend.runtime.registry.deploy([])
        known.append(get_workflow(world.observer.runtime.ledger.table, "flow"))
        world.clock.pause_us(1_000_000)
    assert known[0] is not None
    assert known[0].retired_us is not None
    assert known[1] == known[0]
