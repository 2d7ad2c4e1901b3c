"""Places of whole runs to the request: who finds one, whose is free, who is passed over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow import ConflictError, RunLimit, clock
from cascade_flow.dynamodb.places import Places
from cascade_flow.engine.limits import Holder, Waiter
from cascade_flow.engine.state import Limit
from cascade_flow.operations.run_places import RunPlaces
from cascade_flow.wake import Wake
from clauses.stage import counting, dies, dying
from clauses.test_microseconds import at
from clauses.test_run_limits import answer, called, due_us_of, finished, holders, in_line, registered, status, submitted
from simulation import BEGIN_US, TIMING, World, step

LIMIT = Limit("@flow", 1)
LATER_US, FAR_US = BEGIN_US + 60_000_000, 2**60


def places_of(world: World) -> Places:
    return Places(world.observer.runtime.ledger.table)


@pytest.fixture
def left(world: World) -> World:
    """A run has ended, and whoever has ended it died before its place was given back."""
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    dies(lambda: dying(world, "UpdateItem", at=2).cancel_run("r1"))
    assert (status(world, "r1"), holders(world)) == ("cancelled", ["r1"])
    return world


def test_whoever_frees_the_places_of_ended_runs_tells_whether_there_were_any(left: World) -> None:
    places = RunPlaces(left.backend.runtime)
    assert [places.free_those_of_ended(LIMIT) for _ in range(2)] == [True, False]


@pytest.fixture
def full(world: World) -> World:
    """Places of runs in their attempt, before it, ended, never made, not made yet; and some whose time is over."""
    registered(world, RunLimit(at_most=9))
    submitted(world, "ended", "goes-on", available_at=LATER_US)
    world.backend.cancel_run("ended")
    now_us = clock.now_us()
    for number, (run_id, attempt, since_us, until_us) in enumerate(
        [
            ("over", 1, now_us - 2 * TIMING.lease_us, now_us + 1),
            ("goes-on", 0, now_us, FAR_US),
            ("ended", 1, now_us, FAR_US),
            ("never", 1, now_us - TIMING.lease_us - 1, FAR_US),
            ("goes-on", 1, now_us, FAR_US),
            ("not-yet", 1, now_us, FAR_US),
            ("over", 1, now_us - 2 * TIMING.lease_us, now_us + 1),
        ]
    ):
        holder = Holder.of_run(run_id, attempt)
        assert places_of(world).take("@flow", number, holder, now_us=since_us, until_us=until_us)
    return world


def test_the_places_are_given_back_of_runs_that_have_ended_or_were_never_made(full: World) -> None:
    assert RunPlaces(full.backend.runtime).free_those_of_ended(Limit("@flow", 9))
    standing = places_of(full).standing("@flow", at_most=9)
    assert {number for number, place in standing.places.items() if place.holder} == {0, 4, 5, 6}
    assert not RunPlaces(full.backend.runtime).free_those_of_ended(Limit("@flow", 9))


def test_one_of_those_that_have_a_place_now_is_named(full: World) -> None:
    places = RunPlaces(full.backend.runtime)
    assert places.holder_of(Limit("@flow", 9)) == "goes-on"
    places.leave("goes-on", 0, Limit("@flow", 9), 1)
    assert places.holder_of(Limit("@flow", 9)) == "ended"
    full.clock.pause_us(FAR_US)
    assert places.holder_of(Limit("@flow", 9)) is None


def test_that_one_place_was_freed_is_told_though_another_was_quicker_with_the_next(
    full: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    won = iter([True, False, False])
    monkeypatch.setattr(Places, "give_back", lambda *_: next(won))
    assert RunPlaces(full.backend.runtime).free_those_of_ended(Limit("@flow", 9))


@pytest.mark.parametrize(("limit", "place"), [(None, None), (LIMIT, None), (None, 0)])
def test_who_has_no_place_of_a_limit_leaves_none(world: World, limit: Limit | None, place: int | None) -> None:
    world.register([step("a")])
    world.submit(run_id="r1")
    facts = replace(world.backend.runtime.facts(world.backend.runtime.run("r1")), limit=limit, place=place)
    late, sizes = counting(world)
    RunPlaces(late.runtime).leave_by(facts)
    assert sizes == []


def test_a_run_without_a_limit_is_tried_again_without_a_place(world: World) -> None:
    world.register([step("a")])
    world.submit(run_id="r1")
    facts = world.backend.runtime.facts(world.backend.runtime.run("r1"))
    assert RunPlaces(world.backend.runtime).again(facts) == facts


def test_who_finds_the_place_of_a_run_that_has_ended_stands_in_no_line(
    left: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places, "line_up", lambda *_: pytest.fail("it waits"))
    submitted(left, "r2")
    assert (status(left, "r2"), holders(left)) == ("running", ["r2"])


def test_who_finds_a_free_place_asks_for_no_others_runs(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", available_at=LATER_US)
    late, sizes = counting(world)
    assert RunPlaces(late.runtime).place_of(world.observer.runtime.run("r1")) == 0
    assert len(sizes) == 2, "the places, and the own one"


def test_runs_wait_in_the_order_in_which_they_were_to_start_whatever_their_names(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "z", "b")
    assert in_line(world) == ["z", "b"]


def test_who_finds_neither_a_place_nor_a_run_that_has_one_gives_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are quicker each time."""
    monkeypatch.setattr(RunPlaces, "free_place", lambda *_: None)
    registered(world, RunLimit(at_most=1, skips=True))
    with pytest.raises(ConflictError):
        submitted(world, "r1")
    assert holders(world) == []


