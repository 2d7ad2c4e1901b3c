"""What people see of runs that do a step's work: their pages, the step's counts, and what a diagnosis says of them."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import RetryTier, StepError, StepNotFoundError, WorkflowRegistration
from cascade_flow.engine.commands import Complete, KeepCheckpoint
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.details import Details, FamilyDetails
from cascade_flow.operations.diagnoses import Diagnoses
from cascade_flow.operations.family_views import ChildPage, FamilyViews
from cascade_flow.operations.preflight import Planned, Preflight
from clauses.families import child, failed, handed_out, mapped, packed, taken
from clauses.stage import AGAIN, FATAL, RUN, begun, claimed, reported
from simulation import TIMING, World, step


def page(world: World, **wanted: Any) -> ChildPage:
    return FamilyViews(world.observer.runtime).page(RUN, "pack", **wanted)


def states(world: World, **wanted: Any) -> dict[int, str]:
    return {each.number: each.status for each in page(world, **wanted).children}


def family(world: World) -> FamilyDetails:
    [details] = [each.children for each in Details(world.observer.runtime).steps(RUN) if each.children]
    return details


def said(world: World, run_id: str = RUN) -> dict[str, tuple[str, str]]:
    """What a diagnosis says, by code, with how bad that is."""
    diagnosis, _ = Diagnoses(world.observer.runtime).run(run_id)
    return {finding.code: (finding.severity, finding.sentence) for finding in diagnosis.findings}


def test_a_page_tells_of_each_child_where_it_stands(world: World) -> None:
    handed_out(world, concurrency=4, tolerate=1, retry=[RetryTier(max_attempts=2)])
    packed(world, 0)
    failed(world, 1)
    reported(world, taken(world, 2), AGAIN)
    found = {each.number: each for each in page(world).children}
    assert {number: each.status for number, each in found.items() if number < 4} == {
        0: "completed",
        1: "failed",
        2: "running",
        3: "running",
    }
    assert (found[1].error and found[1].error.name, found[1].run_id) == ("ValueError", child(1))
    assert (found[2].attempt, found[2].is_retrying) == (2, True)
    assert (found[3].attempt, found[3].is_retrying) == (1, False)


def test_pages_go_on_and_pass_what_is_asked_for(world: World) -> None:
    handed_out(world, tolerate=1, concurrency=6)
    failed(world, 1)
    failed(world, 4)
    first = page(world, limit=4)
    assert ([each.number for each in first.children], first.more) == ([0, 1, 2, 3], 3)
    rest = page(world, limit=4, after=3)
    assert ([each.number for each in rest.children], rest.more) == ([4, 5], None)
    assert states(world, status=["failed"]) == {1: "failed", 4: "failed"}
    one = page(world, status=["failed"], limit=1)
    assert ([each.number for each in one.children], one.more is None) == ([1], False)
    assert states(world, status=["failed"], limit=1, after=one.more) == {4: "failed"}


def test_of_a_batch_the_first_item_and_how_many_failed_are_told(world: World) -> None:
    handed_out(world, batch=4, tolerate=1)
    held = taken(world, 0)
    for place in (0, 2, 3):
        held = reported(world, held, KeepCheckpoint("item", place, data="1"))
    held = reported(world, held, KeepCheckpoint("item", 1, error=StepError(name="E", message="no")))
    reported(world, held, FATAL)
    told = {each.number: each for each in page(world).children}
    assert (told[0].first_item, told[0].failed_items, told[1].first_item) == (0, 1, 4)
    assert told[0].error is not None
    assert told[0].error.message == "1 items failed: item 1: E: no"


def test_a_step_that_does_its_work_itself_has_no_children(world: World) -> None:
    handed_out(world)
    with pytest.raises(StepNotFoundError, match="no step 'lines' that runs of their own do; it has pack"):
        FamilyViews(world.observer.runtime).page(RUN, "lines")


def test_counts_are_known_while_the_step_waits(world: World) -> None:
    begun(world, *mapped(concurrency=3, tolerate=1))
    assert family(world).items is None
    reported(world, claimed(world, "lines"), Complete("[1,2,3,4,5,6]", 1))
    held = claimed(world, "pack", 1, branch="lines")
    reported(world, held, world.act(held, "worker-1"))
    assert (family(world).items, family(world).children, family(world).made, family(world).ended) == (6, 6, 3, 0)
    packed(world, 0)
    failed(world, 1)
    assert (family(world).made, family(world).ended) == (5, 2)
    assert family(world).declared == ChildrenDefinition(kind="map", over="lines", concurrency=3, tolerate=1)


def test_a_diagnosis_looks_through_to_what_holds_the_step_up(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    severity, sentence = said(world)["waits-for-children"]
    assert (severity, "`pack` waits for its items: 1 of 6 are over" in sentence) == ("well", True)
    world.clock.pause_us(TIMING.grace_us * 3 // 2)
    severity, sentence = said(world)["waits-for-children"]
    assert severity in ("late", "stuck")
    assert f"item 1 ({child(1)}): `pack` has waited for a worker" in sentence


def test_a_step_whose_children_nobody_has_looked_at_is_late(world: World) -> None:
    handed_out(world)
    world.clock.pause_us(100 * TIMING.lease_us)
    assert said(world)["children-unlooked"][0] in ("late", "stuck")


def test_an_items_own_diagnosis_and_a_preflight_go_by_its_own_graph(world: World) -> None:
    handed_out(world)
    assert [*said(world, child(0))] == ["queued"]
    without = {"flow": Planned("sha256:other", frozenset({"lines", "pack"}))}
    gone = Preflight(world.observer.runtime).part(without, limit=50).broken
    assert {each.run_id: each.steps for each in gone} == {RUN: ["total"]}


def test_of_a_sub_workflow_its_run_is_looked_into(world: World) -> None:
    world.backend.register_workflow(WorkflowRegistration(slug="inner", name="inner", steps=[step("charge")]))
    begun(world, step("back", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    held = claimed(world, "back")
    reported(world, held, world.act(held, "worker-1"))
    severity, sentence = said(world)["waits-for-children"]
    assert severity == "well"
    assert f"`back` waits for its workflow's run; {RUN}~back~0: `charge` is due" in sentence


@pytest.mark.parametrize("kind", ["map", "workflow"])
def test_who_has_handed_out_a_steps_work_is_not_at_work_on_it(world: World, kind: str) -> None:
    if kind == "map":
        handed_out(world)
    else:
        world.backend.register_workflow(WorkflowRegistration(slug="inner", name="inner", steps=[step("charge")]))
        begun(world, step("back", children=ChildrenDefinition(kind="workflow", workflow="inner")))
        held = claimed(world, "back")
        reported(world, held, world.act(held, "worker-1"))
    found = world.observer.get_active_workers()
    assert found.total_running_steps == 0
    assert [worker for worker in found.workers if worker.active_steps] == []
