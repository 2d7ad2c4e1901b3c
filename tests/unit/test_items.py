"""How models lie in the table, attribute for attribute, and where the indexes have them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.caller_items import caller_step_item, to_caller_step
from cascade_flow.dynamodb.codec import REFERENCE, decode, deflate, inflate, without_payload, zipped
from cascade_flow.dynamodb.items import (
    branch_item,
    commit_item,
    log_item,
    pack_json,
    payload_item,
    run_item,
    size_of,
    to_branch,
    to_log_lines,
    to_payload,
    to_records,
    to_run,
    unpack_json,
)
from cascade_flow.engine.caller import CallerStep, reserved
from cascade_flow.engine.state import ENDED, Branch, Family, Limit, Owed, Patience, Run, Signal, Stop, Up
from cascade_flow.engine.undoing import Done, Undoing
from cascade_flow.model.events import ResourceSnapshot, StepError
from cascade_flow.model.states import StepState

RUN = replace(reserved("flow", "run", now_us=1_000, longest_us=10, retention_us=10), status="running")


def lying(run: Any = RUN, *, last_us: int = 7, **state: Any) -> Any:
    whole = {"status": "scheduled", "attempt_number": 1, "dependencies": [], "state_changes": [], **state}
    step = StepState(step_id="s", run_id="run", workflow_slug="flow", **whole)
    return caller_step_item(run, CallerStep(step, last_us=last_us)).get(keys.DUE_TIME)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_no_step_of_an_ended_run_is_listed(status: Any) -> None:
    assert lying(available_at=5) == 5
    assert lying(replace(RUN, status=status), available_at=5) is None


def test_no_step_is_listed_that_is_over() -> None:
    assert lying(status="completed", available_at=5) is None


@pytest.mark.parametrize(
    ("state", "due_us"),
    [
        ({"available_at": 5.5}, 6),
        ({"status": "running", "available_at": 5, "start_time": 3}, 3),
        ({"status": "running", "available_at": 3, "start_time": 5}, 3),
        ({"status": "running", "start_time": 5}, 5),
        ({"available_at": 5, "start_time": 3}, 5),
        ({"available_at": 9}, 9),
        ({"available_at": 0}, 0),
        ({}, 7),
    ],
)
def test_a_step_is_listed_from_when_somebody_may_take_it_or_has(state: Any, due_us: int) -> None:
    assert lying(**state) == due_us


TAIL = ({"timestampUs": 7, "type": "StepScheduled", "stepId": "s", "availableAtUs": 9, "attemptNumber": 2},)
BRANCH = Branch(
    name="b",
    status="running",
    step="s",
    attempt=2,
    attempts_before=1,
    run_attempt=3,
    seq=4,
    available_at_us=5,
    started_at_us=6,
    worker="worker-1",
    lease_us=8,
    heartbeat_us=9,
    snapshot=ResourceSnapshot(memory_bytes=1, cpu_time_us=2),
    slot_index=0,
    worker_concurrency=10,
    priority=-11,
    pool="gpu",
    halt="park",
    owed=Owed(("s", "t"), 12),
    arrived=13,
    skipped={"s": "t"},
    last_us=14,
    origin_us=15,
    due_us=16,
    tail=TAIL,
)
BRANCH_ITEM = (
    {"pk": "R#run", "sk": "B#b", "st": "running", "s": "s", "a": 2, "ab": 1, "ra": 3, "sq": 4, "av": 5, "ts": 6}
    | {"w": "worker-1", "le": 8, "hb": 9, "hr": {"memoryBytes": 1, "cpuTimeUs": 2}, "sl": 0, "wc": 10, "pr": -11}
    | {"po": "gpu", "h": "park", "ow": '[12, "s", "t"]', "n": 13, "sp": {"s": "t"}, "la": 14, "og": 15, "e": TAIL}
    | {"q": "due#4", "due": 16, "exp": 99}
)
FULL_RUN = Run(
    run_id="run",
    workflow_slug="flow",
    version_id="sha256:1",
    status="running",
    created_us=1,
    available_at_us=2,
    deadline_us=3,
    expires_s=99,
    run_attempt=4,
    seq=5,
    started_at_us=6,
    completed_at_us=7,
    priority=8,
    tags=("é", "b"),
    stop=Stop("failed", 4, step="s", error=StepError(name="E", message="m"), reason="why"),
    reviving=True,
    parent="mother",
    origin_run_id="first",
    owed=9,
    last_us=10,
    due_us=11,
    tail=TAIL,
)
RUN_ITEM = (
    {"pk": "R#run", "sk": "B#", "st": "running", "wf": "flow", "v": "sha256:1", "dr": "engine", "ra": 4, "sq": 5}
    | {"created": 1, "av": 2, "dl": 3, "ts": 6, "te": 7, "pr": 8, "tags": '["é", "b"]', "rv": 1, "pa": "mother"}
    | {"stop": ["failed", 4, "s", {"name": "E", "message": "m"}, "why"], "or": "first", "ow": 9, "la": 10, "exp": 99}
    | {"e": TAIL, "q": "due#4", "due": 11, "rk": "flow#0"}
)
RARER_BRANCH = Branch(
    name="b",
    status="waiting",
    step="s",
    laters=1,
    later_since_us=2,
    limit=Limit("db#k:1", 3, 4),
    place=0,
    turn_us=5,
    looks=True,
    signal=Signal("mark", 6, "api", text="1", place="P#s#1#ab"),
    patience=Patience(7, 8),
    family=Family(9, 5, 3, 1, 4, "sha256:1", made=5, lost=2, out=((0, 0), (2, 4))),
)
RARER_BRANCH_ITEM = (
    {"pk": "R#run", "sk": "B#b", "st": "waiting", "s": "s", "a": 1, "ra": 1, "sq": 1, "n": 0, "la": 0, "exp": 99}
    | {"lt": 1, "ls": 2, "li": "3/4:db#k:1", "lp": 0, "tu": 5, "lo": 1, "sg": ["mark", 6, "api", "1", "P#s#1#ab"]}
    | {"wt": "[7, 8]", "fa": [9, 5, 3, 1, 4, "sha256:1", 5, 2, [0, 1, 1, 3]]}
)
RARER_RUN = replace(
    FULL_RUN,
    run_id="run~m~7",
    limit=Limit("@flow", 2),
    place=0,
    up=Up("run", "b", "m", 7, True),
    result="out",
    result_place="P#$output#ab",
    lost=3,
    limit_keys={"k": "v"},
    undone_by="run-2",
    undoing=Undoing("first", (Done("s", 4), Done("m", None, True))),
    renewed={"s": "run-3"},
)
RARER_RUN_ITEM = {
    "li": "2:@flow",
    "lp": 0,
    "up": '["b", 1]',
    "rp": "P#$output#ab",
    "ls": 3,
    "lk": {"k": "v"},
    "ub": "run-2",
} | {"un": ["first", [["s", 4, False], ["m", None, True]]], "rn": {"s": "run-3"}}
STEP_STATE: Any = {
    "status": "running",
    "attempt_number": 2,
    "dependencies": ["r"],
    "state_changes": [],
    "start_time": 3,
}


def told(item: Any) -> dict[str, Any]:
    """An item with its packed values legible."""
    packed = {name: value for name, value in item.items() if isinstance(value, bytes)}
    legible = {name: decode(value) if name == "e" else json.loads(inflate(value)) for name, value in packed.items()}
    return {**item, **legible}


def test_a_branch_lies_in_the_table_as_it_always_has() -> None:
    item = branch_item("run", BRANCH, expires_s=99)
    assert told(item) == BRANCH_ITEM
    assert to_branch(item) == BRANCH


def test_what_few_branches_have_lies_there_as_it_always_has() -> None:
    item = branch_item("run", RARER_BRANCH, expires_s=99)
    assert told(item) == RARER_BRANCH_ITEM
    assert to_branch(item) == RARER_BRANCH


def test_what_few_runs_have_lies_there_as_it_always_has() -> None:
    item = run_item(RARER_RUN)
    assert to_run(item) == RARER_RUN
    assert item.pop("rs") == deflate("out")
    shared = RUN_ITEM.keys() - {"pk", "q", "rk"}
    assert {name: value for name, value in told(item).items() if name not in ("pk", "q")} == {
        **{name: RUN_ITEM[name] for name in shared},
        **RARER_RUN_ITEM,
    }


def test_of_a_branch_nothing_is_stored_that_it_does_not_have() -> None:
    bare = Branch("b", "open", "b")
    item = branch_item("run", bare, expires_s=99)
    assert item == {
        "pk": "R#run",
        "sk": "B#b",
        "st": "open",
        "s": "b",
        "a": 1,
        "ra": 1,
        "sq": 1,
        "n": 0,
        "la": 0,
        "exp": 99,
    }
    assert to_branch(item) == bare


def test_what_an_item_does_not_tell_is_as_at_a_joins_birth_and_an_empty_text_is_a_text() -> None:
    assert to_branch({"pk": "R#run", "sk": "B#b"}) == Branch("b", "open", "b")
    assert to_branch({"pk": "R#run", "sk": "B#b", "n": 2}) == Branch("b", "open", "b", arrived=2)
    assert to_branch(branch_item("run", replace(BRANCH, worker=""), expires_s=99)).worker == ""


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"status": "scheduled", "owed": None}, {"q": "pool#gpu", "due": keys.rank(-11, 5)}),
        ({"status": "scheduled"}, {"q": "due#4", "due": 16}),
        ({"status": "scheduled", "owed": None, "pool": None}, {"q": "due#4", "due": 16}),
        ({"status": "scheduled", "owed": None, "due_us": None}, {}),
        ({"due_us": None}, {}),
        ({"due_us": 0}, {"q": "due#4", "due": 0}),
    ],
)
def test_a_branch_lies_in_the_index_where_it_is_looked_for(changed: Any, place: dict[str, Any]) -> None:
    branch = replace(BRANCH, **changed)
    item = branch_item("run", branch, expires_s=99)
    assert {name: item[name] for name in ("q", "due") if name in item} == place
    assert to_branch(item).due_us == (branch.available_at_us if "pool#gpu" in place.values() else branch.due_us)


def test_a_run_lies_in_the_table_as_it_always_has() -> None:
    item = run_item(FULL_RUN)
    assert told(item) == RUN_ITEM
    assert to_run(item) == FULL_RUN


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"status": "pending"}, {"q": "due#4", "due": 11, "rk": "flow#0"}),
        *(({"status": ended}, {"q": "done#4", "due": 11, "rk": "flow#0"}) for ended in sorted(ENDED)),
        ({"driver": "caller"}, {"q": "call#4", "due": 11, "rk": "flow#0"}),
        ({"driver": "caller", "status": "completed"}, {"q": "done#4", "due": 11, "rk": "flow#0"}),
        ({"driver": "caller", "status": "reserved"}, {"q": "call#4", "due": 11}),
        ({"driver": "caller", "status": "copying"}, {"q": "call#4", "due": 11}),
        ({"due_us": None}, {"rk": "flow#0"}),
        ({"due_us": 0}, {"q": "due#4", "due": 0, "rk": "flow#0"}),
        ({"undoing": Undoing("first", ())}, {"q": "due#4", "due": 11, "rk": "flow#0"}),
        ({"up": Up("mother", "b", "m", 7, False)}, {"q": "due#4", "due": 11}),
    ],
)
def test_a_run_lies_in_the_indexes_where_it_is_looked_for(changed: Any, place: dict[str, Any]) -> None:
    item = run_item(replace(FULL_RUN, **changed))
    assert {name: item[name] for name in ("q", "due", "rk") if name in item} == place


@pytest.mark.parametrize("stop", [None, Stop("timeout", 2), Stop("cancelled", 1, reason="enough")])
def test_a_runs_stop_comes_back(stop: Any) -> None:
    run = replace(FULL_RUN, stop=stop, reviving=False, tags=(), tail=())
    assert to_run(run_item(run)) == run
    assert not {"rv", "tags", "e"} & run_item(run).keys()


def test_whose_attempt_was_given_up_is_so_whatever_became_of_the_step() -> None:
    for status in ("scheduled", "running", "failed", "completed"):
        state = StepState(step_id="s", run_id="run", workflow_slug="flow", **{**STEP_STATE, "status": status})
        step = CallerStep(state, given_up=True)
        assert to_caller_step(caller_step_item(RUN, step)) == step


@pytest.mark.parametrize("given_up", [True, False])
def test_a_callers_step_lies_in_the_table_as_it_always_has(given_up: bool) -> None:
    state = StepState(step_id="s", run_id="run", workflow_slug="flow", **STEP_STATE)
    step = CallerStep(state, starts=4, given_up=given_up, last_us=5, seq=6)
    item = caller_step_item(RUN, step)
    mark = {"g": 1} if given_up else {}
    place = {"pk": "R#run", "sk": "B#s", "q": "call#4", "due": 3, "exp": RUN.expires_s}
    assert told(item) == {**place, "sq": 6, "la": 5, "n": 4, "z": state.to_wire(), **mark}
    assert to_caller_step(item) == step


def test_whatever_is_put_beside_a_run_expires_with_it() -> None:
    chunk = keys.log_chunk("run", "s", 2, 7, "ab")
    stored = [
        commit_item("run", TAIL, expires_s=99),
        log_item(chunk, [(7, "stdout", " ü "), (8, "stderr", "")], expires_s=99),
        payload_item(keys.payload("run", "s", 2, "ab"), deflate("ü" * 3), expires_s=99),
    ]
    assert told(stored[0]) == {"pk": "R#run", "sk": "E#0000000000000007", "e": TAIL, "exp": 99}
    assert told(stored[1]) == {**key_of(chunk), "l": [[7, "stdout", " ü "], [8, "stderr", ""]], "exp": 99}
    assert to_log_lines(stored[1]) == ("s", 2, [(7, "stdout", " ü "), (8, "stderr", "")])
    assert (to_records(stored[0]), to_records({}), to_payload(stored[2])) == (TAIL, (), "üüü")
    assert stored[2].pop("p") == deflate("üüü")
    assert stored[2] == {"pk": "R#run", "sk": "P#s#2#ab", "exp": 99}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("", 0),
        ("ü", 2),
        (b"\x00\x01", 2),
        (0, 1),
        (1, 2),
        (9, 2),
        (10, 2),
        (12, 2),
        (123, 3),
        (1200, 2),
        (-1, 3),
        (-123, 4),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(value: Any, size: int) -> None:
    assert size_of({"é": value, "n": ""}) == 3 + size


def key_of(key: keys.Key) -> dict[str, str]:
    return {"pk": key.pk, "sk": key.sk}


@pytest.mark.parametrize("fields", [items._BRANCH, items._RUN], ids=["branch", "run"])
def test_no_two_things_lie_in_one_attribute(fields: Any) -> None:
    of_indexes = [keys.PARTITION, keys.SORT, keys.DUE_SHARD, keys.DUE_TIME, keys.RUNS_SHARD]
    used = Counter([*of_indexes, *(field.attribute for field in fields)])
    assert [attribute for attribute, times in used.items() if times > 1] == []


@pytest.mark.parametrize("packed", [deflate, zipped])
def test_a_text_is_unpacked_however_it_was_packed(packed: Callable[[str], bytes]) -> None:
    assert inflate(packed("größer")) == "größer"


def test_half_a_character_is_stored_as_it_is() -> None:
    """What a worker has read from anywhere may hold one, and UTF-8 has none."""
    lines = [(1, "stdout", "half: \ud83d"), (2, "stderr", "größer")]
    assert unpack_json(pack_json(lines)) == [[*line] for line in lines]


def test_of_a_record_what_was_put_aside_goes_and_all_else_stays() -> None:
    record = {"type": "StepCompleted", "timestampUs": 1, "output": {REFERENCE: "P#1"}}
    assert without_payload(record) == {"type": "StepCompleted", "timestampUs": 1}
    assert without_payload({**record, "output": "[1]"}) == {**record, "output": "[1]"}