def test_a_place_is_given_back_and_handed_out_at_one_look(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    late, sizes = counting(world)
    RunPlaces(late.runtime).leave("r1", 1, LIMIT, 0)
    assert (len(sizes), holders(world)) == (2, [])


def test_a_run_that_was_never_made_keeps_its_place_for_a_lease(world: World) -> None:
    since_us, places = clock.now_us(), RunPlaces(world.backend.runtime)
    assert places_of(world).take("@flow", 0, Holder.of_run("r9", 1), now_us=since_us, until_us=FAR_US)
    with at(since_us + TIMING.lease_us):
        assert not places.free_those_of_ended(LIMIT)
    with at(since_us + TIMING.lease_us + 1):
        assert places.free_those_of_ended(LIMIT)


def test_who_waits_and_is_there_no_more_is_passed_over(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    places_of(world).line_up("@flow", Waiter(0, Holder.of_run("gone", 1), 1))
    submitted(world, "r2")
    assert in_line(world) == ["gone", "r2"]
    finished(world, "r1")
    assert ([wake.run_id for wake in called(world)], in_line(world)) == (["r2"], [])


@pytest.mark.parametrize(("early_us", "requests"), [(0, 5), (1, 6)])
def test_a_run_that_is_given_a_place_and_is_looked_at_in_time_keeps_its_entry(
    world: World, early_us: int, requests: int
) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    due_us = int(due_us_of(world) or 0)
    late, sizes = counting(world)
    with at(due_us - TIMING.grace_us - early_us):
        RunPlaces(late.runtime).leave("r1", 1, LIMIT, 0)
    assert (holders(world), due_us_of(world)) == (["r2"], due_us - early_us)
    assert len(sizes) == requests


def test_who_comes_late_into_the_line_stands_where_its_time_puts_it(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1")
    submitted(world, "early", available_at=LATER_US)
    world.clock.pause_us(2 * 60_000_000)
    submitted(world, "later")
    assert in_line(world) == ["later"]
    answer(world, Wake("early"))
    assert in_line(world) == ["early", "later"]


def test_who_waits_and_goes_on_already_is_passed_over(world: World) -> None:
    registered(world, RunLimit(at_most=2))
    submitted(world, "r1", "r2", "r3")
    places_of(world).line_up("@flow", Waiter(0, Holder.of_run("r2", 1), 2))
    assert in_line(world) == ["r2", "r3"]
    called(world)
    finished(world, "r1")
    assert ([wake.run_id for wake in called(world)], in_line(world)) == (["r3"], [])
    assert sorted(holders(world)) == ["r2", "r3"]


def test_who_waited_and_is_tried_again_without_a_place_is_passed_over(world: World) -> None:
    registered(world, RunLimit(at_most=1))
    submitted(world, "r1", "r2")
    world.backend.cancel_run("r2")
    world.backend.retry_run("r2")
    assert (in_line(world), holders(world), status(world, "r2")) == (["r2"], ["r1"], "running")
    called(world)
    finished(world, "r1")
    assert (called(world), holders(world), in_line(world)) == ([], [], [])
