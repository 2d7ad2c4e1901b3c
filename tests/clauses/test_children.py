"""Children: runs that do a step's work (protocol.md §14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cascade_flow import (
    ChildrenDefinition,
    RetryTier,
    StaleAttemptError,
    StepDefinition,
    WorkflowRegistration,
    clock,
)
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.wake import Wake
from checker import check_run
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, dies, dying, ended, reported, run_of, silent
from simulation import TIMING, World, step

ITEMS = ["a", "b", "c", "d", "e", "f"]
ONCE = [RetryTier(max_attempts=1)]


def mapped(**declared: Any) -> list[StepDefinition]:
    """A step, a map over what it gives, and what follows."""
    options = {name: declared.pop(name) for name in ("retry", "timeout_ms", "executor", "limit") if name in declared}
    over = ChildrenDefinition(kind="map", over="lines", **declared)
    return [step("lines"), step("pack", "lines", children=over, **options), step("total", "pack", export_output=True)]


def handed_out(world: World, items: Any = ITEMS, **declared: Any) -> None:
    """A run whose map has handed its items out."""
    begun(world, *mapped(**declared), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(items), 1))
    expanded(world)


def expanded(world: World, attempt: int = 1) -> HeldAttempt:
    held = claimed(world, "pack", attempt, branch="lines")
    return reported(world, held, world.act(held, "worker-1"))


def child(number: int) -> str:
    return f"{RUN}~pack~{number}"


def child_run(world: World, number: int) -> Run:
    return world.observer.runtime.run(child(number))


def there(world: World, most: int = 20) -> dict[int, str]:
    """The children that there are, with their states."""
    found = {number: world.observer.runtime.ledger.run(child(number)) for number in range(most)}
    return {number: run.status for number, run in found.items() if run is not None}


def whole(world: World, status: str = "completed") -> None:
    """The run has come to this end, and its children to theirs before it; each keeps every promise."""
    end = ended(world, status)
    for number, state in there(world).items():
        checked = check_run(world.observer, child(number))
        assert state in ENDED
        assert max(event.timestamp_us for event in checked.story.events) < max(e.timestamp_us for e in end.events)


def taken(world: World, number: int, attempt: int = 1, *, worker: str = "worker-1") -> HeldAttempt:
    held = Steps(world.backend.runtime).claim(Wake(child(number), "pack", "pack", attempt), worker)
    assert held is not None, f"attempt {attempt} of item {number} can't be claimed"
    return held


def packed(world: World, *numbers: int, attempt: int = 1) -> None:
    """These items are done."""
    for number in numbers:
        reported(world, taken(world, number, attempt), Complete(json.dumps(number), 1))


def failed(world: World, number: int, attempt: int = 1) -> None:
    reported(world, taken(world, number, attempt), FATAL)


def pack_of(world: World) -> Any:
    return branch_of(world, "lines")


def results(world: World) -> Any:
    """What the map has given."""
    return next(
        json.loads(event.output)
        for event in world.observer.load_events("flow", RUN)
        if event.type == "StepCompleted" and event.step_id == "pack"
    )


def test_a_map_of_three(world: World) -> None:
    handed_out(world, ["a", "b", "c"])
    packed(world, 2, 0, 1)
    assert pack_of(world).status == "scheduled"
    world.settle(RUN)
    assert results(world) == [0, 1, 2]
    assert world.ran == [("pack", 1), ("pack", 2), ("total", 1)]
    whole(world)


def test_each_child_is_given_its_item_and_its_parents_input(world: World) -> None:
    handed_out(world, {"x": 1, "y": 2})
    given = [Steps(world.backend.runtime).inputs(taken(world, number)) for number in range(2)]
    assert [each.input for each in given] == ['{"order":7}'] * 2
    assert [each.outputs for each in given] == [{"lines": '["x",1]'}, {"lines": '["y",2]'}]


def test_a_map_of_nothing_completes_at_once(world: World) -> None:
    handed_out(world, [])
    assert there(world) == {}
    world.settle(RUN)
    assert results(world) == []
    whole(world)


def test_what_is_no_list_fails_the_step(world: World) -> None:
    handed_out(world, 7)
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.terminal, told.error.name) == (True, "InputInvalidError")
    assert "'pack' goes over what 'lines' gave, which is no list but int" in told.error.message
    whole(world, "failed")


def test_no_more_than_so_many_are_out(world: World) -> None:
    handed_out(world, concurrency=2)
    assert there(world) == {0: "running", 1: "running"}
    packed(world, 1)
    assert there(world) == {0: "running", 1: "completed", 2: "running"}
    packed(world, 2)
    packed(world, 0)
    assert [number for number, status in there(world).items() if status == "running"] == [3, 4]
    world.settle(RUN)
    whole(world)


def test_a_failed_child_fails_its_parent_and_stops_the_others(world: World) -> None:
    handed_out(world, concurrency=3)
    failed(world, 1)
    assert there(world) == {0: "failed", 1: "failed", 2: "failed"}
    assert run_of(world).status == "failed"
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.step_id, told.error.name) == ("pack", "ItemsFailed")
    assert "item 1: ValueError" in told.error.message
    whole(world, "failed")


def test_as_many_may_fail_as_are_tolerated(world: World) -> None:
    handed_out(world, tolerate=0.34)
    failed(world, 1)
    failed(world, 4)
    packed(world, 0, 2, 3, 5)
    world.settle(RUN)
    assert run_of(world).status == "completed"
    found = results(world)
    assert [found[n] for n in (0, 2, 3, 5)] == [0, 2, 3, 5]
    assert [found[n]["$failed"]["run_id"] for n in (1, 4)] == [child(1), child(4)]
    assert found[4]["$failed"]["error"]["name"] == "ValueError"
    whole(world)


def test_one_more_than_is_tolerated_fails_the_step(world: World) -> None:
    handed_out(world, tolerate=0.2)
    failed(world, 1)
    assert run_of(world).status == "running"
    failed(world, 4)
    assert run_of(world).status == "failed"
    assert set(there(world).values()) == {"failed"}
    whole(world, "failed")


def test_a_cancelled_parent_cancels_its_children(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    held = taken(world, 1)
    world.backend.cancel_run(RUN, reason="enough")
    assert run_of(world).status == "cancelled"
    assert there(world) == {0: "completed", 1: "cancelled", 2: "cancelled", 3: "cancelled"}
    with pytest.raises(StaleAttemptError):
        reported(world, held)
    whole(world, "cancelled")


def test_a_retry_revives_the_children_that_did_not_complete(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    failed(world, 1)
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    assert there(world) == {0: "completed", 1: "running", 2: "running", 3: "running"}
    packed(world, 1, attempt=2)
    packed(world, 2, 3)
    world.settle(RUN)
    assert results(world)[:4] == [0, 1, 2, 3]
    assert child_run(world, 1).run_attempt == 2
    whole(world)


def test_the_parents_time_is_its_childrens(world: World) -> None:
    handed_out(world, concurrency=2)
    parent, one = run_of(world), child_run(world, 0)
    assert one is not None
    assert (one.deadline_us, one.expires_s) == (parent.deadline_us, parent.expires_s)
    world.clock.pause_us(parent.deadline_us - clock.now_us() + 1)
    world.sweep()
    world.sweep()
    assert (run_of(world).status, there(world)) == ("failed", {0: "failed", 1: "failed"})
    whole(world, "failed")


def test_a_sweep_looks_at_who_waits_whatever_the_counter_says(world: World) -> None:
    handed_out(world, concurrency=2)
    packing = taken(world, 1)
    dies(lambda: reported(world, packing, Complete("1", 1), by=dying(world, "TransactWriteItems", after=True)))
    assert there(world) == {0: "running", 1: "completed"}
    silent(world)
    world.sweep()
    assert there(world) == {0: "running", 1: "completed", 2: "running"}
    whole(world)


def test_nobody_polls_who_only_waits(world: World) -> None:
    handed_out(world, concurrency=2)
    world.clock.pause_us(TIMING.grace_us)
    for number in range(2):
        taken(world, number)
    world.sweep()
    assert pack_of(world).due_us == run_of(world).deadline_us


def test_a_rerun_keeps_a_map_that_is_complete(world: World) -> None:
    handed_out(world, ["a", "b"])
    packed(world, 0, 1)
    world.settle(RUN)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="total").run_id
    world.settle(again)
    assert world.observer.runtime.run(again).status == "completed"
    assert not any(kind == "pack" for kind, _ in world.ran[3:])


def test_a_resumed_run_does_a_map_again_that_is_not_complete(world: World) -> None:
    handed_out(world, ["a", "b"])
    packed(world, 0)
    failed(world, 1)
    again = world.backend.resume_run(RUN).run_id
    world.settle(again)
    assert world.observer.runtime.run(again).status == "completed"
    assert world.observer.runtime.run(f"{again}~pack~0").status == "completed"


def nested(world: World, *, input: Any = None) -> None:
    """A workflow that runs another one."""
    refunds = [step("pay"), step("tell", "pay", export_output=True)]
    world.backend.register_workflow(WorkflowRegistration(slug="refunds", name="Refunds", steps=refunds))
    runs = ChildrenDefinition(kind="workflow", workflow="refunds")
    begun(world, step("a"), step("refund", "a", children=runs), step("b", "refund", export_output=True), input=input)


def test_a_workflow_runs_another_and_receives_its_output(world: World) -> None:
    nested(world, input={"n": 1})
    world.settle(RUN)
    whole_of_other = world.observer.runtime.run(f"{RUN}~refund~0")
    assert (whole_of_other.workflow_slug, whole_of_other.status) == ("refunds", "completed")
    given = next(mark for mark in world.oracle.given if mark.step == "b")
    assert "tell" in json.loads(world.oracle.given[given]["refund"] or "")
    whole(world)


def test_a_workflow_fails_with_the_one_that_it_runs(world: World) -> None:
    world.script = {"tell": ["fatal"]}
    nested(world)
    world.settle(RUN)
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert (told.step_id, told.error.name, told.error.message) == ("refund", "ValueError", "tell can't")
    whole(world, "failed")


def test_a_workflow_that_runs_itself_is_refused_where_it_is_deepest(world: World) -> None:
    begun(world, step("again", children=ChildrenDefinition(kind="workflow", workflow="flow")))
    world.settle(RUN)
    deepest = RUN + "~again~0" * 8
    assert world.observer.runtime.run(deepest).status == "failed"
    told = next(e for e in world.observer.load_events("flow", RUN) if e.type == "StepFailed")
    assert "9 deep" in told.error.message
    whole(world, "failed")
