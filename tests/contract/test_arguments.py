"""What no careful caller gives an operation: it is refused in this project's words, and nothing is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    Backend,
    CascadeFlowError,
    Checkpoint,
    DynamoDBBackend,
    RunSubmission,
    StepError,
    WorkflowStarted,
    clock,
)
from contract.called import Called
from contract.outside import FLOW, Outside, step

OPERATIONS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]
ODD: list[Any] = [
    None, "", "a b", "R#1", "\x00", "\ud800", "x" * 20_000, True, -1, 10**20, 1.5, float("nan"), b"x", [], [None], [5],
    ["x" * 300], {}, {1: 2}, {"a": float("inf")}, object(),
]  # fmt: skip
OPTIONS = ["start_us", "end_us", "workflow_slug", "step_id", "run_ids"]
STARTED = WorkflowStarted(
    workflow_slug=FLOW,
    run_id="run-1",
    timestamp_us=1,
    version_id="v",
    workflow_attempt_number=1,
    has_input_schema=False,
    has_input=False,
)
FINE: dict[str, Any] = {
    "workflow_slug": FLOW, "slug": FLOW, "run_id": "run-1", "parent_run_id": "run-1", "source_run_id": "run-1",
    "target_run_id": "run-2", "original_run_id": "run-1", "step_id": "a", "from_step_id": "a", "step_ids": ["a"],
    "include_step_ids": ["a"], "retried_steps": ["a"], "dependencies": [], "worker_id": "w", "original_worker_id": "w",
    "reclaimed_by": "r", "version_id": "v", "attempt_number": 1, "next_attempt_number": 2,
    "workflow_attempt_number": 1, "previous_attempt_number": 1, "sequence_number": 0, "priority": 0,
    "available_at_us": 1, "duration_us": 1, "next_retry_at_us": 1, "last_heartbeat_us": 1, "stale_threshold_us": 10**9,
    "stale_duration_us": 1, "retry_delay_ms": 1, "completed_steps": 0, "total_steps": 1, "resumed_steps": 0,
    "pending_steps": 0, "has_input_schema": False, "has_input": False, "has_schema": True, "success": True,
    "terminal": True, "exclude_terminal": True, "output": {"x": 1}, "error": StepError(name="E", message="no"),
    "failure_reason": "timeout", "reason": "initial", "skip_type": "primary", "name": "part", "logs": [],
    "events": [], "event": STARTED,
    "fingerprint": "a:b:c", "grouping_strategy": "exact", "submission": RunSubmission(workflow_slug=FLOW),
    "checkpoint": Checkpoint(name="part", sequence_number=0, attempt_number=1, data="1"),
}  # fmt: skip
"""What an operation is given under these names where it is not what the test is about."""


def driven_by_its_caller(backend: DynamoDBBackend) -> None:
    Called.with_step(backend).take("a")


def driven_by_the_engine(backend: DynamoDBBackend) -> None:
    Outside.at(backend, step("a"), run_id="run-1").take("a")


def parameters_of(operation: str) -> list[str]:
    found = list(inspect.signature(getattr(Backend, operation)).parameters.values())[1:]
    return [name for each in found for name in (OPTIONS if each.kind is each.VAR_KEYWORD else [each.name])]


def answered(backend: DynamoDBBackend, operation: str, odd: dict[str, Any]) -> str:
    """What a call says where it is refused."""
    given = {**FINE, "reason": "no more"} if operation.startswith(("save_step_skip", "cancel", "retry")) else FINE
    needed = inspect.signature(getattr(Backend, operation)).parameters.values()
    known = {each.name: given[each.name] for each in needed if each.default is each.empty and each.name in given}
    try:
        getattr(backend, operation)(**{**known, **odd})
    except CascadeFlowError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if parameters_of(name)])
@pytest.mark.parametrize("arrange", [driven_by_its_caller, driven_by_the_engine])
def test_no_argument_breaks_an_operation(
    backend: DynamoDBBackend, arrange: Callable[[DynamoDBBackend], None], operation: str
) -> None:
    arrange(backend)
    for parameter in parameters_of(operation):
        for odd in ODD:
            answer = answered(backend, operation, {parameter: odd})
            assert len(answer) < 5_000, (parameter, odd)
            assert "mistake of this engine" not in answer, (parameter, odd)


def test_every_argument_that_is_wrong_is_named(backend: DynamoDBBackend) -> None:
    wrong: Any = {"limit": "ten", "status": "completed", "offset": True}
    with pytest.raises(ArgumentInvalidError) as caught:
        backend.list_runs(**wrong)
    assert [issue.path for issue in caught.value.issues] == ["status", "limit", "offset"]
    with pytest.raises(ArgumentInvalidError, match="offset"):
        backend.list_runs(offset=-1)


def test_one_text_is_not_several(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend, "abc")
    with pytest.raises(ArgumentInvalidError, match="step_ids"):
        backend.delete_step_events(FLOW, run.run_id, step_ids="abc")
    assert run.events("StepScheduled")


def test_a_batch_with_something_that_is_no_event_stores_none(backend: DynamoDBBackend) -> None:
    run = Called.with_step(backend)
    before = run.events()
    wrong: Any = [before[-1].model_copy(update={"timestamp_us": clock.now_us() + 9}), {"type": "Nothing"}]
    with pytest.raises(ArgumentInvalidError, match=r"events\.1: Input should be an event"):
        backend.batch_append_events(wrong)
    assert run.events() == before


def test_an_argument_too_many_or_too_few_is_pythons_own_error(backend: DynamoDBBackend) -> None:
    anything: Any = backend
    with pytest.raises(TypeError, match="run_id"):
        anything.get_run()
    with pytest.raises(TypeError, match="color"):
        anything.get_run("run-1", color="red")
