"""The door as a caller meets it: who may come in, what is refused and how, what is done once, what can be watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from cascade_flow import IdempotencyConflictError, InputInvalidError, StepHeartbeat, StepReclaimed, StepStarted
from cascade_flow.clock import now_us
from cascade_flow.local import REGION
from cascade_flow.local.endpoints import local_environment
from cascade_flow.settings import Settings
from e2e.stack import SWEEP_US, TIMING, Stack, of_kind
from e2e.waiting import until
from e2e.workflows.trials.meeting import Meeting
from infra.written import ROOT

CALLERS = 4


@pytest.mark.parametrize(("method", "path"), [("GET", "/runs"), ("POST", "/runs"), ("POST", "/steps/claim")])
def test_a_request_without_a_signature_is_refused(stack: Stack, method: str, path: str) -> None:
    body: dict[str, str] | None = {} if method == "POST" else None
    assert stack.call(method, path, body, signed=False).status_code == 403


def test_a_line_may_end_in_a_path(stack: Stack) -> None:
    refused = stack.call("GET", "/analytics/errors/a%0Ab")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-id")


def test_the_first_request_of_the_documentation_makes_a_run(stack: Stack) -> None:
    command = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("```sh\n")[2].partition("```")[0]
    command = command.replace('"order"', '"linear"').replace('{"orderId": "4711"}', '{"number": 1}')
    known = {"API_URL": stack.local.api_url, "AWS_DEFAULT_REGION": REGION}
    keys = {"AWS_ACCESS_KEY_ID": stack.local.access_key, "AWS_SECRET_ACCESS_KEY": stack.local.secret_key}
    shell = {**os.environ, **known, **keys}
    told = [
        json.loads(subprocess.run(command, shell=True, env=shell, capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    ]
    assert [each["isNew"] for each in told] == [True, False]
    stack.finished(told[0]["runId"])


def test_an_input_that_does_not_fit_is_refused_with_its_place(stack: Stack) -> None:
    answer = stack.call("POST", "/runs", {"workflowSlug": "diamond", "input": {"number": "five"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (422, "input-invalid")
    assert [issue["path"] for issue in problem["issues"]] == ["input.number"]
    with pytest.raises(InputInvalidError) as refused:
        stack.client.submit("diamond", input={"number": "five"})
    assert [issue.path for issue in refused.value.issues] == ["input.number"]


def test_a_refused_submission_leaves_no_run(stack: Stack) -> None:
    with pytest.raises(InputInvalidError):
        stack.client.submit("diamond", input={}, run_id="refused")
    assert stack.call("GET", "/runs/refused").status_code == 404


def test_two_submissions_with_one_key_make_one_run(stack: Stack) -> None:
    first = stack.client.submit("linear", input={"number": 7}, idempotency_key="seven")
    again = stack.client.submit("linear", input={"number": 7}, idempotency_key="seven")
    assert (first["isNew"], again["isNew"]) == (True, False)
    assert first["runId"] == again["runId"]
    with pytest.raises(IdempotencyConflictError):
        stack.client.submit("linear", input={"number": 8}, idempotency_key="seven")
    assert stack.finished(first["runId"]).count(StepStarted) == 3


def test_submissions_at_the_same_time_with_one_key_make_one_run(stack: Stack) -> None:
    with ThreadPoolExecutor(CALLERS) as callers:
        submissions = [
            callers.submit(stack.client.submit, "linear", input={"number": 9}, idempotency_key="nine", tags=["nine"])
            for _ in range(CALLERS)
        ]
        answers = [submission.result() for submission in submissions]
    assert sorted(answer["isNew"] for answer in answers) == [False] * (CALLERS - 1) + [True]
    assert len({answer["runId"] for answer in answers}) == 1
    assert stack.client.runs(tags=["nine"], total=True)["total"] == 1
    assert stack.finished(answers[0]["runId"]).count(StepStarted) == 3


def test_the_log_of_a_step_can_be_followed_while_it_runs(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    until(lambda: len(stack.client.logs(run_id)) == 2, otherwise=lambda: stack.told(run_id))
    assert stack.status(run_id) == "running"
    lines = stack.client.logs(run_id, step_id="during", attempt=1)
    assert [(line["stream"], line["message"]) for line in lines] == [
        ("stdout", "attempt 1 has arrived"),
        ("stderr", "WARNING and waits"),
    ]
    assert stack.client.logs(run_id, after_us=lines[0]["timestampUs"]) == lines[1:]
    meeting.let_go("during")
    stack.finished(run_id)


def test_a_worker_elsewhere_claims_beats_and_falls_silent(stack: Stack, meeting: Meeting) -> None:
    with stack.wakeups.unheard():
        run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
        step = {"runId": run_id, "stepId": "before", "workflowSlug": "walk"}
        assert beat(stack, run_id, "elsewhere") == 409  # and who hears beats is awake, however long that takes
        answer = stack.call("POST", "/steps/claim", {"workerId": "elsewhere", **step})
        assert answer.status_code == 200
        claimed = answer.json()
        assert (claimed["stepId"], claimed["attemptNumber"], claimed["outputs"]) == ("before", 1, {})
        assert claimed["input"] == meeting.model_dump(mode="json")
        assert stack.call("POST", "/steps/claim", {"workerId": "late", **step}).status_code == 204
        late_us = claimed["leaseUntilUs"] + 2 * SWEEP_US
        until(lambda: beat(stack, run_id, "elsewhere") == 200 and now_us() > late_us)
        assert beat(stack, run_id, "late") == 409
        assert stack.events(run_id, StepReclaimed) == []
    meeting.let_go("during")

    run = stack.finished(run_id)
    assert beat(stack, run_id, "elsewhere") == 409
    [reclaimed] = of_kind(run, StepReclaimed)
    assert reclaimed.original_worker_id == "elsewhere"
    assert reclaimed.stale_duration_us >= TIMING.lease_us
    assert [visit.attempt for visit in meeting.visits("before")] == [2]
    [beaten] = of_kind(run, StepHeartbeat, "before")
    assert beaten.worker_id == "elsewhere"


def beat(stack: Stack, run_id: str, worker_id: str) -> int:
    body = {"workerId": worker_id, "attemptNumber": 1, "resourceSnapshot": {"memoryBytes": 1_000}}
    return stack.call("POST", f"/runs/{run_id}/steps/before/heartbeat", body).status_code


def test_a_program_reaches_the_table_by_its_environment(stack: Stack) -> None:
    run_id = stack.submit("linear", input={"number": 1})
    stack.finished(run_id)
    variables = local_environment(stack.project.root)
    assert Settings.read(variables).timing == stack.backend.runtime.timing
    code = f"from cascade_flow import open_backend; print(open_backend().get_run({run_id!r}).status)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "completed\n"
