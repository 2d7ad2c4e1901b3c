"""From a wish to a run: what is checked, what is stored, what one key stands for."""

from __future__ import annotations

import json
import secrets
from datetime import date
from typing import Any

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    IdempotencyConflictError,
    InputInvalidError,
    InvalidIdError,
    PayloadTooLargeError,
    RunSubmission,
    SubmittedRun,
    WorkflowNotFoundError,
    clock,
)
from cascade_flow.engine.state import LATEST_US
from contract.outside import FLOW, Outside, register, step, submit, sweep
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
    },
    "required": ["order"],
}
LARGE = {"words": [f"word {number}" for number in range(2_000)]}
HUGE = secrets.token_hex(400_000)


def test_a_run_that_is_due_starts_at_once(backend: DynamoDBBackend) -> None:
    register(backend, step("a"), step("b"), step("c", "a"))
    submitted = backend.submit_run(RunSubmission(workflow_slug=FLOW))
    assert submitted.is_new
    run = Outside(backend, submitted.run_id)
    assert run.status == "running"
    assert run.kinds() == [
        "RunSubmitted",
        "WorkflowInputValidation",
        "WorkflowStarted",
        "StepScheduled",
        "StepScheduled",
    ]
    assert [(e.step_id, e.reason, e.attempt_number) for e in run.events("StepScheduled")] == [
        ("a", "initial", 1),
        ("b", "initial", 1),
    ]


def test_everything_that_was_submitted_is_kept(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json=SCHEMA)
    run_id = submit(
        backend,
        run_id="order-17",
        input={"order": "17"},
        priority=7,
        timeout=60_000_000,
        idempotency_key="k",
        metadata={"shop": {"id": 5}},
        tags=["new", "paid"],
    )
    run = backend.get_run(run_id)
    assert run is not None
    assert (run.run_id, run.workflow_slug, run.input, run.priority) == ("order-17", FLOW, '{"order":"17"}', 7)
    assert (run.timeout, run.idempotency_key, run.tags) == (60_000_000, "k", ["new", "paid"])
    assert run.metadata == {"shop": {"id": 5}}
    assert run.workflow_attempt_number == 1
    [submitted] = Outside(backend, run_id).events("RunSubmitted")
    current = backend.get_current_workflow_version(FLOW)
    assert current is not None
    assert (submitted.version_id, submitted.has_input_schema) == (current.version_id, True)


def test_any_value_may_be_an_input(backend: DynamoDBBackend) -> None:
    register(backend)
    values: list[Any] = [False, 0, "", [], {}, "é\u2028", {"a": [1, 2.5, None]}, LARGE]
    for value in values:
        run = backend.get_run(submit(backend, input=value))
        assert run is not None
        assert json.loads(run.input or "") == value
    run = backend.get_run(submit(backend, input=None))
    assert run is not None
    assert run.input is None


def test_what_json_does_not_have_is_written_as_what_is_nearest(backend: DynamoDBBackend) -> None:
    register(backend)
    wish = RunSubmission(workflow_slug=FLOW, input={"at": date(2026, 11, 22), "raw": b"\xff"}, idempotency_key="k")
    run = backend.get_run(backend.submit_run(wish).run_id)
    assert run is not None
    assert json.loads(run.input or "")["at"] == "2026-11-22"
    assert backend.submit_run(wish) == SubmittedRun(run_id=run.run_id, is_new=False)


def test_an_unknown_workflow_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    with pytest.raises(WorkflowNotFoundError, match=FLOW):
        submit(backend, "unknown")
    assert backend.list_run_ids("unknown") == []


def test_invalid_input_is_refused_with_every_path(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json=SCHEMA)
    with pytest.raises(InputInvalidError) as caught:
        submit(backend, input={"items": [{"price": 1}, {"price": "2"}]}, idempotency_key="k")
    assert {issue.path for issue in caught.value.issues} == {"input", "input.items.1.price"}
    assert backend.list_run_ids(FLOW) == []
    assert submit(backend, input={"order": "1"}, idempotency_key="k"), "the key is still free"


