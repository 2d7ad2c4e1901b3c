"""What a write asks of a branch, and what it leaves: condition by condition, attribute by attribute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import (
    WAITS,
    BranchRefused,
    RunRefused,
    arriving,
    birth_put,
    changes,
    difference,
    fence,
    halting,
    of_limit,
    of_pool,
    raising,
    stoppable,
    telling,
)
from cascade_flow.dynamodb.items import branch_item, run_item, to_branch
from cascade_flow.dynamodb.table import Check, Condition, Put, Refused, Table, Update
from cascade_flow.engine.state import Birth, Branch, Limit, Signal, Stop
from cascade_flow.model.events import StepSkipped
from cascade_flow.model.workflows import EventDefinition
from unit.dynamodb.stored import NEVER_S, put
from unit.dynamodb.told import step_scheduled
from unit.engine.facts import NOW_US, facts_of, run_of, step, told

STEPS = (step("a"), step("b"), step("j", "a", "b"), step("e", "a", event=EventDefinition()))
LATER = replace(facts_of(*STEPS), expires_s=NEVER_S, run_attempt=3)
AT_WORK = Branch("a", "running", "a", run_attempt=2, seq=4, heartbeat_us=7, due_us=NOW_US)
QUIET = replace(AT_WORK, heartbeat_us=None)
PARKED = replace(AT_WORK, halt="park")
ASKED = replace(AT_WORK, looks=True)
LIMITED = replace(AT_WORK, limit=Limit("db", 3), place=1)
OF_POOL = replace(AT_WORK, pool="gpu")
STOP = Stop("failed", 2)


@pytest.mark.parametrize(
    ("when", "fits", "others"),
    [
        (lambda: fence(AT_WORK), [AT_WORK, ASKED, OF_POOL], [QUIET, PARKED]),
        (
            lambda: fence(AT_WORK),
            [],
            [replace(AT_WORK, seq=3), replace(AT_WORK, seq=5), replace(AT_WORK, heartbeat_us=8)],
        ),
        (lambda: fence(QUIET), [QUIET], [AT_WORK]),
        (lambda: fence(PARKED), [PARKED], [AT_WORK, replace(AT_WORK, halt="stop")]),
        (lambda: arriving(AT_WORK), [AT_WORK], [ASKED, QUIET, PARKED, replace(AT_WORK, seq=5)]),
        (lambda: arriving(ASKED), [ASKED], [AT_WORK, replace(ASKED, seq=5)]),
        (lambda: of_pool(AT_WORK), [AT_WORK], [OF_POOL]),
        (lambda: of_pool(OF_POOL), [OF_POOL], [AT_WORK, replace(AT_WORK, pool="other")]),
        (lambda: of_limit(AT_WORK), [AT_WORK], [LIMITED]),
        (lambda: of_limit(replace(LIMITED, place=None)), [LIMITED], [AT_WORK, replace(LIMITED, limit=Limit("db", 4))]),
        (
            lambda: stoppable(AT_WORK, STOP),
            [AT_WORK, replace(AT_WORK, run_attempt=1)],
            [replace(AT_WORK, run_attempt=3)],
        ),
        (lambda: stoppable(AT_WORK, STOP), [], [replace(AT_WORK, seq=5), QUIET, PARKED]),
        (lambda: WAITS, [Branch("a", "open", "a")], [AT_WORK, Branch("a", "ended", "a")]),
    ],
)
def test_who_writes_must_have_seen_what_is_there(
    table: Table, when: Callable[[], Condition], fits: list[Branch], others: list[Branch]
) -> None:
    found: dict[bool, list[Branch]] = {True: [], False: []}
    for now in (*fits, *others):
        put(table, now)
        found[holds(table, when())].append(now)
    assert found == {True: fits, False: others}


def holds(table: Table, when: Condition) -> bool:
    try:
        table.write([Check(keys.branch("run", "a"), when)])
    except Refused:
        return False
    return True


def test_nothing_that_is_gone_fits_but_for_who_waits_for_the_first_to_come(table: Table) -> None:
    of_none = [fence(AT_WORK), arriving(QUIET), stoppable(AT_WORK, STOP), of_pool(OF_POOL), of_limit(LIMITED)]
    assert [holds(table, when) for when in (*of_none, WAITS)] == [*[False] * len(of_none), True]


def written(table: Table, write: Any) -> Branch:
    table.write([write])
    item = table.get(keys.branch("run", write.key.sk.removeprefix("B#")))
    assert item is not None
    assert item[keys.EXPIRY] == NEVER_S
    return to_branch(item)


def test_the_first_to_arrive_gives_birth_to_a_join_and_others_count(table: Table) -> None:
    first = raising(LATER, "j", arrivals=2, soon_us=NOW_US)
    assert written(table, first) == Branch("j", "open", "j", run_attempt=3, arrived=2, due_us=NOW_US)
    again = raising(replace(LATER, run_attempt=4), "j", arrivals=3, soon_us=NOW_US + 9)
    assert written(table, again) == Branch("j", "open", "j", run_attempt=3, arrived=5, due_us=NOW_US)


def test_an_event_is_looked_at_soon_after_each_who_arrives(table: Table) -> None:
    for arrived, soon_us in ((1, NOW_US), (2, NOW_US + 9)):
        raised = written(table, raising(LATER, "e", arrivals=1, soon_us=soon_us))
        assert (raised.arrived, raised.due_us) == (arrived, soon_us)


SIGNAL = Signal("mark", NOW_US + 1, "api", text="1")


def test_what_the_outside_says_gives_birth_to_an_event_or_is_added_to_it(table: Table) -> None:
    born = written(table, telling(LATER, "e", SIGNAL))
    expected = Branch("e", "open", "e", run_attempt=3, arrived=0, due_us=NOW_US + 1, signal=SIGNAL)
    assert born == expected
    with pytest.raises(Refused):
        table.write([telling(LATER, "e", replace(SIGNAL, mark="other"))])
    put(table, Branch("e", "open", "e", run_attempt=2, seq=5, arrived=1, due_us=NOW_US + 99))
    assert written(table, telling(LATER, "e", SIGNAL)) == replace(expected, run_attempt=2, seq=6, arrived=1)


def test_nothing_is_added_to_what_is_over(table: Table) -> None:
    put(table, Branch("j", "ended", "j"), Branch("e", "ended", "e"))
    late = [raising(LATER, name, arrivals=1, soon_us=NOW_US) for name in "je"]
    for write in (*late, telling(LATER, "e", SIGNAL)):
        with pytest.raises(Refused):
            table.write([write])


def test_who_is_told_twice_by_one_write_knows_it_again() -> None:
    first, second = (telling(LATER, "e", SIGNAL).nonce for _ in range(2))
    assert first
    assert first != second


def test_a_branch_is_born_with_its_events_where_it_is_not_there_yet(table: Table) -> None:
    skip = told(
        StepSkipped,
        NOW_US,
        step_id="a",
        skip_type="cascade",
        reason="why",
        cascaded_from="r",
        attempt_number=1,
        duration_us=0,
    )
    schedule = step_scheduled(NOW_US + 1, available_us=NOW_US)
    birth = Birth(Branch("a", "scheduled", "a", due_us=NOW_US), (skip, schedule))
    put_it = birth_put(LATER, birth, 17)
    assert isinstance(put_it, Put)
    born = to_branch(put_it.item)
    assert ([record["type"] for record in born.tail], born.origin_us) == (["StepSkipped", "StepScheduled"], 17)
    assert put_it.item[keys.EXPIRY] == NEVER_S
    table.write([put_it])
    put(table, Branch("b", "open", "b"))
    for branch in (birth.branch, Branch("b", "scheduled", "b")):
        with pytest.raises(Refused):
            table.write([birth_put(LATER, Birth(branch), None)])


@pytest.mark.parametrize(("own", "given", "origin_us"), [(7, 17, 7), (None, 17, 17), (7, None, 7), (None, None, None)])
def test_a_birth_that_names_its_origin_keeps_it(own: int | None, given: int | None, origin_us: int | None) -> None:
    put_it = birth_put(LATER, Birth(AT_WORK, origin_us=own), given)
    assert isinstance(put_it, Put)
    assert to_branch(put_it.item).origin_us == origin_us


def test_an_event_that_waits_is_raised_and_one_that_is_over_is_put(table: Table) -> None:
    waits = Branch("e", "open", "e", arrived=2, due_us=NOW_US + 5)
    put(table, Branch("e", "open", "e", signal=SIGNAL, due_us=NOW_US))
    raised = written(table, birth_put(LATER, Birth(waits), None))
    assert (raised.arrived, raised.due_us, raised.signal) == (2, NOW_US + 5, SIGNAL)
    assert isinstance(birth_put(LATER, Birth(replace(waits, status="ended")), None), Put)
    assert isinstance(birth_put(LATER, Birth(Branch("j", "open", "j")), None), Put)


@pytest.mark.parametrize(
    ("after", "made", "gone"),
    [
        ({"a": 1, "q": "due#1", "due": 5}, {}, set()),
        ({"a": 2, "q": "due#1", "due": 5}, {"a": 2}, set()),
        ({"a": 1, "q": "due#1", "due": 6}, {"due": 6, "q": "due#1"}, set()),
        ({"a": 1, "q": "done#1", "due": 5}, {"q": "done#1"}, set()),
        ({"b": 0}, {"b": 0}, {"a", "q", "due"}),
    ],
)
def test_what_differs_is_written_and_nothing_else(after: Any, made: Any, gone: set[str]) -> None:
    """But who gives a time gives the place too: another may have taken the item out of the index meanwhile."""
    assert changes({"a": 1, "q": "due#1", "due": 5}, after) == {"set": made, "remove": gone}


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_branch_becomes_another_by_what_differs(table: Table, is_packed: bool) -> None:
    after = replace(
        AT_WORK, seq=5, heartbeat_us=None, priority=0, due_us=NOW_US + 1, worker="w", tail=({"timestampUs": 1},)
    )
    packed = branch_item("run", after, expires_s=NEVER_S) if is_packed else None
    change = difference("run", AT_WORK, after, packed)
    assert change["set"].keys() == {"sq", "pr", "w", "e", "due", "q"}
    assert change["remove"] == {"hb"}
    put(table, AT_WORK)
    assert written(table, Update(keys.branch("run", "a"), None, **change)) == after


def test_who_is_stopped_leaves_the_index_and_who_is_parked_does_not() -> None:
    assert halting("stop") == {"set": {"h": "stop"}, "remove": {"q", "due"}}
    assert halting("park") == {"set": {"h": "park"}, "remove": set()}


def test_who_is_refused_is_told_what_is_there() -> None:
    run = run_of()
    assert BranchRefused.by(branch_item("run", AT_WORK, expires_s=9)).now == AT_WORK
    assert RunRefused.by(run_item(run)).now == run
    assert (BranchRefused.by(None).now, RunRefused.by(None).now) == (None, None)
