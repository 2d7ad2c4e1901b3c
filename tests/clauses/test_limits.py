"""Limits that runs share: no more at work than there are places, and whoever waits gets its turn (architecture.md)."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import (
    Concurrency,
    RetryTier,
    StaleAttemptError,
    StepContext,
    StepDefinition,
    StepLimit,
    StepStarted,
    Workflow,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.places import FIRST, Places
from cascade_flow.engine.commands import Complete, Postpone, SkipStep
from cascade_flow.engine.limits import Holder, Standing, pack_limit
from cascade_flow.engine.state import LONGEST_DELAY_US, Claimant, Limit
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.limit_views import LimitViews
from cascade_flow.operations.limits import Limits
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.records import replace
from cascade_flow.wake import Wake
from cascade_flow.worker.loop import Worker
from checker import check_run
from clauses.stage import AGAIN, DONE, FATAL, counting, dies, dying, going_on, reported, silent
from faults.moments import pausing
from simulation import BEGIN_US, TIMING, World, step
from testbed.faults import Kind, faults

STRIPE = StepLimit(name="stripe", at_most=1)
TWO = StepLimit(name="stripe", at_most=2)
RATE = StepLimit(name="stripe", at_most=3, per_ms=6_000)


def limited(id: str, *dependencies: str, limit: StepLimit = STRIPE, **options: Any) -> StepDefinition:
    return step(id, *dependencies, limit=limit, **options)


def started(world: World, *run_ids: str, **submission: Any) -> None:
    for run_id in run_ids:
        world.submit(run_id=run_id, **submission)


def called(world: World) -> list[str]:
    """The runs whose steps were called out, and are by now nobody's."""
    names = [wake.run_id for wake in world.mailbox.wakes]
    world.mailbox.wakes.clear()
    return names


def taken(world: World, run_id: str, id: str = "a", attempt: int = 1, *, by: Any = None, **more: Any) -> Any:
    """What a worker gets that is woken for this attempt; the message tells the limit, unless it is an old one."""
    branch = more.get("branch", id)
    there = world.observer.runtime.ledger.branch(run_id, branch)
    limit = pack_limit(there.limit) if there is not None and there.limit is not None else ""
    wake = Wake(run_id, branch, id, attempt, limit=more.get("limit", limit))
    return Steps((by or world.backend).runtime).claim(wake, "worker-1")


def got(world: World, run_id: str, id: str = "a", attempt: int = 1, **more: Any) -> HeldAttempt:
    held = taken(world, run_id, id, attempt, **more)
    assert held is not None, f"{run_id} gets nothing"
    assert isinstance(held, HeldAttempt)
    return held


def standing(world: World, limit: str = "stripe") -> Standing:
    return Places(world.observer.runtime.ledger.table).standing(limit, at_most=9)


