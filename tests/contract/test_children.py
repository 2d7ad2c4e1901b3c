"""Runs that do a part of another's work: read like any run, listed under their parent, and stopped with it alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from cascade_flow import (
    ChildrenDefinition,
    DynamoDBBackend,
    InvalidIdError,
    RunNotCancellableError,
    RunNotRetryableError,
)
from cascade_flow.operations.expansion import Expansion
from cascade_flow.operations.steps import Steps
from contract.outside import FLOW, Outside, register, step, submit

pytestmark = pytest.mark.servers("all")


@pytest.fixture
def parent(backend: DynamoDBBackend) -> Outside:
    """A run whose map has handed out two items."""
    over = ChildrenDefinition(kind="map", over="lines")
    run = Outside.at(backend, step("lines"), step("pack", "lines", children=over), input={"order": 7})
    run.complete("lines", run.take("lines"), ["a", "b"])
    steps = Steps(backend.runtime)
    held = steps.claim_step(backend.runtime.run(run.run_id), "pack", "worker-1")
    assert held is not None
    steps.report(held, Expansion(backend.runtime).command(held, '["a", "b"]'))
    return run


def test_a_child_is_read_and_reported_like_any_run(backend: DynamoDBBackend, parent: Outside) -> None:
    children = [Outside(backend, f"{parent.run_id}~pack~{number}") for number in range(2)]
    for number, child in enumerate(children):
        child.complete("pack", child.take("pack"), number)
    assert [child.status for child in children] == ["completed"] * 2
    assert children[1].events("WorkflowCompleted")[0].output == "1"
    assert [run.run_id for run in backend.list_runs(workflow_slug=FLOW).runs] == [parent.run_id]


@pytest.mark.parametrize(
    ("say", "status"),
    [(Outside.fail, "running"), (partial(Outside.fail, terminal=True), "failed"), (Outside.skip, "completed")],
)
def test_an_item_may_fail_or_have_nothing_to_do_like_any_step(
    backend: DynamoDBBackend, parent: Outside, say: Callable[[Outside, str], None], status: str
) -> None:
    child = Outside(backend, f"{parent.run_id}~pack~0")
    child.take("pack")
    say(child, "pack")
    assert child.status == status


def test_what_a_step_of_another_workflow_gives_is_no_batchs_result(backend: DynamoDBBackend) -> None:
    register(backend, step("pay"), slug="refunds")
    runs = ChildrenDefinition(kind="workflow", workflow="refunds")
    run = Outside.at(backend, step("refund", children=runs), input={"order": 7})
    steps = Steps(backend.runtime)
    held = steps.claim_step(backend.runtime.run(run.run_id), "refund", "worker-1")
    assert held is not None
    steps.report(held, Expansion(backend.runtime).command(held, '{"order": 7}'))
    child = Outside(backend, f"{run.run_id}~refund~0", "refunds")
    child.complete("pay", child.take("pay"), "paid")
    assert child.status == "completed"


def test_a_child_goes_with_its_parent(backend: DynamoDBBackend, parent: Outside) -> None:
    child = f"{parent.run_id}~pack~1"
    with pytest.raises(RunNotCancellableError, match="ask that of its parent"):
        backend.cancel_run(child)
    again = partial(backend.rerun_from, parent_run_id=child, from_step_id="pack")
    for refused in (partial(backend.retry_run, child), partial(backend.resume_run, child), again):
        with pytest.raises(RunNotRetryableError, match="ask that of its parent"):
            refused()
    with pytest.raises(InvalidIdError):
        submit(backend, run_id=f"{parent.run_id}~pack~7")
    backend.cancel_run(parent.run_id)
    assert Outside(backend, child).status == "cancelled"
