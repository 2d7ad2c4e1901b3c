"""Runs of sub-workflows that have undone themselves: final with their parents, and done anew where a run goes on."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from cascade_flow import ChildrenDefinition, RunNotRetryableError, StepDefinition
from cascade_flow.dynamodb.undoing import completions
from cascade_flow.engine.state import LATEST_US
from cascade_flow.engine.undoing import Completion
from cascade_flow.operations.undone import _given_in_part
from cascade_flow.operations.undone_below import renewed_below, undone_below
from clauses.families import handed_out, mapped
from clauses.stage import RUN, begun, claimed, counting, done, reported, run_of
from clauses.test_undo import BOOKED, ONCE, all_undone, failed, order_of, undone
from shapes import undo
from simulation import World, step


def calls(id: str, workflow: str) -> StepDefinition:
    return step(id, children=ChildrenDefinition(kind="workflow", workflow=workflow))


@pytest.fixture
def undone_two_below(world: World) -> World:
    """A run has failed with one two levels below it, which has undone its first step."""
    world.script = {"b": ["fatal"]}
    world.register([undone("a"), step("b", "a", retry=ONCE)], slug="inner")
    world.register([calls("call", "inner")], slug="middle")
    world.register([calls("go", "middle")])
    world.submit(run_id=RUN)
    world.settle(RUN)
    return world


def test_a_run_is_final_with_what_is_undone_at_any_depth_below_it(undone_two_below: World) -> None:
    with pytest.raises(RunNotRetryableError, match="a run of a sub-workflow of it has undone"):
        undone_two_below.backend.retry_run(RUN)


@pytest.mark.parametrize(
    ("first", "then", "is_final"),
    [("b", "late", False), ("early", "b", True), ("early", "late", False), ("b", "b", True)],
)
def test_whether_a_resumed_run_is_final_is_a_matter_of_what_its_own_runs_have_undone(
    world: World, first: str, then: str, is_final: bool
) -> None:
    """What the first run's have undone is done anew by its own."""
    world.register([undone("a"), step("b", "a", retry=ONCE)], slug="inner")
    go = calls("go", "inner").model_copy(update={"dependencies": ["early"]})
    world.script = {first: ["fatal"]}
    begun(world, step("early", retry=ONCE), go, step("late", "go", retry=ONCE))
    world.settle(RUN)
    world.script = {then: ["fatal"]}
    new = world.backend.resume_run(RUN).run_id
    world.settle(new)
    with pytest.raises(RunNotRetryableError) if is_final else nullcontext():
        world.backend.retry_run(new)


def test_what_was_undone_below_is_done_anew_by_the_new_runs_own(undone_two_below: World) -> None:
    runtime = undone_two_below.observer.runtime
    assert undone_below(runtime, run_of(undone_two_below), "new") == {"go~call~a": "new~go~0~call~0"}
    assert renewed_below({"go~call~a": "new~go~0~call~0", "other~b": "new~other~0"}, "go") == {
        "call~a": "new~go~0~call~0"
    }


def test_what_each_of_several_sub_workflows_has_undone_is_found(world: World) -> None:
    world.script = {"b": ["fatal"], "d": ["fatal"]}
    world.register([undone("a"), step("b", "a", retry=ONCE)], slug="one")
    world.register([undone("c"), step("d", "c", retry=ONCE)], slug="other")
    begun(world, calls("go", "one"), calls("come", "other"))
    world.settle(RUN)
    found = undone_below(world.observer.runtime, run_of(world), "new")
    assert found == {"go~a": "new~go~0", "come~c": "new~come~0"}


def test_a_run_of_another_workflow_that_was_never_made_has_nothing_undone(world: World) -> None:
    world.register([undone("a")], slug="inner")
    begun(world, step("first", retry=ONCE), calls("go", "inner").model_copy(update={"dependencies": ["first"]}))
    world.backend.cancel_run(RUN)
    assert undone_below(world.observer.runtime, run_of(world), "new") == {}
    assert world.backend.resume_run(RUN).is_new