def beating(world: World, held: HeldAttempt, *, times: int = 1) -> HeldAttempt:
    """The attempt after so many heartbeats, each after half a lease."""
    for _ in range(times):
        world.clock.pause_us(TIMING.lease_us // 2)
        held = Steps(world.backend.runtime).heartbeat(held)
    return held


def looked_at_us(world: World, run_id: str) -> int:
    """When the sweep looks at a run's step."""
    branch = world.observer.runtime.ledger.branch(run_id, "a")
    assert branch is not None
    return branch.due_us or 0


def holders(world: World, limit: str = "stripe") -> list[str]:
    places, now_us = standing(world, limit).places, clock.now_us()
    return [f"{place.holder.run_id}" for place in places.values() if place.holder and not place.is_free(now_us)]


def line(world: World, limit: str = "stripe") -> list[str]:
    return [waiter.holder.run_id for waiter in standing(world, limit).line]


def ended(world: World, *run_ids: str, status: str = "completed") -> None:
    world.settle(*run_ids, rounds=300)
    for run_id in run_ids:
        assert world.check(run_id).status == status
    assert line(world) == []
    assert holders(world) == []


@pytest.mark.parametrize("kinds", [(RATE, STRIPE), (STRIPE, RATE)], ids=["to a number", "to a rate"])
def test_a_limit_may_change_its_kind(world: World, kinds: tuple[StepLimit, StepLimit]) -> None:
    """What the limit was before lies in the table for a week."""
    for number, limit in enumerate(kinds):
        world.register([limited("a", limit=limit)])
        names = [f"r{number}-{each}" for each in range(3)]
        started(world, *names)
        ended(world, *names)


def test_no_more_than_there_are_places_are_at_work(world: World) -> None:
    world.register([limited("a", limit=TWO)])
    started(world, "r1", "r2", "r3", "r4")
    assert called(world) == ["r1", "r2"]
    assert line(world) == ["r3", "r4"]
    held = got(world, "r1")
    got(world, "r2")
    assert taken(world, "r3") is None
    reported(world, held)
    assert called(world) == ["r3"]
    assert line(world) == ["r4"]
    assert got(world, "r3").branch.place == held.branch.place
    ended(world, "r1", "r2", "r3", "r4")


def test_who_waits_takes_no_message_however_long(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    called(world)
    for _ in range(20):
        world.clock.pause_us(TIMING.grace_us)
        held = Steps(world.backend.runtime).heartbeat(held)
        world.sweep()
    assert called(world) == []
    assert holders(world) == ["r1"]
    reported(world, held)
    assert called(world) == ["r2"]


def test_the_line_is_in_order_of_priority_and_then_of_age(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    held = got(world, "r1")
    started(world, "r2", "r3")
    started(world, "r4", priority=5)
    assert line(world) == ["r4", "r2", "r3"]
    called(world)
    reported(world, held)
    assert called(world) == ["r4"]


def test_nobody_overtakes_those_who_wait(world: World) -> None:
    """A place that is free stands for the first in line, whoever comes first to ask."""
    world.register([limited("a")])
    started(world, "r1", "r2", "r3")
    held = got(world, "r1")
    dies(lambda: reported(world, held, by=dying(world, "UpdateItem")))
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us)
    called(world)
    assert taken(world, "r3") is None
    assert called(world) == ["r2"]
    assert got(world, "r2").branch.place is not None


@pytest.mark.parametrize("command", [DONE, FATAL, AGAIN, SkipStep("no need", 1)])
def test_whatever_ends_an_attempt_gives_its_place_back(world: World, command: Any) -> None:
    world.register([limited("a", retry=[RetryTier(max_attempts=2)])])
    started(world, "r1", "r2")
    held = got(world, "r1")
    called(world)
    reported(world, held, command)
    assert called(world)[-1:] == ["r2"] or command is AGAIN
    assert "r1" not in holders(world)


def test_a_place_comes_back_of_who_goes_on_with_the_next_step(world: World) -> None:
    world.register([limited("a"), step("b", "a")])
    started(world, "r1", "r2")
    after = reported(world, got(world, "r1"), going_on())
    assert (after.branch.step, after.branch.status) == ("b", "running")
    assert holders(world) == ["r2"]


def test_no_place_is_asked_for_to_skip_a_step(world: World) -> None:
    world.register([limited("a", delay_ms=1)])
    started(world, "r1")
    world.clock.pause_us(1_000)
    runtime = world.backend.runtime
    facts, branch = runtime.facts(runtime.run("r1")), runtime.ledger.branch("r1", "a")
    assert branch is not None
    AfterCommit(runtime)._wake(facts, [replace(branch, status="skipping")])
    assert holders(world) == []


def test_a_heartbeat_keeps_the_place(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    beating(world, held, times=4)
    assert holders(world) == ["r1"]
    assert taken(world, "r2") is None


def test_a_worker_that_falls_silent_frees_its_place(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    got(world, "r1")
    called(world)
    silent(world)
    world.sweep()
    assert set(called(world)) == {"r2"}
    assert line(world) == ["r1"]
    ended(world, "r1", "r2")


def test_a_place_that_is_given_lasts_for_a_grace_beyond_a_lease(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us // 2)
    assert holders(world) == ["r1"]
    world.clock.pause_us(TIMING.grace_us)
    assert holders(world) == []


def test_a_place_outlives_the_lease_that_was_claimed_with_it(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    world.clock.pause_us((held.branch.lease_us or 0) - clock.now_us())
    assert holders(world) == ["r1"]


def test_a_place_outlives_the_lease_that_a_heartbeat_gives(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    held = got(world, "r1")
    held = beating(world, held)
    world.clock.pause_us((held.branch.lease_us or 0) - clock.now_us())
    assert holders(world) == ["r1"]


def test_a_place_outlives_the_lease_of_who_was_slow_to_claim(world: World) -> None:
    """It comes late for its place, and stands still for a lease between its look and the word that it keeps it."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    world.clock.pause_us(TIMING.lease_us)
    held = got(world, "r1", by=pausing(world, "UpdateItem", lambda: world.clock.pause_us(TIMING.lease_us)))
    world.clock.pause_us((held.branch.lease_us or 0) - clock.now_us())
    assert holders(world) == ["r1"]


def test_who_dies_between_commit_and_giving_back_frees_the_place_when_its_time_is_over(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    called(world)
    dies(lambda: reported(world, held, by=dying(world, "UpdateItem")))
    assert holders(world) == ["r1"]
    ended(world, "r1", "r2")


def test_a_place_is_kept_for_as_long_as_it_is_held_and_a_week_more(world: World) -> None:
    table, holder, day_us = world.observer.runtime.ledger.table, Holder("r1", "a", "a", 1), 86_400_000_000
    places, now_us = Places(table), clock.now_us()
    assert places.take("stripe", 0, holder, now_us=now_us, until_us=now_us + day_us)
    assert places.prolong("stripe", 0, holder, until_us=now_us + 30 * day_us)
    world.clock.pause_us(29 * day_us)
    assert holders(world) == ["r1"]
    assert places.take("stripe", 1, holder, now_us=now_us, until_us=now_us + 30 * day_us)
    kept = [table.get(keys.place("stripe", number)) for number in (0, 1)]
    assert [item and item[keys.EXPIRY] for item in kept] == [(now_us + 37 * day_us) // 1_000_000] * 2


def test_a_place_that_was_given_and_never_claimed_is_given_anew(world: World) -> None:
    """The message is lost: the sweep finds the step past due, and calls it out again."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    reported(world, got(world, "r1"))
    called(world)
    assert holders(world) == ["r2"]
    silent(world)
    world.sweep()
    assert called(world) == ["r2"]
    ended(world, "r2")


def test_to_wait_for_a_place_is_not_to_wait_for_a_worker(world: World) -> None:
    """What a limit keeps waiting makes no sweep late; and with its place it is looked at as soon as any other."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    reported(world, beating(world, held, times=6))
    world.clock.pause_us(TIMING.grace_us)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12)
    assert swept.done["wake-ups repeated"] == 1
    assert swept.oldest_due_s <= 2 * TIMING.grace_us // 1_000_000


def test_who_is_given_a_place_is_looked_at_soon_though_it_was_not_to_be_for_long(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2", "r3")
    held = got(world, "r1")
    for _ in range(6):
        held = beating(world, held)
        world.sweep()
    world.clock.pause_us(10_000)
    world.sweep()
    due_us = [looked_at_us(world, run_id) for run_id in ("r2", "r3")]
    assert min(due_us) > clock.now_us() + TIMING.grace_us
    reported(world, held)
    assert looked_at_us(world, "r2") <= clock.now_us() + TIMING.grace_us < looked_at_us(world, "r3")


def test_who_is_given_a_place_is_looked_at_no_later_than_before(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    before_us = looked_at_us(world, "r2")
    world.clock.pause_us(TIMING.grace_us // 2)
    reported(world, held)
    assert looked_at_us(world, "r2") == before_us


def test_a_place_that_comes_back_is_for_no_attempt_that_is_over(world: World) -> None:
    world.register([limited("a"), limited("b", "a", skip_cascades=False)])
    started(world, "r1", "r2")
    held = got(world, "r1")
    steps, run = Steps(world.backend.runtime), world.observer.runtime.run("r2")
    steps.report_without_work(run, "a", 1, SkipStep("no need", 1))
    assert line(world) == ["r2", "r2"]
    reported(world, held, FATAL)
    [place] = standing(world).places.values()
    assert place.holder == Holder("r2", "a", "b", 1)
    assert line(world) == []


@pytest.mark.parametrize(("others", "requests"), [([], 3), (["r2"], 6)], ids=["nobody", "one"])
def test_a_place_that_comes_back_is_handed_out_at_one_look(world: World, others: list[str], requests: int) -> None:
    """The commit, the place, and the look; then the waiter, its place, and its end of waiting."""
    world.register([limited("a")])
    started(world, "r1", *others)
    held = got(world, "r1")
    late, sizes = counting(world)
    reported(world, held, by=late)
    assert len(sizes) == requests


def test_who_comes_too_early_for_a_limited_step_is_called_out_again(world: World) -> None:
    world.register([limited("a"), limited("b", delay_ms=60_000)])
    started(world, "r1")
    got(world, "r1")
    world.mailbox.wakes.clear()
    assert taken(world, "r1", "b") is None
    assert [wake.step for wake in world.mailbox.wakes] == ["b"]


def test_a_claim_asks_for_its_place_once(world: World) -> None:
    """For the limit's places and its line, for the step, and for its run."""
    world.register([limited("a")])
    started(world, "r1")
    late, sizes = counting(world)
    got(world, "r1", by=late)
    assert len(sizes) == 4


def test_a_step_of_a_run_that_was_stopped_is_passed_over(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2", "r3")
    held = got(world, "r1")
    world.backend.cancel_run("r2", None)
    called(world)
    reported(world, held)
    assert called(world) == ["r3"]
    assert line(world) == []


def test_a_cancelled_step_keeps_its_place_until_its_code_is_over(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    called(world)
    world.backend.cancel_run("r1", None)
    assert holders(world) == ["r1"]
    Steps(world.backend.runtime).let_place_go(held)
    assert called(world) == ["r2"]


def test_a_worker_whose_attempt_was_stopped_lets_its_place_go_when_its_code_is_over(world: World) -> None:
    flow = Workflow("flow")

    @flow.step(limit=Concurrency("stripe", 1))
    def a(ctx: StepContext) -> None:
        if ctx.run_id == "r1":
            world.backend.cancel_run("r1", None)
            assert holders(world) == ["r1"]

    world.backend.register_workflow(flow.registration())
    started(world, "r1", "r2")
    [wake] = world.mailbox.wakes
    world.mailbox.wakes.clear()
    Worker(world.backend.runtime, {"flow": flow}, worker_id="worker-1").work(wake, remaining_ms=lambda: 60_000)
    assert called(world) == ["r2"]


def test_a_worker_that_cannot_let_a_place_go_leaves_it_until_its_time_is_over(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    held = got(world, "r1")
    world.backend.cancel_run("r1", None)
    with faults(lambda *_: Kind.THROTTLE, world.store.client):
        Steps(world.backend.runtime).let_place_go(held)
    assert holders(world) == ["r1"]


def test_a_worker_that_has_no_place_lets_none_go(world: World) -> None:
    world.register([step("a")])
    started(world, "r1")
    held = got(world, "r1")
    late, sizes = counting(world)
    Steps(late.runtime).let_place_go(held)
    assert sizes == []


def test_a_retry_of_the_run_leaves_the_place_with_code_that_may_be_at_work(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    got(world, "r1")
    world.backend.cancel_run("r1", None)
    world.backend.retry_run("r1")
    assert holders(world) == ["r1"]
    assert line(world) == ["r2", "r1"] or line(world) == ["r1", "r2"]
    ended(world, "r1", "r2")


def test_a_message_that_comes_twice_takes_no_second_place(world: World) -> None:
    world.register([limited("a", limit=TWO)])
    started(world, "r1")
    held = got(world, "r1")
    assert taken(world, "r1") is None
    assert holders(world) == ["r1"]
    reported(world, held)
    assert taken(world, "r1", limit="2:stripe") is None
    assert holders(world) == []


def test_who_does_not_know_of_the_limit_is_told(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    got(world, "r1", limit="")
    assert taken(world, "r2", limit="") is None
    assert holders(world) == ["r1"]


def test_who_loses_the_claim_gives_its_place_back_if_the_attempt_is_over(world: World) -> None:
    """The other has gone on to the next step while this one looked for a place."""
    world.register([limited("a", limit=TWO), step("b", "a")])
    started(world, "r1")
    called(world)
    slow = pausing(world, "Query", lambda: reported(world, got(world, "r1")))
    assert taken(world, "r1", by=slow) is None
    assert holders(world) == []


def test_the_place_of_who_lost_the_claim_is_given_to_who_is_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([limited("a"), step("b", "a")])
    started(world, "r1")
    called(world)
    take = Places.take

    def taken_while_another_comes(*given: Any, **more: Any) -> bool:
        won = take(*given, **more)
        monkeypatch.setattr(Places, "take", take)
        started(world, "r2")
        return won

    def win() -> None:
        reported(world, got(world, "r1"))
        monkeypatch.setattr(Places, "take", taken_while_another_comes)

    assert taken(world, "r1", by=pausing(world, "Query", win)) is None
    assert (holders(world), called(world)) == (["r2"], ["r1", "r2"])


def test_who_loses_the_claim_leaves_the_place_that_the_winner_runs_in(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    won: list[HeldAttempt] = []
    slow = pausing(world, "UpdateItem", lambda: won.append(got(world, "r1")), at=1)
    assert taken(world, "r1", by=slow) is None
    assert holders(world) == ["r1"]
    assert taken(world, "r2") is None
    reported(world, won[0])
    ended(world, "r1", "r2")


def test_who_was_given_two_places_keeps_one(world: World) -> None:
    """Two who hand out at the same time may both find the first in line without one."""
    world.register([limited("a", limit=TWO)])
    started(world, "r1")
    places, holder = Places(world.observer.runtime.ledger.table), Holder("r1", "a", "a", 1)

    def given_another() -> None:
        now_us = clock.now_us()
        assert places.take("stripe", 1, holder, now_us=now_us, until_us=now_us + TIMING.lease_us)

    given_another()
    held = got(world, "r1")
    assert (held.branch.place, holders(world)) == (0, ["r1"])
    given_another()
    reported(world, held)
    assert holders(world) == []


def test_a_place_that_comes_back_while_one_lines_up_is_found(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    held = got(world, "r1")
    world.submit(run_id="r2")
    [waiter] = standing(world).line
    Places(world.observer.runtime.ledger.table).leave("stripe", waiter)
    slow = pausing(world, "PutItem", lambda: reported(world, held))
    there = world.observer.runtime.ledger.branch("r2", "a")
    assert there is not None
    assert Limits(slow.runtime).admit("r2", there)
    assert (holders(world), line(world)) == (["r2"], [])


def test_a_worker_goes_on_with_a_limited_step_if_it_gets_a_place(world: World) -> None:
    world.register([step("a"), limited("b", "a")])
    started(world, "r1", "r2")
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    first = reported(world, got(world, "r1"), Complete('"x"', 1, claimant=claimant))
    assert (first.branch.step, first.branch.status, first.branch.place) == ("b", "running", 0)
    called(world)
    second = reported(world, got(world, "r2"), Complete('"x"', 1, claimant=claimant))
    assert (second.branch.step, second.branch.status, second.branch.place) == ("b", "scheduled", None)
    assert called(world) == []
    assert line(world) == ["r2"]
    reported(world, first)
    assert called(world) == ["r2"]
    ended(world, "r1", "r2")


def test_a_place_that_was_got_ahead_comes_back_where_nothing_is_begun(world: World) -> None:
    """The attempt was another's meanwhile, or the run is stopped."""
    world.register([step("a"), limited("b", "a")])
    started(world, "r1")
    held = got(world, "r1")
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    world.backend.cancel_run("r1", None)
    with pytest.raises(Exception, match="no longer held"):
        reported(world, held, Complete('"x"', 1, claimant=claimant))
    assert holders(world) == []


def test_a_place_that_was_got_ahead_comes_back_where_the_step_after_is_not_begun_since_the_run_fails(
    world: World,
) -> None:
    world.register([step("x"), step("a"), limited("b", "a")])
    started(world, "r1")
    held = got(world, "r1")
    reported(world, got(world, "r1", "x"), FATAL)
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    assert not reported(world, held, Complete('"x"', 1, claimant=claimant)).running
    assert holders(world) == []


def test_a_place_that_was_got_ahead_and_comes_back_is_the_next_ones(world: World) -> None:
    world.register([step("a"), limited("b", "a")])
    started(world, "r1", "r2")
    held, other = got(world, "r1"), got(world, "r2")
    world.backend.cancel_run("r1", None)
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    late = pausing(world, "UpdateItem", lambda: reported(world, other, Complete('"x"', 1)), at=2)  # the place is got
    with pytest.raises(StaleAttemptError):
        reported(world, held, Complete('"x"', 1, claimant=claimant), by=late)
    assert holders(world) == ["r2"]


def test_a_place_is_over_whose_attempt_runs_in_another(world: World) -> None:
    world.register([limited("a", limit=TWO)])
    started(world, "r1")
    got(world, "r1")
    limits, holder = Limits(world.backend.runtime), Holder("r1", "a", "a", 1)
    assert [limits._is_over(holder, number) for number in range(2)] == [False, True]


def test_two_versions_may_disagree_on_the_number(world: World) -> None:
    """Each goes by its own: the smaller waits until fewer than so many are at work at all."""
    world.register([limited("a", limit=TWO)])
    started(world, "r1", "r2")
    one = got(world, "r1")
    got(world, "r2")
    world.register([limited("a")])
    started(world, "r3")
    called(world)
    reported(world, one)
    assert called(world) == []
    assert line(world) == ["r3"]
    ended(world, "r1", "r2", "r3")


def test_a_limit_by_key_is_one_for_each_value(world: World) -> None:
    by_customer = StepLimit(name="erp", at_most=1, key="customer.id")
    world.register([limited("a", limit=by_customer)])
    started(world, "r1", "r2", input={"customer": {"id": "C-1"}})
    started(world, "r3", input={"customer": {"id": "C-2"}})
    started(world, "r4", input=7)
    assert called(world) == ["r1", "r3", "r4"]
    assert line(world, "erp#C-1") == ["r2"]
    ended(world, "r1", "r2", "r3", "r4")


def test_a_rerun_counts_by_the_key_that_its_own_input_gives(world: World) -> None:
    by_customer = StepLimit(name="erp", at_most=1, key="customer.id")
    world.register([limited("a", limit=by_customer)])
    started(world, "r1", input={"customer": {"id": "C-1"}})
    again = world.backend.rerun_from(parent_run_id="r1", from_step_id="a", input={"customer": {"id": "C-2"}}).run_id
    assert called(world) == ["r1", again]
    assert holders(world, "erp#C-2") == [again]


def test_a_claim_of_whatever_is_due_passes_over_what_has_no_place(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    protocol = WorkerProtocol(world.backend.runtime)
    held = protocol.claim_next("machine", slot=Slot())
    assert held is not None
    assert held.run.run_id == "r1"
    assert protocol.claim_next("machine", slot=Slot()) is None
    reported(world, held)
    after = protocol.claim_next("machine", slot=Slot())
    assert after is not None
    assert after.run.run_id == "r2"


def test_a_failed_attempt_waits_for_its_time_and_then_in_line(world: World) -> None:
    world.register([limited("a", retry=[RetryTier(max_attempts=2)])])
    started(world, "r1", "r2")
    reported(world, got(world, "r1"), AGAIN)
    assert line(world) == []
    ended(world, "r1", "r2")
    assert check_run(world.observer, "r1").count(StepStarted) == 2


def test_a_place_that_was_given_long_ago_is_prolonged_by_who_comes_for_it(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    world.clock.pause_us(TIMING.lease_us)
    got(world, "r1")
    world.clock.pause_us(TIMING.lease_us - 1_000_000)
    assert holders(world) == ["r1"]


def test_of_two_who_want_the_last_place_one_gets_it(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2", available_at=BEGIN_US + 1_000_000)
    world.clock.pause_us(2_000_000)
    for run_id in ("r1", "r2"):
        Sweep(world.backend.runtime, name="reaper").attend(run_id, "")
    for waiter in standing(world).line:
        Places(world.observer.runtime.ledger.table).leave("stripe", waiter)
    Places(world.observer.runtime.ledger.table).give_back("stripe", 0, Holder("r1", "a", "a", 1))
    slow = pausing(world, "UpdateItem", lambda: got(world, "r2"))
    assert taken(world, "r1", by=slow) is None
    assert holders(world) == ["r2"]
    ended(world, "r1", "r2")


def test_who_comes_late_gives_nobody_elses_place_back(world: World) -> None:
    """A worker that was silent for long: another run's step has its place by now, or the next attempt of its own."""
    world.register([limited("a", retry=[RetryTier(max_attempts=9)])])
    started(world, "r1", "r2")
    lost = got(world, "r1")
    silent(world)
    world.sweep()
    second = got(world, "r2")
    Steps(world.backend.runtime).let_place_go(lost)
    assert holders(world) == ["r2"]
    reported(world, second)
    got(world, "r1", attempt=2)
    Steps(world.backend.runtime).let_place_go(lost)
    assert holders(world) == ["r1"]


def test_a_step_that_comes_late_leaves_the_place_of_the_next_one(world: World) -> None:
    world.register([limited("a"), limited("b", "a")])
    started(world, "r1")
    first = got(world, "r1")
    reported(world, first)
    got(world, "r1", "b", branch="a")
    Steps(world.backend.runtime).let_place_go(first)
    assert holders(world) == ["r1"]


def test_a_heartbeat_that_comes_late_takes_no_place_back(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    held = got(world, "r1")
    reported(world, held)
    with pytest.raises(StaleAttemptError):
        Steps(world.backend.runtime).heartbeat(held)
    assert holders(world) == []


def test_who_only_looks_is_not_in_line(world: World) -> None:
    """A worker that asks for whatever is due comes again; the step has lined up when it was scheduled."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    got(world, "r1")
    [waiter] = standing(world).line
    Places(world.observer.runtime.ledger.table).leave("stripe", waiter)
    assert WorkerProtocol(world.backend.runtime).claim_next("machine", slot=Slot()) is None
    assert line(world) == []


def test_a_step_that_is_not_ready_gives_its_place_back(world: World) -> None:
    """And waits for a place again when it comes again."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    called(world)
    reported(world, held, Postpone("not yet", 1, delay_us=60_000_000))
    assert "r2" in called(world)
    assert holders(world) == ["r2"]
    ended(world, "r1", "r2")


def test_a_limited_step_that_starts_later_takes_no_place_before(world: World) -> None:
    world.register([step("a"), limited("b", "a", delay_ms=60_000)])
    started(world, "r1")
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    reported(world, got(world, "r1"), Complete('"x"', 1, claimant=claimant))
    assert standing(world).places == {}
    ended(world, "r1")


def test_a_limited_step_whose_message_carries_the_rest_of_its_wait_takes_no_place_before(world: World) -> None:
    world.register([limited("a", delay_ms=3_600_000)])
    started(world, "r1")
    called(world)
    world.clock.pause_us(3_600_000_000 - LONGEST_DELAY_US)
    world.sweep()
    assert (called(world), holders(world)) == (["r1"], [])


def test_whoever_comes_before_its_time_is_not_in_line(world: World) -> None:
    world.register([limited("a", retry=[RetryTier(max_attempts=2, delay_ms=60_000, jitter=0)])])
    started(world, "r1")
    reported(world, got(world, "r1"), AGAIN)
    started(world, "r2")
    got(world, "r2")
    assert taken(world, "r1", attempt=2) is None
    assert line(world) == []


def test_who_is_next_in_line_is_looked_at_no_sooner_than_after_a_grace(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    world.clock.pause_us(standing(world).places[0].until_us - clock.now_us() - 1_000_000)
    waiting = world.observer.runtime.ledger.branch("r2", "a")
    assert waiting is not None
    look_us = Limits(world.backend.runtime).next_look_us("r2", waiting, usual_us=2**60)
    assert look_us == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)
    assert Limits(world.backend.runtime).next_look_us("r2", waiting, usual_us=7) == 7, "and no later than as usual"


def test_who_is_not_next_in_line_is_looked_at_as_usual(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2", "r3")
    waiting = world.observer.runtime.ledger.branch("r3", "a")
    assert waiting is not None
    assert Limits(world.backend.runtime).next_look_us("r3", waiting, usual_us=2**60) == 2**60


def test_as_many_are_given_places_as_are_free_though_fewer_of_the_line_are_read_at_once(world: World) -> None:
    world.register([limited("a", limit=StepLimit(name="stripe", at_most=FIRST + 1))])
    names = [f"r{number:02d}" for number in range(2 * FIRST + 2)]
    started(world, *names)
    silent(world)
    Limits(world.backend.runtime).hand_out(Limit("stripe", FIRST + 1))
    assert holders(world) == names[FIRST + 1 :]


def test_whoever_comes_for_its_free_place_waits_in_line_no_more(world: World) -> None:
    """The place's last holder fell silent, so nobody has handed it out."""
    world.register([limited("a")])
    started(world, "r1", "r2", "r3")
    dies(lambda: reported(world, got(world, "r1"), by=dying(world, "UpdateItem")))
    silent(world)
    assert line(world) == ["r2", "r3"]
    got(world, "r2")
    assert line(world) == ["r3"]


def test_whoever_has_a_place_is_taken_out_of_the_line_when_others_are_given_theirs(world: World) -> None:
    """Who gave it died between the place and the line."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    dies(lambda: reported(world, got(world, "r1"), by=dying(world, "DeleteItem")))
    assert (holders(world), line(world)) == (["r2"], ["r2"])
    Limits(world.backend.runtime).hand_out(Limit("stripe", 1))
    assert (holders(world), line(world)) == (["r2"], [])


def test_a_branch_that_was_tried_again_gets_the_first_attempt_of_its_next_step_a_place(world: World) -> None:
    world.register(
        [step("x", retry=[RetryTier(max_attempts=2, delay_ms=1_000, jitter=0)]), limited("a", "x", branch="x")]
    )
    started(world, "r1")
    reported(world, got(world, "r1", "x"), AGAIN)
    world.clock.pause_us(1_000_000)
    held = got(world, "r1", "x", 2)
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    after = reported(world, held, Complete("1", 1, claimant=claimant))
    assert (after.branch.step, after.branch.status, after.branch.place) == ("a", "running", 0)
    assert [place.holder for place in standing(world).places.values()] == [Holder("r1", "x", "a", 1)]


def test_a_line_is_read_as_far_as_was_asked(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2", "r3", "r4")
    places = Places(world.observer.runtime.ledger.table)
    assert [each.holder.run_id for each in places.standing("stripe", at_most=1, first=2).line] == ["r2", "r3"]


def test_a_limit_is_shown_with_who_has_its_places_now_and_who_waits(world: World) -> None:
    world.register([limited("a", limit=TWO)])
    started(world, "r1", "r2", "r3")
    shown = LimitViews(world.observer.runtime).one("stripe", None)
    assert [place.holder and place.holder.run_id for place in shown.places.values()] == ["r1", "r2"]
    assert [waiter.holder.run_id for waiter in shown.line] == ["r3"]
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us)
    assert LimitViews(world.observer.runtime).one("stripe", None).places == {}
