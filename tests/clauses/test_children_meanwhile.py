"""Children while others act: who hands out and dies, counts, looks, stops, tries again meanwhile (protocol.md §14)."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial

import pytest

from cascade_flow import (
    ChildrenDefinition,
    ConflictError,
    InvalidIdError,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotRetryableError,
    RunSubmission,
    StaleAttemptError,
    WorkflowRegistration,
    clock,
)
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.commands import Command, Complete
from cascade_flow.engine.state import Stop
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.attention import Attention
from cascade_flow.operations.child_stops import stop_children
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.tally import Tally
from cascade_flow.wake import Wake
from clauses.families import (
    AHEAD_US,
    ONCE,
    child,
    child_run,
    expanded,
    failed,
    handed_out,
    look,
    mapped,
    pack_of,
    packed,
    taken,
    there,
    whole,
)
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, counting, dies, dying, reported, run_of, silent
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of


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
    held = claimed(world, "pack", run_id=child(1), worker="worker-2", by=world.another())
    assert Steps(world.another().runtime).inputs(held).outputs == {"lines": '"b"'}


def test_who_hands_out_and_dies_is_looked_after_soon(world: World) -> None:
    begun(world, *mapped(), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete('["a", "b"]', 1))
    held = claimed(world, "pack", branch="lines")
    dies(lambda: reported(world, held, world.act(held, "worker-1"), by=dying(world, "UpdateItem", after=True)))
    assert (pack_of(world).status, there(world)) == ("waiting", {})
    silent(world)
    assert world.sweep() == {"looked at": 1, "children looked after": 1}
    assert there(world) == {0: "running", 1: "running"}
    whole(world)


def test_one_sweep_that_makes_children_of_two_runs_gives_each_its_own_items(world: World) -> None:
    world.register(mapped())
    steps = Steps(world.backend.runtime)

    def only_handed_out(run_id: str) -> None:
        world.submit(run_id=run_id)
        lines = steps.claim(Wake(run_id, "lines", "lines", 1), "worker-1")
        assert lines is not None
        reported(world, lines, Complete(json.dumps([run_id]), 1))
        held = steps.claim(Wake(run_id, "lines", "pack", 1), "worker-1")
        assert held is not None
        dies(lambda: reported(world, held, world.act(held, "worker-1"), by=dying(world, "UpdateItem", after=True)))

    for run_id in (RUN, "other"):
        only_handed_out(run_id)
    silent(world)
    world.sweep()
    for run_id in (RUN, "other"):
        held = steps.claim(Wake(f"{run_id}~pack~0", "pack", "pack", 1), "worker-1")
        assert held is not None
        assert steps.inputs(held).outputs == {"lines": f'"{run_id}"'}


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


def test_nor_for_who_begins_another_workflow(world: World) -> None:
    world.backend.register_workflow(WorkflowRegistration(slug="inner", name="Inner", steps=[step("charge")]))
    call = step("call", children=ChildrenDefinition(kind="workflow", workflow="inner"))
    begun(world, call, step("other", retry=ONCE))
    held = claimed(world, "call")
    reported(world, claimed(world, "other"), FATAL)
    assert run_of(world).status == "failed"
    with pytest.raises(StaleAttemptError):
        reported(world, held, world.act(held, "worker-1"))
    assert world.observer.runtime.ledger.run(f"{RUN}~call~0") is None


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


def test_who_counts_an_end_has_its_parent_looked_at_within_a_lease_and_not_sooner(world: World) -> None:
    handed_out(world, concurrency=1)
    held = taken(world, 0)
    put_off(world)
    dies(lambda: reported(world, held, Complete("0", 1), by=dying(world, "TransactWriteItems")))
    assert 0 < pack_of(world).due_us - clock.now_us() <= TIMING.silence_us


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


def test_not_each_end_is_looked_at_while_many_are_out(world: World) -> None:
    """Each costs its count and its commit; every second one of four lets two more begin."""
    handed_out(world, concurrency=4)
    costs = []
    for number in range(2):
        held = taken(world, number)
        late, sizes = counting(world)
        reported(world, held, Complete("1", 1), by=late)
        costs.append(len(sizes))
    assert costs == [2, 7]
    assert sorted(there(world)) == [0, 1, 2, 3, 4, 5]


def test_a_look_at_whom_nothing_moves_is_one(world: World) -> None:
    handed_out(world, concurrency=6)
    late, sizes = counting(world)
    assert look(world, late, puts_off=True)
    assert len(sizes) == 4


def test_who_counts_an_end_and_dies_has_the_step_looked_at_in_time(world: World) -> None:
    handed_out(world, ["a"])
    put_off(world)
    only_counted(world, 0)
    assert int(pack_of(world).due_us or 0) == pytest.approx(clock.now_us() + TIMING.silence_us, abs=10_000)


def test_a_child_whose_parents_step_is_gone_ends_all_the_same(world: World) -> None:
    handed_out(world, ["a"])
    world.observer.runtime.ledger.table.delete(keys.branch(RUN, "lines"))
    failed(world, 0)
    assert there(world) == {0: "failed"}


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
    held = claimed(world, step_id, run_id=run_id, branch=branch)
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


def test_a_run_ends_after_the_last_child_of_any_of_its_steps(world: World) -> None:
    """Of the first map one has ended by a clock that is ahead."""
    both = [step(name, "lines", children=ChildrenDefinition(kind="map", over="lines")) for name in ("pack", "post")]
    begun(world, step("lines"), *both)
    reported(world, claimed(world, "lines"), Complete('["a", "b", "c"]', 1))
    for name, branch in (("pack", "lines"), ("post", "post")):
        held = claimed(world, name, branch=branch)
        reported(world, held, world.act(held, "worker-1"))
    put_off(world)
    with clock.use(TickingClock(clock.now_us() + AHEAD_US)):
        dies(lambda: reported(world, taken(world, 0), Complete("0", 1), by=dying(world, "BatchGetItem")))
    world.backend.cancel_run(RUN)
    assert there(world)[0] == "completed"
    whole(world, "cancelled")


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
