"""Runs with children: each request of theirs and their parent's, broken in every way that happens (protocol.md §14)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from cascade_flow import RunNotCancellableError, RunNotRetryableError, StepCompleted, clock
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.state import ENDED
from cascade_flow.operations.after_commit import AfterCommit
from checker import Checked
from faults.breaking import run_with
from faults.test_double_faults import survived as survived_both
from faults.test_single_faults import HIDDEN_EVERY, survived
from shapes import CALLED, CHILDREN, FAMILIES_THAT_WAIT, Shape
from simulation import TIMING, TickingClock, World
from testbed.faults import Kind, at, faults, nowhere
from testbed.servers import Server, fresh_table
from testbed.wire import Answer, Floor, Request, Send, wire_of

RUN = "run"
PLAIN, TRIED, _, FAILS, *_, NESTED = CHILDREN
CALLS = CHILDREN[6]
EVERY = [*CHILDREN, *FAMILIES_THAT_WAIT]
RETRIED = [PLAIN, FAILS, CALLS]


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_a_family_waits_for_nothing_but_what_its_script_calls_for(server: Server, shape: Shape) -> None:
    run_with(server, shape, nowhere).must_be_in_time()


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_a_fault_in_a_family_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, every=11, hidden_every=11 * HIDDEN_EVERY)


@pytest.mark.slow
@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_any_single_fault_in_a_family_is_survived(server: Server, shape: Shape) -> None:
    survived(server, shape, hidden_every=1)


@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_two_faults_in_a_family_are_survived(server: Server, shape: Shape) -> None:
    survived_both(server, shape, seed="gate", times=25)


@pytest.mark.slow
@pytest.mark.parametrize("shape", EVERY, ids=str)
def test_very_many_pairs_of_faults_in_a_family_are_survived(server: Server, shape: Shape) -> None:
    survived_both(server, shape, seed="long", times=1_000)


# -- others act, before any request -----------------------------------------------------------------------------------


@contextmanager
def submitted(server: Server, shape: Shape) -> Iterator[World]:
    """A run of this shape, which nobody has worked on."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, dict(shape.script), clock=time)
        world.register(shape.steps)
        if shape.called:
            world.register(shape.called, slug=CALLED)
        world.submit(run_id=RUN, input={"order": 7})
        yield world


def interrupted(server: Server, shape: Shape, others: Callable[[World], object], at: int) -> Checked | None:
    """The run at its end, of which others interfere before this request; None where it has fewer."""
    with submitted(server, shape) as world:
        numbers, acted = count(), []

        def interfere(request: Request, send: Send) -> Answer:
            if next(numbers) == at:
                acted.append(at)
                others(world)
            return send(request)

        wire_of(world.store.client).add(interfere, floor=Floor.SCHEDULE)
        world.settle(RUN)
        wire_of(world.store.client).remove(interfere)
        checked = world.check(RUN)
        if checked.status in ("failed", "cancelled"):
            world.script = {name: acts for name, acts in shape.script.items() if "items" in acts[0]}
            world.backend.retry_run(RUN, "mended")
            world.settle(RUN)
            checked = world.check(RUN)
        return checked if acted else None


def cancels(world: World) -> None:
    """Once this has returned, nothing of the family goes on."""
    try:
        world.observer.cancel_run(RUN, "no longer wanted")
    except RunNotCancellableError:
        return
    assert world.check(RUN).status == "cancelled"


def cancels_and_retries(world: World) -> None:
    cancels(world)
    try:
        world.observer.retry_run(RUN, "wanted after all")
    except RunNotRetryableError:
        return


def looks(world: World) -> None:
    """Another looks at every step that waits for its children."""
    for run_id in sorted(world.stored()):
        for name in world.observer.runtime.ledger.branches(run_id):
            AfterCommit(world.observer.runtime).children.look(run_id, name, puts_off=True)


def sweeps(world: World) -> None:
    """A sweep after a lease: whoever acts is believed to be dead."""
    world.clock.pause_us(TIMING.lease_us + TIMING.grace_us)
    world.sweep(world.observer)


def survives(server: Server, shape: Shape, others: Callable[[World], object], *, every: int, first: int = 0) -> None:
    for number in count(first, every):
        checked = interrupted(server, shape, others, number)
        if checked is None:
            return
        assert checked.status == "completed", f"before request {number}"
        assert checked.count(StepCompleted) == len(shape.steps), f"before request {number}"


