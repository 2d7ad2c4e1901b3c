"""Who is told of a parent's stop, in which order and for how long, and when that is over (protocol.md §14)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from cascade_flow import StepError, clock
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Run, Stop, StopKind
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.child_stops import stop_children
from clauses.families import child_run, expanded, handed_out, mapped, pack_of
from clauses.stage import RUN, begun, claimed, reported, run_of
from clauses.test_children_meanwhile import only_ended
from clauses.test_microseconds import at
from simulation import TIMING, World

STOP = Stop("failed", 1)
FAR_US = 2**60


class Told(NamedTuple):
    """Who was told, in order; when the last has ended; and who was woken to go on."""

    who: list[int]
    ended_us: int | None
    woken: list[str]


def told(world: World, *, until_us: int = FAR_US, again: bool = True, ends: bool = False, stop: Stop = STOP) -> Told:
    """What one does who stops the children, of which none ends at once but where that is said."""
    runtime, who = world.another().runtime, list[str]()

    def carry_on(run_id: str) -> Run:
        who.append(run_id)
        run = runtime.run(run_id)
        return replace(run, status="failed") if ends else run

    world.mailbox.wakes.clear()
    ended_us = stop_children(
        runtime, runtime.facts(run_of(world)), pack_of(world), stop, carry_on=carry_on, until_us=until_us, again=again
    )
    return Told([int(each.rpartition("~")[2]) for each in who], ended_us, [wake.run_id for wake in world.mailbox.wakes])


@pytest.fixture
def family(world: World) -> World:
    """Of four children the first has ended, unseen so far, and the second is being stopped."""
    handed_out(world, concurrency=4, tolerate=1)
    only_ended(world, 0)
    world.backend.runtime.run_ledger.intend(child_run(world, 1), STOP, due_us=clock.now_us() + TIMING.lease_us)
    return world


@pytest.mark.parametrize(("again", "who"), [(True, [2, 3, 1]), (False, [2, 3])])
def test_those_are_told_that_go_on_and_who_was_told_before_after_them(
    family: World, again: bool, who: list[int]
) -> None:
    assert told(family, again=again) == Told(who, None, [])


@pytest.mark.parametrize(
    ("before", "now", "who"),
    [
        ("failed", "cancelled", [1, 2, 3]),
        ("failed", "timeout", [2, 3, 1]),
        ("cancelled", "failed", [2, 3, 1]),
        ("cancelled", "cancelled", [2, 3, 1]),
        ("timeout", "failed", [2, 3, 1]),
    ],
)
def test_only_who_cancels_has_more_to_say_to_who_is_being_stopped(
    family: World, before: StopKind, now: StopKind, who: list[int]
) -> None:
    one = child_run(family, 1)
    earlier = Stop(before, 1, reason="before")
    family.backend.runtime.run_ledger.intend(one, earlier, due_us=clock.now_us() + TIMING.lease_us)
    assert told(family, stop=Stop(now, 1)).who == who
    stop = child_run(family, 1).stop
    assert stop is not None
    assert stop.kind == (now if who[0] == 1 else before)


@pytest.mark.parametrize("kind", ["failed", "cancelled"])
def test_a_child_is_told_why_it_is_stopped_but_where_somebody_cancels(family: World, kind: StopKind) -> None:
    told(family, stop=Stop(kind, 1, step="total", error=StepError(name="ValueError", message="no"), reason="enough"))
    stop = child_run(family, 2).stop
    assert stop is not None
    why = StepError(name="ParentStopped", message=f"its parent, run {RUN}, is being stopped")
    assert stop == Stop(kind, 1, error=None if kind == "cancelled" else why, reason="enough")


@pytest.mark.parametrize("priority", [0, 5])
def test_whoever_is_woken_to_go_on_is_as_urgent_as_the_run(world: World, priority: int) -> None:
    begun(world, *mapped(), priority=priority)
    reported(world, claimed(world, "lines"), Complete('["a","b"]', 1))
    expanded(world)
    told(world, until_us=0)
    assert [wake.urgent for wake in world.mailbox.wakes] == [priority > 0]


def test_who_was_told_before_is_carried_on_with_and_not_told_anew(family: World) -> None:
    before = child_run(family, 1)
    told(family)
    assert child_run(family, 1) == before


def test_whoever_is_told_is_found_by_a_sweep_in_a_grace(family: World) -> None:
    told(family)
    assert child_run(family, 2).due_us == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)


def test_when_time_is_over_others_are_woken_for_those_that_were_not_told(family: World) -> None:
    with at(clock.now_us()):
        assert told(family, until_us=clock.now_us()) == Told([2], None, [RUN])
    with at(clock.now_us()):
        assert told(family, until_us=clock.now_us() + 1) == Told([3, 1, 2], None, [])


def test_when_all_have_ended_the_last_end_is_told(family: World) -> None:
    ends = [child_run(family, number).last_us for number in range(4)]
    assert told(family, ends=True).ended_us is not None
    assert told(family, ends=True, again=False).ended_us is None, "one is left to who stops it"
    assert told(family, ends=True).ended_us == max(ends)


def test_a_stop_goes_on_with_its_runs_children_for_five_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(*_: Any, until_us: int, **__: Any) -> int | None:
        left_us.append(until_us - clock.now_us())
        return None

    left_us = list[int]()
    handed_out(world)
    monkeypatch.setattr("cascade_flow.operations.child_stops.stop_children", stopping)
    world.backend.cancel_run(RUN)
    assert left_us == [pytest.approx(5_000_000, abs=10_000)]


@pytest.mark.parametrize(
    ("attempt", "of_stop", "is_out", "stopped"),
    [(1, 1, True, True), (1, 2, True, True), (2, 1, True, False), (1, 1, False, False)],
)
def test_those_children_are_stopped_that_are_out_in_this_attempt_of_the_run_or_one_before(
    world: World, monkeypatch: pytest.MonkeyPatch, attempt: int, of_stop: int, is_out: bool, stopped: bool
) -> None:
    handed_out(world)
    family = pack_of(world).family
    parent = replace(pack_of(world), run_attempt=attempt, family=family if is_out else replace(family, out=()))
    monkeypatch.setattr("cascade_flow.operations.child_stops.stop_children", lambda *_, **__: 7)
    runtime = world.backend.runtime
    stops, facts = AfterCommit(runtime).stops, runtime.facts(run_of(world))
    assert stops._children_ended(facts, Stop("failed", of_stop), [parent], True) == (7 if stopped else 0)
