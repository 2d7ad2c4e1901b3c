"""The client, over real HTTP: a small gateway in this process hands its requests to the real handlers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

import events
from cascade_flow import clock, errors
from cascade_flow.client import Client
from cascade_flow.release import VERSION
from checker import check_run
from events.deployed import Functions
from functions.front_door import HOST, KEY, SECRET, Gateway, serving

pytestmark = pytest.mark.servers("ministack")

REASON = "sold out: 100% & more / ünïcode"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def client(functions: Functions, gateway: Gateway) -> Iterator[Client]:
    with serving(gateway) as url, Client(url, session=boto3.Session(KEY, SECRET)) as client:
        yield client


def test_a_run_is_submitted_watched_and_read(functions: Functions, client: Client) -> None:
    submitted = client.submit("parcels", input={"weights": [1, 2]}, tags=["a b", "ü"], metadata={"by": "mila"})
    assert submitted["isNew"]
    run_id = submitted["runId"]
    functions.work()
    assert client.run(run_id)["output"] == {"bill": {"total": 8.0}}
    found = client.runs(workflow_slug="parcels", status=["completed", "failed"], tags=["a b", "ü"], total=True)
    assert (found["total"], found["totalIsExact"]) == (1, True)
    assert client.runs(tags=["a"]) == {"runs": []}
    check_run(functions.backend, run_id)


def test_pages_of_events_and_logs_are_joined(
    functions: Functions, client: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.api.paging.PAGE_CHARACTERS", 500)
    run_id = client.submit("parcels", input={"weights": [1]})["runId"]
    functions.work()
    found = client.events(run_id)
    assert found == [event.to_wire() for event in functions.backend.load_events("parcels", run_id)]
    assert len(gateway.requests) > 5
    after_us = found[-3]["timestampUs"]
    assert client.events(run_id, after_us=after_us) == found[-2:]
    assert [event["type"] for event in client.events(run_id, types=["StepStarted"], step_id="price/post")] == [
        "StepStarted"
    ]
    assert ["weighing 1 parcels" in line["message"] for line in client.logs(run_id, step_id="weigh", attempt=1)] == [
        True
    ]
    check_run(functions.backend, run_id)


def test_workflows_are_read(client: Client) -> None:
    assert [workflow["workflowSlug"] for workflow in client.workflows()] == ["parcels"]
    assert client.workflow("parcels")["steps"][0]["stepId"] == "weigh"


def test_a_run_is_cancelled(functions: Functions, client: Client) -> None:
    run_id = client.submit("parcels", input={"weights": [1]}, delay_s=60, timeout_s=90, priority=1)["runId"]
    assert client.cancel(run_id, REASON)["status"] == "cancelled"
    assert client.run(run_id)["cancelReason"] == REASON
    with pytest.raises(errors.RunNotCancellableError, match="cancelled already"):
        client.cancel(run_id)
    check_run(functions.backend, run_id)


def test_a_run_is_looked_at_step_by_step_tried_again_and_gone_on_from(functions: Functions, client: Client) -> None:
    run_id = client.submit("parcels", input={"weights": [1], "broken": True})["runId"]
    functions.work()
    assert [step["stepId"] for step in client.steps(run_id)] == ["weigh", "price/post", "price/insurance", "bill"]
    step = client.step(run_id, "weigh")
    assert (step["input"]["input"]["broken"], step["attempts"][0]["error"]["name"]) == (True, "RuntimeError")
    assert "input" not in client.step(run_id, "price/post", payloads=False)
    assert client.retry(run_id, "mended")["workflowAttemptNumber"] == 2
    functions.work()
    plan = client.rerun_preview(run_id)
    assert client.resume(run_id)["runsAgain"] == plan["runsAgain"] == [step["stepId"] for step in client.steps(run_id)]
    assert client.rerun_preview(run_id, "price/post")["keeps"] == []
    again = client.rerun(run_id, "weigh", input={"weights": [2]})
    functions.work()
    assert client.step(again["runId"], "price/post")["output"] == 5.0
    with pytest.raises(errors.StepNotFoundError):
        client.step(run_id, "paint")
    with pytest.raises(errors.RunNotRetryableError) as caught:
        client.retry(again["runId"])
    assert caught.value.facts == {"run_id": again["runId"], "status": "completed"}


def test_many_runs_are_cancelled_and_tried_again(functions: Functions, client: Client) -> None:
    runs = [client.submit("parcels", input={"weights": [1]}, tags=["many"])["runId"] for _ in range(3)]
    pieces = list(client.cancel_many(tags=["many"], limit=2, reason=REASON))
    assert [piece["count"] for piece in pieces] == [2, 1]
    [piece] = client.retry_many(workflow_slug="parcels", status=["cancelled"])
    assert piece == {"count": 3, "refused": []}
    made_us = {run["runId"]: run["createdAtUs"] for run in client.runs()["runs"]}
    assert [run["runId"] for run in client.runs(created_after_us=made_us[runs[1]])["runs"]] == [runs[2]]
    assert [run["runId"] for run in client.runs(created_before_us=made_us[runs[1]], offset=0)["runs"]] == [runs[0]]
    assert [run["runId"] for run in client.runs(offset=1)["runs"]] == [runs[1], runs[0]]


def test_reports_and_workers_are_read(functions: Functions, client: Client) -> None:
    run_id = client.submit("parcels", input={"weights": [1], "broken": True})["runId"]
    functions.work()
    assert client.report("success-rate", workflow_slug="parcels", run_ids=[run_id], start_us=1)["failedRuns"] == 1
    [group] = client.errors(workflow_slug="parcels", grouping="exact")["errors"]
    assert client.error(group["fingerprint"], limit=1)["occurrences"][0]["runId"] == run_id
    held = functions.submit()
    functions.asked(events.post("/steps/claim", {"workerId": "a/b", "runId": held, "stepId": "weigh"}))
    found = client.workers(include_inactive=True, stale_after_us=1)
    assert ([worker["workerId"] for worker in found["workers"]], found["totalRunningSteps"]) == (["a/b"], 1)
    assert client.worker("a/b")["activeSteps"][0]["runId"] == held
    with pytest.raises(errors.WorkerNotFoundError):
        client.worker("nobody")


def test_workflows_are_registered_and_their_versions_read(client: Client) -> None:
    registered = client.register("letters", {"name": "Letters", "steps": [{"stepId": "a"}]})
    [version] = client.versions("letters")
    assert client.version("letters", version["versionId"])["steps"][0]["stepId"] == "a"
    assert registered["versionId"] == version["versionId"]
    with pytest.raises(errors.GraphInvalidError):
        client.register("letters", {"name": "Letters", "steps": [{"stepId": "a", "dependencies": ["b"]}]})


def test_the_service_is_asked(client: Client) -> None:
    assert client.health()["status"] == "ok"
    assert client.version_of_engine() == {"version": VERSION, "heartbeatUs": 20_000_000, "workerMemoryMb": 512}
    assert client.dead_letters(limit=5) == {"deadLetters": [], "approximateCount": 0}
    assert client.redrive(limit=5) == {"count": 0, "remaining": 0}


def test_problems_are_raised_as_the_errors_that_they_were(client: Client) -> None:
    with pytest.raises(errors.RunNotFoundError, match="'nobody'"):
        client.run("nobody")
    with pytest.raises(errors.WorkflowNotFoundError, match="registered: parcels"):
        client.submit("letters")
    with pytest.raises(errors.InputInvalidError) as caught:
        client.submit("parcels", input={"weights": [1, -1]})
    assert [issue.path for issue in caught.value.issues] == ["input.weights.1"]
    assert "input.weights.1" in str(caught.value)


@pytest.mark.parametrize("run_id", ["a b", "a/b", "../runs", "a?b=1", "a#b", "a%2Fb", "ü"])
def test_an_odd_id_stays_an_id(client: Client, gateway: Gateway, run_id: str) -> None:
    with pytest.raises((errors.RequestError, errors.RunNotFoundError, errors.GoneError)):
        client.run(run_id)
    assert gateway.requests[0][1].startswith("/runs/")


def test_one_key_makes_one_run(functions: Functions, client: Client) -> None:
    first = client.submit("parcels", input={"weights": [1]}, idempotency_key="k")
    assert client.submit("parcels", input={"weights": [1]}, idempotency_key="k") == {**first, "isNew": False}
    with pytest.raises(errors.IdempotencyConflictError) as caught:
        client.submit("parcels", input={"weights": [2]}, idempotency_key="k")
    assert caught.value.facts == {"run_id": first["runId"]}
    check_run(functions.backend, first["runId"])


def test_a_wrong_key_is_refused_with_a_cure(functions: Functions, gateway: Gateway) -> None:
    session = boto3.Session(KEY, "another")
    refused = pytest.raises(errors.ConfigurationError, match="execute-api:Invoke")
    with serving(gateway) as url, Client(url, session=session) as client, refused:
        client.workflows()


@pytest.mark.parametrize(
    ("url", "cure"),
    [(f"http://{HOST}:1", "cascade env"), ("https://abc.execute-api.eu-central-1.amazonaws.com", "aws configure")],
)
def test_no_credentials_are_told_with_a_cure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, url: str, cure: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Client(url) as client, pytest.raises(errors.ConfigurationError, match=cure):
        client.workflows()


def test_nobody_at_the_address_is_told_with_a_cure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://{HOST}:{free.getsockname()[1]}"
        told = pytest.raises(errors.BackendUnavailableError, match="cascade up")
        with Client(url, session=boto3.Session(KEY, SECRET)) as client, told:
            client.workflows()


@pytest.mark.parametrize(
    ("status", "content_type", "body", "error"),
    [
        (404, "application/json", '{"message":"Not Found"}', errors.ConfigurationError),
        (200, "text/html", "<html>It works!</html>", errors.ConfigurationError),
        (200, "application/json", "[]", errors.ConfigurationError),
        (429, "application/json", '{"message":"Too Many Requests"}', errors.ThrottledError),
        (502, "text/plain", "", errors.BackendUnavailableError),
        (503, "application/json", '{"message":"Service Unavailable"}', errors.BackendUnavailableError),
        (403, "application/json", '{"message":"Forbidden"}', errors.ConfigurationError),
        (500, "application/problem+json", json.dumps({"code": "internal", "status": 500, "detail": "x"}), None),
    ],
)
def test_an_answer_that_is_not_ours_is_an_error_of_ours(
    status: int, content_type: str, body: str, error: type[Exception] | None
) -> None:
    class Other(Gateway):
        def answer(self, *_: object) -> dict[str, Any]:
            return {"statusCode": status, "headers": {"content-type": content_type}, "body": body}

    with (
        clock.use(clock.SteppingClock(clock.now_us())),
        serving(Other()) as url,
        Client(url, session=boto3.Session(KEY, SECRET)) as client,
        pytest.raises(error or errors.CascadeFlowError) as caught,
    ):
        client.workflows()
    assert error or type(caught.value) is errors.CascadeFlowError


@pytest.mark.parametrize("url", ["", "abc", "ftp://x", "http://", "http://[", "https://api.example.com"])
def test_an_address_that_is_none_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(errors.ConfigurationError):
        Client(url)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com", "eu-central-1"),
        ("https://a1b2c3.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("http://a1b2c3.execute-api.localhost:4566", "us-east-1"),
        ("http://127.0.0.1:4566/_aws/execute-api/a1b2c3", "us-east-1"),
    ],
)
def test_the_region_is_the_addresss(url: str, region: str) -> None:
    with Client(url) as client:
        assert client.region == region
