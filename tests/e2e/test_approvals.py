"""Events from outside on a deployed stack: before, while and after a run waits; and calls by plain HTTP."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from cascade_flow import StepCompleted
from cascade_flow.errors import EventClosedError, InputInvalidError
from e2e.stack import Stack
from e2e.waiting import until


def waiting(stack: Stack) -> str:
    """A run that waits for its approval."""
    run_id = stack.submit("approving")
    until(lambda: approval_of(stack, run_id)["waits"], otherwise=lambda: stack.told(run_id))
    return run_id


def approval_of(stack: Stack, run_id: str) -> Any:
    steps = stack.client.run(run_id, payloads=False)["steps"]
    return next(step["event"] for step in steps if step["stepId"] == "approval")


def shipped(stack: Stack, run_id: str) -> str:
    stack.finished(run_id)
    return str(stack.client.run(run_id)["output"]["ship"])


def test_it_is_given_before_the_run_waits(stack: Stack) -> None:
    run_id = stack.submit("approving", delay_s=2)
    assert stack.client.send(run_id, "approval", {"ok": True})["isNew"]
    assert shipped(stack, run_id) == "shipped"


def test_it_is_given_while_the_run_waits_and_not_after(stack: Stack) -> None:
    run_id = waiting(stack)
    with pytest.raises(InputInvalidError, match=r"data\.ok"):
        stack.client.send(run_id, "approval", {"ok": "perhaps"})
    with stack.wakeups.unheard():
        assert stack.client.send(run_id, "approval", {"ok": False}, idempotency_key="mail-17")["isNew"]
        assert not stack.client.send(run_id, "approval", {"ok": False}, idempotency_key="mail-17")["isNew"]
    assert shipped(stack, run_id) == "refused"
    with pytest.raises(EventClosedError):
        stack.client.send(run_id, "approval", {"ok": True})


def called(address: str, body: Any = None) -> httpx.Response:
    """What anybody is answered, without credentials, as curl would ask; a host of this machine is not looked up."""
    parts = urlsplit(address)
    url = f"{parts.scheme}://127.0.0.1:{parts.port}{parts.path}"
    headers = {"host": parts.netloc, "content-type": "application/json"}
    content = None if body is None else json.dumps(body)
    return httpx.request("GET" if body is None else "POST", url, headers=headers, content=content, timeout=30)


def test_a_webhook_calls_the_address_that_a_step_gave_away(stack: Stack) -> None:
    run_id = waiting(stack)
    [asked] = stack.events(run_id, StepCompleted, "ask")
    address = json.loads(asked.output)
    assert called(f"{address[:-1]}{'x' if address[-1] != 'x' else 'y'}", {"ok": True}).status_code == 404
    page = called(address)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert approval_of(stack, run_id)["waits"], "a GET decides nothing"
    assert called(address, {"ok": True}).status_code == 200
    again = called(address, {"ok": False})
    assert again.status_code in (409, 410), again.text
    assert shipped(stack, run_id) == "shipped"
    assert called(address, {"ok": True}).status_code == 410


def test_what_is_no_such_address_needs_a_signature(stack: Stack) -> None:
    assert stack.call("POST", "/runs/none/events/approval", {}, signed=False).status_code == 403
