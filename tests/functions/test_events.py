"""Events from outside over HTTP: what is taken, what is refused and why, and what a run says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import events
from cascade_flow.api import resources
from checker import check_run
from events.deployed import Functions, Reply, app

pytestmark = pytest.mark.servers("ministack")


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("CASCADE_WORKFLOWS", "approvals")
    return environment


@pytest.fixture
def run_id(functions: Functions) -> Any:
    """A run that waits for an approval."""
    with resources.use(replace(functions.backend.runtime, callbacks_url="https://calls.example")):
        app("worker").worker.cache_clear()
        wish = events.post("/runs", {"workflowSlug": "approvals"})
        found = str(functions.http("submission", wish).json["runId"])
        functions.work()
        yield found


def send(functions: Functions, run_id: str, data: Any, *, event: str = "approval", **more: Any) -> Reply:
    return functions.asked(events.post(f"/runs/{run_id}/events/{event}", {"data": data, **more}))


def approval_of(functions: Functions, run_id: str) -> Any:
    steps = functions.asked(events.get(f"/runs/{run_id}")).json["steps"]
    return next(step for step in steps if step["stepId"] == "approval")


def test_an_approval_lets_the_run_go_on(functions: Functions, run_id: str) -> None:
    told = approval_of(functions, run_id)["event"]
    assert (told["waits"], told["onTimeout"], told["timeoutUs"]) == (True, "skip", 3_600_000_000)
    assert told["waitsUntilUs"] > told["timeoutUs"]
    reply = send(functions, run_id, {"ok": True}, idempotencyKey="mail-17")
    assert (reply.status, reply.json) == (201, {"runId": run_id, "event": "approval", "isNew": True})
    again = send(functions, run_id, {"ok": True}, idempotencyKey="mail-17")
    assert (again.status, again.json["isNew"]) == (200, False)
    functions.work()
    run = functions.asked(events.get(f"/runs/{run_id}")).json
    assert (run["run"]["status"], run["output"]) == ("completed", {**run["output"], "ship": "shipped slow"})
    approval = approval_of(functions, run_id)
    assert (approval["status"], approval["event"]["waits"]) == ("completed", False)
    assert approval["event"]["sentAtUs"] <= approval["endedAtUs"]
    check_run(functions.backend, run_id)


def test_who_comes_second_is_told_what_the_first_has_said(functions: Functions, run_id: str) -> None:
    send(functions, run_id, {"ok": True})
    refused = send(functions, run_id, {"ok": False})
    assert (refused.status, refused.json["code"]) == (409, "event-closed")
    assert refused.json["facts"]["data"] == '{"ok":true}'


def test_a_key_may_stand_in_the_header(functions: Functions, run_id: str) -> None:
    target, header = f"/runs/{run_id}/events/approval", {"idempotency-key": "mail-17"}
    for status in (201, 200):
        assert functions.asked(events.post(target, {"data": {"ok": True}}, headers=header)).status == status
    assert send(functions, run_id, {"ok": True}).status == 409


def test_what_does_not_fit_the_schema_is_refused_with_its_path(functions: Functions, run_id: str) -> None:
    refused = send(functions, run_id, {"ok": "perhaps"})
    assert (refused.status, refused.json["code"]) == (422, "input-invalid")
    assert [issue["path"] for issue in refused.json["issues"]] == ["data.ok"]
    assert approval_of(functions, run_id)["event"]["waits"]


def test_of_no_such_run_or_event_there_is_nothing_to_be_told(functions: Functions, run_id: str) -> None:
    assert send(functions, "nowhere", {"ok": True}).json["code"] == "run-not-found"
    for event in ("ship", "nothing"):
        refused = send(functions, run_id, {"ok": True}, event=event)
        assert (refused.status, refused.json["code"]) == (404, "event-not-found")


def test_of_a_run_that_has_ended_nothing_is_taken(functions: Functions, run_id: str) -> None:
    functions.asked(events.post(f"/runs/{run_id}/cancel", {}))
    refused = send(functions, run_id, {"ok": True})
    assert (refused.status, refused.json["facts"]["status"]) == (409, "cancelled")


def test_it_is_registered_over_http_too(functions: Functions) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "timeout": {"type": "integer"}}}
    event = {"payloadSchemaJSON": schema, "timeoutUs": 60_000_000, "onTimeout": "skip"}
    wish = {"name": "Waits", "steps": [{"stepId": "paid", "event": event}]}
    app("control")
    reply = functions.asked(events.put("/workflows/waits", wish))
    assert reply.status == 200
    version = functions.asked(events.get(f"/workflows/waits/versions/{reply.json['versionId']}")).json
    assert version["steps"][0]["event"] == event
