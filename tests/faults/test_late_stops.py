"""Who stops a run, pauses, and comes back when it is over and tried again: the new attempt goes on (protocol.md §7)."""

from collections.abc import Iterator
from functools import partial

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.commands import Command, Complete, Fail, SkipStep
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import StepError
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.wake import Wake
from checker import Checked
from faults.moments import pausing
from shapes import wide
from simulation import TIMING, TickingClock, World, step
from testbed.servers import Server, fresh_table

RUN = "run"
MANY = 24
"""More live branches than one transaction halts."""
FATAL = Fail(StepError(name="ValueError", message="no"), "execution-error", 1, retryable=False)


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        yield World(store, clock=time, chained=False)


def held(world: World, name: str, *, attempt: int = 1) -> HeldAttempt:
    found = Steps(world.backend.runtime).claim(Wake(RUN, name, name, attempt), "worker-1")
    assert found is not None
    return found


def report(world: World, *names: str) -> None:
    for name in names:
        Steps(world.backend.runtime).report(held(world, name), Complete('"done"', 1))


def fanned_out(world: World, width: int) -> None:
    world.register(wide(width))
    world.submit(run_id=RUN)
    report(world, "a")


def ended_and_tried_again(world: World) -> None:
    """Others have ended the run meanwhile, and somebody has tried it again."""
    AfterCommit(world.observer.runtime).stops.carry_on(RUN)
    world.observer.retry_run(RUN, "mended")


def in_time(world: World) -> Checked:
    """The run completes, and not by anything that a deadline or an end of a lease has set going."""
    begun_us = clock.now_us()
    world.settle(RUN, rounds=400)
    assert clock.now_us() < begun_us + TIMING.grace_us, "it stood still"
    checked = world.check(RUN)
    assert checked.status == "completed"
    return checked


@pytest.mark.parametrize("query", [1, 2], ids=["before it reads the branches", "between its two looks"])
@pytest.mark.parametrize("width", [3, MANY], ids=["halted at once", "halted one by one"])
def test_a_late_canceller_halts_nothing_of_the_next_attempt(world: World, width: int, query: int) -> None:
    fanned_out(world, width)
    late = pausing(world, "Query", lambda: ended_and_tried_again(world), at=query)
    late.cancel_run(RUN, "no longer wanted")
    assert in_time(world).story.run.run_attempt == 2


@pytest.mark.parametrize("at_once", [0, 20], ids=["halted one by one", "halted at once"])
def test_a_canceller_that_pauses_before_any_of_its_requests_spares_the_next_attempt(
    server: Server, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("cascade_flow.operations.stops._HALTS_AT_ONCE", at_once)
    paused = [at for at in range(1, 14) if _goes_on_after_a_pause(server, at)]
    assert len(paused) >= 5, "a stop takes more requests than that"


def _goes_on_after_a_pause(server: Server, at: int) -> bool:
    """Whether the canceller's intention was written before its request number `at`; the retried run must complete."""
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world, overtaken = World(store, clock=time, chained=False), []

        def others() -> None:
            if world.observer.runtime.run(RUN).stop is not None:
                ended_and_tried_again(world)
                overtaken.append(at)

        world.register([step("a"), step("b"), step("c", "a", "b", export_output=True)])
        world.submit(run_id=RUN)
        pausing(world, None, others, at=at).cancel_run(RUN, "no longer wanted")
        if overtaken:
            in_time(world)
        return bool(overtaken)


@pytest.mark.parametrize("halted", [1, MANY])
def test_a_canceller_that_pauses_between_two_halts_spares_the_next_attempt(world: World, halted: int) -> None:
    fanned_out(world, MANY)
    late = pausing(world, "UpdateItem", lambda: ended_and_tried_again(world), at=1 + halted)
    late.cancel_run(RUN, "no longer wanted")
    in_time(world)


@pytest.mark.parametrize("width", [3, MANY])
def test_a_canceller_that_pauses_before_the_terminal_event_does_not_end_the_next_attempt(
    world: World, width: int
) -> None:
    fanned_out(world, width)
    late = pausing(world, "TransactWriteItems", lambda: ended_and_tried_again(world))
    late.cancel_run(RUN, "no longer wanted")
    in_time(world)


def test_a_late_stop_for_a_failure_parks_nothing_of_the_next_attempt(world: World) -> None:
    fanned_out(world, MANY)
    failing, sibling = held(world, "p1"), held(world, "p2")

    def others() -> None:
        world.clock.pause_us(TIMING.lease_us)
        AfterCommit(world.observer.runtime).stops.carry_on(RUN)
        with pytest.raises(StaleAttemptError):
            Steps(world.observer.runtime).report(sibling, Complete("1", 1))
        world.observer.retry_run(RUN, "mended")
        held(world, "p2", attempt=2)

    late = pausing(world, "Query", others)
    Steps(late.runtime).report(failing, FATAL)
    branch = world.observer.runtime.ledger.branch(RUN, "p2")
    assert branch is not None
    assert (branch.status, branch.halt) == ("running", None)


def test_a_late_sweep_times_out_nothing_of_the_next_attempt(world: World) -> None:
    fanned_out(world, MANY)
    world.clock.pause_us(TIMING.timeout_us)
    for operation, at in (("UpdateItem", 1), ("Query", 9)):
        late = pausing(world, operation, lambda: late_is_overtaken(world), at=at)
        Sweep(late.runtime, name="late").attend(RUN, "")
    assert in_time(world).story.run.run_attempt >= 2


def late_is_overtaken(world: World) -> None:
    Sweep(world.observer.runtime, name="quick").attend(RUN, "")
    world.observer.retry_run(RUN, "mended")


def test_a_late_failure_of_what_is_too_large_stops_nothing_of_the_next_attempt(world: World) -> None:
    fanned_out(world, MANY)
    facts = world.backend.runtime.facts(world.backend.runtime.run(RUN))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN, "mended")
    AfterCommit(world.backend.runtime).stops.give_up(facts, StaleAttemptError("too large"))
    in_time(world)


@pytest.mark.parametrize("command", [SkipStep("no need", 1), FATAL], ids=["skip", "failure"])
def test_who_read_the_run_before_its_retry_reports_to_the_next_attempt(world: World, command: Command) -> None:
    world.register([step("a", export_output=True)])
    world.submit(run_id=RUN)
    old = world.backend.runtime.run(RUN)
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN, "mended")
    Steps(world.backend.runtime).report_without_work(old, "a", 1, command)
    if command is FATAL:
        assert world.check(RUN).status == "failed", "a step has failed for good, and the run doesn't know"
    else:
        in_time(world)


def test_an_open_join_that_a_late_sweep_let_go_is_swept_again_after_a_retry(world: World) -> None:
    world.register([step("a"), step("b"), step("c", "a", "b", export_output=True)])
    world.submit(run_id=RUN)
    report(world, "a")
    world.backend.cancel_run(RUN)
    before = world.observer.runtime.ledger.branch(RUN, "c")
    assert before is not None
    assert before.due_us is not None

    seen = due.Entry(before.due_us, keys.branch(RUN, "c"))
    let_go = partial(due.look_no_more, world.observer.runtime.ledger.table, seen)
    late = pausing(world, "TransactWriteItems", let_go, at=3)
    late.retry_run(RUN, "mended")
    item = world.observer.runtime.ledger.table.get(keys.branch(RUN, "c"))
    assert item is not None
    assert item[keys.DUE_SHARD] == keys.due(RUN)
    in_time(world)