def test_a_run_below_knows_at_its_birth_what_it_does_anew(undone_two_below: World) -> None:
    undone_two_below.script = {}
    new = undone_two_below.backend.resume_run(RUN).run_id
    undone_two_below.settle(new)
    own = f"{new}~go~0~call~0"
    below = undone_two_below.observer.runtime.run(own)
    assert (below.first_run_of("a"), below.first_run_of("b")) == (own, f"{RUN}~go~0~call~0")


def test_what_was_never_begun_below_hides_nothing_that_was_undone_behind_it(world: World) -> None:
    world.script = {"b": ["fatal"]}
    world.register([undone("a"), step("b", "a", retry=ONCE)], slug="inner")
    late = calls("late", "inner").model_copy(update={"dependencies": ["come"]})
    begun(world, calls("come", "inner"), late, calls("go", "inner"))
    world.settle(RUN)
    found = undone_below(world.observer.runtime, run_of(world), "new")
    assert found == {"come~a": "new~come~0", "go~a": "new~go~0"}


def test_an_item_that_was_undone_is_done_anew_under_a_name_of_its_own(world: World) -> None:
    """Its effects are known by that: under the old one they would be taken for done."""
    world.script = {"lines": ["2 items"], "late": ["fatal"]}
    lines, pack, _ = mapped()
    begun(world, lines, pack.model_copy(update={"undo": undo("un-pack")}), step("late", "pack", retry=ONCE))
    world.settle(RUN)
    all_undone(world)
    world.script = {"lines": ["2 items"]}
    new = world.backend.resume_run(RUN).run_id
    world.settle(new)
    own = f"{new}~pack~0"
    assert world.observer.runtime.run(own).first_run_id == own


def test_what_was_never_begun_below_is_not_done_anew(world: World) -> None:
    world.register([undone("a")], slug="inner")
    begun(world, step("a"), calls("go", "inner").model_copy(update={"dependencies": ["a"]}))
    assert undone_below(world.observer.runtime, run_of(world), "new") == {}


def test_of_other_workflows_runs_alone_is_looked_for_what_they_have_undone(world: World) -> None:
    """What the items of a map have done its own undo undoes; what else there is has no runs."""
    handed_out(world)
    late, sizes = counting(world)
    assert undone_below(late.runtime, late.runtime.run(RUN), "new") == {}
    assert len(sizes) == 2, "the run, and its version"


def test_what_could_not_be_undone_is_done_anew_too(world: World) -> None:
    world.script = {"un-a": ["fatal"]}
    failed(world, *BOOKED)
    all_undone(world, status="failed")
    new = world.backend.resume_run(RUN).run_id
    run = world.observer.runtime.run(new)
    assert [run.first_run_of(name) for name in ("a", "b")] == [new, new]


def test_what_was_undone_twice_is_done_anew_by_the_last_run(world: World) -> None:
    world.script = {"c": ["fatal"]}
    failed(world, *BOOKED)
    all_undone(world)
    second = world.backend.resume_run(RUN).run_id
    world.settle(second)
    last = world.backend.resume_run(second).run_id
    assert world.observer.runtime.run(last).first_run_of("a") == last


def test_of_a_map_of_which_nothing_is_left_nothing_was_given(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"))
    assert _given_in_part(world.backend.runtime, RUN, "c") == "[]"


def test_a_map_that_was_under_way_counts_as_the_last_that_was_done_and_in_part(world: World) -> None:
    handed_out(world)
    table = world.observer.runtime.ledger.table
    found = {each.step: each for each in completions(table, RUN)}
    assert found.keys() == {"lines", "pack"}
    assert found["pack"] == Completion(LATEST_US, "pack", None, in_part=True)


def test_a_step_whose_own_run_was_under_way_has_done_nothing_that_it_undoes(world: World) -> None:
    """That run undoes itself what it has done; of a map the items that are done are undone by its undo."""
    world.register([step("b")], slug="inner")
    call = calls("go", "inner").model_copy(update={"undo": undo("un-go")})
    begun(world, call, undone("a"))
    done(world, "a")
    held = claimed(world, "go")
    reported(world, held, world.act(held, "worker-1"))
    assert [each.step for each in completions(world.observer.runtime.ledger.table, RUN)] == ["a"]
    world.backend.cancel_run(RUN)
    assert order_of(all_undone(world)) == ["un-a"]
