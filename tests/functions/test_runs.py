"""A run from its submission to its end, through the functions alone, and what people are shown of it."""

from __future__ import annotations

import json

import pytest

import events
from cascade_flow import clock
from checker import check_run
from events.deployed import Functions

pytestmark = pytest.mark.servers("ministack")


@pytest.fixture
def done(functions: Functions) -> str:
    """A run that has ended well."""
    run_id = functions.submit(runId="r-1", tags=["blue"], metadata={"by": "mila"})
    functions.work()
    check_run(functions.backend, run_id)
    return run_id


def test_a_submission_as_aws_sends_it_makes_a_run_that_comes_to_its_end(functions: Functions) -> None:
    reply = functions.http("submission", events.load("http_api_post"))
    run_id = reply.json["runId"]
    assert (reply.status, reply.json) == (201, {"runId": run_id, "isNew": True})
    assert reply.headers["location"] == f"/runs/{run_id}"
    functions.work()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert shown["run"]["status"] == "completed"
    assert shown["output"] == {"bill": {"total": 9.25}}
    assert shown["error"] is None
    check_run(functions.backend, run_id)


def test_a_run_is_shown_with_every_step_of_its_graph_before_anything_happened_to_them(functions: Functions) -> None:
    run_id = functions.submit()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert {step["stepId"]: step["status"] for step in shown["steps"]} == {
        "weigh": "scheduled",
        "price/post": "pending",
        "price/insurance": "pending",
        "bill": "pending",
    }
    assert shown["steps"][3]["dependencies"] == ["price/post", "price/insurance"]
    assert (shown["output"], shown["error"]) == (None, None)
    check_run(functions.backend, run_id)


def test_a_finished_run_tells_of_its_steps(functions: Functions, done: str) -> None:
    shown = functions.http("query", events.get(f"/runs/{done}")).json
    assert shown["versionId"].startswith("sha256:")
    assert shown["run"]["tags"] == ["blue"]
    assert shown["run"]["metadata"] == {"by": "mila"}
    weigh, post, _, bill = shown["steps"]
    assert (weigh["name"], weigh["maxAttempts"], weigh["attemptNumber"]) == ("weigh", 1, 1)
    assert weigh["startedAtUs"] < weigh["endedAtUs"] <= post["startedAtUs"]
    assert (post["timeoutUs"], post["maxAttempts"]) == (30_000_000, 3)
    assert bill["exportOutput"] is True
    assert "output" not in bill


def test_a_failed_run_tells_which_step_failed_and_how(functions: Functions) -> None:
    run_id = functions.submit(input={"weights": [1], "broken": True})
    functions.work()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert shown["run"]["status"] == "failed"
    error = shown["error"]
    assert (error["failedStep"], error["failureReason"], error["name"]) == ("weigh", "step-failed", "RuntimeError")
    assert "the scales are broken" in error["message"]
    assert shown["steps"][0]["error"]["message"] == "the scales are broken"
    assert [step["status"] for step in shown["steps"][1:]] == ["pending"] * 3
    check_run(functions.backend, run_id)


def test_numbers_that_json_does_not_have_go_from_step_to_step(functions: Functions) -> None:
    run_id = functions.submit(input={"weights": ["Infinity", "2"]})
    functions.work()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert (shown["run"]["status"], shown["output"]) == ("completed", {"bill": {"total": "Infinity"}})
    check_run(functions.backend, run_id)


def test_what_only_the_model_can_refuse_fails_the_run_at_once_and_names_the_field(functions: Functions) -> None:
    run_id = functions.submit(input={"weights": [1, "2 kg"]})
    functions.work()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert (shown["run"]["status"], shown["steps"][0]["attemptNumber"]) == ("failed", 1)
    assert shown["error"]["name"] == "InputInvalidError"
    assert "weights.1: Input should be a valid number" in shown["error"]["message"]
    check_run(functions.backend, run_id)


