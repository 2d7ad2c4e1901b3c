"""Children: runs that do a step's work (protocol.md §14)."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    ChildrenDefinition,
    ConflictError,
    InvalidIdError,
    RetryTier,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotRetryableError,
    RunSubmission,
    StaleAttemptError,
    StepDefinition,
    StepError,
    StepFailed,
    WorkflowRegistration,
    WrongPoolError,
    clock,
)
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine import children
from cascade_flow.engine.children import items_lost, tolerated
from cascade_flow.engine.commands import Command, Complete, Fail, KeepCheckpoint, SkipStep
from cascade_flow.engine.state import ENDED, Facts, Family, Run, Stop
from cascade_flow.operations import item_inputs
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.attention import Attention
from cascade_flow.operations.child_stops import _is_told, stop_children
from cascade_flow.operations.children import _error
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.failed_items import error_of, failed_item
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.tally import Tally
from cascade_flow.operations.worker_outcomes import Attempt, Measures, WorkerOutcomes
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.retry import attempts_allowed
from cascade_flow.wake import Wake
from checker import check_run
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, dies, dying, ended, reported, run_of, silent
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

ITEMS = ["a", "b", "c", "d", "e", "f"]
ONCE = [RetryTier(max_attempts=1)]
AHEAD_US = 1_000_000
"""By how much one clock may be ahead of another."""


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


def test_an_item_that_was_over_but_for_its_runs_end_is_not_done_again(world: World) -> None:
    """Its step completes between the intention to stop its run and the halt: a retry has only its end to write."""
    handed_out(world, ["a", "b"], concurrency=1)
    held = taken(world, 0)
    stopping = pausing(world, "Query", lambda: reported(world, held, Complete('"packed"', 1)), at=5)
    stopping.cancel_run(RUN, "enough")
    assert there(world) == {0: "cancelled"}
    stopped = world.observer.runtime.ledger.branch(child(0), "pack")
    assert stopped is not None
    assert stopped.status == "parked"
    world.ran.clear()
    world.backend.retry_run(RUN, "go on")
    whole(world)
    assert [name for name, _ in world.ran] == ["pack", "pack", "total"], "the other item, what all gave, what follows"
    assert results(world)[0] == "packed"


def test_a_retry_revives_the_children_that_did_not_complete(world: World) -> None:
    handed_out(world, concurrency=3)
    packed(world, 0)
    failed(world, 1)
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    revived(world)
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


def test_a_child_is_born_under_way_though_the_clock_is_set_back(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(ITEMS), 1))
    held = claimed(world, "pack", branch="lines")
    with clock.use(TickingClock(clock.now_us(), tick_us=-1)):
        reported(world, held, world.act(held, "worker-1"))
    assert set(there(world).values()) == {"running"}


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


# -- what the protocol marks -------------------------------------------------------------------------------------------


def look(world: World, by: Any = None, **options: Any) -> bool:
    return AfterCommit((by or world.backend).runtime).children.look(RUN, "lines", **options)


def only_ended(world: World, number: int) -> None:
    """A child's end is written, and whoever has written it dies before the look at its parent's step."""
    held = taken(world, number)
    dies(
        lambda: reported(
            world, held, Complete(json.dumps(number), 1), by=dying(world, "TransactWriteItems", after=True)
        )
    )


def only_counted(world: World, number: int) -> HeldAttempt:
    """A child's end is counted, and whoever has counted it dies before it is written."""
    held = taken(world, number)
    dies(lambda: reported(world, held, Complete(json.dumps(number), 1), by=dying(world, "TransactWriteItems")))
    return held


def put_off(world: World) -> None:
    """Nobody need look before the run's deadline."""
    assert look(world, puts_off=True)
    assert pack_of(world).due_us == run_of(world).deadline_us


