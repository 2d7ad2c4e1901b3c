"""`send_event`: what it takes, what it refuses, and what it says again."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from cascade_flow import (
    DynamoDBBackend,
    EventClosedError,
    EventDefinition,
    EventNotFoundError,
    InputInvalidError,
    InvalidIdError,
    PayloadTooLargeError,
    RunNotFoundError,
    RunSubmission,
    WorkflowRegistration,
)
from checker import check_run
from contract.outside import step

pytestmark = pytest.mark.servers("all")

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


@pytest.fixture
def run_id(backend: DynamoDBBackend) -> str:
    """A run that waits for `paid`."""
    paid = step("paid", event=EventDefinition(payload_schema_json=SCHEMA), export_output=True)
    backend.register_workflow(WorkflowRegistration(slug="waits", name="Waits", steps=[paid]))
    return backend.submit_run(RunSubmission(workflow_slug="waits")).run_id


def test_the_first_counts_and_the_same_again_is_known(backend: DynamoDBBackend, run_id: str) -> None:
    sent = backend.send_event(run_id, "paid", {"ok": True}, key="mail-17")
    assert (sent.run_id, sent.event, sent.is_new) == (run_id, "paid", True)
    assert check_run(backend, run_id).status == "completed"
    with pytest.raises(EventClosedError):
        backend.send_event(run_id, "paid", {"ok": False})


def test_what_does_not_fit_changes_nothing(backend: DynamoDBBackend, run_id: str) -> None:
    with pytest.raises(InputInvalidError):
        backend.send_event(run_id, "paid", {"ok": "perhaps"})
    with pytest.raises(PayloadTooLargeError):
        backend.send_event(run_id, "paid", {"ok": True, "noise": secrets.token_hex(600_000)})
    assert backend.load_events("waits", run_id, step_id="paid") == []


def test_of_no_such_run_or_event_there_is_nothing_to_be_told(backend: DynamoDBBackend, run_id: str) -> None:
    with pytest.raises(RunNotFoundError):
        backend.send_event("nowhere", "paid")
    with pytest.raises(EventNotFoundError):
        backend.send_event(run_id, "unpaid")
    for ids in (("not an id", "paid"), (run_id, "not an id")):
        with pytest.raises(InvalidIdError):
            backend.send_event(*ids)