OTHERS = [cancels, cancels_and_retries, looks, sweeps]


@pytest.mark.parametrize("shape", RETRIED, ids=str)
@pytest.mark.parametrize("others", OTHERS)
def test_others_may_interfere(server: Server, shape: Shape, others: Callable[[World], object]) -> None:
    survives(server, shape, others, every=5, first=RETRIED.index(shape))


@pytest.mark.slow
@pytest.mark.parametrize("shape", CHILDREN, ids=str)
@pytest.mark.parametrize("others", OTHERS)
def test_others_may_interfere_at_any_point(server: Server, shape: Shape, others: Callable[[World], object]) -> None:
    survives(server, shape, others, every=1)


# -- who stops or retries dies ----------------------------------------------------------------------------------------


def halfway(world: World, messages: int) -> None:
    for _ in range(messages):
        if world.mailbox.wakes:
            world.deliver(world.mailbox.wakes.pop(0))


def stopped_and_tried_again(server: Server, shape: Shape, messages: int, number: int, kind: Kind | None) -> int | None:
    """Cancel halfway and retry, with a fault at one of the requests of both; without one, how many these are."""
    with submitted(server, shape) as world:
        halfway(world, messages)
        plan = nowhere if kind is None else at({number: kind})
        with faults(plan, world.store.client) as injected:
            world.reborn = injected.restart
            while world.observer.runtime.run(RUN).status not in ENDED:
                world.outlive(lambda: world.backend.cancel_run(RUN, "wait a moment"))
            assert world.check(RUN).status == "cancelled"
            while world.observer.runtime.run(RUN).status in ENDED:
                world.outlive(lambda: world.backend.retry_run(RUN, "go on"))
        world.settle(RUN)
        checked = world.check(RUN)
        assert (checked.status, checked.count(StepCompleted)) == ("completed", len(shape.steps)), f"{kind} at {number}"
        return len(injected.log) if kind is None else None


def dies_anywhere(server: Server, shape: Shape, messages: int, *, every: int) -> None:
    requests = stopped_and_tried_again(server, shape, messages, 0, None) or 0
    for number in range(messages % every, requests, every):
        for kind in (Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.DROP_AFTER, Kind.CONFLICT):
            stopped_and_tried_again(server, shape, messages, number, kind)


@pytest.mark.parametrize("messages", [2, 3])
@pytest.mark.parametrize("shape", [PLAIN, CALLS], ids=str)
def test_who_stops_and_retries_a_family_may_die(server: Server, shape: Shape, messages: int) -> None:
    dies_anywhere(server, shape, messages, every=5)


@pytest.mark.slow
@pytest.mark.parametrize("messages", range(6))
@pytest.mark.parametrize("shape", [PLAIN, CALLS, NESTED], ids=str)
def test_who_stops_and_retries_a_family_may_die_anywhere(server: Server, shape: Shape, messages: int) -> None:
    dies_anywhere(server, shape, messages, every=1)


# -- new runs out of old ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [PLAIN, TRIED, CALLS, NESTED], ids=str)
def test_a_rerun_keeps_a_family_that_is_over_or_has_it_begin_anew(server: Server, shape: Shape) -> None:
    with submitted(server, shape) as world:
        world.settle(RUN)
        parent = world.check(RUN)
        for step in shape.steps:
            world.ran.clear()
            again = world.backend.rerun_from(parent_run_id=RUN, from_step_id=step.id).run_id
            world.settle(again)
            checked = world.check(again)
            assert (checked.status, checked.count(StepCompleted)) == ("completed", len(shape.steps))
            assert step.id in {name for name, _ in world.ran}
        assert world.check(RUN).events == parent.events


@pytest.mark.parametrize("shape", [PLAIN, FAILS, CALLS], ids=str)
def test_a_resumed_run_hands_out_again_what_was_not_over(server: Server, shape: Shape) -> None:
    for messages in range(7):
        with submitted(server, shape) as world:
            halfway(world, messages)
            cancels(world)
            world.script = {name: acts for name, acts in shape.script.items() if "items" in acts[0]}
            if world.check(RUN).status == "completed":
                return
            again = world.backend.resume_run(RUN).run_id
            world.settle(again)
            assert world.check(again).status == "completed"
            assert world.check(RUN).status in ("failed", "cancelled")
