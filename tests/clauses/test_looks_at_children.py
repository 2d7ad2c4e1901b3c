"""What people see of runs that do a step's work: their pages, the step's counts, and what a diagnosis says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    InvalidIdError,
    RetryTier,
    RunNotFoundError,
    RunSubmission,
    StepError,
    StepNotFoundError,
    WorkflowRegistration,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.commands import Complete, KeepCheckpoint
from cascade_flow.engine.state import Branch, Family, Run
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations import family_views
from cascade_flow.operations.details import Details, FamilyDetails, _family
from cascade_flow.operations.diagnoses import Diagnoses
from cascade_flow.operations.family_views import ChildPage, ChildState, FamilyViews, _state
from cascade_flow.operations.history import RunHistory
from cascade_flow.operations.preflight import Planned, Preflight
from clauses.families import child, expanded, failed, handed_out, mapped, pack_of, packed, taken
from clauses.stage import AGAIN, FATAL, RUN, begun, claimed, dies, dying, reported
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


def test_counts_are_of_the_steps_own_children_and_gone_when_it_is_over(world: World) -> None:
    """An end that was counted is told also before anybody has looked at it."""
    begun(world, step("beside"), *mapped(concurrency=4, tolerate=1))
    declared = ChildrenDefinition(kind="map", over="lines", concurrency=4, tolerate=1)
    assert family(world) == FamilyDetails(declared)
    reported(world, claimed(world, "lines"), Complete("[1,2,3,4,5,6,7,8,9]", 1))
    assert family(world) == FamilyDetails(declared), "nobody has handed anything out"
    expanded(world)
    assert family(world) == FamilyDetails(declared, 9, 9, 4, 0, 0)
    packed(world, 1)
    failed(world, 2)
    assert (pack_of(world).family.out, family(world)) == (((0, 0), (3, 5)), FamilyDetails(declared, 9, 9, 6, 2, 1))
    counted = taken(world, 3)
    dies(lambda: reported(world, counted, by=dying(world, "UpdateItem", after=True)))
    assert (pack_of(world).arrived, pack_of(world).family.out) == (3, ((0, 0), (3, 5)))
    assert family(world) == FamilyDetails(declared, 9, 9, 6, 3, 1)
    world.backend.runtime.ledger.table.write([Update(keys.branch(RUN, "lines"), None, set={"n": 0})])
    assert family(world) == FamilyDetails(declared, 9, 9, 6, 2, 1), "the counter is a hint: two were found over"


def test_of_a_step_that_is_over_no_counts_are_known(world: World) -> None:
    handed_out(world, items=[1, 2])
    packed(world, 0, 1)
    reported(world, claimed(world, "pack", 2, branch="lines"))
    assert (pack_of(world).step, family(world)) == (
        "total",
        FamilyDetails(ChildrenDefinition(kind="map", over="lines")),
    )


HANDED_OUT = Family(items=9, children=5, chunk=1, attempt=1, at_once=4, made=4, lost=1, out=((1, 2),))


@pytest.mark.parametrize(
    ("stands", "counts"),
    [
        ({}, (9, 5, 4, 2, 1)),
        ({"arrived": 3}, (9, 5, 4, 3, 1)),
        ({"arrived": 5}, (9, 5, 4, 4, 1)),
        ({"status": "scheduled"}, (9, 5, 4, 2, 1)),
        ({"status": "failed"}, (9, 5, 4, 2, 1)),
        ({"status": "ended"}, ()),
        ({"step": "total"}, ()),
        ({"family": None}, ()),
    ],
    ids=repr,
)
def test_children_are_counted_as_long_as_their_step_is_not_over(stands: dict[str, Any], counts: Sequence[int]) -> None:
    branch: dict[str, Any] = {"name": "lines", "status": "waiting", "step": "pack", "family": HANDED_OUT, **stands}
    run, steps = Run(RUN, "flow", "v", "running", 0, 0, 0, 0), {each.id: each for each in mapped(batch=2)}
    story = RunHistory(run, steps, {"lines": Branch(**branch)}, (), {})
    declared = ChildrenDefinition(kind="map", over="lines", batch=2)
    assert _family(story, steps["pack"]) == FamilyDetails(declared, *counts)
    assert _family(story, steps["total"]) is None


def test_each_field_of_a_child_is_told(world: World) -> None:
    handed_out(world, concurrency=4, tolerate=1, retry=[RetryTier(max_attempts=2)])
    packed(world, 0)
    failed(world, 1)
    reported(world, taken(world, 2), AGAIN)
    error = StepError(name="ValueError", message="no")
    assert page(world).children == (
        ChildState(0, child(0), "completed", 0, None),
        ChildState(1, child(1), "failed", 1, error),
        ChildState(2, child(2), "running", 2, None, attempt=2, is_retrying=True),
        *(ChildState(number, child(number), "running", number, None, attempt=1) for number in (3, 4, 5)),
    )
    world.clock.pause_us(TIMING.lease_us)
    taken(world, 2, 2)
    assert page(world, limit=1, after=1).children == (ChildState(2, child(2), "running", 2, None, attempt=2),)


ONE = Run("r", "flow", "v", "running", 0, 0, 0, 0)
MAP, WORKFLOW = ChildrenDefinition(kind="map", over="lines", batch=3), ChildrenDefinition(kind="workflow", workflow="w")
NO = StepError(name="E", message="no")
TOLD_NO = '{"name":"E","message":"no"}'


@pytest.mark.parametrize(
    ("definition", "stands", "branch", "told"),
    [
        (MAP, {}, None, {}),
        (WORKFLOW, {}, None, {"first_item": None}),
        (MAP, {"status": "completed", "result": "[1]", "lost": 0}, None, {"failed_items": 0}),
        (MAP, {"status": "completed", "result": "[1]", "lost": 2}, None, {"failed_items": 2}),
        (MAP, {"status": "failed", "result": TOLD_NO}, None, {"error": NO}),
        (WORKFLOW, {"status": "failed", "result": TOLD_NO}, None, {"first_item": None, "error": NO}),
        (MAP, {"status": "cancelled", "result": TOLD_NO}, None, {}),
        (MAP, {"run_attempt": 4}, Branch("pack", "running", "pack", attempt=2), {"attempt": 2}),
        (MAP, {}, Branch("pack", "scheduled", "pack", attempt=2), {"attempt": 2, "is_retrying": True}),
        (MAP, {}, Branch("pack", "scheduled", "pack"), {"attempt": 1}),
    ],
)
def test_a_child_is_told_by_its_own_item_and_where_its_attempt_stands(
    definition: ChildrenDefinition, stands: dict[str, Any], branch: Branch | None, told: dict[str, Any]
) -> None:
    run = replace(ONE, **stands)
    first: dict[str, Any] = {"number": 5, "run_id": "r", "status": run.status, "first_item": 15, "error": None}
    assert _state(definition, 5, run, branch) == ChildState(**{**first, **told})


def test_of_another_workflow_no_item_and_no_attempt_is_told_also_where_its_step_has_the_same_name(world: World) -> None:
    world.backend.register_workflow(WorkflowRegistration(slug="inner", name="inner", steps=[step("pack")]))
    begun(world, step("pack", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    held = claimed(world, "pack")
    reported(world, held, world.act(held, "worker-1"))
    taken(world, 0)
    assert page(world).children == (ChildState(0, child(0), "running", None, None),)


@pytest.mark.parametrize(("after", "more"), [(-1, 1), (0, 2), (2, 4), (3, None)])
def test_a_page_is_looked_for_among_so_many_children_behind_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch, after: int, more: int | None
) -> None:
    monkeypatch.setattr(family_views, "_MOST_READ", 2)
    handed_out(world, concurrency=6)
    assert page(world, status=["failed"], after=after) == ChildPage((), more)


def test_who_asks_for_the_children_of_no_step_is_told_which_have_any(world: World) -> None:
    handed_out(world)
    views = FamilyViews(world.observer.runtime)
    with pytest.raises(StepNotFoundError, match="no step 'nothing' that runs of their own do; it has pack"):
        views.page(RUN, "nothing")
    with pytest.raises(InvalidIdError):
        views.page(RUN, "a/../b?")
    world.backend.initialize_run("other", "reserved")
    with pytest.raises(RunNotFoundError, match="reserved"):
        views.page("reserved", "pack")
    begun_alone(world)
    with pytest.raises(StepNotFoundError, match=r"no step 'a' that runs of their own do; it has none$"):
        views.page("alone", "a")


def begun_alone(world: World) -> None:
    """A run of a workflow without children."""
    world.register([step("a")], slug="alone")
    world.backend.submit_run(RunSubmission(workflow_slug="alone", run_id="alone"))


@pytest.mark.parametrize("at_once", [1, 2, 4, 6, 7])
def test_children_are_read_in_portions_each_once(world: World, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(family_views, "_AT_ONCE", at_once)
    handed_out(world, concurrency=6)
    assert [each.number for each in page(world, limit=9).children] == [0, 1, 2, 3, 4, 5]
    assert [each.number for each in page(world, limit=3, after=1).children] == [2, 3, 4]
    assert [page(world, limit=limit).more for limit in (5, 6, 7)] == [4, None, None]