def test_a_skipped_step_tells_why(functions: Functions) -> None:
    run_id = functions.submit(input={"weights": [1], "insured": False})
    functions.work()
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    insurance = shown["steps"][2]
    assert (insurance["status"], insurance["skipReason"]) == ("skipped", "not insured")
    assert shown["output"] == {"bill": {"total": 2.5}}
    check_run(functions.backend, run_id)


def test_events_are_those_of_the_wire_contract_and_can_be_followed(functions: Functions, done: str) -> None:
    everything = functions.http("query", events.get(f"/runs/{done}/events")).json
    assert "nextUs" not in everything
    assert [event["type"] for event in everything["events"][:2]] == ["RunSubmitted", "WorkflowInputValidation"]
    third = everything["events"][2]["timestampUs"]
    later = functions.http("query", events.get(f"/runs/{done}/events?afterUs={third}")).json["events"]
    assert later == everything["events"][3:]


def test_events_come_in_pages(functions: Functions, done: str) -> None:
    everything = functions.http("query", events.get(f"/runs/{done}/events")).json["events"]
    page = functions.http("query", events.get(f"/runs/{done}/events?limit=2")).json
    assert page == {"events": everything[:2], "nextUs": everything[1]["timestampUs"]}
    rest = functions.http("query", events.get(f"/runs/{done}/events?limit=1000&afterUs={page['nextUs']}")).json
    assert rest == {"events": everything[2:]}


def test_events_are_filtered_by_type_and_step(functions: Functions, done: str) -> None:
    found = functions.http("query", events.get(f"/runs/{done}/events?type=StepStarted,StepCompleted&step=price/post"))
    assert [event["type"] for event in found.json["events"]] == ["StepStarted", "StepCompleted"]
    assert {event["stepId"] for event in found.json["events"]} == {"price/post"}
    twice = functions.http("query", events.get(f"/runs/{done}/events?type=StepSkipped&type=StepFailed"))
    assert twice.json == {"events": []}


def test_events_are_told_without_what_was_given_and_got(functions: Functions, done: str) -> None:
    everything = functions.http("query", events.get(f"/runs/{done}/events")).json["events"]
    assert {"input", "output"} <= {name for event in everything for name in event}
    found = functions.http("query", events.get(f"/runs/{done}/events?payloads=false")).json["events"]
    texts = ("input", "output", "data")
    assert found == [{name: value for name, value in event.items() if name not in texts} for event in everything]


def test_logs_are_shown_by_step(functions: Functions, done: str) -> None:
    (line,) = functions.http("query", events.get(f"/runs/{done}/logs?step=weigh&attempt=1")).json["lines"]
    assert (line["stepId"], line["attemptNumber"]) == ("weigh", 1)
    assert "weighing 2 parcels" in line["message"]
    assert functions.http("query", events.get(f"/runs/{done}/logs?afterUs={line['timestampUs']}")).json == {"lines": []}


def test_runs_are_listed_newest_first_by_workflow_status_and_tags(functions: Functions, done: str) -> None:
    newer = functions.submit(tags=["blue", "big"])
    both = functions.http("query", events.get("/runs?workflow=parcels&tag=blue&total=true")).json
    assert [run["runId"] for run in both["runs"]] == [newer, done]
    assert (both["total"], both["totalIsExact"], "nextCursor" in both) == (2, True, False)
    assert all("input" not in run for run in both["runs"])
    big = functions.http("query", events.get("/runs?tag=blue&tag=big&status=running,pending")).json
    assert [run["runId"] for run in big["runs"]] == [newer]
    first = functions.http("query", events.get("/runs?limit=1")).json
    assert ([run["runId"] for run in first["runs"]], "total" in first) == ([newer], False)
    second = functions.http("query", events.get(f"/runs?limit=1&cursor={first['nextCursor']}")).json
    assert ([run["runId"] for run in second["runs"]], "nextCursor" in second) == ([done], False)


