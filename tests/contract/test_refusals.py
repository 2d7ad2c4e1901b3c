"""What an operation refuses, where no other test of the contract has a reason to: it says why, and leaves nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    Checkpoint,
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    Event,
    InputInvalidError,
    InvalidIdError,
    PayloadTooLargeError,
    RunNotFoundError,
    StepCheckpoint,
    StepCompleted,
    StepNotFoundError,
    WorkflowNotFoundError,
    WorkflowStarted,
    clock,
)
from cascade_flow.dynamodb.caller_ledger import CallerLedger
from cascade_flow.offload import Bucket
from contract.called import FLOW, VERSION, Called
from contract.outside import Outside, register, step
from simulation import TIMING, TickingClock
from testbed.faults import Crash
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Store, connect
from testbed.wire import Answer, Floor, Request, Send, wire_of

pytestmark = pytest.mark.servers("all")

SCHEMA = {"type": "object", "required": ["order"]}


def cancelled(run: Called) -> None:
    run.backend.save_workflow_cancelled(
        run.slug, run.run_id, workflow_attempt_number=1, duration_us=1, completed_steps=0
    )


def resumed(run: Called) -> None:
    run.backend.save_workflow_resumed(
        run.slug, run.run_id, version_id=VERSION, original_run_id="run-0", resumed_steps=0, pending_steps=1
    )


def validated(run: Outside) -> None:
    run.backend.save_workflow_input_validation(
        run.slug, run.run_id, workflow_attempt_number=1, has_schema=False, success=True
    )


WORDS: list[Callable[[Called], object]] = [
    Called.submit,
    Called.start,
    lambda run: run.schedule("a"),
    lambda run: run.backend.save_step_start(run.slug, run.run_id, "a", "worker-1", dependencies=[]),
    cancelled,
    resumed,
    validated,
]


def too_large() -> str:
    """More than an item holds, however it is packed."""
    return secrets.token_hex(500_000)


def started(**place: Any) -> WorkflowStarted:
    place = {"workflow_slug": FLOW, "run_id": "run-1", "timestamp_us": clock.now_us(), **place}
    told: dict[str, Any] = {
        "version_id": VERSION,
        "workflow_attempt_number": 1,
        "has_input_schema": False,
        "has_input": False,
    }
    return WorkflowStarted(**place, **told)


def completed(output: str) -> StepCompleted:
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": "run-1", "timestamp_us": clock.now_us(), "step_id": "a"}
    return StepCompleted(**place, output=output, duration_us=1, attempt_number=1, export_output=False)


def kept(run_id: str, step_id: str) -> StepCheckpoint:
    place: dict[str, Any] = {
        "workflow_slug": FLOW,
        "run_id": run_id,
        "timestamp_us": clock.now_us(),
        "step_id": step_id,
    }
    return StepCheckpoint(**place, name="part", sequence_number=0, attempt_number=1, data="1")


@pytest.mark.parametrize("word", WORDS)
def test_a_run_of_another_workflow_is_not_there(backend: DynamoDBBackend, word: Callable[[Called], object]) -> None:
    run = Called.new(backend)
    before = run.events()
    with pytest.raises(RunNotFoundError, match="belongs to 'orders'"):
        word(replace(run, slug="bills"))
    assert run.events() == before


def test_what_no_item_holds_is_not_told(backend: DynamoDBBackend) -> None:
    run, large = Called.with_step(backend), too_large()
    run.take("a")
    before = run.events()
    for said in (
        lambda: backend.append_event(FLOW, run.run_id, completed(large)),
        lambda: backend.batch_append_events([completed(large)]),
        lambda: run.finish(large),
        lambda: backend.save_step_checkpoint(
            FLOW, run.run_id, "a", Checkpoint(name="part", sequence_number=0, attempt_number=1, data=f'"{large}"')
        ),
        lambda: Called(backend, "run-2").submit(input=f'"{large}"'),
    ):
        with pytest.raises(PayloadTooLargeError):
            said()
    assert run.events() == before
    assert not backend.run_exists(FLOW, "run-2")


def test_an_input_that_no_item_holds_is_not_run_with(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    with pytest.raises(PayloadTooLargeError):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="a", input=too_large())
    assert backend.list_run_ids(FLOW) == [run.run_id]


def test_a_batch_ends_where_an_event_is_refused(backend: DynamoDBBackend) -> None:
    engine = Outside.at(backend, step("a"))
    Called.new(backend)
    refused: list[tuple[type[Exception], Event]] = [
        (EngineDrivenError, started(run_id=engine.run_id)),
        (RunNotFoundError, started(workflow_slug="bills")),
        (InvalidIdError, started(run_id="a#b")),
        (StepNotFoundError, kept(engine.run_id, "x")),
    ]
    for error, event in refused:
        with pytest.raises(error) as caught:
            backend.batch_append_events([kept("run-1", "a"), event])
        assert [each.type for each in caught.value.facts["stored"]] == ["StepCheckpoint"]  # type: ignore[attr-defined]


def test_nothing_is_added_after_the_end_of_an_engines_run(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, step("a"))
    run.do("a")
    before = run.events()
    with pytest.raises(EngineDrivenError, match="has ended"):
        validated(run)
    assert run.events() == before


def test_nothing_is_copied_into_a_copy_that_is_not_whole_yet(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Crash("before the copy shows")

    Called.new(backend, "old")
    with monkeypatch.context() as patch:
        patch.setattr(CallerLedger, "end_copy", die)
        with pytest.raises(Crash):
            backend.copy_entire_run(FLOW, "old", "new")
    with pytest.raises(ConflictError, match="being copied"):
        backend.copy_workflow_events(FLOW, "old", "new", exclude_terminal=False)
    with pytest.raises(ConflictError, match="being copied"):
        backend.copy_step_events(FLOW, "old", "new", include_step_ids=["a"])
    backend.copy_entire_run(FLOW, "old", "new")
    assert Called(backend, "new").kinds() == ["RunSubmitted", "WorkflowStarted"]


def test_an_output_path_is_that_of_an_attempt(dynamodb: Store, time: TickingClock) -> None:
    bucket = Bucket("of-nobody", client=connect("s3", None))
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, bucket=bucket, timing=TIMING)
    run = Outside.at(backend, step("a"))
    run.do("a")
    for run_id, error in (("unknown", RunNotFoundError), (run.run_id, StepNotFoundError), ("a#b", InvalidIdError)):
        with pytest.raises(error):
            backend.get_step_output_path(FLOW, run_id, "a", 1)


def test_a_run_is_not_resumed_as_something_else(backend: DynamoDBBackend) -> None:
    run = Called.new(backend)
    run.give_up()
    with pytest.raises(WorkflowNotFoundError):
        backend.resume_run(run.run_id)
    with pytest.raises(WorkflowNotFoundError):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="a")
    register(backend, step("a"), input_schema_json=SCHEMA)
    with pytest.raises(InputInvalidError):
        backend.resume_run(run.run_id)
    assert backend.list_run_ids(FLOW) == [run.run_id]


def test_a_run_is_tried_again_once(backend: DynamoDBBackend, dynamodb: Store) -> None:
    run = Outside.at(backend, step("a"))
    backend.cancel_run(run.run_id)
    late = DynamoDBBackend(dynamodb.table, client=dynamodb.another_client(), timing=TIMING)
    wire = wire_of(late.runtime.ledger.table.client)

    def overtaken(request: Request, send: Send) -> Answer:
        if request.operation in SINGLE_WRITES | TRANSACTIONS:
            wire.remove(overtaken)
            backend.retry_run(run.run_id)
        return send(request)

    wire.add(overtaken, floor=Floor.SCHEDULE)
    with pytest.raises(ConflictError, match="somebody else"):
        late.retry_run(run.run_id)
    assert len(run.events("WorkflowRetryStarted")) == 1
    run.do("a")