def test_a_format_is_held_as_a_type_is(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json={"type": "string", "format": "ipv4"})
    assert submit(backend, input="10.0.0.1")
    with pytest.raises(InputInvalidError, match="ipv4"):
        submit(backend, input="10.0.0.256")


def test_what_is_checked_is_what_is_stored(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json={"properties": {"at": {"type": "string"}, "rate": {"type": "string"}}})
    run = backend.get_run(submit(backend, input={"at": date(2026, 11, 22), "rate": float("nan")}))
    assert run is not None
    assert run.input == '{"at":"2026-11-22","rate":"NaN"}'


def test_a_pattern_that_invites_backtracking_is_matched_in_linear_time(backend: DynamoDBBackend) -> None:
    register(backend, input_schema_json={"pattern": r"^(\w+\s?)+$"})
    with pytest.raises(InputInvalidError, match="does not match"):
        submit(backend, input="a" * 10_000 + "!")


def test_a_bad_id_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    for id in ("", "a b", "a#b", "a/b", "$x", "-a", "é", "x" * 257):
        with pytest.raises(InvalidIdError):
            submit(backend, run_id=id)
        with pytest.raises(InvalidIdError):
            submit(backend, slug=id)
    assert backend.list_run_ids(FLOW) == []


def test_a_taken_run_id_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    submit(backend, run_id="r", input=LARGE)
    before = backend.get_run("r")
    with pytest.raises(ConflictError, match="'r' is taken"):
        submit(backend, run_id="r", input=[LARGE, "another"])
    assert backend.get_run("r") == before


def test_one_key_makes_one_run(backend: DynamoDBBackend, time: TickingClock) -> None:
    register(backend)
    wish = RunSubmission(workflow_slug=FLOW, input={"b": 1, "a": 2}, idempotency_key="k")
    first = backend.submit_run(wish)
    time.pause_us(86_400_000_000)
    again = backend.submit_run(wish.model_copy(update={"input": {"a": 2, "b": 1}}))
    assert (first.is_new, again.is_new, again.run_id) == (True, False, first.run_id)
    Outside(backend, first.run_id).do("a")
    assert backend.submit_run(wish).run_id == first.run_id
    assert backend.list_run_ids(FLOW) == [first.run_id]


def test_a_key_with_other_content_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    wish = RunSubmission(workflow_slug=FLOW, input=1, idempotency_key="k")
    first = backend.submit_run(wish)
    others: list[dict[str, Any]] = [
        {"input": 2},
        {"priority": 1},
        {"tags": ["x"]},
        {"metadata": {"x": 1}},
        {"timeout": 5},
        {"run_id": "r"},
    ]
    for other in others:
        with pytest.raises(IdempotencyConflictError, match=first.run_id):
            backend.submit_run(wish.model_copy(update=other))
    assert backend.list_run_ids(FLOW) == [first.run_id]


def test_what_is_left_out_is_no_other_content(backend: DynamoDBBackend) -> None:
    register(backend)
    named = RunSubmission(workflow_slug=FLOW, run_id="r", priority=0, metadata={}, tags=[], idempotency_key="k")
    left_out = RunSubmission(workflow_slug=FLOW, idempotency_key="k")
    for first, second, key in ((named, left_out, "k"), (left_out, named, "l")):
        made = backend.submit_run(first.model_copy(update={"idempotency_key": key}))
        told = second.run_id and made.run_id
        again = second.model_copy(update={"idempotency_key": key, "run_id": told})
        assert backend.submit_run(again) == SubmittedRun(run_id=made.run_id, is_new=False)
        with pytest.raises(IdempotencyConflictError, match=made.run_id):
            backend.submit_run(again.model_copy(update={"run_id": "another"}))


