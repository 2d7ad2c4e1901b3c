"""Places of limits to the request and the microsecond: who has one, who is given one, who gives one back."""

from __future__ import annotations

import pytest

from cascade_flow import RetryTier, StepLimit, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.places import Places
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.limits import Holder, Waiter
from cascade_flow.engine.state import Branch, Claimant, Limit
from cascade_flow.operations.limits import Ahead, Limits
from cascade_flow.operations.steps import Steps
from clauses.stage import AGAIN, counting, reported
from clauses.test_limits import (
    called,
    got,
    holders,
    limited,
    line,
    looked_at_us,
    standing,
    started,
    taken,
)
from clauses.test_microseconds import at
from faults.moments import pausing
from simulation import TIMING, TickingClock, World, step
from testbed.wire import Answer, Floor, Request, Send, wire_of

LIMIT = Limit("stripe", 2)
ME, OTHER = Holder("r1", "a", "a", 1), Holder("r2", "a", "a", 1)
FAR_US = 2**60


def held_by(world: World, number: int, holder: Holder) -> None:
    table = world.observer.runtime.ledger.table
    assert Places(table).take("stripe", number, holder, now_us=clock.now_us(), until_us=FAR_US)


def waiting(world: World, *waiting: Holder) -> None:
    for rank, holder in enumerate(waiting):
        Places(world.observer.runtime.ledger.table).line_up("stripe", Waiter(rank, holder, LIMIT.at_most))


NEXT = Branch("a", "running", "a", place=0)


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        (NEXT, True),
        (Branch("a", "scheduled", "a"), False),
        (Branch("a", "running", "b", place=0), False),
        (Branch("a", "running", "a", attempt=2, place=0), False),
        (Branch("b", "running", "a", place=0), False),
        (None, False),
    ],
    ids=["begun", "only scheduled", "another step", "another attempt", "another branch", "refused"],
)
def test_a_place_that_was_got_ahead_is_kept_by_whoever_has_begun_with_it(
    world: World, after: Branch | None, kept: bool
) -> None:
    held_by(world, 0, ME)
    Limits(world.backend.runtime).went_on(Ahead(LIMIT, ME, 0), after)
    assert (holders(world) == ["r1"]) is kept


@pytest.mark.parametrize("ahead", [Ahead(LIMIT, ME, None), Ahead(Limit("stripe", 2, per_us=1), ME, 0)])
def test_who_got_no_place_ahead_gives_none_back(world: World, ahead: Ahead) -> None:
    late, sizes = counting(world)
    Limits(late.runtime).went_on(ahead, None)
    assert sizes == []


def test_whatever_somebody_gone_had_goes_to_the_line_at_once(world: World) -> None:
    world.register([limited("a")])
    gone = Holder("gone", "a", "a", 1)
    for number in range(LIMIT.at_most):
        held_by(world, number, gone)
    started(world, "r1", "r2")
    waiting(world, ME, OTHER)
    Limits(world.backend.runtime).hand_out(LIMIT, gone=gone)
    assert holders(world) == ["r1", "r2"]


def test_a_place_of_a_run_that_is_there_no_more_is_over(world: World) -> None:
    assert Limits(world.backend.runtime)._is_over(Holder("gone", "a", "a", 1), 0)


def test_who_is_given_a_place_by_another_meanwhile_finds_it(world: World) -> None:
    held_by(world, 1, ME)
    limits = Limits(world.backend.runtime)
    assert (limits.hand_out(LIMIT, ME), limits.hand_out(LIMIT, OTHER), limits.hand_out(LIMIT)) == (1, None, None)


def test_a_place_that_another_takes_first_is_not_ones_own(world: World) -> None:
    waiting(world, ME)
    held_by(world, 0, OTHER)
    late = pausing(world, "UpdateItem", lambda: held_by(world, 1, Holder("r3", "a", "a", 1)))
    assert Limits(late.runtime).hand_out(LIMIT, ME) is None
    assert (sorted(holders(world)), line(world)) == (["r2", "r3"], ["r1"])


def test_who_has_its_place_stands_in_no_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Places, "line_up", lambda *_: pytest.fail("it waits"))
    world.register([limited("a")])
    started(world, "r1")
    assert called(world) == ["r1"]


