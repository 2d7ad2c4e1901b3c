"""Runs are tried again, resumed, or rerun from a step: what is done stays done."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    DynamoDBBackend,
    InputInvalidError,
    InvalidIdError,
    RetryTier,
    RunNotFoundError,
    RunNotRetryableError,
    StaleAttemptError,
    StepNotFoundError,
    clock,
)
from contract.outside import ERROR, Outside, register, step, sweep
from simulation import TIMING, TickingClock

pytestmark = pytest.mark.servers("all")

STEPS = [step("a"), step("b", "a", export_output=True), step("c", "a", export_output=True)]
HOUR_US = 3_600_000_000
SCHEMA = {"type": "object", "required": ["order"]}


def failed(backend: DynamoDBBackend, **submission: Any) -> Outside:
    """A run whose step `b` failed when `a` was done and `c` had not begun."""
    run = Outside.at(backend, *STEPS, **submission)
    run.do("a")
    run.fail("b", run.take("b"), terminal=True)
    assert run.status == "failed"
    return run


def wait(backend: DynamoDBBackend, time: TickingClock) -> None:
    """Until the engine has looked after whatever is left to it."""
    for _ in range(2):
        time.pause_us(TIMING.grace_us)
        sweep(backend)


def test_a_failed_run_is_tried_again(backend: DynamoDBBackend) -> None:
    run = failed(backend)
    state = backend.retry_run(run.run_id, "mended")
    assert state == backend.get_run(run.run_id)
    assert (state.status, state.workflow_attempt_number) == ("running", 2)
    [retried] = run.events("WorkflowRetryStarted")
    assert (retried.workflow_attempt_number, retried.previous_attempt_number, retried.reason) == (2, 1, "mended")
    assert set(retried.retried_steps) == {"b", "c"}
    assert run.take("b") == 2, "attempts count on"
    run.complete("b", 2, "b")
    run.do("c")
    assert run.status == "completed"
    assert [event.workflow_attempt_number for event in run.events("WorkflowFailed", "WorkflowCompleted")] == [1, 2]
    assert [event.step_id for event in run.events("StepCompleted")] == ["a", "b", "c"]


def test_a_cancelled_run_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *STEPS)
    run.do("a")
    run.take("b")
    backend.cancel_run(run.run_id)
    backend.retry_run(run.run_id)
    with pytest.raises(StaleAttemptError):
        run.complete("b")
    run.complete("b", run.take("b"), "b")
    run.do("c")
    assert run.status == "completed"


def test_every_attempt_of_a_run_has_as_much_time_as_the_first(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), timeout=HOUR_US)
    for _ in range(2):
        run.fail("a", run.take("a"), terminal=True)
        time.pause_us(10 * HOUR_US)
        backend.retry_run(run.run_id)
    time.pause_us(HOUR_US)
    sweep(backend)
    assert [event.failure_reason for event in run.events("WorkflowFailed")][2:] == ["timeout"]


def test_a_failed_run_is_resumed(backend: DynamoDBBackend, time: TickingClock) -> None:
    parent = failed(backend, input={"order": 1}, priority=4, tags=["x"])
    before = parent.events()
    resumed = backend.resume_run(parent.run_id)
    assert resumed.is_new
    run = replace(parent, run_id=resumed.run_id)
    wait(backend, time)
    run.do("b", "c")
    state = backend.get_run(run.run_id)
    assert state is not None
    assert (state.status, state.input, state.priority, state.tags) == ("completed", '{"order":1}', 4, ["x"])
    [link] = run.events("WorkflowResumed")
    assert (link.original_run_id, link.resumed_steps, link.pending_steps) == (parent.run_id, 1, 2)
    assert json.loads(run.events("WorkflowCompleted")[0].output) == {"b": "b", "c": "c"}
    assert parent.events() == before


def test_many_long_errors_are_copied(backend: DynamoDBBackend, time: TickingClock) -> None:
    """Each was an item of its own, and together they are more than one holds."""
    tiers = [RetryTier(max_attempts=9, delay_ms=1, jitter=0.0)]
    parent = Outside.at(backend, step("a", retry=tiers), step("b", "a"))
    for attempt in range(1, 9):
        told = ERROR.model_copy(update={"message": random.Random(attempt).randbytes(60_000).hex()})
        time.pause_us(TIMING.grace_us)
        parent.fail("a", parent.take("a"), error=told)
    time.pause_us(TIMING.grace_us)
    parent.do("a")
    parent.fail("b", parent.take("b"), terminal=True)
    run = replace(parent, run_id=backend.resume_run(parent.run_id).run_id)
    assert run.kinds("a") == parent.kinds("a")
    run.do("b")
    assert run.status == "completed"


def test_a_run_is_rerun_from_a_step(backend: DynamoDBBackend, time: TickingClock) -> None:
    parent = Outside.at(backend, *STEPS, input={"order": 1})
    parent.do("a", "b", "c")
    rerun = backend.rerun_from(parent_run_id=parent.run_id, from_step_id="b", input={"order": 2})
    run = replace(parent, run_id=rerun.run_id)
    wait(backend, time)
    assert run.claim("c") is None, "it is kept"
    run.complete("b", run.take("b"), "another")
    state = backend.get_run(run.run_id)
    assert state is not None
    assert (state.status, state.input) == ("completed", '{"order":2}')
    [link] = run.events("WorkflowRerunFromStep")
    assert (link.parent_run_id, link.rerun_from_step_id, link.rerun_step_ids) == (parent.run_id, "b", ["b"])
    assert json.loads(run.events("WorkflowCompleted")[0].output) == {"b": "another", "c": "c"}


def test_only_what_failed_or_was_cancelled_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    for again in (backend.retry_run, backend.resume_run):
        with pytest.raises(RunNotRetryableError, match="running"):
            again(run.run_id)
    run.do("a")
    for again in (backend.retry_run, backend.resume_run):
        with pytest.raises(RunNotRetryableError, match="completed"):
            again(run.run_id)
        with pytest.raises(RunNotFoundError):
            again("unknown")
        with pytest.raises(InvalidIdError):
            again("a#b")
    assert run.status == "completed"


def test_a_rerun_is_checked_at_the_door(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.fail("a", run.take("a"), terminal=True)
    with pytest.raises(StepNotFoundError):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="x")
    with pytest.raises(InvalidIdError):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="a#b")
    with pytest.raises(RunNotFoundError):
        backend.rerun_from(parent_run_id="unknown", from_step_id="a")
    assert backend.list_run_ids(run.slug) == [run.run_id]
    assert run.events("StepFailed")[0].error == ERROR


def test_a_reruns_input_is_validated(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), input={"order": 1})
    run.do("a")
    register(backend, step("a"), input_schema_json=SCHEMA)
    with pytest.raises(InputInvalidError):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="a", input={"other": 1})
    assert backend.list_run_ids(run.slug) == [run.run_id]


def test_a_run_that_was_cancelled_before_it_began_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), available_at=clock.now_us() + 10**9)
    backend.cancel_run(run.run_id)
    backend.retry_run(run.run_id)
    run.do("a", "b")
    assert run.status == "completed"


def test_a_run_of_which_one_end_is_reached_is_tried_again(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b"))
    run.do("a")
    run.fail("b", run.take("b"), terminal=True)
    backend.retry_run(run.run_id)
    run.do("b")
    assert run.status == "completed"


def test_a_run_that_soon_expires_is_only_resumed(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = failed(backend)
    time.pause_us(TIMING.timeout_us + TIMING.retention_us - TIMING.retention_us // 100)
    before = run.events()
    with pytest.raises(RunNotRetryableError, match="expires too soon"):
        backend.retry_run(run.run_id)
    assert run.events() == before
    resumed = Outside(backend, backend.resume_run(run.run_id).run_id)
    resumed.do("b", "c")
    assert resumed.status == "completed"