def test_the_workflows_own_timeout_is_no_other_content_whether_it_is_said_or_not(backend: DynamoDBBackend) -> None:
    def submitted(timeout: int | None, key: str) -> SubmittedRun:
        return backend.submit_run(RunSubmission(workflow_slug=FLOW, timeout=timeout, idempotency_key=key))

    usual, other = 60_000_000, 90_000_000
    register(backend, timeout_us=usual)
    made = {first: submitted(first, str(first)).run_id for first in (usual, None)}
    for first, run_id in made.items():
        for again in (usual, None):
            assert submitted(again, str(first)) == SubmittedRun(run_id=run_id, is_new=False)
    register(backend, timeout_us=other)
    for first, run_id in made.items():
        assert submitted(first, str(first)).run_id == run_id, "the same again is the same, whatever is usual by now"
    with pytest.raises(IdempotencyConflictError):
        submitted(other, str(usual))


def test_the_same_content_without_a_key_is_another_run(backend: DynamoDBBackend) -> None:
    register(backend)
    assert submit(backend, input=1) != submit(backend, input=1)


def test_a_run_for_later_waits(backend: DynamoDBBackend, time: TickingClock) -> None:
    register(backend)
    due_us = clock.now_us() + 3_600_000_000
    run = Outside(backend, submit(backend, available_at=due_us))
    sweep(backend)
    assert run.status == "pending"
    assert run.kinds() == ["RunSubmitted"]
    assert run.claim("a") is None
    time.pause_us(3_600_000_000)
    sweep(backend)
    assert run.status == "running"
    state = backend.get_run(run.run_id)
    assert state is not None
    assert state.available_at == due_us
    assert state.started_at is not None
    assert state.started_at >= due_us
    run.do("a")
    assert run.status == "completed"


def test_a_time_between_two_microseconds_is_no_trouble(backend: DynamoDBBackend, time: TickingClock) -> None:
    register(backend)
    run = Outside(backend, submit(backend, available_at=clock.now_us() + 1_000_000.5))
    time.pause_us(2_000_000)
    sweep(backend)
    run.do("a")
    assert run.status == "completed"


def test_a_priority_is_its_steps_priority(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), priority=9)
    run.do("a")
    assert [event.priority for event in run.events("StepScheduled")] == [9, 9]
    assert [ref.priority for ref in backend.list_scheduled_steps()] == [9]


def test_an_input_that_no_item_holds_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    with pytest.raises(PayloadTooLargeError):
        submit(backend, input=HUGE, idempotency_key="k")
    assert backend.list_run_ids(FLOW) == []
    assert submit(backend, input="small", idempotency_key="k"), "the key is still free"


def test_a_run_keeps_the_version_it_began_with(backend: DynamoDBBackend) -> None:
    old = Outside.at(backend, step("a"), step("b", "a"))
    new = Outside.at(backend, step("a"), step("c", "a"))
    for run in (old, new):
        run.do("a")
    assert old.claim("b") is not None
    assert new.claim("c") is not None


def test_a_run_lasts_a_year_at_most(backend: DynamoDBBackend) -> None:
    register(backend)
    year_us = 366 * 86_400_000_000
    with pytest.raises(InputInvalidError, match="timeout"):
        submit(backend, timeout=year_us + 1)
    run_id = submit(backend, timeout=year_us)
    assert backend.list_run_ids(FLOW) == [run_id]


def test_the_last_time_that_a_key_holds_is_a_runs_time_too(backend: DynamoDBBackend) -> None:
    register(backend)
    run = Outside(backend, submit(backend, available_at=LATEST_US))
    assert run.status == "pending"
    with pytest.raises(InputInvalidError, match="availableAt"):
        submit(backend, available_at=LATEST_US + 1)


def test_a_time_that_no_key_holds_is_refused(backend: DynamoDBBackend) -> None:
    register(backend)
    for available_at in (10**16, 1e300):
        with pytest.raises(InputInvalidError, match="availableAt"):
            submit(backend, available_at=available_at)
    assert backend.list_run_ids(FLOW) == []
