"""Times: later than now, than the branch's last event and than all causes, whatever the clocks say (protocol.md §5)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from cascade_flow import StepCompleted, StepDefinition, StepScheduled, StepStarted, WorkflowStarted
from clauses.stage import DONE, FATAL, RUN, begun, branch_of, claimed, done, ended, reported, run_of
from faults.moments import pausing
from shapes import chain
from simulation import World, step, survive
from testbed.faults import Crash

MINUTE_US = 60_000_000


def goes_back(world: World) -> None:
    """From now on whoever speaks has a clock that is behind."""
    world.clock.pause_us(-MINUTE_US)


def test_a_clock_that_goes_back_changes_no_order(world: World) -> None:
    begun(world, *chain(2))
    held = claimed(world, "s0")
    goes_back(world)
    reported(world, held)
    world.check(RUN)


def test_no_two_branches_write_one_time(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"), step("d", "a"))
    done(world, "a")
    checked = world.check(RUN)
    times = [event.timestamp_us for event in checked.events if isinstance(event, StepScheduled)]
    assert len(set(times)) == len(times) == 4
    assert len({time_us % checked.facts.graph.modulus for time_us in times[1:]}) == 3


def test_a_fork_is_later_than_its_parent(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "a"))
    held = claimed(world, "a")
    goes_back(world)
    reported(world, held)
    checked = world.check(RUN)
    [over_us] = [event.timestamp_us for event in checked.events if isinstance(event, StepCompleted)]
    [fork_us] = [e.timestamp_us for e in checked.events if isinstance(e, StepScheduled) and e.step_id == "c"]
    assert fork_us > over_us


def test_a_join_is_later_than_all_that_it_waited_for(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    last = claimed(world, "b")
    world.clock.pause_us(MINUTE_US)
    done(world, "a")
    goes_back(world)
    reported(world, last)
    events = world.check(RUN).events
    over_us = max(event.timestamp_us for event in events if isinstance(event, StepCompleted))
    [join_us] = [e.timestamp_us for e in events if isinstance(e, StepScheduled) and e.step_id == "j"]
    assert join_us > over_us


@pytest.mark.parametrize("begins", [True, False], ids=["that runs", "that has failed"])
def test_a_terminal_event_is_later_than_all_else(world: World, begins: bool) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    if not begins:
        late = pausing(world, "Query", lambda: goes_back(world))
        reported(world, held, FATAL, by=late)
    else:
        goes_back(world)
        world.backend.cancel_run(RUN)
    assert world.check(RUN).status in ("failed", "cancelled")


def test_what_is_revived_is_later_than_the_runs_next_attempt(world: World) -> None:
    begun(world, step("a"))
    reported(world, claimed(world, "a"), FATAL)
    world.clock.pause_us(2 * MINUTE_US)
    pausing(world, "TransactWriteItems", lambda: goes_back(world)).retry_run(RUN)
    events = world.check(RUN).events
    again_us = max(event.timestamp_us for event in events if isinstance(event, WorkflowStarted))
    assert max(event.timestamp_us for event in events if isinstance(event, StepScheduled)) > again_us


def test_what_is_reported_is_later_than_the_lines_before(world: World) -> None:
    begun(world, step("a"))
    held = claimed(world, "a")
    told_us = world.clock.now_us() + MINUTE_US
    reported(world, replace(held, told_us=told_us))
    [over] = [event for event in world.check(RUN).events if isinstance(event, StepCompleted)]
    assert over.timestamp_us > told_us


@pytest.mark.parametrize("sinks", [1, 2])
def test_a_runs_end_is_later_than_its_last_step(world: World, sinks: int) -> None:
    begun(world, *(step(f"s{number}") for number in range(sinks)))
    helds = [claimed(world, f"s{number}") for number in range(sinks)]
    goes_back(world)
    for held in helds:
        reported(world, held, DONE)
    assert ended(world).story.run.completed_at_us == run_of(world).completed_at_us


def test_what_a_retry_lets_go_begins_after_its_start(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    world.clock.pause_us(MINUTE_US)
    world.backend.retry_run(RUN)
    goes_back(world)
    done(world, "a")
    world.check(RUN)


@pytest.mark.parametrize("join", [(step("j", "a", "b"),), ()], ids=["a join", "the end"])
def test_what_was_only_to_be_opened_is_later_than_the_next_attempts_start(
    world: World, join: tuple[StepDefinition, ...]
) -> None:
    """Who would have opened it dies, and the clock of who does, in the run's next attempt, is behind."""
    begun(world, step("a"), step("b"), *join)
    done(world, "a")
    dying = pausing(world, "GetItem", dies)
    held = claimed(world, "b")
    assert isinstance(survive(partial(reported, world, held, by=dying)), Crash)
    world.backend.cancel_run(RUN)
    world.clock.pause_us(MINUTE_US)
    pausing(world, "Query", partial(goes_back, world), at=2).retry_run(RUN)
    world.check(RUN)
    assert branch_of(world, "j").status == "scheduled" if join else run_of(world).status == "completed", "at once"


def dies() -> None:
    raise Crash("before it looks at the join")


def test_who_holds_an_attempt_knows_from_when_on_it_has_begun(world: World) -> None:
    """Its lines are later than that, and that is no earlier than its start in the log, whichever clock was behind."""
    begun(world, *(step(f"s{number}") for number in range(5)))
    began: dict[str, int] = {}
    for number in range(5):
        world.clock.pause_us(1 if number % 2 else -40)
        held = claimed(world, f"s{number}")
        began[held.branch.step] = held.started_us
        assert held.started_us <= max(held.branch.started_at_us or 0, held.branch.last_us) + held.facts.graph.modulus
        reported(world, held)
    started = {event.step_id: event.timestamp_us for event in ended(world).events if isinstance(event, StepStarted)}
    assert all(started[name] <= began[name] for name in started)
