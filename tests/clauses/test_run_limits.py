"""How many runs of a workflow go on at once: further ones wait for their turn, or are the one that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import ConflictError, RunLimit, RunSubmission, WorkflowRegistration, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.places import Places
from cascade_flow.engine.limits import Holder
from cascade_flow.operations.run_places import RunPlaces
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.wake import Wake
from clauses.stage import FATAL, claimed, dies, dying, reported
from faults.moments import pausing
from simulation import BEGIN_US, TIMING, TickingClock, World, step

LATER_US = BEGIN_US + 60_000_000


def registered(world: World, limit: RunLimit) -> None:
    world.backend.register_workflow(
        WorkflowRegistration(slug="flow", name="Flow", steps=[step("a"), step("b", "a")], run_limit=limit)
    )


def submitted(world: World, *run_ids: str, **options: Any) -> None:
    for run_id in run_ids:
        world.submit(run_id=run_id, **options)


def status(world: World, run_id: str) -> str:
    return world.observer.runtime.run(run_id).status


def going_on(world: World, *run_ids: str) -> list[str]:
    return [run_id for run_id in run_ids if status(world, run_id) == "running"]


def answer(world: World, wake: Wake) -> None:
    """What a worker does with a message about a run."""
    Sweep(world.backend.runtime, name="worker").attend(wake.run_id, wake.branch)


def called(world: World) -> list[Wake]:
    """The messages that name a run as a whole."""
    found = [wake for wake in world.mailbox.wakes if not wake.branch]
    world.mailbox.wakes = [wake for wake in world.mailbox.wakes if wake.branch]
    return found


def finished(world: World, run_id: str, command: Any = None) -> None:
    """The steps of a run, carried out to its end."""
    steps = Steps(world.backend.runtime)
    for branch, name in (("a", "a"), ("a", "b")):
        held = steps.claim(Wake(run_id, branch, name, 1), "worker-1")
        assert held is not None
        reported(world, held, *([command] if command else []))
        if command:
            return


def holders(world: World, id: str = "@flow") -> list[str]:
    places = Places(world.observer.runtime.ledger.table).standing(id, at_most=9).places.values()
    return [place.holder.run_id for place in places if place.holder is not None]


def in_line(world: World, id: str = "@flow") -> list[str]:
    line = Places(world.observer.runtime.ledger.table).standing(id, at_most=9).line
    return [waiter.holder.run_id for waiter in line]


def ended(world: World, *run_ids: str) -> None:
    world.settle(*run_ids, rounds=400)
    for run_id in run_ids:
        world.check(run_id)
    assert holders(world) == []


def test_no_more_runs_go_on_than_the_workflow_says(world: World) -> None:
    registered(world, RunLimit(at_most=2))
    submitted(world, "r1", "r2", "r3")
    submitted(world, "r4", priority=5)
    assert going_on(world, "r1", "r2", "r3", "r4") == ["r1", "r2"]
    assert in_line(world) == ["r4", "r3"], "who has a place doesn't wait"
    assert called(world) == []
    finished(world, "r1")
    [wake] = called(world)
    assert wake.run_id == "r4"
    answer(world, wake)
    assert going_on(world, "r2", "r3", "r4") == ["r2", "r4"]
    ended(world, "r2", "r3", "r4")


@pytest.mark.parametrize("how", ["failed", "cancelled", "timed out"])
def test_whatever_ends_a_run_lets_the_next_one_start(world: World, how: str) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", timeout=30_000_000)
    submitted(world, "r2")
    if how == "failed":
        finished(world, "r1", FATAL)
    elif how == "cancelled":
        world.backend.cancel_run("r1", None)
    else:
        world.clock.pause_us(40_000_000)
        world.sweep()
    assert "r2" in [wake.run_id for wake in called(world)] or status(world, "r2") == "running"
    assert holders(world) == ["r2"]
    ended(world, "r2")


def test_a_run_that_waits_and_is_cancelled_is_passed_over(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2", "r3")
    world.backend.cancel_run("r2", None)
    finished(world, "r1")
    assert [wake.run_id for wake in called(world)] == ["r3"]
    ended(world, "r3")


def test_who_dies_between_a_runs_end_and_giving_its_place_back_holds_nobody_up_for_long(world: World) -> None:
    """The truth is the run's item: whoever waits looks whether the holders have ended."""
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    steps = Steps(world.backend.runtime)
    first = steps.claim(Wake("r1", "a", "a", 1), "worker-1")
    assert first is not None
    reported(world, first)
    last = steps.claim(Wake("r1", "a", "b", 1), "worker-1")
    assert last is not None
    dies(lambda: reported(world, last, by=dying(world, "UpdateItem")))
    assert (status(world, "r1"), holders(world)) == ("completed", ["r1"])
    ended(world, "r2")


