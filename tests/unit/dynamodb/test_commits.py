"""How a commit is written: riding on its branch or logged, with what it asks of the run and takes to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys, ledger as ledger_module
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import branch_item, commit_item, size_of
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.engine.state import Birth, Branch, Commit, Owed, Run, Stop, Up
from cascade_flow.model.events import WorkflowCompleted
from unit.dynamodb.stored import NEVER_S, Counting, put
from unit.dynamodb.told import step_completed
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step, told

FACTS = facts_of(step("a"), step("b", "a"), step("c", "a"))
RUN = run_of(due_us=NOW_US + 900, last_us=1)
ASIDE = {'"large"': "P#1"}


def record(us: int, output: str = "1") -> Any:
    return to_record(step_completed(us, output), ASIDE)


BEFORE = Branch("a", "running", "a", seq=3, tail=(record(10),), origin_us=5, worker="w", due_us=NOW_US, last_us=10)
EVENTS = (step_completed(20, '"large"'), step_completed(21))
NEW = (record(20, '"large"'), record(21))
NEXT = replace(BEFORE, step="b", seq=99, last_us=21)
STAYS = replace(BEFORE, seq=99, last_us=21)
END = told(
    WorkflowCompleted, 30, workflow_attempt_number=1, output="2", duration_us=1, total_steps=1, completed_steps=1
)


def ledger_of(client: Counting, before: Branch = BEFORE, run: Run = RUN) -> Ledger:
    return Ledger(client.holding(run, before))


def logged(client: Counting, us: int = 10) -> Any:
    return Ledger(client.table).run_and_origin("run", us)[1]


@pytest.mark.parametrize(
    ("before", "after", "origin_us"),
    [
        (BEFORE, NEXT, None),
        (BEFORE, STAYS, 5),
        (BEFORE, replace(STAYS, attempt=2), 5),
        (replace(BEFORE, status="parked"), NEXT, 5),
    ],
)
def test_a_commit_rides_on_its_branch_by_one_update(
    client: Counting, before: Branch, after: Branch, origin_us: int | None
) -> None:
    ledger = ledger_of(client, before)
    now = ledger.write(FACTS, Commit(before, after, EVENTS), ASIDE)
    assert now == replace(after, seq=4, tail=(record(10), *NEW), origin_us=origin_us)
    assert [[*asked] for asked in client.asked if "TransactItems" in asked] == []
    assert len(client.asked) == 1
    assert ledger.branch("run", "a") == now


WAYS: dict[str, dict[str, Any]] = {
    "logged": {"logged": True},
    "a birth": {"births": (Birth(Branch("c", "scheduled", "c")),)},
    "a stop": {"stop": Stop("failed", 1, "a")},
    "an end": {"end": END},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_takes_others_with_it_is_logged_whole(client: Counting, way: str) -> None:
    ledger, ending = ledger_of(client), (to_record(END, {}),) if way == "an end" else ()
    now = ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, **WAYS[way]), ASIDE)
    assert now == replace(STAYS, seq=4, tail=())
    assert ledger.branch("run", "a") == now
    assert logged(client) == (record(10), *NEW, *ending)
    assert (client.stored(keys.commit("run", 10)) or {})[keys.EXPIRY] == RUN.expires_s
    assert "TransactItems" in client.asked[0]


@pytest.mark.parametrize(
    ("before", "after", "origin_us"),
    [
        (BEFORE, STAYS, 5),
        (replace(BEFORE, origin_us=None), STAYS, 10),
        (BEFORE, NEXT, 10),
        (BEFORE, replace(STAYS, owed=Owed(("a",))), 10),
        (BEFORE, replace(STAYS, status="parked"), 10),
        (replace(BEFORE, status="parked"), NEXT, 5),
        (replace(BEFORE, status="parked", origin_us=None), NEXT, 10),
        (replace(BEFORE, tail=()), NEXT, 20),
    ],
)
def test_who_comes_after_a_step_that_is_over_finds_where_it_is_told(
    client: Counting, before: Branch, after: Branch, origin_us: int
) -> None:
    births = tuple(Birth(Branch(name, "scheduled", name)) for name in "bc")
    ledger = ledger_of(client, before)
    commit = Commit(before, replace(after, origin_us=None, tail=()), EVENTS, births=births)
    assert ledger.write(FACTS, commit, ASIDE).origin_us == origin_us
    assert {name: branch.origin_us for name, branch in ledger.branches("run").items()} == dict.fromkeys(
        "abc", origin_us
    )


def test_who_asks_whether_the_run_goes_on_rides_all_the_same(client: Counting) -> None:
    ledger = ledger_of(client)
    now = ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, checks_run=True), ASIDE)
    assert now == replace(STAYS, seq=4, tail=(record(10), *NEW))
    assert (ledger.branch("run", "a"), logged(client)) == (now, ())
    whole = ledger.write(FACTS, Commit(now, STAYS, (), checks_run=True, logged=True), ASIDE)
    assert (whole.tail, logged(client)) == ((), (record(10), *NEW))


def test_an_end_alone_is_logged_where_the_rest_rides(client: Counting) -> None:
    ledger = ledger_of(client)
    now = ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, checks_run=True, end=END), ASIDE)
    assert now.tail == (record(10), *NEW)
    assert (logged(client), logged(client, 30)) == ((), (to_record(END, {}),))


@pytest.mark.parametrize(("status", "room"), [("running", 72), ("scheduled", 176)])
@pytest.mark.parametrize(("more", "rides"), [(0, True), (-1, False)])
def test_a_commit_rides_where_it_leaves_room_in_a_unit_for_what_comes_before_the_next(
    client: Counting, status: Any, room: int, more: int, rides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, after = ledger_of(client), replace(STAYS, status=status)
    whole = replace(after, seq=4, tail=(record(10), *NEW))
    size = size_of(branch_item("run", whole, expires_s=FACTS.expires_s))
    monkeypatch.setattr(ledger_module, "ITEM_UNIT", size + room + more)
    now = ledger.write(FACTS, Commit(BEFORE, after, EVENTS), ASIDE)
    assert (now == whole) is rides
    assert ("TransactItems" in client.asked[0]) is not rides


CHILD = replace(FACTS, up=Up("parent", "m", "m", 0, is_item=True))


def result_of(client: Counting, **kept: Any) -> Any:
    run = Ledger(client.table).run("run")
    assert run is not None
    return replace(run, up=None), (run.result, run.result_place, run.lost)


@pytest.mark.parametrize(
    ("facts", "text", "lost", "result"),
    [
        (FACTS, "2", 3, (None, None, None)),
        (CHILD, "2", 3, ("2", None, 3)),
        (CHILD, "2", 0, ("2", None, 0)),
        (CHILD, '"large"', None, (None, "P#1", None)),
        (CHILD, '"large"', 2, (None, "P#1", 2)),
        (CHILD, None, 3, (None, None, None)),
    ],
)
def test_a_stop_is_taken_over_by_the_run_with_what_its_parent_is_to_have(
    client: Counting, facts: Any, text: str | None, lost: int | None, result: Any
) -> None:
    stop = Stop("failed", 1, "a")
    ledger_of(client).write(facts, Commit(BEFORE, STAYS, EVENTS, stop=stop, partial=text, lost=lost), ASIDE)
    run, given = result_of(client)
    due_us = 21 + TIMING.grace_us
    assert run == replace(
        RUN, stop=stop, seq=2, due_us=due_us, result=result[0], result_place=result[1], lost=result[2]
    )
    assert given == result


@pytest.mark.parametrize(
    ("facts", "output", "result"),
    [
        (FACTS, "2", (None, None, None)),
        (CHILD, "2", ("2", None, None)),
        (CHILD, '"large"', (None, "P#1", None)),
        (CHILD, None, (None, None, None)),
    ],
)
def test_an_end_is_taken_over_by_the_run_which_is_due_no_more(
    client: Counting, facts: Any, output: str | None, result: Any
) -> None:
    end = END.model_copy(update={"output": output})
    ledger_of(client).write(facts, Commit(BEFORE, STAYS, EVENTS, end=end), ASIDE)
    run, given = result_of(client)
    ended: Any = {"status": "completed", "completed_at_us": 30, "last_us": 30, "due_us": 30, "seq": 2}
    assert run == replace(RUN, **ended, result=result[0], result_place=result[1])
    assert given == result
    assert (client.stored(keys.run("run")) or {})[keys.DUE_SHARD] == keys.done("run")
    assert logged(client)[-1] == to_record(end, ASIDE)


ASKING: dict[str, dict[str, Any]] = {
    "a stop": {"stop": Stop("failed", 1)},
    "an end": {"end": END},
    "a check": {"checks_run": True},
    "a check and an end": {"checks_run": True, "end": END},
}


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize(
    "moved",
    [{"status": "failed"}, {"stop": Stop("cancelled", 1)}, {"run_attempt": 2}],
    ids=["over", "stopped", "tried again"],
)
def test_a_commit_that_asks_whether_the_run_goes_on_is_told_where_it_does_not(
    client: Counting, asking: dict[str, Any], moved: dict[str, Any]
) -> None:
    ledger, there = ledger_of(client, run=replace(RUN, **moved)), replace(RUN, **moved)
    with pytest.raises(RunRefused) as found:
        ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, **asking), ASIDE)
    assert (found.value.now, ledger.run("run"), ledger.branch("run", "a")) == (there, there, BEFORE)
    with pytest.raises(BranchRefused) as first:
        ledger.write(FACTS, Commit(replace(BEFORE, seq=2), STAYS, EVENTS, **asking), ASIDE)
    assert first.value.now == BEFORE, "of both, that the branch has moved"


KNOWN: list[dict[str, Any]] = [{"seq": 4}, {"heartbeat_us": 1}, {"halt": "park"}]
EACH_WAY: dict[str, dict[str, Any]] = {"riding": {}, "logged": {"logged": True}, **ASKING}


@pytest.mark.parametrize("way", EACH_WAY.values(), ids=EACH_WAY)
@pytest.mark.parametrize("moved", KNOWN, ids=str)
def test_whose_branch_has_moved_is_told_what_it_is_now(
    client: Counting, way: dict[str, Any], moved: dict[str, Any]
) -> None:
    there = replace(BEFORE, **moved)
    ledger = ledger_of(client, there)
    with pytest.raises(BranchRefused) as found:
        ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, **way), ASIDE)
    assert (found.value.now, ledger.branch("run", "a"), ledger.run("run")) == (there, there, RUN)


def test_who_arrives_at_no_join_need_not_have_seen_whether_it_is_to_look(client: Counting) -> None:
    ledger = ledger_of(client, replace(BEFORE, looks=True))
    assert ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, logged=True), ASIDE).seq == 4


def test_who_arrives_at_a_join_has_seen_whether_it_is_to_look(client: Counting) -> None:
    seen = replace(BEFORE, looks=True)
    ledger, commit = ledger_of(client, seen), Commit(BEFORE, STAYS, EVENTS, logged=True, raises=("j",))
    with pytest.raises(BranchRefused):
        ledger.write(FACTS, commit, ASIDE)
    assert ledger.write(FACTS, replace(commit, before=seen), ASIDE).seq == 4


def test_nothing_that_is_there_is_put_again(client: Counting) -> None:
    births = (Birth(Branch("b", "scheduled", "b")), Birth(Branch("c", "scheduled", "c")))
    ledger = ledger_of(client)
    put(client.table, Branch("c", "ended", "c"))
    with pytest.raises(BranchRefused) as found:
        ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, births=births, checks_run=True), ASIDE)
    assert (found.value.now, sorted(ledger.branches("run"))) == (None, ["a", "c"])
    put(client.table, commit_item("run", [record(10)], expires_s=NEVER_S))
    with pytest.raises(BranchRefused):
        ledger.write(FACTS, Commit(BEFORE, STAYS, EVENTS, logged=True), ASIDE)
    assert ledger.branch("run", "a") == BEFORE


OWED = (Birth(Branch("b", "scheduled", "b")), Birth(Branch("c", "scheduled", "c"), origin_us=7))
OWES = replace(BEFORE, owed=Owed(("a",), 2), seq=99)


@pytest.mark.parametrize("moved", KNOWN, ids=str)
def test_what_is_owed_is_not_made_by_who_has_not_seen_its_debtor(client: Counting, moved: dict[str, Any]) -> None:
    there = replace(BEFORE, **moved)
    ledger = ledger_of(client, there)
    with pytest.raises(BranchRefused) as found:
        ledger.make_owed(FACTS, BEFORE, OWES, OWED)
    assert (found.value.now, sorted(ledger.branches("run"))) == (there, ["a"])


def test_what_is_owed_is_made_by_who_has_seen_its_debtor(client: Counting) -> None:
    ledger = ledger_of(client)
    assert ledger.make_owed(FACTS, BEFORE, OWES, OWED) == replace(OWES, seq=4)
    found = ledger.branches("run")
    assert found["a"] == replace(OWES, seq=4)
    assert [found[name].origin_us for name in "bc"] == [5, 7]


def test_what_is_owed_and_there_already_is_not_put_again(client: Counting) -> None:
    ledger = ledger_of(client)
    put(client.table, Branch("b", "ended", "b"))
    with pytest.raises(BranchRefused) as found:
        ledger.make_owed(FACTS, BEFORE, replace(BEFORE, owed=None), (Birth(Branch("b", "scheduled", "b")),))
    assert (found.value.now, ledger.branch("run", "a")) == (None, BEFORE)
