"""Who moves an entry of the due index on: under what it has read, to when, and with no request besides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.engine.state import Branch
from cascade_flow.operations.children import Children
from cascade_flow.records import replace
from clauses.families import handed_out
from clauses.stage import RUN, begun, branch_of, claimed, dies, done, dying, reported, run_of
from clauses.test_attention import SAID, attended, attention, entry_of, far, near, noted, open_join
from clauses.test_events import AFTER_TWO, HOUR_US, WAIT_US, chain
from clauses.test_limits import beating, got, limited, standing, started
from clauses.test_rates import OPENAI
from simulation import TIMING, World, step


def a_join(world: World) -> Branch:
    return branch_of(world, open_join(world))


def an_event(world: World) -> Branch:
    begun(world, *AFTER_TWO)
    done(world, "a")
    return branch_of(world, "e")


def a_long_wait(world: World) -> Branch:
    far(world)
    return branch_of(world, "a")


def a_short_wait(world: World) -> Branch:
    near(world)
    return branch_of(world, "a")


def a_turn(world: World) -> Branch:
    begun(world, step("a", limit=OPENAI))
    return replace(branch_of(world, "a"), turn_us=clock.now_us() + HOUR_US)


def a_place(world: World) -> Branch:
    world.register([limited("a")])
    started(world, "before", RUN)
    got(world, "before")
    return branch_of(world, "a")


def its_worker(world: World) -> Branch:
    begun(world, step("a"))
    claimed(world, "a")
    return branch_of(world, "a")


def a_worker(world: World) -> Branch:
    begun(world, step("a"))
    return branch_of(world, "a")


def children(world: World) -> Branch:
    handed_out(world, concurrency=2)
    world.clock.pause_us(TIMING.lease_us)
    return branch_of(world, "lines")


@pytest.mark.parametrize(
    "waits_for",
    [a_join, an_event, a_long_wait, a_short_wait, a_turn, a_place, its_worker, a_worker, children],
    ids=lambda waits: waits.__name__.replace("_", " "),
)
def test_who_has_read_a_branch_before_others_moved_it_leaves_its_entry_where_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch, waits_for: Callable[[World], Branch]
) -> None:
    """None of them touches the entry, and each may call for an earlier look, as the death of who has claimed it."""
    seen = waits_for(world)
    monkeypatch.setattr(Children, "look", lambda *_, **__: False)
    due_us = int(seen.due_us or 0) - 1
    due.look_later(world.observer.runtime.ledger.table, entry_of(seen), due_us)
    for known in (replace(seen, seq=seen.seq - 1), replace(seen, arrived=seen.arrived - 1)):
        attention(world).send(attended(world, seen.name, replace(known, due_us=due_us)))
        assert branch_of(world, seen.name).due_us == due_us
    attention(world).send(attended(world, seen.name, replace(seen, due_us=due_us)))
    assert branch_of(world, seen.name).due_us != due_us


@pytest.mark.parametrize("line", [(RUN, "other"), ("other", RUN)], ids=["the first", "another"])
def test_the_first_in_line_is_looked_at_when_a_place_is_free_at_the_latest(world: World, line: tuple[str, str]) -> None:
    """Whoever has it may fall silent; all others are looked at the more rarely, the longer they wait."""
    world.register([limited("a")])
    started(world, "before", *line)
    held = got(world, "before")
    since_us = branch_of(world, "a").ready_us
    beating(world, held, times=6)
    assert attended(world, "a") == []
    free_us, now_us = standing(world).places[0].until_us, clock.now_us()
    assert free_us < 2 * now_us - since_us
    is_first = line[0] == RUN
    assert branch_of(world, "a").due_us == pytest.approx(free_us if is_first else 2 * now_us - since_us, abs=10_000)


def told(world: World) -> None:
    """Somebody has sent it, and died before the look at it."""
    begun(world, *chain())
    done(world, "a")
    runtime = world.observer.runtime
    runtime.ledger.tell_event(runtime.facts(run_of(world)), "e", SAID)


def arrived_at(world: World) -> None:
    """The time in which it is to be sent begins with this look: who arrived has died before."""
    begun(world, *chain(timeout_us=WAIT_US))
    held = claimed(world, "a")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))
    assert branch_of(world, "e").patience is None


def out_of_time(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US))
    done(world, "a")
    world.clock.pause_us(WAIT_US)


@pytest.mark.parametrize(("event", "updates"), [(told, 0), (arrived_at, 1), (out_of_time, 0)])
def test_an_event_that_a_look_has_moved_is_not_put_off_besides(
    world: World, event: Callable[[World], None], updates: int
) -> None:
    """Its entry has moved with it: another write would be refused, and cost as much."""
    event(world)
    seen = branch_of(world, "e")
    runtime, asked = noted(world)
    attention(world, runtime)._move_branch(runtime.facts(run_of(world)), run_of(world), seen, entry_of(seen))
    assert branch_of(world, "e").seq > seen.seq
    assert asked.count("UpdateItem") == updates
