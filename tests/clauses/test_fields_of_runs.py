"""What is read of a run is all that its item says, each field from its own place."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import (
    ChildrenDefinition,
    Claim,
    EventInvalidError,
    RunLimit,
    RunState,
    RunSubmitted,
    StepLimit,
    StepStarted,
    WorkflowRerunFromStep,
    WorkflowResumed,
    WorkflowStarted,
)
from cascade_flow.dynamodb.listing import Filter
from cascade_flow.engine.limits import key_values, limit_of_runs
from cascade_flow.engine.state import Facts
from cascade_flow.graph import body_of, undo_graph
from cascade_flow.model.states import LinkedRun
from cascade_flow.operations.reruns import Reruns
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.steps import Slot
from cascade_flow.records import replace
from clauses.families import child, handed_out
from clauses.stage import FATAL, RUN, claimed, reported, reports_of, run_of
from clauses.test_undo import BOOKED, failed, undo_run
from contract.called import Called
from simulation import BEGIN_US, TIMING, World, step

DUE_US = BEGIN_US + 60_000_000
SAID: dict[str, Any] = {
    "available_at": DUE_US,
    "priority": 3,
    "timeout": 90_000_000,
    "metadata": {"who": "me"},
    "tags": ["t", "s"],
    "input": {"shop": "x"},
    "idempotency_key": "k",
}
LIMITED = [step("a", limit=StepLimit(name="erp", at_most=2, key="shop"))]


def limited(world: World, **said: Any) -> None:
    """A run whose steps and itself have limits."""
    world.register(LIMITED, run_limit=RunLimit(at_most=2, key="shop"))
    world.submit(run_id=RUN, **{**SAID, **said})


def test_the_facts_of_a_run_are_those_of_its_item(world: World) -> None:
    limited(world)
    pending, runtime = run_of(world), world.backend.runtime
    limit = limit_of_runs("flow", RunLimit(at_most=2, key="shop"), '{"shop":"x"}')
    keys = key_values(LIMITED, '{"shop":"x"}')
    known = Facts(
        run_id=RUN,
        workflow_slug="flow",
        graph=runtime.graph_of(pending),
        expires_s=(DUE_US + 90_000_000 + TIMING.retention_us) // 1_000_000,
        timing=TIMING,
        priority=3,
        run_attempt=1,
        started_at_us=pending.created_us,
        limit_keys=keys,
        limit=limit,
        place=None,
        deadline_us=DUE_US + 90_000_000,
        undoes=False,
        up=None,
    )
    assert (runtime.facts(pending), keys) == (known, {"shop": "x"})
    world.clock.pause_us(60_000_000)
    begun = Runs(runtime).start(pending)
    assert begun.started_at_us not in (None, pending.created_us)
    started = replace(known, started_at_us=begun.started_at_us or 0, place=0, deadline_us=begun.deadline_us)
    assert runtime.facts(begun) == started
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    again = run_of(world)
    assert again.place is not None
    assert runtime.facts(again) == replace(
        started, run_attempt=2, started_at_us=again.started_at_us or 0, deadline_us=again.deadline_us
    )


def test_a_childs_graph_is_its_items_and_a_sub_workflows_its_own(world: World) -> None:
    runtime = world.backend.runtime
    handed_out(world, ["x"])
    run, item = run_of(world), runtime.run(child(0))
    assert list(runtime.graph_of(item).steps) == list(body_of(runtime.graph_of(run), "pack").steps) == ["pack"]
    assert (runtime.facts(item).up, runtime.facts(run).up) == (item.up, None)
    world.register([step("a"), step("b", "a")], slug="inner")
    world.register([step("go", children=ChildrenDefinition(kind="workflow", workflow="inner"))])
    world.submit(run_id="calls")
    held = claimed(world, "go", run_id="calls")
    reported(world, held, world.act(held, "worker-1"))
    below = runtime.run("calls~go~0")
    assert (list(runtime.graph_of(below).steps), runtime.facts(below).up) == (["a", "b"], below.up)


def test_what_undoes_a_run_follows_the_undos_in_their_order(world: World) -> None:
    failed(world, *BOOKED)
    run, runtime = undo_run(world), world.backend.runtime
    assert run.undoing is not None
    steps = run.undoing.steps
    assert len(steps) == 2
    facts = runtime.facts(run)
    assert list(facts.graph.steps) == list(undo_graph(runtime.graph_of(run_of(world)), steps).steps)
    assert (facts.undoes, runtime.facts(run_of(world)).undoes) == (True, False)


def test_a_runs_state_says_each_thing_that_was_said_and_done(world: World) -> None:
    limited(world)
    pending = run_of(world)
    told = RunState(
        run_id=RUN,
        workflow_slug="flow",
        status="pending",
        available_at=DUE_US,
        priority=3,
        workflow_attempt_number=1,
        created_at=pending.created_us,
        started_at=None,
        completed_at=None,
        timeout=90_000_000,
        idempotency_key="k",
        metadata={"who": "me"},
        tags=["t", "s"],
        input='{"shop":"x"}',
    )
    assert world.observer.get_run(RUN) == told
    assert world.observer.list_runs().runs == [told]
    world.clock.pause_us(60_000_000)
    Runs(world.backend.runtime).start(pending)
    reported(world, claimed(world, "a"), FATAL)
    ends = run_of(world)
    world.backend.retry_run(RUN)
    reported(world, claimed(world, "a", 2))
    over = run_of(world)
    assert (ends.completed_at_us or 0) < (over.started_at_us or 0) < (over.completed_at_us or 0)
    done = told.model_copy(
        update={
            "status": "completed",
            "workflow_attempt_number": 2,
            "started_at": over.started_at_us,
            "completed_at": over.completed_at_us,
        }
    )
    assert world.observer.get_run(RUN) == done
    shown = LinkedRun(**dict(done), undoes=None, undone_by=None)
    assert Runs(world.observer.runtime).part("flow", Filter(), limit=1).runs == [shown]


def test_a_run_is_shown_with_what_undoes_it_and_with_what_it_undoes(world: World) -> None:
    failed(world, *BOOKED)
    by = undo_run(world).run_id
    shown = {run.run_id: run for run in Runs(world.observer.runtime).part(None, Filter(), limit=10).runs}
    assert {name: (run.undoes, run.undone_by) for name, run in shown.items()} == {RUN: (None, by), by: (RUN, None)}


def test_a_plan_is_of_the_code_of_now_and_in_its_order(world: World) -> None:
    world.register([step("z"), step("a", "z")], version_id="v1")
    world.submit(run_id=RUN)
    reported(world, claimed(world, "z"))
    world.backend.cancel_run(RUN)
    world.register([step("z"), step("y", "z"), step("a", "y"), step("b", "y")], version_id="v2")
    for plan, again in (
        (Reruns(world.observer.runtime).plan_resume(RUN), ["y", "a", "b"]),
        (Reruns(world.observer.runtime).plan_rerun(RUN, "z"), ["z", "y", "a", "b"]),
        (Reruns(world.observer.runtime).plan_rerun(RUN, "y"), ["y", "a", "b"]),
    ):
        assert plan.version_id == "v2"
        assert (plan.keeps, plan.runs_again) == (["z"] * ("z" not in again), again)


def test_a_rerun_says_what_it_is_of_and_a_resumed_run_too(world: World) -> None:
    world.register([step("z"), step("a", "z")], version_id="v1")
    world.submit(run_id=RUN)
    reported(world, claimed(world, "z"))
    world.backend.cancel_run(RUN)
    world.register([step("z"), step("a", "z"), step("b", "a")], version_id="v2")
    made = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a")
    resumed = world.backend.resume_run(RUN)
    assert made.is_new
    assert resumed.is_new
    [rerun] = [e for e in world.observer.load_events("flow", made.run_id) if isinstance(e, WorkflowRerunFromStep)]
    assert (rerun.parent_run_id, rerun.rerun_from_step_id, rerun.rerun_step_ids) == (RUN, "a", ["a", "b"])
    assert (rerun.version_id, rerun.parent_version_id) == ("v2", "v1")
    [again] = [e for e in world.observer.load_events("flow", resumed.run_id) if isinstance(e, WorkflowResumed)]
    assert (again.version_id, again.original_run_id, again.resumed_steps, again.pending_steps) == ("v2", RUN, 1, 2)
    for run_id in (made.run_id, resumed.run_id):
        assert world.observer.runtime.run(run_id).version_id == "v2"


def test_who_claims_says_where_it_works_and_is_refused_where_it_can_not(world: World) -> None:
    world.register([step("z"), step("a", "z")])
    world.submit(run_id=RUN)
    reports = reports_of(world)
    called = Called.with_step(world.backend, "z")
    for slug, run_id in (("flow", RUN), (called.slug, called.run_id)):
        with pytest.raises(EventInvalidError):
            reports.claim(slug, run_id, "z", "w", dependencies=[], slot=Slot(-1, 8))
        claim = reports.claim(slug, run_id, "z", "w", dependencies=["x"] if run_id != RUN else [], slot=Slot(2, 8))
        assert claim == Claim(attempt_number=1)
        [start] = [e for e in world.observer.load_events(slug, run_id) if isinstance(e, StepStarted)]
        assert (start.worker_id, start.slot_index, start.worker_concurrency) == ("w", 2, 8)
        assert start.dependencies == ([] if run_id == RUN else ["x"])


@pytest.mark.parametrize("schema", [None, {"type": ["object", "null"]}])
@pytest.mark.parametrize("input", [None, {"shop": "x"}])
def test_what_is_submitted_is_told_each_thing_under_its_own_name(world: World, schema: Any, input: Any) -> None:
    world.register([step("a")], version_id="v1", input_schema_json=schema)
    said = {**SAID, "available_at": DUE_US + 0.5, "input": input}
    world.submit(run_id=RUN, **said)
    [told] = [e for e in world.observer.load_events("flow", RUN) if isinstance(e, RunSubmitted)]
    assert (told.version_id, told.has_input_schema) == ("v1", schema is not None)
    assert (told.available_at_us, told.priority, told.timeout_us) == (DUE_US + 1, 3, 90_000_000)
    assert (told.idempotency_key, told.metadata, told.tags) == ("k", {"who": "me"}, ["t", "s"])
    assert told.input == (None if input is None else '{"shop":"x"}')
    world.clock.pause_us(60_000_001)
    Runs(world.backend.runtime).start(run_of(world))
    [start] = [e for e in world.observer.load_events("flow", RUN) if isinstance(e, WorkflowStarted)]
    assert (start.version_id, start.has_input_schema, start.has_input) == ("v1", schema is not None, input is not None)


def test_a_run_that_goes_on_has_the_schema_of_now_and_the_keys_of_its_own_input(world: World) -> None:
    world.register(LIMITED, version_id="v1")
    world.submit(run_id=RUN, priority=3, input={"shop": "x"})
    world.backend.cancel_run(RUN)
    world.register(LIMITED, version_id="v2", input_schema_json={"type": "object"})
    made = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a", input={"shop": "y"}).run_id
    resumed = world.backend.resume_run(RUN).run_id
    for run_id, shop in ((made, "y"), (resumed, "x")):
        run, ledger = world.observer.runtime.run(run_id), world.observer.runtime.ledger
        branch = ledger.branch(run_id, "a")
        assert (run.limit_keys, run.priority, branch and branch.priority) == ({"shop": shop}, 3, 3)
        [told] = [e for e in world.observer.load_events("flow", run_id) if isinstance(e, RunSubmitted)]
        assert (told.has_input_schema, told.input) == (True, f'{{"shop":"{shop}"}}')
