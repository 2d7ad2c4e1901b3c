"""What is too long to ride in an item: stored once, there for whoever needs it, and read by nobody else."""

from __future__ import annotations

import secrets

import pytest

from cascade_flow import DynamoDBBackend, PayloadTooLargeError
from contract.outside import FLOW, Outside, register, step, submit
from testbed.meter import meter
from testbed.servers import Store

pytestmark = pytest.mark.servers("all")


def test_a_large_input_comes_back_whole(backend: DynamoDBBackend) -> None:
    register(backend, step("a"))
    given = {"rows": [secrets.token_hex(16) for _ in range(500)]}
    state = backend.get_run(submit(backend, input=given))
    assert state is not None
    assert state.input is not None
    assert all(row in state.input for row in given["rows"])


@pytest.mark.servers("ministack", "dynamodb-local", "moto")
def test_a_list_of_runs_with_large_inputs_reads_no_payload(backend: DynamoDBBackend, dynamodb: Store) -> None:
    register(backend, step("a"))
    for _ in range(3):
        submit(backend, input={"rows": [secrets.token_hex(16) for _ in range(2_000)]})
    with meter(dynamodb.product, dynamodb.table) as counted:
        page = backend.list_runs(workflow_slug=FLOW)
    assert [run.input for run in page.runs] == [None] * 3
    assert counted.read_units < 20


def test_what_no_item_can_hold_is_refused_and_leaves_nothing(backend: DynamoDBBackend) -> None:
    register(backend, step("a"))
    with pytest.raises(PayloadTooLargeError):
        submit(backend, input=secrets.token_hex(400_000))
    assert backend.list_run_ids(FLOW) == []


def test_an_output_that_no_item_can_hold_is_refused_and_the_attempt_goes_on(backend: DynamoDBBackend) -> None:
    register(backend, step("a"))
    worker = Outside(backend, submit(backend))
    attempt = worker.take("a")
    with pytest.raises(PayloadTooLargeError):
        backend.save_step_complete(
            FLOW, worker.run_id, "a", secrets.token_hex(400_000), duration_us=1, attempt_number=attempt
        )
    backend.save_step_complete(FLOW, worker.run_id, "a", "small", duration_us=1, attempt_number=attempt)
    state = backend.get_run(worker.run_id)
    assert state is not None
    assert state.status == "completed"
