"""How runs and branches are read and a branch is written: each field of what is told, each fence, each request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import branch_item, commit_item, run_item
from cascade_flow.dynamodb.ledger import History, Ledger
from cascade_flow.dynamodb.table import NONCE
from cascade_flow.engine.state import Branch, Claimant, Limit, Run, Signal, Stop
from cascade_flow.model.events import ResourceSnapshot, RunSubmitted
from unit.dynamodb.stored import NEVER_S, Counting, lost
from unit.dynamodb.told import step_scheduled
from unit.engine.facts import NOW_US, facts_of, run_of, step, told

SUBMITTED = to_record(told(RunSubmitted, 1, version_id="v1", available_at_us=1, priority=0, has_input_schema=False), {})
RUN = run_of(tail=(SUBMITTED,), last_us=1)


def record(us: int) -> Any:
    return to_record(step_scheduled(us), {})


A = Branch("a", "running", "b", tail=(record(30), record(31)))
B = Branch("b", "open", "b")


def branch(known: Branch, run_id: str = "run") -> Any:
    return branch_item(run_id, known, expires_s=NEVER_S)


def commit(*records: Any) -> Any:
    return commit_item("run", records, expires_s=NEVER_S)


ALL = [run_item(RUN), branch(A), branch(B), commit(record(10), record(11)), commit(record(20))]


# -- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "is_there"), [("copying", False), ("reserved", True), ("running", True)])
def test_a_run_that_is_being_copied_is_not_there_yet(client: Counting, status: Any, is_there: bool) -> None:
    run = replace(RUN, status=status)
    ledger, found = Ledger(client.holding(run_item(run))), run if is_there else None
    assert ledger.run("run") == found
    assert ledger.runs(["run", "none"]) == [run] * is_there
    assert ledger.snapshot([("run", "a")]).run("run") == found
    history = ledger.history("run")
    assert (history and history.run) == found
    assert len(client.asked) == 4


def test_what_is_read_together_is_asked_for_by_its_name(client: Counting) -> None:
    other = replace(RUN, run_id="other", priority=3)
    ledger = Ledger(client.holding(*ALL, run_item(other), branch(replace(A, status="ended"), "other")))
    found = ledger.snapshot([("run", "a"), ("other", "a"), ("run", "none"), ("gone", "a")])
    assert [found.run(run_id) for run_id in ("run", "other", "gone")] == [RUN, other, None]
    assert found.branch("run", "a") == A
    assert found.branch("other", "a") == replace(A, status="ended")
    assert [found.branch("run", "b"), found.branch("run", "none"), found.branch("gone", "a")] == [None] * 3
    many = [*(("run", f"n{number}") for number in range(60)), ("run", "b")]
    assert ledger.snapshot(many).branch("run", "b") == B
    assert sorted(run.run_id for run in ledger.runs(["run", "other", "gone"])) == ["other", "run"]
    assert [len(asked["RequestItems"]["t"]["Keys"]) for asked in client.asked] == [7, 62, 3]


def test_branches_are_read_by_name_or_all_and_nothing_else_is(client: Counting) -> None:
    ledger = Ledger(client.holding(*ALL))
    assert (ledger.branch("run", "a"), ledger.branch("run", "none")) == (A, None)
    client.asked.clear()
    assert ledger.some_branches("run", ["a", "none"]) == {"a": A}
    assert ledger.branches("run") == {"a": A, "b": B}
    batch, query = client.asked
    assert len(batch["RequestItems"]["t"]["Keys"]) == 2
    assert {"S": keys.branches("run").last} in query["ExpressionAttributeValues"].values()


@pytest.mark.parametrize(
    ("origin_us", "records"),
    [(10, (record(10), record(11))), (20, (record(20),)), (11, ()), (0, ()), (None, ())],
)
def test_a_run_and_where_a_branch_comes_from_are_one_request(
    client: Counting, origin_us: int | None, records: tuple[Any, ...]
) -> None:
    ledger = Ledger(client.holding(*ALL))
    assert ledger.run_and_origin("run", origin_us) == (RUN, records)
    assert ledger.run_and_origin("gone", origin_us) == (None, ())
    assert [len(asked["RequestItems"]["t"]["Keys"]) for asked in client.asked] == [1 + (origin_us is not None)] * 2


def test_a_history_is_all_that_happened_in_order_and_each_event_once(client: Counting) -> None:
    moving = replace(B, tail=(record(20), record(25)))
    ledger = Ledger(client.holding(*ALL, branch(moving)))
    ordered = (SUBMITTED, *map(record, (10, 11, 20, 25, 30, 31)))
    assert ledger.history("run") == History(RUN, {"a": A, "b": moving}, ordered)
    assert len(client.asked) == 1
    assert ledger.history("gone") is None
    called: Run = replace(RUN, driver="caller")
    assert Ledger(client.holding(run_item(called))).history("run") == History(called, {}, ordered)


def test_what_is_left_of_a_run_that_is_gone_is_no_history(client: Counting) -> None:
    assert Ledger(client.holding(*ALL[1:])).history("run") is None


# -- one branch -------------------------------------------------------------------------------------------------------

DUE = Branch("a", "scheduled", "b", attempt=2, seq=3, available_at_us=NOW_US, due_us=NOW_US + 70)
WHO = Claimant("w", lease_us=77, slot_index=0, worker_concurrency=3, place=1)
TAKEN: dict[str, Any] = {"status": "running", "worker": "w", "started_at_us": NOW_US, "lease_us": 77, "seq": 4}
TAKEN |= {"slot_index": 0, "worker_concurrency": 3, "place": 1}
LIMIT = Limit("x", 2)


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("pool", [None, "gpu"])
@pytest.mark.parametrize("limit", [None, LIMIT])
def test_a_claim_says_who_has_it_and_where_somebody_must_look(
    client: Counting, moves: bool, pool: str | None, limit: Limit | None
) -> None:
    due = replace(DUE, pool=pool, limit=limit, available_at_us=NOW_US - 3 * moves, lease_us=5)
    ledger = Ledger(client.holding(branch(due)))
    taken = ledger.claim("run", due, WHO, now_us=NOW_US, look_us=NOW_US + 70, moves=moves)
    assert taken == replace(due, **TAKEN)
    assert ledger.branch("run", "a") == taken
    lying = client.stored(keys.branch("run", "a")) or {}
    assert (lying[keys.DUE_SHARD], lying[keys.DUE_TIME]) == (keys.due("run"), NOW_US + 70)


def test_who_says_nothing_of_itself_leaves_nothing_there(client: Counting) -> None:
    ledger = Ledger(client.holding(branch(DUE)))
    taken = ledger.claim("run", DUE, Claimant("w", lease_us=77), now_us=NOW_US, look_us=NOW_US + 70)
    assert (taken.slot_index, taken.worker_concurrency, taken.place) == (None, None, None)


def test_what_the_index_has_too_late_is_refused_or_moved(client: Counting) -> None:
    ledger, look_us = Ledger(client.holding(branch(DUE))), NOW_US + 69
    with pytest.raises(BranchRefused):
        ledger.claim("run", DUE, WHO, now_us=NOW_US, look_us=look_us)
    assert ledger.claim("run", DUE, WHO, now_us=NOW_US, look_us=look_us, moves=True).due_us == look_us


def test_what_the_index_has_sooner_stays_there(client: Counting) -> None:
    ledger = Ledger(client.holding(branch(DUE)))
    assert ledger.claim("run", DUE, WHO, now_us=NOW_US, look_us=NOW_US + 71).due_us == NOW_US + 70


CHANGED: list[dict[str, Any]] = [
    {"status": "running"},
    {"step": "c"},
    {"attempt": 3},
    {"available_at_us": NOW_US + 1},
    {"halt": "park"},
    {"halt": "stop"},
    {"pool": "gpu"},
    {"limit": LIMIT},
    {"limit": Limit("x", 3)},
]


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("changed", CHANGED, ids=str)
def test_whoever_claims_another_attempt_than_there_is_is_told_what_there_is(
    client: Counting, changed: dict[str, Any], moves: bool
) -> None:
    seen = replace(DUE, limit=LIMIT) if changed.get("limit") == Limit("x", 3) else DUE
    now = replace(DUE, **changed)
    ledger = Ledger(client.holding(branch(now)))
    with pytest.raises(BranchRefused) as found:
        ledger.claim("run", seen, WHO, now_us=NOW_US, look_us=NOW_US + 99, moves=moves)
    assert found.value.now == ledger.branch("run", "a")
    assert found.value.now is not None
    assert found.value.now.worker is None


HELD = replace(DUE, status="running", worker="w", started_at_us=1, lease_us=2)
SNAPSHOT = ResourceSnapshot(memory_bytes=1, cpu_time_us=2)


@pytest.mark.parametrize("snapshot", [SNAPSHOT, None])
@pytest.mark.parametrize("halt", [None, "park"])
def test_a_heartbeat_says_when_it_came_and_how_long_it_is_good_for(
    client: Counting, snapshot: ResourceSnapshot | None, halt: Any
) -> None:
    there = replace(HELD, halt=halt, snapshot=ResourceSnapshot(memory_bytes=9, cpu_time_us=9))
    beaten = Ledger(client.holding(branch(there))).beat("run", there, now_us=NOW_US, lease_us=88, snapshot=snapshot)
    assert beaten == replace(there, heartbeat_us=NOW_US, lease_us=88, snapshot=snapshot)


@pytest.mark.parametrize(
    "changed", [{"worker": "v"}, {"worker": None}, {"step": "c"}, {"attempt": 3}, {"halt": "stop"}]
)
def test_a_heartbeat_of_who_holds_it_no_more_is_refused(client: Counting, changed: dict[str, Any]) -> None:
    now = replace(HELD, **changed)
    with pytest.raises(BranchRefused) as found:
        Ledger(client.holding(branch(now))).beat("run", HELD, now_us=NOW_US, lease_us=88, snapshot=None)
    assert found.value.now == now


STOP = Stop("cancelled", 2)


@pytest.mark.parametrize("halt", ["park", "stop"])
def test_a_halt_forbids_to_go_on_and_only_a_stop_takes_it_from_the_index(client: Counting, halt: Any) -> None:
    halted = Ledger(client.holding(branch(replace(HELD, run_attempt=2)))).halt(
        "run", replace(HELD, run_attempt=2), halt, STOP
    )
    assert halted == replace(HELD, run_attempt=2, halt=halt, due_us=None if halt == "stop" else HELD.due_us)


@pytest.mark.parametrize("changed", [{"seq": 4}, {"heartbeat_us": 1}, {"halt": "park"}, {"run_attempt": 3}], ids=str)
def test_nobody_halts_what_has_moved_or_goes_on_in_a_later_attempt(client: Counting, changed: dict[str, Any]) -> None:
    now = replace(HELD, **changed)
    with pytest.raises(BranchRefused) as found:
        Ledger(client.holding(branch(now))).halt("run", HELD, "stop", STOP)
    assert found.value.now == now


SAID = Signal("id", NOW_US, "api", "1")


def test_an_event_that_was_told_or_is_over_is_told_nothing_more(client: Counting) -> None:
    there = Branch("e", "open", "e", signal=SAID, seq=2)
    with pytest.raises(BranchRefused) as found:
        Ledger(client.holding(branch(there))).tell_event(facts_of(step("e")), "e", SAID)
    assert found.value.now == there


def test_who_has_told_an_event_is_content_though_the_run_has_gone_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "mine")
    client = lost(**branch(Branch("e", "ended", "e")), **{NONCE: "mine"})
    Ledger(client.table).tell_event(facts_of(step("e")), "e", SAID)
    assert len(client.requests) == 1


def test_two_who_claim_at_once_are_two(client: Counting) -> None:
    """Or the second would take the first one's claim for its own."""
    said = []
    for _ in range(2):
        Ledger(client.holding(branch(DUE))).claim("run", DUE, WHO, now_us=NOW_US, look_us=NOW_US + 70)
        said.append(client.asked[0]["ExpressionAttributeValues"][f":{NONCE}_"])
    assert said[0] != said[1]
