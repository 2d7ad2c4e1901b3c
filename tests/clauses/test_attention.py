"""What is done about one entry of the due index, and when somebody looks at it again: its borders, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import StepLimit, clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.engine.state import LONGEST_DELAY_US, Branch, Limit, Signal, Stop
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.attention import Attention, Call, _is_at_work, _is_moved, unseen
from cascade_flow.operations.children import Children
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.tally import Tally
from cascade_flow.records import replace
from cascade_flow.wake import Wake
from clauses.families import child_run, handed_out
from clauses.stage import RUN, asking, begun, branch_of, claimed, dies, done, dying, run_of
from clauses.test_events import HOUR_US, ROOT
from clauses.test_limits import STRIPE, got, limited, started
from clauses.test_rates import OPENAI
from clauses.test_waits import HALF_AN_HOUR_MS
from simulation import TIMING, TickingClock, World, step
from unit.engine import facts

NOW_US = facts.NOW_US
SAID = Signal("mark", NOW_US, "signal", "true")
LIMITED = {"limit": Limit("@flow", 1), "status": "pending"}


def attention(world: World, runtime: Runtime | None = None) -> Attention:
    return Attention(runtime or world.backend.runtime, Tally(), name="reaper")


def attended(world: World, name: str, branch: Branch | None = None) -> list[Call]:
    """Who is to be woken after a look at this branch as the index has it, or as it is told."""
    seen = branch or branch_of(world, name)
    by, run = attention(world), run_of(world)
    by._move_branch(by._runtime.facts(run), run, seen, entry_of(seen))
    return by.calls


def entry_of(branch: Branch) -> due.Entry:
    return due.Entry(int(branch.due_us or 0), keys.branch(RUN, branch.name))


def noted(world: World) -> tuple[Runtime, list[str]]:
    """A process that knows the workflow, and what it asks the table from then on."""
    by, asked = asking(world)
    by.runtime.facts(run_of(world))
    asked.clear()
    return by.runtime, asked


@pytest.mark.parametrize(
    ("known", "in_us"),
    [
        ({"stop": Stop("cancelled", 1), "owed": 3}, TIMING.lease_us),
        ({"owed": 3}, TIMING.grace_us),
        ({"reviving": True}, TIMING.grace_us),
        ({"status": "pending", "available_at_us": NOW_US + 60_000_000}, 60_000_000),
        ({"status": "pending", "available_at_us": NOW_US + 1}, TIMING.grace_us),
        ({"status": "pending", "available_at_us": NOW_US - 60_000_000}, TIMING.grace_us),
        ({**LIMITED, "available_at_us": NOW_US + 60_000_000}, 60_000_000),
        ({**LIMITED, "available_at_us": NOW_US}, TIMING.grace_us),
        ({**LIMITED, "available_at_us": NOW_US - TIMING.grace_us - 1}, TIMING.grace_us + 1),
        ({**LIMITED, "available_at_us": NOW_US - 2 * TIMING.horizon_us}, TIMING.horizon_us),
        ({**LIMITED, "status": "running"}, TIMING.timeout_us),
        ({}, TIMING.timeout_us),
        ({"deadline_us": NOW_US - 1}, TIMING.grace_us),
    ],
)
def test_when_a_run_is_looked_at_again(world: World, known: dict[str, Any], in_us: int) -> None:
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        assert attention(world)._next_look_us(facts.run_of(**known)) - NOW_US == in_us


@pytest.mark.parametrize(
    ("known", "moved"),
    [
        ({"stop": Stop("cancelled", 1), "reviving": True, "deadline_us": NOW_US}, "carry_on"),
        ({"reviving": True, "deadline_us": NOW_US}, "revive"),
        ({"deadline_us": NOW_US, "owed": 1}, "time_out"),
        ({"deadline_us": NOW_US, "status": "pending"}, "time_out"),
        ({"status": "pending", "available_at_us": NOW_US, "owed": 1}, "start"),
        ({"owed": 1}, "make_owed_roots"),
        ({"status": "pending", "available_at_us": NOW_US + 1}, ""),
        ({"deadline_us": NOW_US + 1}, ""),
    ],
)
def test_what_a_run_calls_for_first(world: World, known: dict[str, Any], moved: str) -> None:
    """What is begun is carried on with before its time is looked at: a stop before a retry, both before a deadline."""
    by, read, now = attention(world), facts.run_of(**known), facts.run_of(seq=9)
    by._stops, by._retries, by._runs = stops, retries, runs = Mock(), Mock(), Mock()
    for each in (stops.carry_on, retries.revive, runs.start, runs.make_owed_roots):
        each.return_value = now
    by._runtime = Mock(run=Mock(return_value=now))
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        after = by._move_run(read)
    asked = [call[0] for each in (stops, retries, runs) for call in each.method_calls]
    assert (asked, after) == ([moved] if moved else [], now if moved else read)


@pytest.mark.parametrize(
    ("arrived", "age_us", "in_us"),
    [
        (1, 60_000_000, 900_000_000),
        (1, 1, TIMING.grace_us),
        (1, 3_000_000_000, 600_000_000),
        (2, 60_000_000, TIMING.grace_us),
    ],
    ids=["fifteen times its run's age", "a grace at least", "until the deadline", "one that is full"],
)
def test_how_long_a_join_is_left_alone(world: World, arrived: int, age_us: int, in_us: int) -> None:
    known = facts.facts_of(step("a"), step("b"), step("j", "a", "b"))
    known = replace(known, started_at_us=NOW_US - age_us, deadline_us=NOW_US - age_us + TIMING.timeout_us)
    join = Branch("j", "open", "j", arrived=arrived)
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        assert attention(world)._pause_us(known, join) == in_us


def test_who_holds_a_branch_is_at_work_until_its_lease_is_over() -> None:
    known: list[tuple[Any, int | None]]
    known = [("running", NOW_US + 1), ("running", NOW_US), ("running", None), ("scheduled", NOW_US + 1)]
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        assert [_is_at_work(Branch("a", status, "a", lease_us=lease_us)) for status, lease_us in known] == [
            *(True, False, False, False)
        ]


def test_an_entry_is_moved_where_its_item_has_another_time_whichever() -> None:
    key = keys.branch(RUN, "a")
    known = [(5, 5), (5, 6), (6, 5), (5, None), (unseen(RUN, "a").due_us, 7)]
    moved = [_is_moved(due.Entry(entry_us, key), due_us) for entry_us, due_us in known]
    assert moved == [False, True, True, True, False]


def test_a_step_waits_since_it_was_ready_or_got_its_place_whichever_came_later() -> None:
    branch, entry = Branch("a", "scheduled", "a", available_at_us=20), due.Entry(9, keys.branch(RUN, "a"))
    calls = [Call(entry, Wake(RUN, "a"), branch, placed_us=placed_us) for placed_us in (0, 10, 30)]
    assert [call.since_us for call in calls] == [20, 20, 30]


def test_what_no_sweep_can_deal_with_is_looked_at_ever_more_rarely(world: World) -> None:
    begun(world, step("a"))
    pauses = []
    with clock.use(TickingClock(NOW_US, tick_us=0)):
        for _ in range(7):
            attention(world).put_off(entry_of(branch_of(world, "a")))
            pauses.append(int(branch_of(world, "a").due_us or 0) - NOW_US)
    doubled = [TIMING.grace_us * 2**number for number in range(7)]
    assert pauses == [min(pause_us, TIMING.horizon_us) for pause_us in doubled]


def test_who_waits_for_children_that_need_nothing_is_looked_at_after_a_grace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_out(world, concurrency=2)
    world.clock.pause_us(TIMING.lease_us)
    monkeypatch.setattr(Children, "look", lambda *_, **__: False)
    attended(world, "lines")
    assert branch_of(world, "lines").due_us == pytest.approx(clock.now_us() + TIMING.grace_us, abs=10_000)


def test_a_childs_time_is_its_parents(world: World) -> None:
    handed_out(world, concurrency=2)
    one = child_run(world, 0)
    world.clock.pause_us(one.deadline_us - clock.now_us())
    assert attention(world)._move_run(one) == one
    assert child_run(world, 0).stop is None


def far(world: World) -> int:
    begun(world, step("a", delay_ms=HALF_AN_HOUR_MS))
    return int(branch_of(world, "a").available_at_us or 0) - LONGEST_DELAY_US


def near(world: World) -> int:
    begun(world, step("a", delay_ms=60_000))
    return int(branch_of(world, "a").available_at_us or 0) + TIMING.grace_us


@pytest.mark.parametrize("waiting", [far, near])
def test_what_is_seen_long_before_its_time_is_left_until_a_message_must_have_come(
    world: World, waiting: Callable[[World], int]
) -> None:
    look_us = waiting(world)
    due.look_later(world.observer.runtime.ledger.table, entry_of(branch_of(world, "a")), look_us - 1_000_000)
    assert attended(world, "a") == []
    assert branch_of(world, "a").due_us == look_us


def test_whose_turn_is_still_to_come_is_looked_at_when_it_comes(world: World) -> None:
    begun(world, step("a", limit=OPENAI))
    seen = branch_of(world, "a")
    waiting = replace(seen, turn_us=clock.now_us() + 1_000_000)
    assert attended(world, "a", waiting) == []
    assert branch_of(world, "a").due_us == waiting.ready_us


def test_what_is_due_this_very_moment_is_called_out(world: World) -> None:
    begun(world, step("a"))
    seen = branch_of(world, "a")
    with clock.use(TickingClock(int(seen.available_at_us or 0), tick_us=0)):
        [call] = attended(world, "a")
        by = attention(world)
        by.send([call])
    assert by._tally.swept(took_us=0, called_out=0, pools_us={}).done == {"wake-ups repeated": 1}


def test_who_has_no_place_is_not_called_out_at_the_moment_it_is_due_either(world: World) -> None:
    world.register([limited("a")])
    started(world, "before", RUN)
    got(world, "before")
    with clock.use(TickingClock(branch_of(world, "a").ready_us, tick_us=0)):
        assert attended(world, "a") == []


@pytest.mark.parametrize("limit", [None, STRIPE], ids=["as it is", "with its place"])
def test_what_waits_to_be_sent_holds_no_events(world: World, limit: StepLimit | None) -> None:
    """Twenty thousand of them are kept at a time."""
    begun(world, step("a", limit=limit))
    assert branch_of(world, "a").tail
    assert [call.branch for call in attended(world, "a")] == [replace(branch_of(world, "a"), tail=())]


@pytest.mark.parametrize("stops", [False, True], ids=["not yet", "no more"])
def test_an_event_of_a_run_that_does_not_go_on_is_left_as_it_is_without_a_word(
    world: World, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    begun(world, *ROOT, available_at=None if stops else clock.now_us() + HOUR_US)
    if stops:
        dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(RUN))
    world.observer.runtime.ledger.tell_event(world.observer.runtime.facts(run_of(world)), "e", SAID)
    event = branch_of(world, "e")
    monkeypatch.setattr(AfterCommit, "open_join", lambda *_: pytest.fail("somebody looks"))
    assert attended(world, "e", event) == []
    assert replace(branch_of(world, "e"), due_us=event.due_us) == event


def open_join(world: World) -> str:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    done(world, "a")
    return "j"


def held(world: World) -> str:
    begun(world, step("a"))
    claimed(world, "a")
    return "a"


def over(world: World) -> str:
    begun(world, step("a"), step("b"))
    done(world, "a")
    return "a"


def missing(world: World) -> str:
    begun(world, step("a"))
    return "b"


@pytest.mark.parametrize("there", [open_join, held, over, missing])
def test_a_message_moves_no_entry_that_nobody_has_seen(world: World, there: Callable[[World], str]) -> None:
    """What it would write, would be refused: a request for nothing, at each message."""
    name = there(world)
    runtime, asked = noted(world)
    attention(world, runtime).attend(unseen(RUN, name), runtime.ledger)
    assert "GetItem" in asked
    assert [operation for operation in asked if operation != "GetItem"] == []


def test_a_join_that_is_not_full_costs_one_write_and_no_read(world: World) -> None:
    join = branch_of(world, open_join(world))
    runtime, asked = noted(world)
    attention(world, runtime)._move_branch(runtime.facts(run_of(world)), run_of(world), join, entry_of(join))
    assert asked == ["UpdateItem"]
