"""Runs of other engines as a whole: how long they are kept, what lies aside, what is told anew, and which attempt."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from caller_checker import stored_steps
from cascade_flow import Checkpoint, ConflictError, LogEntry, StepHeartbeat, WorkflowInputValidation, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.caller_ledger import CallerLedger, Moved
from cascade_flow.engine.caller import fold_step
from cascade_flow.operations.caller import Caller, _Once
from clauses.stage import dies, dying
from clauses.test_callers import ENDS, MINUTE_US, checked, place, under_way
from contract.called import FLOW, Called
from simulation import TIMING, World

LONG = secrets.token_hex(1_000)
HALF = Checkpoint(name="half", sequence_number=0, attempt_number=1, data=json.dumps(LONG))
ASIDE: dict[str, Callable[[Called], object]] = {
    "input": lambda run: Called(run.backend, "run-2").submit(input=json.dumps(LONG)),
    "data": lambda run: run.backend.save_step_checkpoint(FLOW, run.run_id, "a", HALF),
    "output of a step": lambda run: run.complete("a", 1, LONG),
    "output of a run": lambda run: run.finish(LONG),
}


@pytest.mark.parametrize("what", ASIDE)
def test_what_is_long_lies_aside_once_and_is_told_whole(world: World, what: str) -> None:
    run = under_way(world)
    run.take("a")
    ASIDE[what](run)
    table = world.observer.runtime.ledger.table
    ids = ["run-2"] if what == "input" else [run.run_id]
    aside = [item for id in ids for item in table.query(keys.Span(keys.run(id).pk, "P#", "P#~"))]
    told_of = [*CallerLedger(table).records(ids[0]), *world.observer.runtime.submitted(ids[0]).tail]
    assert LONG not in str(told_of), "it lies in one place"
    assert len(aside) == 1
    [told] = [event for event in Called(world.observer, ids[0]).events() if LONG in str(event)]
    assert json.dumps(LONG) in (getattr(told, name, None) for name in ("input", "data", "output"))
    assert {item[keys.EXPIRY] for item in aside} == {world.observer.runtime.submitted(ids[0]).expires_s}


def test_a_run_is_kept_for_as_long_as_one_may_take_and_what_has_ended_is_kept(world: World) -> None:
    before_us = clock.now_us()
    world.backend.initialize_run(FLOW, "run-1")
    run = world.observer.runtime.ledger.run("run-1")
    assert run is not None
    assert before_us < run.created_us < clock.now_us()
    assert run.deadline_us == run.created_us + 365 * 86_400_000_000
    assert run.expires_s == (run.deadline_us + TIMING.retention_us) // 1_000_000


def test_whoever_is_overtaken_time_and_again_gives_up_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run, tries = under_way(world), list[object]()

    def overtaken(*telling: object) -> None:
        tries.append(telling)
        raise Moved

    monkeypatch.setattr(Caller, "write", overtaken)
    with pytest.raises(ConflictError) as refused:
        run.take("a")
    assert len(tries) == 32
    assert refused.value.facts == {"run_id": run.run_id, "tries": 32}


def test_a_history_is_read_when_it_is_asked_for_and_once() -> None:
    read = list[str]()
    history = _Once(lambda: read.append("read") or [])  # type: ignore[func-returns-value]
    assert read == []
    assert [history(), history(), read] == [[], [], ["read"]]


def test_events_of_which_the_first_lies_in_a_steps_past_are_folded_with_all_of_them(world: World) -> None:
    run = under_way(world)
    run.begin("a")
    events = run.events()
    scheduled, started = [event for event in events if event.category == "step"]
    earlier = started.model_copy(update={"timestamp_us": scheduled.timestamp_us + 1, "worker_id": "earlier"})
    later = StepHeartbeat(
        **place(FLOW, run.run_id, started.timestamp_us + 9), step_id="a", worker_id=run.name, attempt_number=1
    )
    before = fold_step([scheduled, started])
    after = Caller(world.backend.runtime).step_after(before, [earlier, later], lambda: events)
    assert after is not None
    assert (after.state.claimed_by, after.state.start_time, after.starts) == (run.name, started.timestamp_us, 2)


def test_who_cancels_names_the_attempt_of_the_run(world: World) -> None:
    run = under_way(world)
    run.give_up()
    run.try_again()
    world.backend.cancel_run(run.run_id)
    assert [event.workflow_attempt_number for event in run.events("WorkflowCancelled")] == [2]


def test_what_is_told_of_a_runs_past_leaves_its_newest_word_the_newest(world: World) -> None:
    run = under_way(world)
    [started] = run.events("WorkflowStarted")
    world.clock.pause_us(MINUTE_US)
    run.schedule("b")
    told: dict[str, Any] = {"workflow_attempt_number": 1, "has_schema": False, "success": True}
    early = WorkflowInputValidation(**place(FLOW, run.run_id, int(started.timestamp_us) - 1), **told)
    world.backend.append_event(FLOW, run.run_id, early)
    assert world.observer.runtime.submitted(run.run_id).last_us == started.timestamp_us
    assert checked(world, run)[:3] == ["RunSubmitted", "WorkflowInputValidation", "WorkflowStarted"]


@pytest.mark.parametrize("end", ENDS)
def test_who_copies_a_run_without_its_end_gets_one_that_goes_on(world: World, end: str) -> None:
    source = under_way(world)
    ENDS[end](source)
    for excluded, status in ((True, "running"), (False, end)):
        world.backend.copy_workflow_events(FLOW, source.run_id, f"copy-{status}", exclude_terminal=excluded)
        assert Called(world.backend, f"copy-{status}").status == status
    world.backend.delete_workflow_terminal_events(FLOW, source.run_id)
    assert (source.status, checked(world, source)[-1]) == ("running", "StepScheduled")


def test_who_forgets_a_step_leaves_the_lines_and_the_events_of_others(world: World) -> None:
    run = under_way(world, "a", "a/b", "ab")
    for name in ("a", "a/b", "ab"):
        said: dict[str, Any] = {"step_id": name, "attempt_number": 1, "stream": "stdout", "message": name}
        world.backend.save_step_logs(FLOW, run.run_id, name, [LogEntry(**place(FLOW, run.run_id), **said)])
    world.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"])
    assert [run.kinds(name) for name in ("a", "a/b", "ab")] == [[], *[["StepScheduled", "LogEntry"]] * 2]
    assert run.due() == [(run.run_id, "a/b"), (run.run_id, "ab")]
    checked(world, run)


def test_a_step_that_is_half_forgotten_is_no_earlier_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fence rises: whoever has read it before writes nothing over it."""
    monkeypatch.setattr("cascade_flow.operations.copies._AT_ONCE", 2)
    run = under_way(world)
    run.take("a")
    for _ in range(3):
        run.beat("a")
    fence = stored_steps(world.observer, run.run_id)["a"].seq
    dies(lambda: dying(world, "TransactWriteItems", at=2).delete_step_events(FLOW, run.run_id, step_ids=["a"]))
    assert stored_steps(world.observer, run.run_id)["a"].seq == fence + 1
    assert run.kinds("a") == ["StepScheduled", "StepStarted", "StepHeartbeat"]
