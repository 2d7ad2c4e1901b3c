"""The functions that nobody calls over HTTP: the worker, the reaper and the registration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError

import events
from cascade_flow import clock
from cascade_flow.api import resources
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.pulse import get_sweeps
from cascade_flow.errors import ConfigurationError
from cascade_flow.wake import Wake
from checker import check_run
from events.deployed import Functions, app

pytestmark = pytest.mark.servers("ministack")

LATER_US = 31_000_000
ADDRESS = "/arn?X-Amz-Signature=example"
FLOW = """
from cascade_flow import Workflow
letters = Workflow("letters")
@letters.step
def write() -> int:
    return 1
"""


def reap(remaining_ms: int = 60_000) -> dict[str, int]:
    swept = app("reaper").handler(events.load("scheduler"), events.Context(remaining_ms=remaining_ms))
    assert swept["failures"] == []
    done: dict[str, int] = swept["done"]
    return done


def test_a_message_that_is_no_wake_up_is_dropped(functions: Functions) -> None:
    run_id = functions.submit()
    wake = functions.sqs.receive_message(QueueUrl=functions.queue_url)["Messages"][0]["Body"]
    event = events.messages(["", "null", "[]", "no JSON", '{"runId": "r"}', wake])
    assert app("worker").handler(event, events.Context()) == {"batchItemFailures": []}
    assert functions.http("query", events.get(f"/runs/{run_id}")).json["steps"][0]["status"] == "completed"
    check_run(functions.backend, run_id)


def test_a_wake_up_for_what_is_no_more_is_done(functions: Functions) -> None:
    event = events.messages([Wake("gone", "weigh", "weigh", 1).to_message(), Wake("gone").to_message()])
    assert app("worker").handler(event, events.Context()) == {"batchItemFailures": []}


def test_a_wake_up_that_the_worker_could_not_take_is_tried_again(
    functions: Functions, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("CASCADE_WORKFLOWS", "nowhere")
    resources.settings.cache_clear()
    event = events.messages(["no wake-up", Wake("r", "weigh", "weigh", 1).to_message()])
    assert app("worker").handler(event, events.Context()) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    with pytest.raises(ConfigurationError, match="nowhere"):
        app("worker").handler(events.load("sqs"), events.Context())


def test_the_reaper_notes_each_sweep_that_the_schedule_calls_for(functions: Functions) -> None:
    table = functions.backend.runtime.ledger.table
    before_us = clock.now_us()
    reap()
    first = get_sweeps(table)
    assert first is not None
    assert before_us <= first.last_us <= clock.now_us()
    reap()
    second = get_sweeps(table)
    assert second is not None
    assert second.every_us == second.last_us - first.last_us > 0
    errand = {"shard": "due#0", "untilUs": clock.now_us() + 1_000_000}
    app("reaper").handler(errand, events.Context())
    assert get_sweeps(table) == second, "who was called out for a shard is not the schedule"


def test_the_reaper_finds_what_was_lost(functions: Functions) -> None:
    run_id = functions.submit()
    functions.lose_messages()
    assert functions.work() == 0
    with clock.use(clock.SteppingClock(clock.now_us() + LATER_US)):
        done = reap()
    assert done["wake-ups repeated"] == 1
    functions.work()
    assert functions.http("query", events.get(f"/runs/{run_id}")).json["run"]["status"] == "completed"
    check_run(functions.backend, run_id)


def test_the_reaper_stops_in_time(functions: Functions) -> None:
    functions.submit()
    with clock.use(clock.SteppingClock(clock.now_us() + LATER_US)):
        assert reap(remaining_ms=4_000) == {}


class Lambda:
    """Takes what is asked of it, and keeps it; or refuses."""

    def __init__(self, refusal: ClientError | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._refusal = refusal

    def invoke(self, **request: Any) -> dict[str, Any]:
        if self._refusal is not None:
            raise self._refusal
        self.asked.append(request)
        return {"StatusCode": 202}


@pytest.mark.parametrize("refused", [False, True])
def test_a_reaper_that_is_behind_calls_itself_for_further_shards(
    functions: Functions, environment: pytest.MonkeyPatch, refused: bool
) -> None:
    environment.setattr("cascade_flow.dynamodb.due.PAGE", 1)
    refusal = ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded"}}, "Invoke")
    further = Lambda(refusal if refused else None)
    environment.setattr("cascade_flow.call_out.open_boto", lambda service, **_: {"lambda": further}[service])
    runs = [functions.submit() for _ in range(12)]
    shards = {keys.due(run_id) for run_id in runs}
    functions.lose_messages()
    with clock.use(clock.SteppingClock(clock.now_us() + LATER_US)):
        swept = app("reaper").handler(events.load("scheduler"), events.Context())
        assert swept["called_out"] == len(further.asked) == (0 if refused else len(shards) - 1)
        errands = [json.loads(request["Payload"]) for request in further.asked]
        for request, errand in zip(further.asked, errands, strict=True):
            assert (request["FunctionName"], request["InvocationType"]) == (events.Context().function_name, "Event")
            assert errand["untilUs"] == clock.now_us() + 55_000_000
        done = [swept, *(app("reaper").handler(errand, events.Context()) for errand in errands)]
    assert len({errand["shard"] for errand in errands}) == len(errands)
    assert sum(each["done"].get("wake-ups repeated", 0) for each in done) == len(runs)
    assert functions.work() >= len(runs)
    for run_id in runs:
        check_run(functions.backend, run_id)


def test_a_reaper_that_was_called_out_too_late_leaves_it_to_the_next(functions: Functions) -> None:
    functions.submit()
    functions.lose_messages()
    with clock.use(clock.SteppingClock(clock.now_us() + LATER_US)):
        for shard in keys.due_shards(keys.written()):
            errand = {"shard": shard, "untilUs": clock.now_us()}
            assert app("reaper").handler(errand, events.Context())["done"] == {}


def test_workflows_are_registered_by_hand_as_often_as_one_likes(bare: Functions) -> None:
    first = app("registration").handler({}, events.Context())
    assert list(first["workflows"]) == ["parcels"]
    assert app("registration").handler({}, events.Context()) == first
    assert len(bare.backend.list_workflow_versions("parcels")) == 1


def test_what_a_deployment_has_no_more_is_retired(
    functions: Functions, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app("registration").handler({}, events.Context())
    run_id = functions.submit()
    environment.syspath_prepend(tmp_path)
    (tmp_path / "letters.py").write_text(FLOW)
    environment.setenv("CASCADE_WORKFLOWS", "letters")
    resources.settings.cache_clear()
    assert list(app("registration").handler({}, events.Context())["workflows"]) == ["letters"]
    listed = functions.http("query", events.get("/workflows")).json["workflows"]
    assert [workflow["workflowSlug"] for workflow in listed] == ["letters"]
    assert functions.http("query", events.get("/workflows/parcels")).json["retiredAtUs"]
    refused = functions.http("submission", events.post("/runs", {"workflowSlug": "parcels"}))
    assert (refused.status, refused.json["code"]) == (409, "workflow-retired")
    assert functions.http("query", events.get(f"/runs/{run_id}")).json["run"]["status"] == "running"


@pytest.mark.parametrize("state", ["dirty", "clean"])
def test_the_deployed_commit_is_recorded(bare: Functions, environment: pytest.MonkeyPatch, state: str) -> None:
    environment.setenv("CASCADE_GIT", f"3f1c2ab feature/x {state}")
    app("registration").handler({}, events.Context())
    (version,) = bare.backend.list_workflow_versions("parcels")
    assert version.git
    assert version.git.to_wire() == {"commit": "3f1c2ab", "branch": "feature/x", "dirty": state == "dirty"}


def test_where_nobody_knows_the_commit_none_is_recorded(bare: Functions) -> None:
    app("registration").handler({}, events.Context())
    (version,) = bare.backend.list_workflow_versions("parcels")
    assert version.git is None


def test_a_missing_package_is_told(bare: Functions, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("CASCADE_WORKFLOWS")
    with pytest.raises(ConfigurationError, match="CASCADE_WORKFLOWS is missing"):
        app("registration").handler({}, events.Context())


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_cloudformation_is_told_what_is_registered(bare: Functions, kind: str) -> None:
    asked = {**events.load("custom_resource"), "RequestType": kind}
    with _cloudformation() as (url, told):
        app("registration").handler({**asked, "ResponseURL": url}, events.Context())
    (answer,) = told
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Workflows": "parcels"})
    assert (answer["LogicalResourceId"], answer["PhysicalResourceId"]) == ("Registration", "workflows")
    assert [answer[name] for name in ("StackId", "RequestId")] == [asked[name] for name in ("StackId", "RequestId")]
    assert bare.backend.get_current_workflow_version("parcels")


def test_cloudformation_is_told_why_not(bare: Functions, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CASCADE_WORKFLOWS", "nowhere")
    with _cloudformation() as (url, told):
        app("registration").handler({**events.load("custom_resource"), "ResponseURL": url}, events.Context())
    assert told[0]["Status"] == "FAILED"
    assert "nowhere" in told[0]["Reason"]


def test_what_cloudformation_is_told_fits_what_it_takes(bare: Functions, environment: pytest.MonkeyPatch) -> None:
    """An answer of more than 4 KB is none, and the deployment would hang."""

    def fail() -> None:
        raise RuntimeError("no such luck " * 1_000)

    many = {f"workflow-{number}": "v" for number in range(1_000)}
    with _cloudformation() as (url, told):
        for register in (fail, lambda: many):
            environment.setattr(app("registration"), "register", register)
            app("registration").handler({**events.load("custom_resource"), "ResponseURL": url}, events.Context())
    assert [answer["Status"] for answer in told] == ["FAILED", "SUCCESS"]
    assert all(len(json.dumps(answer)) < 4_096 for answer in told)


@pytest.mark.parametrize("code", ["import sys\nsys.exit()", "raise KeyboardInterrupt", "def f(:"])
def test_cloudformation_is_told_at_once_whatever_a_module_raises(
    bare: Functions, environment: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    environment.syspath_prepend(tmp_path)
    (tmp_path / "hostile.py").write_text(code)
    environment.setenv("CASCADE_WORKFLOWS", "hostile")
    with _cloudformation() as (url, told):
        app("registration").handler({**events.load("custom_resource"), "ResponseURL": url}, events.Context())
    assert told[0]["Status"] == "FAILED"
    assert f"{tmp_path / 'hostile.py'}:" in told[0]["Reason"]
    assert "the module 'hostile' can't be imported" in told[0]["Reason"]


def test_a_deletion_leaves_what_there_is(functions: Functions) -> None:
    with _cloudformation() as (url, told):
        event = {**events.load("custom_resource"), "ResponseURL": url, "RequestType": "Delete"}
        app("registration").handler(event, events.Context())
    assert told[0]["Status"] == "SUCCESS"
    assert functions.backend.get_current_workflow_version("parcels")


@contextmanager
def _cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address that takes answers as S3 does, and the answers that it took."""
    told: list[dict[str, Any]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.path == ADDRESS, "another address is signed otherwise"
            assert not self.headers["content-type"], "and so is one with a type"
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Bucket) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{ADDRESS}", told
        finally:
            server.shutdown()
            thread.join()