def test_of_two_places_the_later_counts_for_how_long_one_has_had_it(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    world.clock.pause_us(1_000_000)
    held_by(world, 1, ME)
    since_us = [place.since_us for place in standing(world).places.values()]
    branch = world.observer.runtime.ledger.branch("r1", "a")
    assert branch is not None
    assert Limits(world.backend.runtime).placed_us("r1", branch) == max(since_us) > min(since_us)


@pytest.mark.parametrize(("early_us", "waits"), [(1, []), (0, ["r1"])])
def test_who_comes_on_its_microsecond_waits_in_line(world: World, early_us: int, waits: list[str]) -> None:
    world.register([limited("a", retry=[RetryTier(max_attempts=2, delay_ms=5_000, jitter=0)])])
    started(world, "r1")
    reported(world, got(world, "r1"), AGAIN)
    started(world, "r2")
    got(world, "r2")
    branch = world.observer.runtime.ledger.branch("r1", "a")
    assert branch is not None
    with at(branch.ready_us - early_us):
        assert taken(world, "r1", attempt=2) is None
    assert line(world) == waits


def test_who_is_due_this_very_moment_is_not_called_out_without_a_place(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    called(world)
    with at(clock.now_us()):
        started(world, "r2", "r3")
    assert (called(world), line(world)) == ([], ["r2", "r3"])


@pytest.mark.parametrize(("early_us", "requests"), [(0, 6), (1, 7)])
def test_who_is_given_a_place_and_is_looked_at_in_time_keeps_its_entry(
    world: World, early_us: int, requests: int
) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    late, sizes = counting(world)
    due_us = looked_at_us(world, "r2")
    with at(due_us - TIMING.grace_us - early_us):
        reported(world, held, by=late)
    assert (len(sizes), holders(world)) == (requests, ["r2"])
    assert looked_at_us(world, "r2") == due_us - early_us


def test_who_is_given_a_place_and_called_out_is_told_of_its_limit(world: World) -> None:
    """So its claim asks for it at once."""
    world.register([limited("a")])
    started(world, "r1", "r2")
    held = got(world, "r1")
    world.mailbox.wakes.clear()
    reported(world, held)
    assert [(wake.run_id, wake.step, wake.attempt, wake.limit) for wake in world.mailbox.wakes] == [
        ("r2", "a", 1, "1:stripe")
    ]


@pytest.mark.parametrize(("slow_us", "requests"), [(TIMING.grace_us, 4), (TIMING.grace_us + 1, 6)])
def test_a_place_that_lasts_as_long_as_the_claims_lease_is_not_prolonged(
    world: World, slow_us: int, requests: int
) -> None:
    world.register([limited("a")])
    client, sizes = world.store.another_client(), list[str]()

    def slow(request: Request, send: Send) -> Answer:
        sizes.append(request.operation)
        if len(sizes) == 1:
            time.pause_us(slow_us)
        return send(request)

    wire_of(client).add(slow, floor=Floor.SCHEDULE)
    with clock.use(TickingClock(clock.now_us(), tick_us=0)) as time:
        started(world, "r1")
        got(world, "r1", by=world.another(client))
    assert len(sizes) == requests


def test_of_several_places_the_first_is_kept_and_the_others_come_back(world: World) -> None:
    for number in range(3):
        held_by(world, number, ME)
    limits, limit = Limits(world.backend.runtime), Limit("stripe", 3)
    assert limits.hand_out(limit, ME) == 0
    assert limits.free_place(limit, ME) == 0
    assert [number for number, place in standing(world).places.items() if place.holder == ME] == [0]


def test_who_is_overtaken_at_one_place_takes_the_next_one(world: World) -> None:
    late = pausing(world, "UpdateItem", lambda: held_by(world, 0, OTHER))
    assert Limits(late.runtime).free_place(LIMIT, ME) == 1
    assert holders(world) == ["r2", "r1"]


def test_one_lines_up_by_its_priority_and_by_when_it_was_to_begin(world: World) -> None:
    for number in range(LIMIT.at_most):
        held_by(world, number, OTHER)
    waits = Branch("a", "scheduled", "a", limit=LIMIT, priority=2, available_at_us=5, due_us=9, last_us=1)
    assert Limits(world.backend.runtime).wait_in_line("r1", waits) is None
    assert standing(world).line == (Waiter(keys.rank(2, 5), ME, LIMIT.at_most),)


def test_of_a_place_whose_time_is_over_nothing_is_said(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    branch = world.observer.runtime.ledger.branch("r1", "a")
    assert branch is not None
    until_us = standing(world).places[0].until_us
    for at_us, has_place in ((until_us - 1, True), (until_us, False)):
        with at(at_us):
            assert (Limits(world.backend.runtime).placed_us("r1", branch) > 0) is has_place


def test_all_who_have_a_place_are_taken_out_of_the_line(world: World) -> None:
    for number, holder in enumerate((ME, OTHER)):
        held_by(world, number, holder)
    waiting(world, ME, OTHER)
    assert Limits(world.backend.runtime).hand_out(LIMIT) is None
    assert line(world) == []


def test_a_place_got_ahead_is_one_of_the_value_that_the_input_gives(world: World) -> None:
    world.register([step("a"), limited("b", "a", limit=StepLimit(name="erp", at_most=1, key="customer"))])
    started(world, "r1", input={"customer": "C-1"})
    claimant = Claimant("worker-1", clock.now_us() + TIMING.lease_us)
    assert reported(world, got(world, "r1"), Complete('"x"', 1, claimant=claimant)).branch.place == 0
    assert (holders(world, "erp#C-1"), holders(world, "erp#")) == (["r1"], [])


def test_a_heartbeat_keeps_the_place_that_is_its_own(world: World) -> None:
    world.register([limited("a", limit=StepLimit(name="stripe", at_most=2))])
    started(world, "r1", "r2")
    held = [got(world, run_id) for run_id in ("r1", "r2")]
    assert [each.branch.place for each in held] == [0, 1]
    others, now_us = standing(world).places[0], clock.now_us() + TIMING.grace_us
    with at(now_us):
        Steps(world.backend.runtime).heartbeat(held[1])
    until_us = {number: place.until_us for number, place in standing(world).places.items()}
    assert until_us == {0: others.until_us, 1: now_us + TIMING.lease_us + TIMING.grace_us}


def test_a_place_is_over_with_its_attempt(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1")
    is_over = Limits(world.backend.runtime)._is_over
    assert not is_over(ME, 0), "it is still to be claimed"
    held = got(world, "r1")
    assert (is_over(ME, 0), is_over(ME, 1)) == (False, True)
    reported(world, held)
    assert is_over(ME, 0)


def test_who_comes_late_for_its_place_has_it_for_a_grace_beyond_a_lease(world: World) -> None:
    begin_us = clock.now_us()
    assert Places(world.backend.runtime.ledger.table).take("stripe", 0, ME, now_us=begin_us, until_us=begin_us + 60_000)
    with at(begin_us):
        assert Limits(world.backend.runtime).free_place(LIMIT, ME) == 0
    assert standing(world).places[0].until_us == begin_us + TIMING.lease_us + TIMING.grace_us


def test_who_finds_no_place_and_is_over_meanwhile_gets_nothing(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    waits = world.observer.runtime.ledger.branch("r2", "a")
    assert waits is not None
    world.backend.cancel_run("r2")
    limits = Limits(world.backend.runtime)
    assert limits.claim("r2", waits, lambda _: pytest.fail("it is claimed"), lines_up=True) is None


def test_who_finds_a_place_that_came_back_while_it_lined_up_is_at_work_in_it(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    held, [waiter] = got(world, "r1"), standing(world).line
    Places(world.observer.runtime.ledger.table).leave("stripe", waiter)
    slow = pausing(world, "PutItem", lambda: reported(world, held))
    assert got(world, "r2", by=slow).branch.place == 0
    assert (holders(world), line(world)) == (["r2"], [])


def test_who_comes_late_for_its_place_has_none_where_it_was_lost_meanwhile(world: World) -> None:
    places, begin_us = Places(world.observer.runtime.ledger.table), clock.now_us()
    assert places.take("stripe", 0, ME, now_us=begin_us, until_us=begin_us + 60_000)
    late = pausing(world, "UpdateItem", lambda: places.give_back("stripe", 0, ME))
    assert Limits(late.runtime).free_place(LIMIT, ME) is None


def test_who_hands_out_and_is_given_a_place_itself_calls_nobody_out(world: World) -> None:
    world.register([limited("a")])
    started(world, "r1", "r2")
    assert (called(world), line(world)) == (["r1"], ["r2"])
    Places(world.observer.runtime.ledger.table).give_back("stripe", 0, ME)
    assert Limits(world.backend.runtime).hand_out(Limit("stripe", 1), OTHER) == 0
    assert (called(world), holders(world)) == ([], ["r2"])
