"""A join: raise, commit, look; and the run's end, which is a join like any other (protocol.md §6)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from cascade_flow import StaleAttemptError, StepScheduled, WorkflowCancelled, WorkflowCompleted, WorkflowFailed, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.join_ledger import JoinLedger
from cascade_flow.engine.decide import decide
from cascade_flow.engine.state import Branch
from cascade_flow.graph import END
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.steps import HeldAttempt
from clauses.stage import (
    DONE,
    FATAL,
    RUN,
    asking,
    begun,
    branch_of,
    claimed,
    counting,
    dies,
    done,
    dying,
    ended,
    found,
    going_on,
    item_of,
    reported,
    run_of,
    silent,
)
from faults.moments import pausing
from shapes import event
from simulation import TIMING, World, step

JOIN = [step("a"), step("b"), step("j", "a", "b", export_output=True)]
SINKS = [step("a", export_output=True), step("b")]
SHAPES = {"j": JOIN, END: SINKS}
DAY_US = 86_400_000_000


def joins_of(world: World) -> JoinLedger:
    return JoinLedger(world.observer.runtime.ledger.table)


def look_us(world: World, join: str) -> int:
    """In how long somebody looks at a join."""
    return int(branch_of(world, join).due_us or 0) - clock.now_us()


def waiting_for_days(world: World, join: str) -> list[int]:
    """A join of two of which one has arrived, a fortnight later; for how long it was left alone each time."""
    begun(world, *SHAPES[join], timeout=30 * DAY_US)
    done(world, "a")
    until_us, pauses = run_of(world).created_us + 14 * DAY_US, list[int]()
    while clock.now_us() + look_us(world, join) < until_us:
        world.clock.pause_us(max(0, look_us(world, join)) + 1)
        world.sweep()
        pauses.append(look_us(world, join))
        assert len(pauses) < 10, "somebody looks at it again and again"
    world.clock.pause_us(until_us - clock.now_us())
    world.mailbox.wakes.clear()
    return pauses


@pytest.mark.parametrize("join", SHAPES)
def test_the_last_to_arrive_opens_it_at_once(world: World, join: str) -> None:
    begun(world, *SHAPES[join])
    done(world, "a")
    assert (branch_of(world, join).status, branch_of(world, join).arrived) == ("open", 1)
    done(world, "b")
    assert branch_of(world, join).status == ("scheduled" if join == "j" else "ended")


@pytest.mark.parametrize("join", SHAPES)
@pytest.mark.parametrize("after", [False, True], ids=["before its commit", "after its commit"])
def test_who_dies_around_the_commit_of_the_last_arrival_leaves_it_to_the_sweep(
    world: World, join: str, after: bool
) -> None:
    begun(world, *SHAPES[join])
    done(world, "a")
    held = claimed(world, "b")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=after)))
    world.mailbox.wakes.clear()
    ended(world)


@pytest.mark.parametrize("join", SHAPES)
def test_arrivals_that_are_counted_twice_open_nothing(world: World, join: str) -> None:
    begun(world, *SHAPES[join])
    held = claimed(world, "a")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems")))
    reported(world, held)
    assert branch_of(world, join).arrived == 2
    assert branch_of(world, join).status == "open"
    silent(world)
    world.sweep()
    assert branch_of(world, join).status == "open"
    assert run_of(world).status == "running"
    done(world, "b")
    ended(world)


@pytest.mark.parametrize("join", SHAPES)
def test_who_arrives_and_is_not_the_last_looks_at_nothing(world: World, join: str) -> None:
    """It has counted its arrival and written its commit."""
    begun(world, *SHAPES[join])
    held, (late, sizes) = claimed(world, "a"), counting(world)
    reported(world, held, by=late)
    assert len(sizes) == 2


def test_a_join_that_nobody_has_arrived_at_is_looked_at_in_vain(world: World) -> None:
    begun(world, *JOIN)
    after_commit = AfterCommit(world.backend.runtime)
    after_commit.look_at_join(world.backend.runtime.facts(run_of(world)), "j")
    assert found(world, "j") is None


def test_a_raise_on_a_join_that_is_claimed_is_harmless(world: World) -> None:
    begun(world, *JOIN)
    slow = claimed(world, "a")

    def others() -> None:
        reported(world, slow)
        done(world, "b")
        holders.append(claimed(world, "j"))

    holders: list[HeldAttempt] = []
    late = pausing(world, "UpdateItem", others)
    JoinLedger(late.runtime.ledger.table).raise_join(slow.facts, "j", arrivals=1, now_us=world.clock.now_us())
    assert branch_of(world, "j").status == "running"
    [holder] = holders
    reported(world, holder)
    ended(world)


def test_a_run_whose_last_steps_have_arrived_leaves_nothing_in_the_index(world: World) -> None:
    begun(world, *SINKS)
    done(world, "a", "b")
    assert keys.DUE_SHARD not in item_of(world, keys.branch(RUN, END))


def test_a_sweep_tells_of_no_join_that_another_has_opened(world: World) -> None:
    begun(world, *JOIN)
    done(world, "a")
    held = claimed(world, "b")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))
    silent(world)
    late = pausing(world, "TransactWriteItems", lambda: world.sweep(world.observer))
    assert "joins opened" not in world.sweep(late)
    assert branch_of(world, "j").status == "scheduled"


def test_a_join_that_is_open_is_in_the_due_index_from_its_birth(world: World) -> None:
    begun(world, *JOIN)
    held = claimed(world, "a")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems")))
    assert branch_of(world, "j").due_us is not None
    world.check(RUN)


@pytest.mark.parametrize("join", SHAPES)
def test_a_join_does_not_open_between_a_stops_look_and_its_end(world: World, join: str) -> None:
    begun(world, *SHAPES[join])
    done(world, "a")
    held = claimed(world, "b")
    late = pausing(world, "TransactWriteItems", partial(world.observer.cancel_run, RUN), at=2)
    reported(world, held, by=late)
    assert branch_of(world, join).status == "open"
    checked = world.check(RUN)
    assert checked.status == "cancelled"
    assert checked.count(WorkflowCancelled) == 1


def test_a_join_of_skips_does_not_open_between_a_stops_look_and_its_end(world: World) -> None:
    begun(world, *JOIN)
    world.script = {"a": ["skip"], "b": ["skip"]}
    reported(world, held := claimed(world, "a"), world.act(held, "worker-1"))
    held = claimed(world, "b")
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN), at=2)
    reported(world, held, world.act(held, "worker-1"), by=late)
    assert branch_of(world, "j").status == "open"
    assert world.check(RUN).status == "cancelled"


def test_a_run_is_not_ended_for_an_attempt_that_is_over(world: World) -> None:
    begun(world, *SINKS)
    done(world, "a")
    held = claimed(world, "b")

    def others() -> None:
        world.observer.cancel_run(RUN)
        dies(lambda: dying(world, "TransactWriteItems", after=True).retry_run(RUN))

    reported(world, held, by=pausing(world, "TransactWriteItems", others, at=2))
    assert (run_of(world).status, run_of(world).run_attempt) == ("running", 2)
    checked = ended(world)
    assert [checked.count(kind) for kind in (WorkflowCancelled, WorkflowCompleted)] == [1, 1]


def test_a_run_that_is_being_cancelled_is_not_ended_by_its_last_step(world: World) -> None:
    begun(world, step("a", export_output=True))
    held = claimed(world, "a")
    late = pausing(world, "Query", lambda: reported(world, held))
    late.cancel_run(RUN)
    assert branch_of(world, "a").status == "parked"
    assert world.check(RUN).status == "cancelled"


def test_a_failure_does_not_take_over_a_run_that_is_being_cancelled(world: World) -> None:
    begun(world, *JOIN)
    held = claimed(world, "a")
    late = pausing(world, "Query", lambda: reported(world, held, FATAL))
    late.cancel_run(RUN)
    assert branch_of(world, "a").status == "failed"
    assert world.check(RUN).status == "cancelled"


def test_of_two_failures_the_first_is_the_runs(world: World) -> None:
    begun(world, *JOIN)
    first, second = claimed(world, "a"), claimed(world, "b")
    late = pausing(world, "Query", lambda: reported(world, second, FATAL))
    reported(world, first, FATAL, by=late)
    [end] = [event for event in ended(world, "failed").events if isinstance(event, WorkflowFailed)]
    assert end.failed_step == "a"


@pytest.mark.parametrize("join", SHAPES)
def test_who_was_on_its_way_when_another_filled_it_looks_itself(world: World, join: str) -> None:
    begun(world, *SHAPES[join])
    late = claimed(world, "a")
    reported(world, late, by=pausing(world, "TransactWriteItems", partial(done, world, "b")))
    assert branch_of(world, join).status == ("scheduled" if join == "j" else "ended")
    world.check(RUN)


def test_one_at_a_time_is_asked_to_look(world: World) -> None:
    begun(world, *map(step, "abc"), step("j", "a", "b", "c"))
    first, second = claimed(world, "a"), claimed(world, "b")

    def others() -> None:
        done(world, "c")
        assert [branch_of(world, name).looks for name in "ab"] == [True, False]
        reported(world, first)
        assert branch_of(world, "b").looks
        assert branch_of(world, "j").status == "open"

    joins_of(world).raise_join(first.facts, "j", arrivals=1, now_us=clock.now_us())
    reported(world, second, by=pausing(world, "TransactWriteItems", others))
    assert branch_of(world, "j").status == "scheduled"


def test_who_was_asked_once_looks_at_whatever_it_arrives_at_later(world: World) -> None:
    begun(world, step("a"), step("b"), step("c"), step("a2", "a"), step("j", "a", "b"), step("k", "a2", "c"))
    held = claimed(world, "a")
    held = reported(world, held, going_on(), by=pausing(world, "TransactWriteItems", partial(done, world, "b")))
    reported(world, held, by=pausing(world, "TransactWriteItems", partial(done, world, "c")))
    assert [branch_of(world, join).status for join in "jk"] == ["scheduled", "scheduled"]


def test_who_has_lost_its_step_does_not_arrive(world: World) -> None:
    begun(world, *JOIN)
    zombie = claimed(world, "a")
    silent(world)
    world.sweep()
    with pytest.raises(StaleAttemptError):
        reported(world, zombie)
    assert (branch_of(world, "a").status, branch_of(world, "a").attempt) == ("scheduled", 2)


def test_nobody_else_is_asked_while_one_is_to_look(world: World) -> None:
    begun(world, *map(step, "abc"), step("j", "a", "b", "c"))
    joins = joins_of(world)
    for held in [claimed(world, "a"), claimed(world, "b")]:
        joins.raise_join(held.facts, "j", arrivals=1, now_us=clock.now_us())
    joins.ask_to_look(RUN, branch_of(world, "b"))
    done(world, "c")
    assert [branch_of(world, name).looks for name in "ab"] == [False, True]


def test_nobody_is_asked_while_one_is_still_to_be_counted(world: World) -> None:
    begun(world, *map(step, "abc"), step("j", "a", "b", "c"))
    held = claimed(world, "a")
    joins_of(world).raise_join(held.facts, "j", arrivals=2, now_us=clock.now_us())
    done(world, "c")
    assert not branch_of(world, "a").looks


def test_who_has_arrived_when_it_is_to_be_asked_is_seen(world: World) -> None:
    begun(world, *JOIN)
    held, last = claimed(world, "a"), claimed(world, "b")
    ledger = world.observer.runtime.ledger
    joins_of(world).raise_join(held.facts, "j", arrivals=1, now_us=clock.now_us())
    arrival = decide(held.facts, held.branch, DONE, now_us=clock.now_us())
    late = pausing(world, "UpdateItem", lambda: ledger.write(held.facts, arrival, {}), at=2)
    reported(world, last, by=late)
    assert (branch_of(world, "a").looks, branch_of(world, "j").status) == (False, "scheduled")


def test_what_nobody_works_on_looks_without_being_asked(world: World) -> None:
    """An event is over by whoever looks at it, and not by a worker."""
    begun(world, event("e"), step("b"), step("j", "e", "b"))
    late = pausing(world, "TransactWriteItems", partial(done, world, "b"))
    late.send_event(RUN, "e", {})
    assert not branch_of(world, "e").looks
    assert branch_of(world, "j").status == "scheduled"


def test_a_join_opens_once(world: World) -> None:
    begun(world, *JOIN)
    done(world, "a")
    held = claimed(world, "b")

    def others() -> None:
        silent(world)
        assert world.sweep(world.observer)["joins opened"] == 1
        claimed(world, "j")

    reported(world, held, by=pausing(world, "TransactWriteItems", others, at=2))
    assert branch_of(world, "j").status == "running"
    assert world.check(RUN).count(StepScheduled, "j") == 1


def test_the_first_to_arrive_makes_the_join(world: World) -> None:
    begun(world, *JOIN)
    assert found(world, "j") is None
    done(world, "a")
    assert branch_of(world, "j").arrived == 1


def test_steps_that_are_skipped_together_arrive_together(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("j", "a", "b", skip_cascades=False))
    world.script = {"a": ["skip"]}
    held = claimed(world, "a")
    reported(world, held, world.act(held, "worker-1"))
    assert (branch_of(world, "j").arrived, branch_of(world, "j").status) == (2, "scheduled")


@pytest.mark.parametrize("join", SHAPES)
def test_who_waits_for_days_is_looked_at_ever_more_rarely(world: World, join: str) -> None:
    pauses = waiting_for_days(world, join)
    assert pauses[0] == pytest.approx(15 * TIMING.grace_us, rel=0.2)
    assert all(after >= 15 * before for before, after in pairwise(pauses) if after < DAY_US)
    assert clock.now_us() + look_us(world, join) <= run_of(world).deadline_us + TIMING.grace_us


@pytest.mark.parametrize("join", SHAPES)
@pytest.mark.parametrize("after", [False, True], ids=["before its commit", "after its commit"])
def test_who_fills_what_has_waited_for_days_and_dies_is_made_up_for_as_soon_as_ever(
    world: World, join: str, after: bool
) -> None:
    waiting_for_days(world, join)
    held = claimed(world, "b")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=after)))
    assert 0 < look_us(world, join) <= TIMING.grace_us
    silent(world)
    world.sweep()
    ended(world)
    assert clock.now_us() - int(held.branch.started_at_us or 0) < 2 * TIMING.silence_us


def test_one_of_whom_too_many_were_counted_is_looked_at_as_often_as_ever(world: World) -> None:
    """Somebody may stand between raise and commit, for as long as its heart beats."""
    begun(world, *JOIN, timeout=30 * DAY_US)
    held = claimed(world, "a")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems")))
    reported(world, held)
    assert branch_of(world, "j").arrived == 2
    world.clock.pause_us(DAY_US)
    world.sweep()
    assert look_us(world, "j") <= TIMING.grace_us


def test_an_arrival_keeps_a_sweep_from_looking_away(world: World) -> None:
    begun(world, *JOIN)
    done(world, "a")
    known = branch_of(world, "j")
    seen = due.Entry(int(known.due_us or 0), keys.branch(RUN, "j"))
    held = claimed(world, "b")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems")))
    due.look_later(world.observer.runtime.ledger.table, seen, clock.now_us() + DAY_US, known)
    assert branch_of(world, "j").due_us == seen.due_us


def test_who_brings_a_look_forward_leaves_alone_what_has_moved(world: World) -> None:
    waiting_for_days(world, "j")

    def others() -> None:
        reported(world, held)
        done(world, "j")
        assert keys.DUE_TIME not in item_of(world, keys.branch(RUN, "j"))

    held = claimed(world, "b")
    late = pausing(world, "UpdateItem", others, at=2)
    JoinLedger(late.runtime.ledger.table).raise_join(held.facts, "j", arrivals=1, now_us=clock.now_us())
    assert keys.DUE_TIME not in item_of(world, keys.branch(RUN, "j"))
    ended(world)


@pytest.mark.parametrize("run_attempt", [1, 2])
def test_a_join_is_made_whole_by_its_first_arrival(world: World, run_attempt: int) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    if run_attempt == 2:
        world.backend.cancel_run(RUN)
        world.backend.retry_run(RUN)
    before_us = clock.now_us()
    done(world, "a")
    join = branch_of(world, "j")
    assert join == Branch("j", "open", "j", run_attempt=run_attempt, arrived=1, due_us=join.due_us)
    assert before_us < int(join.due_us or 0) - TIMING.grace_us < clock.now_us()
    assert item_of(world, keys.branch(RUN, "j"))[keys.EXPIRY] == run_of(world).expires_s


def test_a_run_of_many_ends_is_over_after_the_last_of_them(world: World) -> None:
    """Also where who was last to end has a clock that is behind."""
    begun(world, step("a"), step("b"))
    late = claimed(world, "b")
    world.clock.pause_us(60_000_000)
    done(world, "a")
    world.clock.pause_us(-60_000_000)
    reported(world, late)
    checked = world.check(RUN)
    assert checked.status == "completed"
    assert checked.events[-1].type == "WorkflowCompleted"


def test_who_arrives_at_what_stays_open_brings_no_look_forward(world: World) -> None:
    begun(world, *map(step, "abc"), step("j", "a", "b", "c"), timeout=30 * DAY_US)
    done(world, "a")
    for _ in range(4):
        world.clock.pause_us(max(0, look_us(world, "j")))
        world.sweep()
    before = branch_of(world, "j")
    done(world, "b")
    assert branch_of(world, "j") == replace(before, arrived=2)


def test_whoever_fills_two_joins_at_once_looks_at_both(world: World) -> None:
    begun(world, step("a"), step("b"), step("j1", "a", "b"), step("j2", "a", "b"))
    done(world, "a", "b")
    assert [branch_of(world, name).status for name in ("j1", "j2")] == ["scheduled", "scheduled"]


def test_who_has_asked_another_to_look_reads_no_more(world: World) -> None:
    """Both are counted, and on their way."""
    begun(world, *JOIN)
    for name in "ab":
        held = claimed(world, name)
        dies(partial(reported, world, held, by=dying(world, "TransactWriteItems")))
    by, asked = asking(world)
    assert not AfterCommit(by.runtime).open_join(held.facts, branch_of(world, "j"))
    assert [branch_of(world, name).looks for name in "ab"] == [True, False]
    assert asked == ["BatchGetItem", "UpdateItem"]
