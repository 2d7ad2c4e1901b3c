"""How a run's item is written: what each write leaves of every field, whom it refuses, and what it takes with it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import key_of, run_item
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.run_ledger import KeyTaken, RunLedger
from cascade_flow.dynamodb.table import NONCE, Put
from cascade_flow.engine.runs import Opening
from cascade_flow.engine.state import Birth, Branch, Run, Stop, Up
from cascade_flow.engine.undo import UndoBirth
from cascade_flow.engine.undoing import Done, Undoing
from cascade_flow.model.events import (
    RunSubmitted,
    StepError,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from unit.dynamodb.stored import Counting, lost, put
from unit.engine.facts import NOW_US, facts_of, run_of, step, told

FACTS = facts_of(step("a"), step("b"))
BIRTHS = tuple(Birth(Branch(name, "scheduled", name, due_us=NOW_US)) for name in ("a", "b"))
SUBMITTED = told(
    RunSubmitted, NOW_US - 200, version_id="v1", available_at_us=1, priority=0, has_input_schema=False, input="[1]"
)
STARTED = told(
    WorkflowStarted, NOW_US, workflow_attempt_number=1, version_id="v1", has_input_schema=False, has_input=True
)
ASIDE = {"[1]": "P#1"}
RUN = run_of(last_us=NOW_US - 100, due_us=NOW_US + 50, tail=(to_record(SUBMITTED, {}),), seq=4)
OPENING = Opening(replace(RUN, tail=()), (SUBMITTED,), BIRTHS)
FAILED: dict[str, Any] = {
    "workflow_attempt_number": 1,
    "duration_us": 1,
    "completed_steps": 0,
    "failure_reason": "step-failed",
}


def submit(client: Counting, opening: Opening = OPENING, *, key: str | None = "k", content: str = "c") -> Run:
    return RunLedger(client.table).submit(FACTS, opening, ASIDE, key=key, content=content)


def now(client: Counting, run_id: str = "run") -> Run | None:
    return Ledger(client.table).run(run_id)


def branches(client: Counting, run_id: str = "run") -> list[str]:
    return sorted(Ledger(client.table).branches(run_id))


# -- its beginning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k", None])
def test_a_run_is_put_with_its_key_and_all_its_roots(client: Counting, key: str | None) -> None:
    run = submit(client, key=key)
    assert run == replace(RUN, tail=(to_record(SUBMITTED, ASIDE),))
    assert (now(client), branches(client)) == (run, ["a", "b"])
    taken = {"r": "run", "c": "c", keys.EXPIRY: RUN.expires_s}
    assert client.stored(keys.idempotency("k")) == (None if key is None else taken)
    found = RunLedger(client.table).key_taken("k")
    assert (found and (found.run_id, found.content)) == (None if key is None else ("run", "c"))


def test_two_who_submit_the_same_are_two(client: Counting) -> None:
    """Or the second would take the first one's run for its own."""
    for _ in range(2):
        bare = Counting()
        submit(bare, replace(OPENING, births=()), key=None)
        client.asked += bare.asked[-1:]
    first, second = (asked["Item"][NONCE] for asked in client.asked)
    assert first != second


@pytest.mark.parametrize("id", ["run", "another"])
def test_of_a_key_that_is_taken_that_is_told_before_all_else(client: Counting, id: str) -> None:
    submit(client, content="first")
    with pytest.raises(KeyTaken) as found:
        submit(client, replace(OPENING, run=replace(OPENING.run, run_id=id)))
    assert (found.value.run_id, found.value.content) == ("run", "first")
    assert now(client, "another") is None


@pytest.mark.parametrize("key", ["k2", None])
def test_of_an_id_that_is_taken_the_run_is_told(client: Counting, key: str | None) -> None:
    submit(client)
    there = replace(RUN, seq=9)
    put(client.table, there)
    with pytest.raises(RunRefused) as found:
        submit(client, key=key)
    assert found.value.now == there
    assert client.stored(keys.idempotency("k2")) is None


def takes_key(client: Counting, *, left_s: int) -> None:
    """Another run has it, until so long after this one is made."""
    expires_s = RUN.created_us // 1_000_000 + left_s
    put(client.table, {**key_of(keys.idempotency("k")), "r": "old", "c": "c", keys.EXPIRY: expires_s})


def test_a_key_is_free_again_when_its_run_is_over(client: Counting) -> None:
    takes_key(client, left_s=-1)
    assert submit(client).run_id == "run"


@pytest.mark.parametrize("left_s", [0, 1])
def test_a_key_is_taken_as_long_as_its_run_is_there(client: Counting, left_s: int) -> None:
    takes_key(client, left_s=left_s)
    with pytest.raises(KeyTaken):
        submit(client)


def put_roots(client: Counting, write: str, seen: Run) -> Run:
    """With what is written of the run beside them."""
    ledger = RunLedger(client.table)
    if write == "start":
        return ledger.start(FACTS, seen, Opening(replace(RUN, seq=99, due_us=7, tail=()), (STARTED,), BIRTHS))
    return ledger.make_roots(FACTS, seen, replace(seen, owed=1, seq=99, due_us=7), BIRTHS)