def test_workflows_are_listed_and_shown(functions: Functions) -> None:
    (listed,) = functions.http("query", events.get("/workflows")).json["workflows"]
    assert (listed["workflowSlug"], listed["name"], listed["location"]) == ("parcels", "Parcels", "parcels")
    assert listed["inputSchemaJSON"]["required"] == ["weights"]
    shown = functions.http("query", events.get("/workflows/parcels")).json
    assert shown["versionId"] == listed["versionId"]
    assert [step["stepId"] for step in shown["steps"]] == ["weigh", "price/post", "price/insurance", "bill"]
    (version,) = shown["versions"]
    assert (version["versionId"], version["versionNumber"], version["totalSteps"]) == (listed["versionId"], 1, 4)


def test_a_run_can_be_cancelled_once(functions: Functions) -> None:
    run_id = functions.submit()
    reply = functions.http("submission", events.post(f"/runs/{run_id}/cancel", {"reason": "sold out"}))
    assert (reply.status, reply.json["run"]["status"]) == (200, "cancelled")
    assert functions.http("query", events.get(f"/runs/{run_id}")).json["cancelReason"] == "sold out"
    again = functions.http("submission", events.post(f"/runs/{run_id}/cancel"))
    assert (again.status, again.json["code"]) == (409, "run-not-cancellable")
    functions.work()
    check_run(functions.backend, run_id)


def test_one_key_makes_one_run_wherever_it_stands(functions: Functions) -> None:
    wish = {"workflowSlug": "parcels", "input": {"weights": [1]}}
    first = functions.http("submission", events.post("/runs", wish, headers={"idempotency-key": "k"}))
    second = functions.http("submission", events.post("/runs", {**wish, "idempotencyKey": "k"}))
    other = functions.http("submission", events.post("/runs", {**wish, "priority": 1, "idempotencyKey": "k"}))
    assert (first.status, second.status) == (201, 200)
    assert second.json == {"runId": first.json["runId"], "isNew": False}
    assert (other.status, other.json["code"]) == (409, "idempotency-conflict")
    assert other.json["facts"] == {"runId": first.json["runId"]}
    check_run(functions.backend, first.json["runId"])


def test_a_taken_run_id_is_refused(functions: Functions, done: str) -> None:
    reply = functions.http(
        "submission", events.post("/runs", {"workflowSlug": "parcels", "runId": done, "input": {"weights": [1]}})
    )
    assert (reply.status, reply.json["code"]) == (409, "conflict")


def test_a_delayed_run_waits(functions: Functions) -> None:
    run_id = functions.submit(delayUs=600_000_000, timeoutUs=60_500_000, priority=3)
    shown = functions.http("query", events.get(f"/runs/{run_id}")).json
    assert shown["run"]["status"] == "pending"
    assert 590_000_000 < shown["run"]["availableAtUs"] - clock.now_us() <= 600_000_000
    assert (shown["run"]["timeoutUs"], shown["run"]["priority"]) == (60_500_000, 3)
    check_run(functions.backend, run_id)


def test_bodies_arrive_as_base64_too(functions: Functions) -> None:
    body = {"workflowSlug": "parcels", "input": {"weights": [1], "note": "Grüße"}}
    reply = functions.http("submission", events.post("/runs", raw=json.dumps(body, ensure_ascii=False).encode()))
    assert reply.status == 201
    check_run(functions.backend, reply.json["runId"])


def test_a_long_answer_is_packed_for_who_accepts_that(functions: Functions) -> None:
    run_id = functions.submit(input={"weights": [1.0] * 10_000})
    packed = functions.http("query", events.get(f"/runs/{run_id}", headers={"accept-encoding": "br, gzip"}))
    plain = functions.http("query", events.get(f"/runs/{run_id}"))
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json == plain.json
    check_run(functions.backend, run_id)
