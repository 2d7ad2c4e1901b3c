"""Addresses that a step gives away: who opens one is asked, a POST decides once, and nobody learns more than that."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

import events
from cascade_flow.api import resources
from cascade_flow.dynamodb import keys
from checker import check_run, left_behind
from events.deployed import Functions, app

pytestmark = pytest.mark.servers("ministack")
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Told:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: str


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("CASCADE_WORKFLOWS", "approvals")
    return environment


@pytest.fixture
def run_id(functions: Functions) -> Any:
    """A run that has given its address away."""
    with resources.use(replace(functions.backend.runtime, callbacks_url="https://calls.example/")):
        app("worker").worker.cache_clear()
        wish = events.post("/runs", {"workflowSlug": "approvals"})
        found = str(functions.http("submission", wish).json["runId"])
        functions.work()
        yield found


@pytest.fixture
def address(functions: Functions, run_id: str) -> str:
    """The path of that address."""
    [told] = functions.backend.load_events("approvals", run_id, step_id="ask", types=["StepCompleted"])
    parts = urlsplit(json.loads(told.output))  # type: ignore[union-attr]
    assert parts.netloc == "calls.example"
    return parts.path


def called(address: str, body: str | None = None, *, headers: dict[str, str] | None = None) -> Told:
    """What somebody is answered who opens an address, or sends it something."""
    method = "GET" if body is None else "POST"
    event = events.get(address, method=method, headers=headers)
    event = {**event, "routeKey": f"{method} /callbacks/{{runId}}/{{secret}}", "body": body, "isBase64Encoded": False}
    _, _, run_id, secret = address.split("/")
    answer = app("callbacks").handler(
        {**event, "pathParameters": {"runId": run_id, "secret": secret}}, events.Context()
    )
    return Told(answer["statusCode"], answer["headers"], answer["body"])


def status_of(functions: Functions, run_id: str) -> Any:
    return functions.asked(events.get(f"/runs/{run_id}")).json


def test_who_opens_it_is_asked_and_nothing_happens(functions: Functions, run_id: str, address: str) -> None:
    for _ in range(2):
        page = called(address)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<select name="ok"' in page.body
    assert '<option value="fast">' in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    assert run_id not in page.body
    assert status_of(functions, run_id)["run"]["status"] == "running"


def test_who_opens_it_before_the_run_waits_is_asked_too(functions: Functions, run_id: str, address: str) -> None:
    """A step may call out with its address before it has ended."""
    functions.backend.runtime.ledger.table.delete(keys.branch(run_id, "approval"))
    assert called(address).status == 200


@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
def test_an_answer_counts_once(functions: Functions, run_id: str, address: str, form: bool) -> None:
    said = {"ok": "true", "speed": "fast"}
    body, headers = (urlencode(said), FORM) if form else (json.dumps({**said, "ok": True}), None)
    taken = called(address, body, headers=headers)
    assert taken.status == 200
    assert "Thank you" in taken.body
    for again in (called(address, body, headers=headers), called(address, '{"ok": false}'), called(address)):
        assert again.status == 409
        assert "used already" in again.body
    functions.work()
    assert status_of(functions, run_id)["output"]["ship"] == "shipped fast"
    [started] = functions.backend.load_events("approvals", run_id, step_id="approval", types=["StepStarted"])
    assert started.worker_id == "event:callback"  # type: ignore[union-attr]
    check_run(functions.backend, run_id)
    assert called(address, body).status == 410


def test_a_wrong_secret_and_a_wrong_run_are_told_the_same(address: str, run_id: str) -> None:
    secret = address.rpartition("/")[2]
    wrong = [f"/callbacks/{run_id}/{secret[:-1]}x", f"/callbacks/{run_id}/{'x' * 5_000}", f"/callbacks/other/{secret}"]
    told = {(called(each, "{}").status, called(each, "{}").body) for each in [*wrong, f"/callbacks/!/{secret}"]}
    assert told == {(404, '{"detail": "There is nothing at this address."}')}


def test_after_the_runs_end_it_is_too_late(functions: Functions, run_id: str, address: str) -> None:
    functions.asked(events.post(f"/runs/{run_id}/cancel", {}))
    for late in (called(address), called(address, '{"ok": true}')):
        assert late.status == 410
        assert "cancelled" not in late.body


def test_what_does_not_fit_is_refused_and_may_be_mended(address: str) -> None:
    for body, headers in (('{"ok": "perhaps"}', None), ("{", None), ("ok=perhaps", FORM), ("speed=fast", FORM)):
        refused = called(address, body, headers=headers)
        assert refused.status in (400, 422)
    assert called(address, '{"ok": true}').status == 200


def test_what_is_said_is_escaped(address: str) -> None:
    refused = called(address, urlencode({"ok": "<script>alert(1)</script>"}), headers=FORM)
    assert refused.status == 422
    assert "<script" not in refused.body


def test_only_the_secrets_hash_is_stored_and_goes_with_the_run(functions: Functions, run_id: str, address: str) -> None:
    secret = address.rpartition("/")[2]
    left = left_behind(functions.backend, run_id)
    [(sort, item)] = [(sort, item) for sort, item in left.items() if sort.startswith("S#")]
    assert secret not in sort + repr(item)
    assert item[keys.EXPIRY] == functions.backend.runtime.run(run_id).expires_s


def test_a_stack_that_takes_no_calls_gives_no_address(functions: Functions) -> None:
    app("worker").worker.cache_clear()
    wish = events.post("/runs", {"workflowSlug": "approvals"})
    run_id = str(functions.http("submission", wish).json["runId"])
    functions.work()
    [failed] = functions.backend.load_events("approvals", run_id, step_id="ask", types=["StepFailed"])
    assert "Callbacks=true" in failed.error.message  # type: ignore[union-attr]
