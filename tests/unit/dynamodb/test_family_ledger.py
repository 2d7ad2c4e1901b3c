"""The writes of children, each held against all that may be stored when it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.family_ledger import Child, FamilyLedger
from cascade_flow.dynamodb.items import branch_item, commit_item, to_branch, to_records, to_run
from cascade_flow.dynamodb.table import NONCE, Put, Table
from cascade_flow.engine.runs import Opening
from cascade_flow.engine.state import Birth, Branch, Run, Up
from cascade_flow.model.events import RunSubmitted
from cascade_flow.model.ids import child_id
from unit.dynamodb.stored import NEVER_S, lost, put
from unit.dynamodb.told import SUBMISSION, step_scheduled
from unit.engine.facts import NOW_US, facts_of, run_of, step, told

FACTS = replace(facts_of(step("b"), step("m", "b")), expires_s=NEVER_S)
UP = Up("run", "b", "m", 7, is_item=True)
WAITING = Branch("b", "waiting", "m", seq=4, arrived=2, due_us=NOW_US + 5)
CHILD = replace(run_of(), run_id=child_id("run", "m", 7), expires_s=NEVER_S, up=UP, due_us=NOW_US)
ITS_FACTS = replace(FACTS, run_id=CHILD.run_id)
SUBMITTED = told(RunSubmitted, NOW_US, input="[7]", **SUBMISSION)
SCHEDULED = step_scheduled(NOW_US + 1, available_us=NOW_US)
OPENING = Opening(CHILD, (SUBMITTED, SCHEDULED), tuple(Birth(Branch(name, "scheduled", name)) for name in "ab"))
NEW = Child(ITS_FACTS, OPENING, {"[7]": "P#1"})
TOLD = (to_record(SUBMITTED, NEW.references), to_record(SCHEDULED, {}))


@pytest.fixture
def ledger(table: Table) -> FamilyLedger:
    return FamilyLedger(table)


def parent(table: Table) -> Branch | None:
    item = table.get(keys.branch("run", "b"))
    return None if item is None else to_branch(item)


def items_of(table: Table, run_id: str) -> list[Any]:
    return list(table.query(keys.history(run_id)))


def test_children_are_found_by_number_however_many_and_whether_they_have_begun(
    table: Table, ledger: FamilyLedger
) -> None:
    there: dict[int, Run] = {}
    for number in range(130):
        up, status = replace(UP, number=number), "pending" if number % 2 else "running"
        there[number] = replace(CHILD, run_id=child_id("run", "m", number), status=status, up=up)
    put(table, *(run for number, run in there.items() if number != 3))
    assert ledger.children(FACTS, "m", range(140)) == {number: run for number, run in there.items() if number != 3}
    assert ledger.children(FACTS, "m", []) == {}


@pytest.mark.parametrize("passed", [0, 3])
def test_children_are_born_whole_with_the_note_of_it(table: Table, ledger: FamilyLedger, passed: int) -> None:
    put(table, WAITING)
    after = ledger.release(FACTS, WAITING, replace(WAITING, due_us=NOW_US + 99), [NEW], passed=passed)
    assert after == replace(WAITING, seq=5, due_us=NOW_US + 99, arrived=2 + passed) == parent(table)
    run, *branches = items_of(table, CHILD.run_id)
    assert to_run(run) == replace(CHILD, tail=TOLD)
    assert [(to_branch(item).name, item[keys.EXPIRY]) for item in branches] == [("a", NEVER_S), ("b", NEVER_S)]
    assert [to_branch(item).origin_us for item in branches] == [None, None]


MOVED = [{"seq": 5}, {"seq": 3}, {"halt": "stop"}, {"heartbeat_us": 1}]


@pytest.mark.parametrize("moved", MOVED, ids=str)
def test_nothing_is_born_of_a_step_that_has_moved(table: Table, ledger: FamilyLedger, moved: Any) -> None:
    put(table, replace(WAITING, **moved))
    with pytest.raises(BranchRefused):
        ledger.release(FACTS, WAITING, WAITING, [NEW], passed=1)
    assert items_of(table, CHILD.run_id) == []


def test_no_child_is_born_twice(table: Table, ledger: FamilyLedger) -> None:
    put(table, WAITING, CHILD)
    with pytest.raises(BranchRefused):
        ledger.release(FACTS, WAITING, WAITING, [NEW], passed=1)
    assert parent(table) == WAITING


def test_a_child_begins_its_next_attempt_as_it_was_read(table: Table, ledger: FamilyLedger) -> None:
    again = replace(CHILD, run_attempt=2, seq=9, reviving=True, due_us=None)
    child = Child(ITS_FACTS, Opening(again, OPENING.events), NEW.references, before=CHILD)
    taken = commit_item(CHILD.run_id, [TOLD[1]], expires_s=NEVER_S)
    put(table, WAITING, CHILD)
    ledger.release(FACTS, WAITING, WAITING, [child], passed=0)
    run, commit = items_of(table, CHILD.run_id)
    assert to_run(run) == replace(again, seq=CHILD.seq + 1)
    assert (to_records(commit), commit[keys.EXPIRY]) == (TOLD, NEVER_S)
    put(table, WAITING, replace(CHILD, seq=CHILD.seq + 1))
    table.delete(keys.commit(CHILD.run_id, NOW_US))
    with pytest.raises(BranchRefused):
        ledger.release(FACTS, WAITING, WAITING, [child], passed=0)
    put(table, CHILD)
    table.write([Put({**taken, keys.SORT: keys.commit(CHILD.run_id, NOW_US).sk})])
    with pytest.raises(BranchRefused):
        ledger.release(FACTS, WAITING, WAITING, [child], passed=0)


@pytest.mark.parametrize("moved", [*MOVED, {"arrived": 3}], ids=str)
def test_a_look_is_put_off_while_all_is_as_it_was_seen(table: Table, ledger: FamilyLedger, moved: Any) -> None:
    put(table, replace(WAITING, **moved))
    with pytest.raises(BranchRefused):
        ledger.put_off(FACTS, WAITING, replace(WAITING, due_us=NOW_US + 99))
    put(table, WAITING)
    ledger.put_off(FACTS, WAITING, replace(WAITING, due_us=NOW_US + 99))
    assert parent(table) == replace(WAITING, seq=5, due_us=NOW_US + 99)


@pytest.mark.parametrize(
    ("there", "due_us"),
    [
        (replace(WAITING, due_us=NOW_US - 1), NOW_US - 1),
        (replace(WAITING, due_us=NOW_US), NOW_US),
        (replace(WAITING, due_us=NOW_US + 1), NOW_US),
        (replace(WAITING, due_us=None), NOW_US),
    ],
)
def test_a_childs_end_is_counted_and_looked_at_within_a_lease(
    table: Table, ledger: FamilyLedger, there: Branch, due_us: int
) -> None:
    put(table, there)
    counted = replace(there, arrived=3, due_us=due_us)
    assert ledger.raise_parent(UP, look_us=NOW_US) == counted == parent(table)
    item = table.get(keys.branch("run", "b"))
    assert item is not None
    assert item[keys.DUE_SHARD] == keys.due("run")


@pytest.mark.parametrize(
    "there", [replace(WAITING, halt="stop"), replace(WAITING, halt="park"), Branch("b", "ended", "m")]
)
def test_nothing_is_counted_where_nobody_waits(table: Table, ledger: FamilyLedger, there: Branch) -> None:
    put(table, there)
    assert ledger.raise_parent(UP, look_us=NOW_US) == there == parent(table)


def test_nothing_is_counted_where_the_parent_is_gone(table: Table, ledger: FamilyLedger) -> None:
    assert ledger.raise_parent(UP, look_us=NOW_US) is None
    assert parent(table) is None


def test_who_has_written_and_heard_no_answer_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "mine")
    written = replace(WAITING, seq=5)
    client = lost(**branch_item("run", written, expires_s=NEVER_S), **{NONCE: "mine"})
    ledger = FamilyLedger(client.table)
    ledger.put_off(FACTS, WAITING, replace(WAITING, due_us=NOW_US + 99))
    assert ledger.release(FACTS, WAITING, WAITING, [], passed=1).seq == 5
    assert ledger.raise_parent(UP, look_us=NOW_US + 9) == written
    assert len(client.requests) == 3
