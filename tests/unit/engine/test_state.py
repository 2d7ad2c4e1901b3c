"""What the state of runs and branches says of itself, and what is so where nobody has said otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.state import (
    LATEST_US,
    LONGEST_DELAY_US,
    Branch,
    Commit,
    Facts,
    Family,
    Limit,
    Owed,
    Run,
    Timing,
    is_urgent,
    within_time,
)
from cascade_flow.graph import Graph
from cascade_flow.model.events import ResourceSnapshot, StepHeartbeat, WorkflowCompleted
from unit.engine.facts import NOW_US, step, told

BRANCH = Branch("a", "running", "a")
RUN = Run("run", "flow", "v1", "running", NOW_US, NOW_US, NOW_US + 1, 2_000_000_000)
S = 1_000_000


def test_a_branch_begins_with_nothing() -> None:
    assert (
        Branch(
            name="a",
            status="running",
            step="a",
            attempt=1,
            attempts_before=None,
            run_attempt=1,
            seq=1,
            available_at_us=None,
            started_at_us=None,
            worker=None,
            lease_us=None,
            heartbeat_us=None,
            snapshot=None,
            slot_index=None,
            worker_concurrency=None,
            priority=None,
            pool=None,
            halt=None,
            owed=None,
            arrived=0,
            skipped={},
            last_us=0,
            origin_us=None,
            due_us=None,
            tail=(),
        )
        == BRANCH
    )


def test_a_run_begins_with_nothing() -> None:
    unsaid = {
        "driver": "engine",
        "run_attempt": 1,
        "seq": 1,
        "started_at_us": None,
        "completed_at_us": None,
        "priority": 0,
        "tags": (),
        "stop": None,
        "reviving": False,
        "parent": None,
        "origin_run_id": None,
        "owed": None,
        "last_us": 0,
        "due_us": None,
        "tail": (),
    }
    assert {name: getattr(RUN, name) for name in unsaid} == unsaid


def test_a_decision_about_a_run_begins_in_its_first_attempt() -> None:
    facts = Facts("run", "flow", Graph([step("a")]), 1, Timing())
    assert (facts.run_attempt, facts.started_at_us, facts.stopping, facts.priority) == (1, 0, False, None)
    assert (facts.deadline_us, facts.undoes, facts.limit_keys) == (LATEST_US, False, {})


def test_a_commit_asks_for_nothing_that_was_not_decided() -> None:
    commit = Commit(BRANCH, BRANCH)
    assert commit == Commit(BRANCH, BRANCH, events=(), logged=False, births=(), raises=(), fills=(), checks_run=False)
    assert Owed(("a",)) == Owed(("a",), 0)
    assert Family(3, 2, 4, 1, 5) == Family(3, 2, 4, 1, 5, version=None, made=0, lost=0, out=())
    assert (BRANCH.looks, BRANCH.signal, BRANCH.patience, BRANCH.family) == (False, None, None, None)


def test_how_long_things_may_take_where_nobody_says() -> None:
    day_us = 86_400 * S
    assert Timing() == Timing(lease_us=60 * S, grace_us=30 * S, timeout_us=7 * day_us, retention_us=90 * day_us)


def test_no_message_waits_for_longer_than_the_queue_lets_it() -> None:
    assert LONGEST_DELAY_US == 15 * 60 * S


@pytest.mark.parametrize(("priority", "urgent"), [(None, False), (-1, False), (0, False), (1, True)])
def test_urgent_is_what_has_a_priority_above_none(priority: int | None, urgent: bool) -> None:
    assert is_urgent(priority) is urgent


@pytest.mark.parametrize(("lease_us", "grace_us", "silence_us"), [(9, 4, 9), (4, 9, 9)])
def test_nobody_need_look_before_lease_and_grace_are_over(lease_us: int, grace_us: int, silence_us: int) -> None:
    timing = Timing(lease_us=lease_us, grace_us=grace_us)
    assert (timing.silence_us, timing.horizon_us) == (silence_us, 10 * silence_us)


@pytest.mark.parametrize(
    ("time_us", "held_us"),
    [
        (7, 7),
        (-7, -7),
        (LATEST_US, LATEST_US),
        (LATEST_US + 1, LATEST_US),
        (-LATEST_US - 1, -LATEST_US),
    ],
)
def test_a_time_that_no_key_holds_is_the_nearest_that_one_does(time_us: int, held_us: int) -> None:
    assert LATEST_US == 9_999_999_999_999_999
    assert within_time(time_us) == held_us


@pytest.mark.parametrize(
    ("known", "is_live"),
    [
        ({"status": "scheduled"}, True),
        ({"status": "running"}, True),
        ({"status": "skipping"}, True),
        ({"status": "waiting"}, True),
        ({"status": "ended"}, False),
        ({"status": "ended", "owed": Owed(("a",))}, True),
        ({"status": "running", "halt": "park"}, True),
        ({"status": "running", "halt": "stop"}, False),
        ({"status": "ended", "owed": Owed(("a",)), "halt": "stop"}, False),
        ({"status": "open"}, False),
        ({"status": "parked"}, False),
        ({"status": "failed"}, False),
    ],
)
def test_who_is_live(known: dict[str, Any], is_live: bool) -> None:
    assert replace(BRANCH, **known).live is is_live


@pytest.mark.parametrize(
    ("known", "pool"),
    [
        ({"status": "scheduled"}, "gpu"),
        ({"status": "running"}, None),
        ({"status": "scheduled", "owed": Owed(("a",))}, None),
        ({"status": "scheduled", "pool": None}, None),
    ],
)
def test_what_waits_for_a_pools_workers(known: dict[str, Any], pool: str | None) -> None:
    assert replace(BRANCH, **{"pool": "gpu", **known}).awaited_pool == pool


@pytest.mark.parametrize(("available_us", "turn_us", "ready_us"), [(5, None, 5), (5, 7, 7), (7, 5, 7), (None, None, 0)])
def test_what_is_scheduled_may_be_claimed_when_it_is_available_and_its_turn_has_come(
    available_us: int | None, turn_us: int | None, ready_us: int
) -> None:
    known = replace(BRANCH, available_at_us=available_us, turn_us=turn_us, last_us=9, due_us=9)
    assert known.ready_us == ready_us


@pytest.mark.parametrize(("before", "tried"), [(None, 7), (0, 7), (5, 2)])
def test_the_retry_policy_counts_from_where_the_runs_attempt_began(before: int | None, tried: int) -> None:
    branch = replace(BRANCH, attempt=7, attempts_before=before)
    assert (branch.tried, branch.untried.tried) == (tried, tried - 1)
    assert replace(branch.untried, attempts_before=before) == branch


def test_nobody_is_left_on_a_branch_that_is_released() -> None:
    kept: dict[str, Any] = {"attempt": 3, "seq": 4, "priority": 5, "pool": "gpu", "halt": "park", "due_us": 6}
    kept |= {"limit": Limit("db", 2), "laters": 2, "later_since_us": 1, "attempts_before": 1, "skipped": {"b": "a"}}
    held = replace(
        BRANCH,
        **kept,
        available_at_us=1,
        started_at_us=2,
        worker="w",
        lease_us=3,
        heartbeat_us=4,
        snapshot=ResourceSnapshot(memory_bytes=1),
        slot_index=5,
        worker_concurrency=6,
        place=7,
        turn_us=8,
        last_us=9,
    )
    assert held.released(last_us=10) == replace(BRANCH, **kept, last_us=10)


@pytest.mark.parametrize(("origin", "first"), [(None, "run"), ("oldest", "oldest")])
def test_effects_are_known_by_the_first_of_the_runs_that_go_on(origin: str | None, first: str) -> None:
    assert replace(RUN, parent="older", origin_run_id=origin).first_run_id == first


def test_an_effect_that_was_undone_is_known_by_the_run_that_brought_it_about_again() -> None:
    run = replace(RUN, origin_run_id="oldest", renewed={"a": "older"})
    assert [run.first_run_of(id) for id in "ab"] == ["older", "oldest"]
    assert replace(run, origin_run_id=None).first_run_of("b") == "run"


@pytest.mark.parametrize(
    ("before", "looked_at"),
    [
        (BRANCH, ("k",)),
        (replace(BRANCH, looks=True), ("j", "k")),
        (replace(BRANCH, status="scheduled"), ("j", "k")),
        (replace(BRANCH, status="skipping"), ("j", "k")),
    ],
)
def test_who_is_at_work_looks_at_what_it_has_filled_unless_it_was_asked(
    before: Branch, looked_at: tuple[str, ...]
) -> None:
    assert Commit(before, BRANCH, raises=("j", "k", "j"), fills=("k",)).looked_at == looked_at


def test_a_join_is_looked_at_once_however_many_arrive_at_it_together() -> None:
    assert Commit(replace(BRANCH, status="skipping"), BRANCH, raises=("j", "j", "$")).looked_at == ("j", "$")
    assert Commit(BRANCH, BRANCH, raises=("j", "j"), fills=("j", "j")).looked_at == ("j",)


def test_a_commit_says_the_runs_end_after_its_own_events() -> None:
    beat = told(StepHeartbeat, 1, step_id="a", attempt_number=1, worker_id="w")
    end = told(WorkflowCompleted, 2, workflow_attempt_number=1, output="{}", duration_us=1, total_steps=1)
    commit = Commit(BRANCH, BRANCH, (beat,))
    assert (commit.said, replace(commit, end=end).said) == ((beat,), (beat, end))
