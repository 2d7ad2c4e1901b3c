"""Limits by rate: each attempt has a turn of its own, evenly spaced, and nobody polls for it (architecture.md)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import RetryTier, StepDefinition, StepLimit, StepStarted, clock
from cascade_flow.dynamodb import keys, turns
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.places import Places
from cascade_flow.dynamodb.turns import next_turn
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.limits import Turn, pack_limit
from cascade_flow.engine.state import LONGEST_DELAY_US, Branch, Claimant, Limit, Stop
from cascade_flow.operations.after_commit import wake_for
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.turns import Turns
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.wake import SqsQueue, Wake
from clauses.stage import AGAIN, DONE, reported, silent
from clauses.test_wakes import Refusing
from faults.moments import pausing
from simulation import BEGIN_US, TIMING, TickingClock, World, step

SPACING_US = 2_000_000
OPENAI = StepLimit(name="openai", at_most=3, per_ms=6_000)
SLOW = StepLimit(name="slow", at_most=1, per_ms=1_800_000)


def limited(id: str, *dependencies: str, limit: StepLimit = OPENAI, **options: Any) -> StepDefinition:
    return step(id, *dependencies, limit=limit, **options)


def branch_of(world: World, run_id: str, name: str = "a") -> Branch:
    branch = world.observer.runtime.ledger.branch(run_id, name)
    assert branch is not None
    return branch


def claim(world: World, run_id: str, id: str = "a", attempt: int = 1, *, by: Any = None) -> HeldAttempt | None:
    return Steps((by or world.backend).runtime).claim(Wake(run_id, id, id, attempt), "worker-1")


def sent(world: World, run_id: str) -> Wake:
    """The message of a run's first step, with the step's limit in it."""
    world.submit(run_id=run_id)
    wake = world.mailbox.wakes.pop()
    assert wake.limit
    return wake


def claimed(world: World, wake: Wake, *, by: Any = None) -> bool:
    return Steps((by or world.backend).runtime).claim(wake, "worker-1") is not None


def starts(world: World, *run_ids: str) -> list[int]:
    """When the attempts of these runs have begun."""
    checked = [world.check(run_id) for run_id in run_ids]
    return sorted(event.timestamp_us for each in checked for event in each.events if isinstance(event, StepStarted))


def must_be_spaced(times: list[int]) -> None:
    """Turns are counted from the first that lay behind, and a start is no sooner than its turn."""
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= SPACING_US - 10_000, gaps


@pytest.mark.parametrize(
    "wanted", [Branch("a", "scheduled", "a", attempt=2), Branch("a", "scheduled", "b", attempt=1)], ids=["2", "b"]
)
def test_no_turn_is_taken_for_what_is_not_scheduled(world: World, wanted: Branch) -> None:
    world.register([limited("a")])
    world.submit(run_id="r")
    by = Turns(world.backend.runtime)
    assert by.claim("r", wanted, lambda: pytest.fail("it is claimed")) is None
    table = world.observer.runtime.ledger.table
    assert table.get(keys.turns("openai")) is None


def test_a_turn_that_is_at_hand_is_waited_for_and_no_longer(world: World) -> None:
    world.register([limited("a", limit=StepLimit(name="fast", at_most=10, per_ms=5_000))])
    for name in ("first", "second"):
        world.submit(run_id=name)
    assert claim(world, "first") is not None
    began_us = clock.now_us()
    assert claim(world, "second") is not None
    assert clock.now_us() - began_us == pytest.approx(500_000, abs=20_000)


def test_who_is_not_as_quick_as_another_gets_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.register([limited("a")])
    world.submit(run_id="first")
    world.submit(run_id="second")
    assert claim(world, "first") is not None
    monkeypatch.setattr("cascade_flow.operations.turns.note", Mock(side_effect=BranchRefused(None)))
    wanted = branch_of(world, "second")
    assert Turns(world.backend.runtime).claim("second", wanted, lambda: pytest.fail("it is claimed")) is None


def test_starts_are_evenly_spaced_and_nobody_looks_meanwhile(world: World) -> None:
    world.register([limited("a")])
    names = [f"r{number}" for number in range(6)]
    for name in names:
        world.submit(run_id=name)
    world.settle(*names)
    must_be_spaced(starts(world, *names))
    assert world.swept["wake-ups repeated"] == 0


@pytest.mark.parametrize(("at_most", "per_us", "spacing_us"), [(3, 6, 2), (3, 7, 3), (60, 60_000_000, 1_000_000)])
def test_no_time_of_that_length_holds_more_starts(at_most: int, per_us: int, spacing_us: int) -> None:
    limit = Limit("openai", at_most, per_us)
    first = Turn.after(limit, free_us=0, now_us=100)
    assert first == Turn(100, 100 + spacing_us)
    assert Turn.after(limit, first.next_us, 100) == Turn(100 + spacing_us, 100 + 2 * spacing_us)
    assert spacing_us * at_most >= per_us


def test_who_must_wait_has_a_turn_and_a_message_for_it(world: World) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    assert claim(world, "r1") is not None
    world.mailbox.wakes.clear()
    assert claim(world, "r2") is None
    turn_us = branch_of(world, "r2").turn_us or 0
    [wake] = world.mailbox.wakes
    assert 0 <= turn_us - wake.available_at_us < 1_000_000
    assert branch_of(world, "r2").available_at_us != turn_us
    world.mailbox.wakes.clear()
    assert claim(world, "r2") is None
    assert branch_of(world, "r2").turn_us == turn_us
    world.clock.pause_us(SPACING_US)
    assert claim(world, "r2") is not None


def test_who_comes_before_the_step_is_due_takes_nobodys_turn(world: World) -> None:
    world.register([limited("a", delay_ms=60_000)])
    world.submit(run_id="r1")
    assert claim(world, "r1") is None
    assert branch_of(world, "r1").turn_us is None
    limit = branch_of(world, "r1").limit
    assert limit is not None
    turn = next_turn(world.observer.runtime.ledger.table, limit, at_once=True)
    assert turn is not None


def test_a_turn_that_has_come_is_not_noted(world: World) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    held = claim(world, "r1")
    assert held is not None
    assert held.branch.turn_us is None


def test_a_message_that_comes_twice_leaves_the_turn_that_is_noted(world: World) -> None:
    """Both have taken one, and the second is lost: the branch keeps what was noted first."""
    world.register([limited("a")])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    assert claim(world, "r1") is not None
    noted: list[int] = []

    def another() -> None:
        assert claim(world, "r2") is None
        noted.append(branch_of(world, "r2").turn_us or 0)

    assert claim(world, "r2", by=pausing(world, "UpdateItem", another, at=2)) is None
    assert [branch_of(world, "r2").turn_us] == noted
    world.settle("r2")


def test_a_turn_far_ahead_is_the_due_indexes(world: World) -> None:
    world.register([limited("a", limit=SLOW)])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    first = claim(world, "r1")
    assert first is not None
    reported(world, first)
    world.mailbox.wakes.clear()
    assert claim(world, "r2") is None
    assert world.mailbox.wakes == []
    branch = branch_of(world, "r2")
    assert branch.ready_us - clock.now_us() > LONGEST_DELAY_US
    assert branch.due_us == branch.ready_us + TIMING.grace_us
    silent(world)
    world.sweep()
    assert world.mailbox.wakes == []
    world.settle("r2")
    assert starts(world, "r2")[0] >= branch.ready_us


def test_a_lost_message_is_sent_again_when_the_turn_has_come(world: World) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    assert claim(world, "r1") is not None
    assert claim(world, "r2") is None
    world.mailbox.wakes.clear()
    world.clock.pause_us(SPACING_US + TIMING.grace_us)
    world.sweep()
    assert [wake.run_id for wake in world.mailbox.wakes] == ["r2"]
    assert claim(world, "r2") is not None


def test_all_whose_messages_are_lost_are_called_out_and_no_place_is_asked_for(world: World) -> None:
    world.register([limited("a", limit=SLOW)])
    for name in ("r1", "r2"):
        world.submit(run_id=name)
    silent(world)
    world.mailbox.wakes.clear()
    world.sweep()
    assert [wake.run_id for wake in world.mailbox.wakes] == ["r1", "r2"]
    standing = Places(world.observer.runtime.ledger.table).standing("slow", at_most=1)
    assert not standing.line
    assert [place for place in standing.places.values() if place.holder] == []


def test_who_looks_before_the_turn_calls_nobody_out(world: World) -> None:
    world.register([limited("a")])
    for name in ("r1", "r2"):
        world.submit(run_id=name)
        claim(world, name)
    world.mailbox.wakes.clear()
    Sweep(world.backend.runtime, name="early").attend("r2", "a")
    assert world.mailbox.wakes == []


def test_a_turn_is_noted_only_where_it_is_needed_still(world: World) -> None:
    """Of this step, of this attempt, scheduled, going on, and without one."""
    world.register([limited("a", retry=[RetryTier(max_attempts=9)]), limited("b", "a")])
    world.submit(run_id="r1")
    table, seen = world.backend.runtime.ledger.table, branch_of(world, "r1")

    def refused() -> None:
        with pytest.raises(BranchRefused):
            turns.note(table, "r1", seen, clock.now_us(), look_us=clock.now_us())

    held = claim(world, "r1")
    assert held is not None
    refused()
    reported(world, held, AGAIN)
    refused()
    seen = branch_of(world, "r1")
    turns.note(table, "r1", seen, clock.now_us(), look_us=clock.now_us())
    refused()
    world.backend.cancel_run("r1", None)
    world.submit(run_id="r2")
    stopped = branch_of(world, "r2")
    world.backend.cancel_run("r2", None)
    with pytest.raises(BranchRefused):
        turns.note(table, "r2", stopped, clock.now_us(), look_us=clock.now_us())


def test_a_turn_of_a_step_that_is_over_is_not_noted_on_the_next(world: World) -> None:
    world.register([limited("a"), limited("b", "a")])
    world.submit(run_id="r1")
    seen = branch_of(world, "r1")
    held = claim(world, "r1")
    assert held is not None
    reported(world, held)
    with pytest.raises(BranchRefused):
        turns.note(world.backend.runtime.ledger.table, "r1", seen, clock.now_us(), look_us=clock.now_us())


def test_of_two_who_want_the_same_turn_each_gets_one(world: World) -> None:
    world.register([limited("a")])
    limit, turns = Limit("openai", 3, 6_000_000), list[Turn | None]()

    def take(by: Any) -> None:
        turns.append(next_turn(by.runtime.ledger.table, limit))

    take(pausing(world, "UpdateItem", lambda: take(world.backend)))
    take(pausing(world, "UpdateItem", lambda: take(world.backend)))
    starts_us = sorted(turn.start_us for turn in turns if turn is not None)
    assert [after - before for before, after in pairwise(starts_us)] == [SPACING_US] * 3


def test_a_turn_that_has_been_free_for_long_is_told_as_it_is(world: World) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    assert claim(world, "r1") is not None
    table = world.backend.runtime.ledger.table
    free_us = turns.next_free_us(table, "openai")
    world.clock.pause_us(9 * SPACING_US)
    assert turns.next_free_us(table, "openai") == free_us
    assert turns.next_free_us(table, "nobody's") is None


def test_what_is_stopped_takes_no_turn(world: World) -> None:
    world.register([limited("a")])
    begun_us = clock.now_us()
    first, stopped, last = (sent(world, name) for name in ("r1", "r2", "r3"))
    assert claimed(world, first)
    world.observer.runtime.ledger.halt("r2", branch_of(world, "r2"), "stop", Stop("cancelled", 1))
    assert not claimed(world, stopped)
    assert not claimed(world, last)
    assert (branch_of(world, "r3").turn_us or 0) - begun_us < 1.5 * SPACING_US


def test_who_is_overtaken_at_a_claim_calls_nobody_out(world: World) -> None:
    world.register([limited("a")])
    wake = sent(world, "r1")

    def overtakes() -> None:
        world.clock.pause_us(2 * SPACING_US)
        assert claimed(world, wake)

    late = pausing(world, "UpdateItem", overtakes, at=2)
    assert not claimed(world, wake, by=late)
    assert world.mailbox.wakes == []


def test_a_worker_goes_on_with_the_next_step_if_its_turn_is_now(world: World) -> None:
    world.register([step("a"), limited("b", "a")])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    first, second = claim(world, "r1"), claim(world, "r2")
    assert first is not None
    assert second is not None
    going_on = Complete(DONE.output, 1, claimant=claimant)
    assert reported(world, first, going_on).running
    assert not reported(world, second, going_on).running
    world.settle("r1", "r2")
    assert world.check("r2").count(StepStarted) == 2


def test_a_claim_of_whatever_is_due_takes_only_whose_turn_it_is(world: World) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    world.submit(run_id="r2")
    protocol = WorkerProtocol(world.backend.runtime)
    assert protocol.claim_next("machine", slot=Slot()) is not None
    assert protocol.claim_next("machine", slot=Slot()) is None
    world.clock.pause_us(SPACING_US)
    assert protocol.claim_next("machine", slot=Slot()) is not None


@pytest.mark.parametrize("before", [(), ("r0",)], ids=["begun at once", "had to wait"])
def test_a_retry_takes_a_turn_of_its_own(world: World, before: tuple[str, ...]) -> None:
    world.script = {"a": [*("ok" for _ in before), "fail", "ok"]}
    world.register([limited("a", retry=[RetryTier(max_attempts=2, delay_ms=10, jitter=0)])])
    for name in (*before, "r1"):
        world.submit(run_id=name)
    world.settle(*before, "r1")
    must_be_spaced(starts(world, *before, "r1"))


def test_who_finds_the_turns_of_a_limit_forgotten_takes_the_first(world: World) -> None:
    """Nobody had touched them for long, and the table has let them go since they were read."""
    table, limit = world.backend.runtime.ledger.table, Limit("openai", 3, 6_000_000)
    assert turns.next_free_us(table, "openai") is None
    first = next_turn(table, limit)
    assert first is not None
    assert turns.next_free_us(table, "openai") == first.next_us
    world.clock.pause_us(SPACING_US)
    late = pausing(world, "UpdateItem", lambda: table.delete(keys.turns("openai")))
    taken = next_turn(late.runtime.ledger.table, limit)
    assert taken is not None
    assert turns.next_free_us(table, "openai") == taken.next_us


def test_whoever_can_not_wait_takes_no_turn_of_the_next_moment(world: World) -> None:
    table, limit = world.backend.runtime.ledger.table, Limit("openai", 2, 1_000_000)
    assert next_turn(table, limit, at_once=True) is not None
    assert next_turn(table, limit, at_once=True) is None
    world.clock.pause_us(500_000)
    assert next_turn(table, limit, at_once=True) is not None


def test_a_turn_is_kept_until_long_after_it_has_come(world: World) -> None:
    table, limit, day_us = world.backend.runtime.ledger.table, Limit("seldom", 1, 10 * 86_400_000_000), 86_400_000_000
    turns_of = [next_turn(table, limit) for _ in range(2)]
    last_us = max(turn.next_us for turn in turns_of if turn is not None)
    item = table.get(keys.turns("seldom"))
    assert item is not None
    assert int(item[keys.EXPIRY]) * 1_000_000 >= last_us + 6 * day_us


def test_a_message_that_comes_before_its_step_is_due_takes_no_turn(world: World) -> None:
    world.register([limited("a", retry=[RetryTier(max_attempts=2, delay_ms=60_000, jitter=0)])])
    world.submit(run_id="r1")
    held = claim(world, "r1")
    assert held is not None
    reported(world, held, AGAIN)
    table, seen = world.backend.runtime.ledger.table, branch_of(world, "r1")
    free_us = turns.next_free_us(table, "openai")
    assert claim(world, "r1", attempt=2) is None
    assert (turns.next_free_us(table, "openai"), branch_of(world, "r1")) == (free_us, seen)


def test_what_is_due_this_very_moment_and_whose_turn_it_is_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    monkeypatch.setattr("cascade_flow.operations.turns.note", lambda *_, **__: pytest.fail("it is noted"))
    with clock.use(TickingClock(branch_of(world, "r1").ready_us, tick_us=0)):
        assert claim(world, "r1") is not None


@pytest.mark.parametrize("attempt", [1, 2], ids=["it is held already", "it is not scheduled yet"])
def test_a_message_that_is_no_longer_good_takes_no_turn(world: World, attempt: int) -> None:
    world.register([limited("a")])
    world.submit(run_id="r1")
    assert claim(world, "r1") is not None
    table = world.backend.runtime.ledger.table
    free_us = turns.next_free_us(table, "openai")
    wake = Wake("r1", "a", "a", attempt, limit=pack_limit(Limit("openai", 3, 6_000_000)))
    assert Steps(world.backend.runtime).claim(wake, "worker-2") is None
    assert turns.next_free_us(table, "openai") == free_us


@pytest.mark.parametrize(
    ("ahead_us", "delay_s"), [(1, 0), (999_999, 0), (1_000_000, 1), (1_999_999, 1), (2_000_000, 2), (60_500_000, 60)]
)
def test_a_message_for_a_turn_is_there_in_the_second_before_it_and_never_after_it(ahead_us: int, delay_s: int) -> None:
    """The queue counts in whole seconds; who comes waits the rest."""
    sqs = Refusing({})
    with clock.use(TickingClock(BEGIN_US, tick_us=0)):
        branch = Branch("a", "scheduled", "a", available_at_us=BEGIN_US - 1, turn_us=BEGIN_US + ahead_us)
        SqsQueue("https://queue", client=sqs).send([wake_for("r1", branch)])
    [entry] = sqs.asked[0]["Entries"]
    assert entry["DelaySeconds"] == delay_s