@pytest.mark.parametrize("write", ["start", "make_roots"])
@pytest.mark.parametrize("seq", [3, 5])
def test_no_roots_are_put_where_the_run_is_not_as_it_was_seen(client: Counting, write: str, seq: int) -> None:
    put(client.table, RUN)
    with pytest.raises(RunRefused) as found:
        put_roots(client, write, replace(RUN, seq=seq))
    assert (found.value.now, now(client), branches(client)) == (RUN, RUN, [])


@pytest.mark.parametrize(
    ("write", "changed"), [("start", {"tail": (*RUN.tail, to_record(STARTED, {}))}), ("make_roots", {"owed": 1})]
)
def test_roots_are_put_with_the_run_as_it_was_seen(client: Counting, write: str, changed: dict[str, Any]) -> None:
    put(client.table, RUN)
    after = put_roots(client, write, RUN)
    assert after == replace(RUN, seq=5, due_us=7, **changed)
    assert (now(client), branches(client)) == (after, ["a", "b"])


def test_a_run_is_not_moved_where_a_root_of_it_is_there(client: Counting) -> None:
    put(client.table, RUN, Branch("b", "ended", "b"))
    with pytest.raises(RunRefused):
        RunLedger(client.table).make_roots(FACTS, RUN, replace(RUN, owed=1), BIRTHS)
    assert (now(client), branches(client)) == (RUN, ["b"])


# -- its end ----------------------------------------------------------------------------------------------------------

STOP = Stop("cancelled", 1, reason="no")


def test_who_means_to_stop_a_run_says_so_once_it_has_seen_it(client: Counting) -> None:
    before = replace(RUN, stop=Stop("failed", 1, "a"))
    put(client.table, before)
    after = RunLedger(client.table).intend(before, STOP, due_us=77)
    assert after == replace(RUN, stop=STOP, due_us=77, seq=5)
    assert now(client) == after


@pytest.mark.parametrize(("seen", "stop"), [(3, STOP), (5, STOP), (4, replace(STOP, run_attempt=2))])
def test_who_has_not_seen_a_run_as_it_is_or_means_another_attempt_stops_nothing(
    client: Counting, seen: int, stop: Stop
) -> None:
    put(client.table, RUN)
    with pytest.raises(RunRefused) as found:
        RunLedger(client.table).intend(replace(RUN, seq=seen), stop, due_us=77)
    assert (found.value.now, now(client)) == (RUN, RUN)


def test_who_meant_to_stop_a_run_that_others_have_stopped_since_is_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "mine")
    gone_on = {**run_item(replace(RUN, status="cancelled", seq=6)), NONCE: "mine"}
    client = lost(**gone_on)
    assert RunLedger(client.table).intend(RUN, STOP, due_us=77).stop == STOP


FAILURE = told(WorkflowFailed, NOW_US, error=StepError(name="E", message="m" * 300 + "x"), **FAILED)
CANCELLED = told(WorkflowCancelled, NOW_US, workflow_attempt_number=1, duration_us=1, completed_steps=0)
WHY = {"name": "E", "message": "m" * 300}


def test_the_end_of_a_run_leaves_nothing_to_do(client: Counting) -> None:
    before = replace(RUN, stop=STOP, reviving=True)
    put(client.table, before, Branch("a", "open", "a"), Branch("b", "open", "b"))
    halts: Any = [(Branch("a", "open", "a"), "park"), (Branch("b", "open", "b"), "stop")]
    after = RunLedger(client.table).finish(before, FAILURE, "failed", halts)
    ended: dict[str, Any] = {"status": "failed", "completed_at_us": NOW_US, "due_us": NOW_US, "last_us": NOW_US}
    assert after == replace(RUN, seq=5, **ended)
    assert now(client) == after
    stored = client.stored(keys.run("run")) or {}
    assert stored[keys.DUE_SHARD] == keys.done("run")
    halted = Ledger(client.table).branches("run")
    assert {name: branch.halt for name, branch in halted.items()} == {"a": "park", "b": "stop"}
    commit = client.stored(keys.commit("run", NOW_US)) or {}
    assert commit[keys.EXPIRY] == RUN.expires_s
    assert Ledger(client.table).run_and_origin("run", NOW_US)[1] == (to_record(FAILURE, {}),)


@pytest.mark.parametrize("is_item", [True, False])
@pytest.mark.parametrize(
    ("event", "known", "result"),
    [
        (FAILURE, None, WHY),
        (told(WorkflowFailed, NOW_US, error=StepError(message=""), **FAILED), None, {"name": None, "message": ""}),
        (FAILURE, '"partial"', "partial"),
        (CANCELLED, None, {"name": "Cancelled", "message": "it was stopped"}),
    ],
)
def test_a_child_tells_its_parent_why_it_has_ended(
    client: Counting, event: Any, known: str | None, result: Any, is_item: bool
) -> None:
    child = replace(RUN, run_id="run.m.0", up=Up("run", "m", "m", 0, is_item), result=known)
    put(client.table, child)
    after = RunLedger(client.table).finish(child, event, "failed", [])
    assert json.loads(after.result or "null") == result


