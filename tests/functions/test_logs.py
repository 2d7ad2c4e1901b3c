"""What functions write into their log: who, where and why; and never what is worked on, nor a key."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

import events
from cascade_flow import clock
from cascade_flow.dynamodb.table import Table
from cascade_flow.errors import ThrottledError
from cascade_flow.operations.steps import Steps
from events.deployed import Functions, app
from events.emitted import lines

pytestmark = pytest.mark.servers("ministack")
CANARY = "canary-7f3a9c"


class Log:
    """What functions write: by their loggers, and by whatever else writes to stdout and stderr."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self.stream = io.StringIO()
        self._captured = captured

    def text(self) -> str:
        """All that was written since this was last asked."""
        said, captured = self.stream.getvalue(), self._captured.readouterr()
        self.stream.seek(0)
        self.stream.truncate()
        return said + captured.out + captured.err

    def errors(self) -> list[dict[str, Any]]:
        return [line for line in lines(self.text()) if line.get("level") == "ERROR"]


@pytest.fixture(autouse=True)
def log(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Log:
    """Loggers go on writing to what stdout was when the first function was imported: here they are told."""
    app("worker")
    written = Log(capfd)
    for handler in logging.getLogger("cascade_flow").handlers:
        monkeypatch.setattr(handler, "stream", written.stream)
    return written


@pytest.fixture
def secretive(bare: Functions, environment: pytest.MonkeyPatch, log: Log) -> Functions:
    environment.setenv("CASCADE_WORKFLOWS", "secretive")
    environment.setenv("POWERTOOLS_LOG_LEVEL", "DEBUG")
    app("registration").handler({}, events.Context())
    log.text()
    return bare


def submit(functions: Functions, workflow: str, **more: Any) -> Any:
    wish = {"workflowSlug": workflow, "input": {"text": CANARY}, "metadata": {"note": CANARY}, **more}
    return functions.http("submission", events.post("/runs", wish))


class TestWhatIsWorkedOn:
    def test_a_run_that_ends_well(self, secretive: Functions, log: Log) -> None:
        run_id = submit(secretive, "secretive", idempotencyKey=CANARY).json["runId"]
        secretive.work()
        for part in ("", "/events", "/logs"):
            reply = secretive.http("query", events.get(f"/runs/{run_id}{part}"))
            assert reply.status == 200
        assert secretive.http("query", events.get(f"/runs/{run_id}")).json["run"]["status"] == "completed"
        assert CANARY not in log.text()

    def test_steps_that_fail_or_return_what_cannot_be_kept(self, secretive: Functions, log: Log) -> None:
        for workflow in ("careless", "speechless"):
            submit(secretive, workflow)
        secretive.work()
        assert CANARY not in log.text()

    def test_requests_that_are_refused(self, secretive: Functions, log: Log) -> None:
        assert submit(secretive, "secretive", idempotencyKey=CANARY).status == 201
        assert submit(secretive, "careless", idempotencyKey=CANARY).status == 409
        assert submit(secretive, "secretive", input={"text": {CANARY: CANARY}}).status in (400, 422)
        assert submit(secretive, "secretive", tags=CANARY).status in (400, 422)
        assert secretive.http("submission", events.post("/runs", raw='{"input": "' + CANARY)).status == 400
        assert CANARY not in log.text()

    @pytest.mark.parametrize("error", [ThrottledError("busy"), RuntimeError("a mistake of ours")])
    def test_what_goes_wrong_here(
        self, secretive: Functions, log: Log, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(Table, "write", fail)
        assert submit(secretive, "secretive", idempotencyKey=CANARY).status in (503, 500)
        said = log.text()
        assert isinstance(error, ThrottledError) or str(error) in said
        assert CANARY not in said

    def test_a_step_that_is_reclaimed(self, secretive: Functions, log: Log) -> None:
        run_id = submit(secretive, "secretive").json["runId"]
        wish = {"workerId": "mila", "runId": run_id, "stepId": "keep"}
        assert secretive.http("claim", events.post("/steps/claim", wish)).status == 200
        with clock.use(clock.SteppingClock(clock.now_us() + 70_000_000)):
            app("reaper").handler(events.load("scheduler"), events.Context())
        assert CANARY not in log.text()


class TestWhereItHappened:
    def test_a_request_is_known_by_its_id_and_its_run(
        self, functions: Functions, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("a mistake of ours")

        event = events.get("/runs/r-1")
        monkeypatch.setattr(Table, "query", fail)
        monkeypatch.setattr(Table, "get", fail)
        assert functions.http("query", event).status == 500
        [line] = log.errors()
        assert line["correlation_id"] == event["requestContext"]["requestId"]
        assert line["function_request_id"] == events.Context().aws_request_id
        assert line["run_id"] == "r-1"

    def test_a_worker_says_which_attempt(self, functions: Functions, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("a mistake of ours")

        run_id = functions.submit()
        monkeypatch.setattr(Steps, "inputs", fail)
        functions.work()
        [line] = log.errors()
        assert (line["run_id"], line["step"], line["attempt"]) == (run_id, "weigh", 1)
        assert line["function_request_id"] == events.Context().aws_request_id

    def test_all_of_it_is_json(self, functions: Functions, log: Log) -> None:
        functions.submit()
        functions.work()
        said = [line for line in log.text().splitlines() if "weighing" not in line]
        assert said
        assert all(isinstance(json.loads(line), dict) for line in said)