def test_who_may_start_is_looked_at_no_later_than_before(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    soon_us, entry = clock.now_us() + TIMING.grace_us // 2, due.Entry(int(due_us_of(world) or 0), keys.run("r2"))
    due.look_later(world.observer.runtime.ledger.table, entry, soon_us)
    finished(world, "r1")
    assert due_us_of(world) == soon_us


def due_us_of(world: World) -> int | None:
    """When somebody looks at the run that waits."""
    return world.observer.runtime.run("r2").due_us


def test_a_run_whose_place_comes_back_while_it_lines_up_starts_at_once(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    late = pausing(world, "PutItem", lambda: finished(world, "r1"), at=2)
    late.submit_run(RunSubmission(workflow_slug="flow", run_id="r2"))
    assert status(world, "r2") == "running"


def test_a_lost_message_is_mended(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    finished(world, "r1")
    called(world)
    ended(world, "r2")


def test_a_run_that_waits_takes_no_message_and_is_looked_at_ever_more_rarely(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    world.mailbox.wakes.clear()
    held = claimed(world, "a", run_id="r1")
    for _ in range(32):
        world.clock.pause_us(TIMING.grace_us)
        held = Steps(world.backend.runtime).heartbeat(held)
        world.sweep()
    assert called(world) == []
    assert world.swept["looked at"] <= 20
    assert world.swept["runs started"] == 0


def test_however_long_a_run_waits_for_others_it_is_looked_at_within_the_lists_horizon(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2", timeout=100 * TIMING.horizon_us)
    world.clock.pause_us(3 * TIMING.horizon_us)
    world.sweep()
    assert going_on(world, "r1", "r2") == ["r1"]
    assert int(world.observer.runtime.run("r2").due_us or 0) <= clock.now_us() + TIMING.horizon_us


def test_a_run_that_waits_for_others_makes_no_sweep_late(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    assert Steps(world.backend.runtime).claim(Wake("r1", "a", "a", 1), "worker-1") is not None
    world.clock.pause_us(TIMING.grace_us)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert ("looked at" in swept.done, swept.oldest_due_s) == (True, 0)


def test_of_two_who_start_a_run_one_place_is_left(world: World) -> None:
    registered(world, RunLimit(at_most=2))
    submitted(world, "r1", available_at=LATER_US)
    world.clock.pause_us(61_000_000)
    slow = pausing(world, "TransactWriteItems", lambda: answer(world, Wake("r1")))
    Sweep(slow.runtime, name="other").attend("r1", "")
    assert holders(world) == ["r1"]
    ended(world, "r1")


def test_who_finds_a_place_does_not_line_up(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", available_at=LATER_US)
    world.clock.pause_us(61_000_000)
    Sweep(dying(world, "PutItem").runtime, name="other").attend("r1", "")
    assert (status(world, "r1"), holders(world)) == ("running", ["r1"])


def test_who_lines_up_while_the_last_place_is_given_back_starts(world: World) -> None:
    """Nobody else comes to hand that place out."""
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    submitted(world, "r2", available_at=LATER_US)
    world.clock.pause_us(61_000_000)
    runtime = pausing(world, "PutItem", lambda: world.backend.cancel_run("r1")).runtime
    assert RunPlaces(runtime).place_of(world.observer.runtime.run("r2")) == 0
    assert (holders(world), in_line(world)) == (["r2"], [])


def test_a_run_that_is_given_a_place_is_looked_at_no_later_than_it_was_to_be(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    due_us = int(world.observer.runtime.run("r2").due_us or 0)
    world.clock.pause_us(due_us - clock.now_us() - 1_000_000)
    world.backend.cancel_run("r1")
    assert [wake.run_id for wake in called(world)] == ["r2"]
    assert world.observer.runtime.run("r2").due_us == due_us


def test_a_run_that_is_cancelled_while_it_starts_leaves_no_place_taken(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", available_at=LATER_US)
    world.clock.pause_us(61_000_000)
    slow = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run("r1", None))
    Sweep(slow.runtime, name="other").attend("r1", "")
    assert (status(world, "r1"), holders(world)) == ("cancelled", [])


def test_by_key_each_value_is_counted_by_itself(world: World) -> None:
    registered(world, RunLimit(at_most=1, key="customer"))
    submitted(world, "r1", "r2", input={"customer": "C-1"})
    submitted(world, "r3", input={"customer": "C-2"})
    assert going_on(world, "r1", "r2", "r3") == ["r1", "r3"]
    world.settle("r1", "r2", "r3")


def test_a_submission_while_one_goes_on_is_that_one(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    first = world.backend.submit_run(RunSubmission(workflow_slug="flow"))
    second = world.backend.submit_run(RunSubmission(workflow_slug="flow"))
    assert (first.is_new, second.is_new, second.run_id) == (True, False, first.run_id)
    world.settle(first.run_id)
    third = world.backend.submit_run(RunSubmission(workflow_slug="flow"))
    assert third.is_new
    ended(world, third.run_id)


def test_of_two_submissions_at_once_one_makes_the_run(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    made: list[str] = []

    def another() -> None:
        made.append(world.submit())

    slow = pausing(world, "UpdateItem", another)
    answered = slow.submit_run(RunSubmission(workflow_slug="flow"))
    assert (answered.run_id, answered.is_new) == (made[0], False)
    ended(world, made[0])


def test_a_submission_with_a_known_key_is_the_run_that_it_made(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    keyed = RunSubmission(workflow_slug="flow", idempotency_key="k")
    first = world.backend.submit_run(keyed)
    world.settle(first.run_id)
    other = world.backend.submit_run(RunSubmission(workflow_slug="flow"))
    assert world.backend.submit_run(keyed).run_id == first.run_id
    world.settle(other.run_id)
    assert world.backend.submit_run(keyed).run_id == first.run_id
    assert holders(world) == []


def test_a_submission_under_a_taken_id_leaves_no_place_taken(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    submitted(world, "r1")
    world.settle("r1")
    with pytest.raises(ConflictError, match="taken"):
        submitted(world, "r1")
    assert holders(world) == []


def test_a_run_that_is_just_being_made_keeps_its_place(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    others: list[bool] = []

    def another() -> None:
        others.append(world.backend.submit_run(RunSubmission(workflow_slug="flow")).is_new)

    made = pausing(world, "TransactWriteItems", another).submit_run(RunSubmission(workflow_slug="flow"))
    assert (others, made.is_new) == ([False], True)
    ended(world, made.run_id)


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        (None, False),
        ({"status": "pending", "place": None}, True),
        ({"status": "running", "place": 0}, True),
        ({"status": "running", "place": 1}, False),
        ({"status": "completed", "place": 0}, False),
    ],
)
def test_a_place_is_given_back_that_nobody_starts_the_run_with(world: World, now: Any, kept: bool) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    run = world.observer.runtime.run("r1")
    RunPlaces(world.backend.runtime).not_started(run, 0, now and replace(run, **now))
    assert (holders(world) == ["r1"]) is kept


def test_a_run_that_has_ended_leaves_every_place_that_it_was_given(world: World) -> None:
    registered(world, RunLimit(at_most=2))
    submitted(world, "r1")
    places, holder = Places(world.observer.runtime.ledger.table), Holder.of_run("r1", 1)
    assert places.take("@flow", 1, holder, now_us=clock.now_us(), until_us=LATER_US * 2)
    finished(world, "r1")
    assert holders(world) == []


def test_a_place_of_an_earlier_attempt_of_a_run_that_goes_on_is_free(world: World) -> None:
    """Who had ended that attempt died before it gave the place back."""
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    held = claimed(world, "a", run_id="r1")
    dies(lambda: reported(world, held, FATAL, by=dying(world, "UpdateItem")))
    world.backend.retry_run("r1")
    submitted(world, "r2")
    assert going_on(world, "r1", "r2") == ["r1", "r2"]


def test_a_run_whose_stop_is_still_to_be_carried_out_is_passed_over(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2", "r3")
    dies(lambda: dying(world, "UpdateItem", after=True).cancel_run("r2"))
    finished(world, "r1")
    assert holders(world) == ["r3"]


def test_a_run_that_is_given_a_place_is_looked_at_soon_however_long_it_has_waited(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    held = Steps(world.backend.runtime).claim(Wake("r1", "a", "a", 1), "worker-1")
    for _ in range(3):
        assert held is not None
        world.clock.pause_us(TIMING.lease_us // 2)
        held = Steps(world.backend.runtime).heartbeat(held)
        world.sweep()
    assert int(world.observer.runtime.run("r2").due_us or 0) > clock.now_us() + TIMING.grace_us
    assert held is not None
    reported(world, held, FATAL)
    assert int(world.observer.runtime.run("r2").due_us or 0) <= clock.now_us() + TIMING.grace_us


def test_a_run_that_is_given_a_place_is_not_looked_at_later_than_it_would_be(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    due_us = world.observer.runtime.run("r2").due_us
    world.clock.pause_us(1_000_000)
    finished(world, "r1")
    assert holders(world) == ["r2"]
    assert world.observer.runtime.run("r2").due_us == due_us


def test_a_run_that_finds_a_place_stands_in_no_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Places, "line_up", lambda *_: pytest.fail("it waits"))
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    assert going_on(world, "r1") == ["r1"]


def test_who_tries_a_run_again_knows_the_place_that_it_has_now(world: World) -> None:
    registered(world, RunLimit(at_most=2))
    submitted(world, "r1", "r2")
    world.backend.cancel_run("r1", None)
    submitted(world, "r3")
    world.backend.cancel_run("r2", None)
    world.backend.retry_run("r1")
    assert [world.observer.runtime.run(run_id).place for run_id in ("r3", "r1")] == [0, 1]


def test_a_run_that_has_its_place_asks_for_none_when_its_time_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    submitted(world, "r1", available_at=LATER_US)
    monkeypatch.setattr(RunPlaces, "place_of", lambda *_: pytest.fail("it has one"))
    world.clock.pause_us(61_000_000)
    answer(world, Wake("r1"))
    assert (status(world, "r1"), holders(world)) == ("running", ["r1"])


def test_a_run_that_is_due_this_very_moment_starts_at_once(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    with clock.use(TickingClock(tick_us=0)):
        submitted(world, "r1")
    assert (status(world, "r1"), called(world)) == ("running", [])


def test_whoever_dies_before_the_run_is_made_holds_nobody_up_for_long(world: World) -> None:
    registered(world, RunLimit(at_most=1, skips=True))
    dies(lambda: dying(world, "TransactWriteItems").submit_run(RunSubmission(workflow_slug="flow")))
    world.clock.pause_us(TIMING.lease_us + 1_000_000)
    after = world.backend.submit_run(RunSubmission(workflow_slug="flow"))
    assert after.is_new
    ended(world, after.run_id)


def test_who_tries_a_run_again_does_not_wait_and_is_counted_if_there_is_room(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    world.backend.cancel_run("r1", None)
    for wake in called(world):
        answer(world, wake)
    world.backend.retry_run("r1")
    assert going_on(world, "r1", "r2") == ["r1", "r2"]
    assert holders(world) == ["r2"]
    world.settle("r1", "r2")
    submitted(world, "r3")
    world.backend.cancel_run("r3", None)
    world.backend.retry_run("r3")
    assert holders(world) == ["r3"]
    assert Places(world.observer.runtime.ledger.table).standing("@flow", at_most=1).places[0].holder == Holder(
        "r3", "", "", 2
    )
    ended(world, "r3")
    assert holders(world) == []