@pytest.mark.parametrize("moved", ["run", "branch", "commit", "all"])
def test_an_end_that_is_overtaken_is_none(client: Counting, moved: str) -> None:
    branch = Branch("a", "open", "a", seq=2)
    there = replace(RUN, seq=9 if moved in ("run", "all") else RUN.seq)
    put(client.table, there, branch)
    if moved in ("commit", "all"):
        client.table.write([Put(key_of(keys.commit("run", NOW_US)))])
    seen = replace(branch, seq=1 if moved in ("branch", "all") else 2, halt=None)
    told: Any = RunRefused if moved in ("run", "all") else BranchRefused
    with pytest.raises(told) as found:
        RunLedger(client.table).finish(RUN, FAILURE, "failed", [(seen, "stop")])
    assert found.value.now == (there if moved in ("run", "all") else None)
    assert now(client) == there
    assert Ledger(client.table).branches("run")["a"].halt is None


@pytest.mark.parametrize("known", [{"heartbeat_us": 1}, {"halt": "park"}], ids=str)
def test_who_ends_a_run_has_seen_its_branches_halts_and_heartbeats(client: Counting, known: dict[str, Any]) -> None:
    put(client.table, RUN, Branch("a", "running", "a", **known))
    with pytest.raises(BranchRefused):
        RunLedger(client.table).finish(RUN, FAILURE, "failed", [(Branch("a", "running", "a"), "stop")])


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_undoes_a_run_begins_with_its_end_whole(client: Counting, status: Any) -> None:
    put(client.table, RUN)
    undoing_facts = replace(FACTS, run_id="undo", expires_s=RUN.expires_s)
    undo = UndoBirth(undoing_facts, replace(OPENING, run=replace(OPENING.run, run_id="undo")), ASIDE)
    after = RunLedger(client.table).finish(RUN, FAILURE, status, [], undo)
    assert after.undone_by == "undo"
    assert now(client) == after
    undone = replace(OPENING.run, run_id="undo", tail=(to_record(SUBMITTED, ASIDE),))
    assert (now(client, "undo"), branches(client, "undo")) == (undone, ["a", "b"])
    again = replace(RUN, run_id="third")
    put(client.table, again)
    bare = replace(undo, opening=replace(undo.opening, births=()))
    for twice in (undo, bare):
        with pytest.raises(BranchRefused):
            RunLedger(client.table).finish(again, FAILURE, "failed", [], twice)
    assert now(client, "undo") == undone


@pytest.mark.parametrize(("status", "is_noted"), [("failed", True), ("cancelled", False)])
def test_that_a_run_has_failed_to_undo_another_is_noted_as_long_as_it_is_kept(
    client: Counting, status: Any, is_noted: bool
) -> None:
    before = replace(RUN, undoing=Undoing("first", (Done("a", 1),)))
    put(client.table, before)
    RunLedger(client.table).finish(before, FAILURE, status, [])
    assert client.stored(keys.failed_undo("run")) == ({keys.EXPIRY: RUN.expires_s} if is_noted else None)


AGAIN = told(WorkflowRetryStarted, NOW_US, workflow_attempt_number=2, previous_attempt_number=1, retried_steps=["a"])
NEXT = told(
    WorkflowStarted, NOW_US + 1, workflow_attempt_number=2, version_id="v1", has_input_schema=False, has_input=True
)


def test_a_run_is_tried_again_once(client: Counting) -> None:
    before = replace(RUN, status="failed", completed_at_us=5)
    put(client.table, before)
    tried = replace(before, status="running", run_attempt=2, completed_at_us=None, reviving=True, seq=99)
    after = RunLedger(client.table).try_again(before, tried, [AGAIN, NEXT])
    assert after == replace(tried, seq=5)
    assert now(client) == after
    assert (client.stored(keys.commit("run", NOW_US)) or {})[keys.EXPIRY] == RUN.expires_s
    assert Ledger(client.table).run_and_origin("run", NOW_US)[1] == (to_record(AGAIN, {}), to_record(NEXT, {}))
    for seen in (before, replace(before, seq=5)):
        with pytest.raises(RunRefused) as found:
            RunLedger(client.table).try_again(seen, tried, [AGAIN, NEXT])
        assert found.value.now == (after if seen is before else None), "or the commit is there already"


@pytest.mark.parametrize(("seq", "is_noted"), [(3, False), (4, True), (5, False)])
def test_that_all_is_revived_is_noted_on_the_run_as_it_was_seen(client: Counting, seq: int, is_noted: bool) -> None:
    there = replace(RUN, reviving=True)
    put(client.table, there)
    RunLedger(client.table).revived(replace(there, seq=seq))
    done = replace(RUN, reviving=False, due_us=RUN.deadline_us, seq=5)
    assert now(client) == (done if is_noted else there)