def test_who_is_believed_dead_puts_its_items_aside_for_itself(world: World) -> None:
    begun(world, *mapped(concurrency=1), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    slow = claimed(world, "pack", branch="lines")
    silent(world)
    world.sweep()
    expanded(world, attempt=2)
    Expansion(world.another().runtime).command(slow, '["x", "y"]')
    packed(world, 0)
    held = Steps(world.another().runtime).claim(Wake(child(1), "pack", "pack", 1), "worker-2")
    assert held is not None
    assert Steps(world.another().runtime).inputs(held).outputs == {"lines": '"b"'}


def test_who_hands_out_and_dies_is_looked_after_soon(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    held = claimed(world, "pack", branch="lines")
    dies(lambda: reported(world, held, world.act(held, "worker-1"), by=dying(world, "UpdateItem", after=True)))
    assert (pack_of(world).status, there(world)) == ("waiting", {})
    silent(world)
    world.sweep()
    assert there(world) == {0: "running", 1: "running"}
    whole(world)


def test_nobody_hands_out_what_is_stopped(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    held = claimed(world, "pack", branch="lines")
    world.backend.cancel_run(RUN)
    with pytest.raises(StaleAttemptError):
        reported(world, held, world.act(held, "worker-1"))
    assert (pack_of(world).status, there(world)) == ("running", {})
    whole(world, "cancelled")


def test_a_stop_waits_for_nobody_who_hands_out(world: World) -> None:
    begun(world, *mapped(), step("other", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    held = claimed(world, "pack", branch="lines")
    reported(world, claimed(world, "other"), FATAL)
    assert run_of(world).status == "failed"
    with pytest.raises(StaleAttemptError):
        reported(world, held, world.act(held, "worker-1"))
    whole(world, "failed")


def test_a_release_decided_before_a_retry_makes_nobody_after_it(world: World) -> None:
    handed_out(world, concurrency=1)
    only_ended(world, 0)

    def others() -> None:
        world.backend.cancel_run(RUN)
        dies(lambda: dying(world, "TransactWriteItems", at=3).retry_run(RUN))  # the step waits again, and nobody looks

    look(world, pausing(world, "TransactWriteItems", others))
    assert {number: child_run(world, number).run_attempt for number in there(world)} == {0: 1, 1: 2}
    world.settle(RUN)
    whole(world)


def test_a_release_decided_before_a_stop_makes_nobody_after_it(world: World) -> None:
    handed_out(world, concurrency=1)
    only_ended(world, 0)
    look(world, pausing(world, "TransactWriteItems", lambda: world.backend.cancel_run(RUN)))
    assert there(world) == {0: "completed"}
    whole(world, "cancelled")


def test_an_end_is_counted_before_it_is_written(world: World) -> None:
    handed_out(world, concurrency=1)
    held = taken(world, 0)
    put_off(world)
    dies(lambda: reported(world, held, Complete("0", 1), by=dying(world, "TransactWriteItems", after=True)))
    silent(world)
    world.sweep()
    assert there(world) == {0: "completed", 1: "running"}
    whole(world)


def test_a_failed_childs_end_is_counted_before_it_is_written(world: World) -> None:
    handed_out(world, concurrency=1)
    held = taken(world, 0)
    put_off(world)
    dies(lambda: reported(world, held, FATAL, by=dying(world, "TransactWriteItems", at=2, after=True)))
    assert (there(world), run_of(world).status) == ({0: "failed"}, "running")
    silent(world)
    world.sweep()
    assert run_of(world).status == "failed"
    whole(world, "failed")


def test_the_end_of_a_child_with_several_sinks_is_counted_before_it_is_written(world: World) -> None:
    two = [step("pay", export_output=True), step("tell")]
    world.backend.register_workflow(WorkflowRegistration(slug="refunds", name="Refunds", steps=two))
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")))
    held = claimed(world, "refund")
    reported(world, held, world.act(held, "worker-1"))
    whole_of_it, steps = f"{RUN}~refund~0", Steps(world.backend.runtime)
    pay, tell = (steps.claim(Wake(whole_of_it, name, name, 1), "worker-1") for name in ("pay", "tell"))
    assert pay is not None
    assert tell is not None
    reported(world, pay)
    assert AfterCommit(world.backend.runtime).children.look(RUN, "refund", puts_off=True)
    dies(lambda: reported(world, tell, by=dying(world, "TransactWriteItems", at=2, after=True)))
    assert world.observer.runtime.run(whole_of_it).status == "completed"
    assert branch_of(world, "refund").status == "waiting"
    silent(world)
    world.sweep()
    assert branch_of(world, "refund").status == "scheduled"
    whole(world)


def test_a_childs_time_is_over_with_its_parents_alone(world: World) -> None:
    handed_out(world, concurrency=1)
    world.clock.pause_us(run_of(world).deadline_us - clock.now_us() + 1)
    Sweep(world.backend.runtime, name="reaper").attend(child(0), "")
    assert (there(world), child_run(world, 0).stop) == ({0: "running"}, None)
    world.sweep()
    world.sweep()
    assert there(world) == {0: "failed"}
    whole(world, "failed")


def test_a_sweep_looks_at_who_waits_whatever_the_counter_says(world: World) -> None:
    handed_out(world, ["a"])
    only_ended(world, 0)
    key = keys.branch(RUN, "lines")
    world.observer.runtime.ledger.table.write([Update(key, None, set={"n": 0})])
    silent(world)
    world.sweep()
    assert pack_of(world).status == "scheduled"
    whole(world)


def test_a_counter_that_is_ahead_releases_nobody(world: World) -> None:
    handed_out(world, concurrency=2)
    only_counted(world, 0)
    only_counted(world, 1)
    assert not look(world)
    assert there(world) == {0: "running", 1: "running"}
    whole(world)


def test_a_counter_that_is_full_ends_nothing(world: World) -> None:
    handed_out(world, ["a", "b"])
    only_counted(world, 0)
    only_counted(world, 1)
    assert pack_of(world).arrived == 2
    assert not look(world)
    assert pack_of(world).status == "waiting"
    whole(world)


def test_failures_that_were_looked_at_stay_counted(world: World) -> None:
    handed_out(world, tolerate=0.34, concurrency=1)
    for number in (0, 1):
        failed(world, number)
        assert run_of(world).status == "running"
    assert pack_of(world).family.lost == 2
    failed(world, 2)
    assert run_of(world).status == "failed"
    whole(world, "failed")


def test_a_look_is_not_put_off_past_an_end_that_comes_between(world: World) -> None:
    handed_out(world, concurrency=1)
    held = taken(world, 0)
    late = partial(reported, world, held, Complete("0", 1), by=dying(world, "TransactWriteItems", after=True))
    look(world, pausing(world, "UpdateItem", lambda: dies(late)), puts_off=True)
    assert there(world) == {0: "completed", 1: "running"} or pack_of(world).due_us < run_of(world).deadline_us
    silent(world)
    world.sweep()
    assert there(world) == {0: "completed", 1: "running"}
    whole(world)


def test_a_look_is_not_put_off_while_an_end_is_counted_and_not_found(world: World) -> None:
    handed_out(world, concurrency=1)
    held = only_counted(world, 0)
    assert not look(world, puts_off=True)
    assert pack_of(world).due_us < run_of(world).deadline_us
    dies(lambda: reported(world, held, Complete("0", 1), by=dying(world, "TransactWriteItems", after=True)))
    silent(world)
    world.sweep()
    assert there(world) == {0: "completed", 1: "running"}
    whole(world)


def test_a_late_stop_leaves_alone_who_waits_in_the_next_attempt(world: World) -> None:
    handed_out(world, concurrency=2)

    def others() -> None:
        world.backend.cancel_run(RUN)
        world.backend.retry_run(RUN)

    late = pausing(world, "UpdateItem", others, at=2)  # between its intention and its halt
    late.cancel_run(RUN)
    assert (run_of(world).run_attempt, pack_of(world).status, pack_of(world).halt) == (2, "waiting", None)
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.halt(RUN, pack_of(world), "stop", Stop("cancelled", 1))
    whole(world)


def test_a_step_is_halted_before_its_children_are_stopped(world: World) -> None:
    handed_out(world, concurrency=2)
    only_ended(world, 0)
    world.backend.cancel_run(RUN)
    assert pack_of(world).halt == "stop"
    silent(world)
    world.sweep()
    assert not look(world)
    assert there(world) == {0: "completed", 1: "cancelled"}
    whole(world, "cancelled")


def test_a_late_stop_leaves_children_alone_that_go_on_in_the_next_attempt(world: World) -> None:
    handed_out(world, concurrency=2)
    stop = Stop("cancelled", 1)
    halted = pack_of(world)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    runtime = world.backend.runtime
    facts, carry_on = runtime.facts(run_of(world)), AfterCommit(runtime).stops.carry_on
    stop_children(runtime, facts, halted, stop, carry_on=carry_on, until_us=0, again=True)
    assert there(world) == {0: "running", 1: "running"}
    assert child_run(world, 0).stop is None
    whole(world)


def test_more_children_than_there_is_time_for_are_stopped_by_who_is_woken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._LONGEST_US", 0)
    handed_out(world, concurrency=3)
    world.mailbox.wakes.clear()
    world.backend.cancel_run(RUN)
    assert there(world) == {0: "cancelled", 1: "running", 2: "running"}
    world.deliver(world.mailbox.wakes.pop())
    assert there(world) == {0: "cancelled", 1: "cancelled", 2: "running"}
    world.mailbox.wakes.clear()  # what is lost is found by the sweep
    silent(world)
    world.sweep()
    whole(world, "cancelled")


def test_the_time_for_children_is_that_for_theirs_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._LONGEST_US", 1_000_000)
    world.backend.register_workflow(WorkflowRegistration(slug="inner", name="Inner", steps=mapped(concurrency=3)))
    begun(world, step("call", children=ChildrenDefinition(kind="workflow", workflow="inner")))
    held = claimed(world, "call")
    reported(world, held, world.act(held, "worker-1"))
    inner = f"{RUN}~call~0"
    gone_on(world, inner, "lines", Complete('["a", "b", "c"]', 1))
    gone_on(world, inner, "pack", branch="lines")
    slow = pausing(world, "UpdateItem", lambda: world.clock.pause_us(1_000_000), at=3)  # the run and the step are told
    slow.cancel_run(RUN)
    states = [world.observer.runtime.run(f"{inner}~pack~{number}").status for number in range(3)]
    assert states == ["cancelled", "running", "running"]


def gone_on(world: World, run_id: str, step_id: str, command: Command | None = None, *, branch: str = "") -> None:
    """A step of another run has done this, or what its code does."""
    held = Steps(world.backend.runtime).claim(Wake(run_id, branch or step_id, step_id, 1), "worker-1")
    assert held is not None, f"{step_id} can't be claimed"
    reported(world, held, command or world.act(held, "worker-1"))


def test_who_cancels_waits_no_more_for_items_that_a_failure_lets_finish(world: World) -> None:
    begun(world, *mapped(), step("other", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    expanded(world)
    taken(world, 0)
    reported(world, claimed(world, "other"), FATAL)
    assert there(world) == {0: "running"}
    world.backend.cancel_run(RUN)
    assert there(world) == {0: "cancelled"}
    whole(world, "cancelled")


def test_who_cancels_over_a_failure_has_the_rest_told_by_who_is_woken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, *mapped(), step("other", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    expanded(world)
    for number in range(2):
        taken(world, number)
    reported(world, claimed(world, "other"), FATAL)
    monkeypatch.setattr("cascade_flow.operations.stops._LONGEST_US", 0)
    world.mailbox.wakes.clear()
    world.backend.cancel_run(RUN)
    assert there(world) == {0: "cancelled", 1: "running"}
    world.deliver(world.mailbox.wakes.pop())
    assert there(world) == {0: "cancelled", 1: "cancelled"}
    whole(world, "cancelled")


def test_who_was_told_of_a_stop_is_told_again_after_all_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._LONGEST_US", 0)
    failing_by_another(world)
    assert [child_run(world, number).stop is not None for number in range(2)] == [True, False]
    world.deliver(world.mailbox.wakes.pop())
    assert child_run(world, 1).stop is not None


def test_a_childs_end_tells_no_other_again(world: World) -> None:
    held = failing_by_another(world)
    client, asked = world.store.another_client(), list[str]()

    def noted(request: Request, send: Send) -> Answer:
        asked.append(f"{request.operation} {request.body}")
        return send(request)

    wire_of(client).add(noted, floor=Floor.SCHEDULE)
    reported(world, held, Complete("0", 1), by=world.another(client))
    assert there(world) == {0: "failed", 1: "running"}
    assert not [each for each in asked if each.startswith("Query") and child(1) in each]


def failing_by_another(world: World) -> HeldAttempt:
    """A run that fails while its two items, of which the first is answered, may finish."""
    begun(world, *mapped(), step("other", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    expanded(world)
    held = [taken(world, number) for number in range(2)]
    world.mailbox.wakes.clear()
    reported(world, claimed(world, "other"), FATAL)
    return held[0]


@pytest.mark.parametrize(
    ("own", "meant", "told"), [("failed", "timeout", True), ("failed", "cancelled", False), (None, "failed", False)]
)
def test_only_who_cancels_has_more_to_say_to_who_is_being_stopped(
    world: World, own: Any, meant: Any, told: bool
) -> None:
    handed_out(world, concurrency=1)
    known = replace(child_run(world, 0), stop=None if own is None else Stop(own, 1))
    assert _is_told(known, Stop(meant, 1)) is told


def test_who_is_told_of_a_stop_and_left_by_who_told_it_goes_on_by_itself(world: World) -> None:
    handed_out(world, concurrency=2)
    dies(lambda: dying(world, "UpdateItem", at=3, after=True).cancel_run(RUN))  # told are the run, the step, a child
    assert child_run(world, 0).stop is not None
    silent(world)
    world.sweep()
    assert there(world) == {0: "cancelled", 1: "cancelled"}
    whole(world, "cancelled")


def test_who_waits_beyond_its_runs_deadline_is_looked_at_no_more_than_others(world: World) -> None:
    """Before the run's stop is carried on; a sweep would else look at it again and again."""
    handed_out(world, concurrency=2)
    world.clock.pause_us(run_of(world).deadline_us - clock.now_us() + 1)
    assert AfterCommit(world.backend.runtime).children.look(RUN, pack_of(world).name, puts_off=True)
    assert (pack_of(world).due_us or 0) >= clock.now_us() + TIMING.grace_us - 1_000


def test_a_child_beyond_its_deadline_is_looked_at_no_more_than_others(world: World) -> None:
    handed_out(world, concurrency=1)
    world.clock.pause_us(child_run(world, 0).deadline_us - clock.now_us() + 1)
    runtime, entry = world.backend.runtime, due.Entry(child_run(world, 0).due_us or 0, keys.run(child(0)))
    Attention(runtime, Tally(), name="reaper").attend(entry, runtime.ledger)
    assert (child_run(world, 0).due_us or 0) >= clock.now_us() + TIMING.grace_us - 1_000


def test_who_cancels_again_goes_on_with_what_another_has_begun(world: World) -> None:
    handed_out(world, concurrency=2)
    dies(lambda: dying(world, "UpdateItem", at=3, after=True).cancel_run(RUN))
    world.backend.cancel_run(RUN)
    assert there(world) == {0: "cancelled", 1: "cancelled"}
    whole(world, "cancelled")


def test_a_parents_end_comes_after_its_childrens(world: World) -> None:
    begun(world, *mapped(), step("other", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    expanded(world)
    held = taken(world, 0)
    reported(world, claimed(world, "other"), FATAL)
    assert (run_of(world).status, there(world)) == ("running", {0: "running", 1: "failed"})
    reported(world, held, Complete("0", 1))
    assert (run_of(world).status, there(world)) == ("failed", {0: "failed", 1: "failed"})
    whole(world, "failed")


def test_who_waits_is_revived_while_its_run_goes_on_alone(world: World) -> None:
    handed_out(world, concurrency=2)
    world.backend.cancel_run(RUN)
    dies(
        lambda: dying(world, "TransactWriteItems", after=True).retry_run(RUN)
    )  # the run goes on, and nobody is revived
    again, halted = run_of(world), pack_of(world)
    world.backend.cancel_run(RUN)
    with suppress(ConflictError):
        Steps(world.backend.runtime).revive(world.backend.runtime.facts(again), again, halted)
    assert (run_of(world).status, pack_of(world).halt) == ("cancelled", "stop")
    assert set(there(world).values()) == {"cancelled"}
    whole(world, "cancelled")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_retry_begins_with_the_first_child(world: World, status: str) -> None:
    handed_out(world, concurrency=2)
    packed(world, 0)
    failed(world, 1) if status == "failed" else world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    assert {number: run for number, run in there(world).items() if run == "running"} == {1: "running", 2: "running"}
    family = pack_of(world).family
    assert (family.made, family.out, family.lost, pack_of(world).arrived) == (3, ((1, 2),), 0, 1)
    whole(world)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_children_that_begin_again_are_woken_and_wait_for_no_sweep(world: World, status: str) -> None:
    """Their messages name no step: which it is, is for their own run to say."""
    handed_out(world, concurrency=2)
    failed(world, 1) if status == "failed" else world.backend.cancel_run(RUN)
    world.mailbox.wakes.clear()
    world.backend.retry_run(RUN)
    assert {wake.step for wake in world.mailbox.wakes if wake.run_id in (child(0), child(1))} == {""}
    while world.mailbox.wakes:
        world.deliver(world.mailbox.wakes.pop(0))
    assert run_of(world).status == "completed"
    whole(world)


def test_a_child_that_is_not_there_may_be_still_to_come(world: World) -> None:
    handed_out(world, concurrency=2)
    with pytest.raises(RunNotFoundError, match="it has not begun yet, or was deleted"):
        world.backend.cancel_run(child(5))


def test_nobody_but_its_parent_stops_a_child_or_tries_it_again(world: World) -> None:
    handed_out(world, concurrency=2)
    with pytest.raises(RunNotCancellableError, match="step 'pack' of run 'run'"):
        world.backend.cancel_run(child(0))
    failed(world, 0)
    for refused in (world.backend.retry_run, world.backend.resume_run):
        with pytest.raises(RunNotRetryableError, match="ask that of its parent"):
            refused(child(0))
    with pytest.raises(InvalidIdError):
        world.backend.submit_run(RunSubmission(workflow_slug="flow", run_id=child(7)))
    whole(world, "failed")


def test_a_step_that_is_halted_as_it_was_not_read_is_read_again(world: World) -> None:
    begun(world, *mapped(concurrency=1), step("other"), step("third", retry=ONCE), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    expanded(world)
    busy, failing = claimed(world, "other"), claimed(world, "third")
    only_ended(world, 0)
    late = pausing(world, "UpdateItem", lambda: look(world))
    reported(world, failing, FATAL, by=late)
    assert (run_of(world).status, there(world)) == ("running", {0: "completed", 1: "failed"})
    reported(world, busy)
    whole(world, "failed")


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_an_end_brings_nobody_back_into_the_index_who_waits_no_more(world: World, status: str) -> None:
    handed_out(world, concurrency=2)
    held, other = taken(world, 0), taken(world, 1)
    put_off(world)

    def others() -> None:
        reported(world, other, FATAL) if status == "failed" else world.backend.cancel_run(RUN)

    with suppress(StaleAttemptError):
        reported(world, held, Complete("0", 1), by=pausing(world, "UpdateItem", others, at=2))
    assert pack_of(world).due_us is None
    whole(world, status)


def test_a_look_puts_nobody_off_who_is_halted_meanwhile(world: World) -> None:
    handed_out(world, concurrency=2)
    taken(world, 0)
    look(world, pausing(world, "UpdateItem", lambda: world.backend.cancel_run(RUN)), puts_off=True)
    assert pack_of(world).due_us is None
    whole(world, "cancelled")


# -- what others see ---------------------------------------------------------------------------------------------------


def test_children_are_no_runs_in_lists_and_reports_and_their_steps_count(world: World) -> None:
    handed_out(world, concurrency=2, tolerate=0.2)
    failed(world, 0)
    packed(world, 1, 2)
    held = taken(world, 3)
    backend = world.observer
    assert [run.run_id for run in backend.list_runs(workflow_slug="flow").runs] == [RUN]
    depth = backend.get_queue_depth(workflow_slug="flow")
    assert (depth.running_runs, depth.running_steps, depth.scheduled_steps) == (1, 1, 1)
    [worker] = backend.get_active_workers().workers
    assert [(each.run_id, each.step_id) for each in worker.active_steps] == [(child(3), "pack")]
    reported(world, held, Complete("3", 1))
    world.settle(RUN)
    throughput = backend.get_throughput(workflow_slug="flow")
    assert (throughput.runs_completed, throughput.runs_failed) == (1, 0)
    assert (throughput.steps_completed, throughput.steps_failed) == (2 + len(ITEMS) - 1, 1)
    assert backend.get_error_analysis(workflow_slug="flow", step_id="pack").total_failures == 1
    assert world.observer.runtime.run(child(3)).status == "completed"
    assert [event.type for event in backend.load_events("flow", child(3))][-1] == "WorkflowCompleted"
    whole(world)


def test_due_steps_are_the_childrens_and_no_worker_elsewhere_gets_their_parents(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a"]', 1))
    protocol = WorkerProtocol(world.backend.runtime)
    assert protocol.claim_next("machine", slot=Slot()) is None
    with pytest.raises(WrongPoolError, match="claim the steps of its children"):
        protocol.claim(RUN, "pack", "machine", slot=Slot())
    expanded(world)
    held = protocol.claim_next("machine", slot=Slot())
    assert held is not None
    assert held.facts.run_id == child(0)
    given = protocol.given(held)
    assert (given.input.text, given.outputs["lines"].text) == ('{"order":7}', '"a"')
    reported(world, held)
    whole(world)


# -- batches -----------------------------------------------------------------------------------------------------------


def revived(world: World) -> None:
    """Whoever is called out to children that begin again lets their branches go on."""
    for wake in [wake for wake in world.mailbox.wakes if not wake.step]:
        world.deliver(wake)


def stored(world: World, held: HeldAttempt, *places: int) -> HeldAttempt:
    """The results of these items of a batch are stored."""
    for place in places:
        held = reported(world, held, KeepCheckpoint("item", place, data=f'"{held.facts.run_id}/{place}"'))
    return held


def test_a_batch_that_fails_for_good_loses_no_item_that_is_done(world: World) -> None:
    handed_out(world, batch=3, tolerate=0.2)
    assert there(world) == {0: "running", 1: "running"}
    held = stored(world, taken(world, 1), 0, 2)
    for why in (StepError(name="Warm", message="too warm"), StepError(name="Cold", message="too cold")):
        held = reported(world, held, KeepCheckpoint("item", 1, error=why))
    reported(world, held, FATAL)
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("failed", 1)
    reported(world, stored(world, taken(world, 0), 0, 1, 2), Complete('["a", "b", "c"]', 1))
    world.settle(RUN)
    failure = {"$failed": {"index": 4, "run_id": child(1), "error": {"name": "Cold", "message": "too cold"}}}
    assert results(world) == ["a", "b", "c", f"{child(1)}/0", failure, f"{child(1)}/2"]
    whole(world)


def test_what_a_failed_batch_has_stored_otherwise_is_no_items_result(world: World) -> None:
    handed_out(world, ITEMS[:3], batch=2, tolerate=0.9)
    held = reported(world, taken(world, 1), KeepCheckpoint("mine", 0, data='"other"'))
    reported(world, held, FATAL)
    assert child_run(world, 1).lost == 1
    assert len(json.loads(child_run(world, 1).result or "")) == 1


def test_a_failed_childs_reason_is_cut_and_a_batch_names_its_first_items(world: World) -> None:
    handed_out(world, concurrency=1)
    long = Fail(StepError(name="ValueError", message="x" * 1_000), "execution-error", 1, retryable=False)
    reported(world, taken(world, 0), long)
    told = child_run(world, 0)
    assert json.loads(told.result or "")["message"] == "x" * 300
    items = [json.loads(failed_item(n, "r", {"name": "E", "message": "no"})) for n in range(5)]
    batch = replace(told, lost=5, result=json.dumps(items))
    assert error_of(batch).message == "5 items failed: item 0: E: no; item 1: E: no; item 2: E: no"


def test_a_step_names_its_first_failed_items_and_a_batch_by_its_run(world: World) -> None:
    handed_out(world, concurrency=6)
    family = replace(pack_of(world).family, lost=5)
    failed(world, 0)
    one = child_run(world, 0)
    assert one.up is not None
    five = {number: replace(one, up=replace(one.up, number=number)) for number in range(5)}
    named = "; ".join(f"item {number}: ValueError: no" for number in range(3))
    assert _error(family, five).message == f"5 of 6 items failed: {named}"
    assert _error(replace(family, items=12), {0: one}).message == f"5 of 12 items failed: {child(0)}: ValueError: no"


def test_a_step_that_fails_for_its_children_before_it_has_begun_took_no_time(world: World) -> None:
    """By a clock that was set back."""
    handed_out(world, concurrency=1)
    pack, error = pack_of(world), StepError(message="no")
    commit = children.failed(claimed_facts(world), pack, pack, error, now_us=pack.last_us - AHEAD_US)
    assert [event.duration_us for event in commit.events if isinstance(event, StepFailed)] == [0]


def claimed_facts(world: World) -> Facts:
    return world.observer.runtime.facts(run_of(world))


def test_few_parents_inputs_are_kept_and_no_vast_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out(world, concurrency=1)
    runtime = world.another().runtime
    with monkeypatch.context() as vast:
        vast.setattr(item_inputs, "_LONGEST_KEPT", 5)
        assert item_inputs.input_of_parent(runtime, RUN) == '{"order":7}'
        assert runtime.kept_inputs == {}
    runtime.kept_inputs.update({str(n): None for n in range(8)})
    item_inputs.input_of_parent(runtime, RUN)
    assert list(runtime.kept_inputs) == [*map(str, range(1, 8)), RUN]


def test_a_batch_whose_workers_die_loses_no_item_that_is_done(world: World) -> None:
    handed_out(world, batch=3, tolerate=0.5, retry=ONCE)
    stored(world, taken(world, 1), 0)
    silent(world)
    world.sweep()
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("failed", 2)
    assert run_of(world).status == "running"
    reported(world, taken(world, 0), Complete("[1, 2, 3]", 1))
    whole(world)
    assert [each["$failed"]["error"]["name"] for each in results(world)[4:]] == ["WorkerCrash"] * 2


def test_an_item_that_is_skipped_gave_nothing(world: World) -> None:
    handed_out(world, ITEMS[:2])
    reported(world, taken(world, 0), SkipStep("gone", 1))
    packed(world, 1)
    world.settle(RUN)
    assert results(world) == [None, 1]


def test_a_batch_that_is_skipped_gave_nothing_for_each_of_its_items(world: World) -> None:
    handed_out(world, ITEMS[:3], batch=2)
    reported(world, taken(world, 0), SkipStep("gone", 1))
    reported(world, stored(world, taken(world, 1), 0), Complete('["c"]', 1))
    world.settle(RUN)
    assert results(world) == [None, None, "c"]
    whole(world)


@pytest.mark.parametrize("given", ['"one"', "[1]", "[1, 2, 3]", '{"0": 1, "1": 2}', "null"])
def test_a_batch_gives_a_result_for_each_of_its_items_or_is_not_taken(world: World, given: str) -> None:
    handed_out(world, batch=2)
    taken(world, 0, worker="mila")
    outcomes, mine = WorkerOutcomes(world.backend.runtime), Attempt(child(0), "pack", "mila", 1)
    refused = "output: a list of 2 results, in the order of the items"
    with pytest.raises(ArgumentInvalidError, match=refused):
        outcomes.complete(mine, given, Measures())
    with pytest.raises(ArgumentInvalidError, match=refused):
        world.backend.save_step_complete("flow", child(0), "pack", json.loads(given), duration_us=1, attempt_number=1)
    assert outcomes.complete(mine, "[1, 2]", Measures()).status == "completed"


def test_a_batch_that_is_stopped_with_its_parent_has_lost_nothing_for_good(world: World) -> None:
    handed_out(world, batch=3)
    held = stored(world, taken(world, 1), 0)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    with pytest.raises(StaleAttemptError):
        reported(world, held)
    revived(world)
    assert (child_run(world, 1).status, child_run(world, 1).lost) == ("running", None)
    for number, attempt in ((0, 1), (1, 2)):
        reported(world, taken(world, number, attempt), Complete("[1, 2, 3]", 1))
    whole(world)


# -- what is refused when it is handed out ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "most", "told"),
    [
        (
            "MOST_CHILDREN",
            4,
            "and may have 4: let each do more items (batch=2 or above)",
        ),
        (
            "LONGEST_CHILD_ID",
            9,
            "have ids of 10 characters, and 9 is the most: submit the run under a shorter",
        ),
        ("DEEPEST", 0, "would begin a run 1 deep, in run 'run', and 0 is the most"),
    ],
    ids=["too many", "too long", "too deep"],
)
def test_what_could_not_be_made_is_refused_with_the_cure(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, told: str
) -> None:
    monkeypatch.setattr(f"cascade_flow.operations.expansion.{limit}", most)
    handed_out(world)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert failure.terminal
    assert told in failure.error.message
    assert there(world) == {}
    whole(world, "failed")


def test_a_workflow_that_is_not_there_fails_the_step_that_runs_it(world: World) -> None:
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")))
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert (failure.terminal, failure.error.name) == (True, "WorkflowNotFoundError")
    whole(world, "failed")


def test_what_another_workflow_does_not_take_is_not_submitted_to_it(world: World) -> None:
    schema: dict[str, Any] = {"type": "object", "required": ["n"]}
    world.backend.register_workflow(
        WorkflowRegistration(slug="refunds", name="Refunds", steps=[step("pay")], input_schema_json=schema)
    )
    begun(world, step("refund", children=ChildrenDefinition(kind="workflow", workflow="refunds")), input={"m": 1})
    world.settle(RUN)
    failure = next(event for event in world.observer.load_events("flow", RUN) if event.type == "StepFailed")
    assert (failure.terminal, failure.error.name) == (True, "InputInvalidError")
    assert world.observer.runtime.ledger.run(f"{RUN}~refund~0") is None


def test_who_collects_has_all_the_tries_that_a_step_has(world: World) -> None:
    """It is no try of the step's that its children are over."""
    handed_out(world, ["a"])
    packed(world, 0)
    tries = attempts_allowed(step("lines").retry)
    for attempt in range(2, tries + 1):
        claimed(world, "pack", attempt, branch="lines")
        silent(world)
        world.sweep()
    whole(world)
    assert world.ran[-2:] == [("pack", tries + 1), ("total", 1)]


def test_what_a_step_tells_is_later_than_its_childrens_ends_whatever_the_clocks_say(world: World) -> None:
    handed_out(world, ["a"])
    held = taken(world, 0)
    world.clock.pause_us(AHEAD_US)
    dies(lambda: reported(world, held, Complete("0", 1), by=dying(world, "TransactWriteItems", after=True)))
    world.clock.pause_us(-AHEAD_US)
    assert look(world)
    assert pack_of(world).last_us > child_run(world, 0).last_us
    whole(world)


def test_a_parents_end_comes_after_its_childrens_whatever_the_clocks_say(world: World) -> None:
    handed_out(world, ["a"])
    world.clock.pause_us(AHEAD_US)
    dies(lambda: dying(world, "TransactWriteItems", after=True).cancel_run(RUN))
    world.clock.pause_us(-AHEAD_US)
    assert (there(world), run_of(world).status) == ({0: "cancelled"}, "running")
    AfterCommit(world.backend.runtime).stops.carry_on(RUN)
    whole(world, "cancelled")


def test_who_is_over_among_others_that_go_on_is_counted_once(world: World) -> None:
    handed_out(world, tolerate=0.34, concurrency=3)
    failed(world, 1)
    assert (pack_of(world).family.out, pack_of(world).family.lost) == (((0, 0), (2, 3)), 1)
    packed(world, 3)
    assert (pack_of(world).family.out, pack_of(world).family.lost) == (((0, 0), (2, 2), (4, 4)), 1)


def test_a_share_that_is_a_whole_number_of_items_is_that_number() -> None:
    family = Family(100, 100, 100, 1, 1, None)
    over = ChildrenDefinition(kind="map", over="lines", tolerate=0.29)
    assert (0.29 * 100 < 29, tolerated(family, over)) == (True, 29)


def test_a_batch_of_which_nothing_is_told_has_lost_all_of_its_items(world: World) -> None:
    handed_out(world, batch=4, concurrency=2)
    world.backend.cancel_run(RUN)
    family = Family(6, 2, 6, 1, 2, None)
    assert [items_lost(family, child_run(world, number), 4) for number in range(2)] == [4, 2]
