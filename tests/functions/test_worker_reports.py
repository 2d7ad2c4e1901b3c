"""What a worker that is no Lambda says of its attempts: it counts under its fence, and may be said again."""

from __future__ import annotations

from typing import Any

import pytest

import events
from cascade_flow import RunSubmission, StepDefinition, WorkflowRegistration, clock
from cascade_flow.api.worker_shapes import LARGEST_VALUE_BYTES
from checker import check_run
from events.deployed import Functions, Reply
from functions.test_worker_protocol import Asking, claim

pytestmark = pytest.mark.servers("ministack")


def say(functions: Functions, run_id: str, step: str, what: str, attempt: int = 1, **told: Any) -> Reply:
    body = {"workerId": "mila", "attemptNumber": attempt, **told}
    return functions.http("heartbeat", events.post(f"/runs/{run_id}/steps/{step}/{what}", body))


def happened(functions: Functions, run_id: str, *kinds: str) -> list[dict[str, Any]]:
    found = functions.http("query", events.get(f"/runs/{run_id}/events?type={','.join(kinds)}")).json["events"]
    return list(found)


@pytest.fixture
def weighing(functions: Functions) -> str:
    """A run whose first step is held by mila."""
    run_id = functions.submit()
    assert claim(functions, runId=run_id, stepId="weigh").status == 200
    return run_id


def test_a_run_is_worked_through_over_http_alone(functions: Functions, weighing: str) -> None:
    assert say(functions, weighing, "weigh", "complete", output=3.5).json == {"status": "completed"}
    for step, output in (("price/post", 8.75), ("price/insurance", 0.5), ("bill", {"total": 9.25})):
        assert claim(functions, runId=weighing, stepId=step).status == 200
        assert say(functions, weighing, step, "complete", output=output).status == 200
    check_run(functions.backend, weighing)
    run = functions.http("query", events.get(f"/runs/{weighing}")).json
    assert (run["run"]["status"], run["output"]) == ("completed", {"bill": {"total": 9.25}})


@pytest.mark.parametrize(
    ("what", "told", "answer"),
    [
        ("complete", {"output": {"weights": [1, None, "✓"]}}, {"status": "completed"}),
        ("fail", {"error": {"message": "no scales"}, "retryable": False}, {"status": "failed"}),
        ("skip", {"reason": "nothing to weigh", "metadata": {"why": [1]}}, {"status": "skipped"}),
    ],
)
def test_an_end_said_again_is_answered_the_same_and_stored_once(
    functions: Functions, weighing: str, what: str, told: dict[str, Any], answer: dict[str, Any]
) -> None:
    replies = [say(functions, weighing, "weigh", what, **told) for _ in range(2)]
    assert [(reply.status, reply.json) for reply in replies] == [(200, answer)] * 2
    ends = happened(functions, weighing, "StepCompleted", "StepFailed", "StepSkipped")
    assert len([end for end in ends if end["stepId"] == "weigh"]) == 1
    check_run(functions.backend, weighing)


def test_another_end_than_the_one_that_is_stored_is_refused(functions: Functions, weighing: str) -> None:
    assert say(functions, weighing, "weigh", "complete", output=1).status == 200
    for reply in (
        say(functions, weighing, "weigh", "complete", output=2),
        say(functions, weighing, "weigh", "fail", error={"message": "no"}),
        say(functions, weighing, "weigh", "complete", output=1, workerId="otto"),
        say(functions, weighing, "weigh", "complete", output=1, attempt=2),
        say(functions, weighing, "weigh", "release"),
        say(functions, weighing, "weigh", "logs", lines=[{"message": "late"}]),
        say(functions, weighing, "weigh", "checkpoint", name="late"),
    ):
        assert (reply.status, reply.json["code"]) == (409, "stale-attempt")
        assert "now" in reply.json["facts"]
    check_run(functions.backend, weighing)


def test_a_failure_is_tried_again_as_the_policy_says(functions: Functions, weighing: str) -> None:
    say(functions, weighing, "weigh", "complete", output=1)
    claim(functions, runId=weighing, stepId="price/post")
    error = {"name": "Error", "message": "connection lost", "stack": "at line 1", "code": "ECONNRESET"}
    before_us = clock.now_us()
    replies = [say(functions, weighing, "price/post", "fail", error=error) for _ in range(2)]
    assert replies[0].json == replies[1].json
    assert (replies[0].json["status"], replies[0].json["nextRetryAtUs"] >= before_us) == ("scheduled", True)
    [failed] = happened(functions, weighing, "StepFailed")
    assert failed["error"] == {"name": "Error", "message": "connection lost (ECONNRESET)", "stack": "at line 1"}
    check_run(functions.backend, weighing)


def test_a_checkpoint_is_given_to_the_next_attempt(functions: Functions, weighing: str) -> None:
    say(functions, weighing, "weigh", "complete", output=1)
    claim(functions, runId=weighing, stepId="price/post")
    kept: dict[str, Any] = {
        "name": "stamp",
        "sequence": 1,
        "data": {"stamp": "x" * 600},
        "parent": {"name": "letter", "sequence": 0},
    }
    assert [say(functions, weighing, "price/post", "checkpoint", **kept).json for _ in range(2)] == [{}, {}]
    assert say(functions, weighing, "price/post", "checkpoint", name="seal", error={"message": "no wax"}).status == 200
    assert say(functions, weighing, "price/post", "release").json == {"status": "scheduled"} | {
        "nextRetryAtUs": happened(functions, weighing, "StepScheduled")[-1]["availableAtUs"]
    }
    given = claim(functions, runId=weighing, stepId="price/post").json
    assert given["attemptNumber"] == 2
    stamps = [each for each in given["checkpoints"] if each["name"] == "stamp"]
    assert {**stamps[0]} == {**kept, "attemptNumber": 1}
    assert given["checkpoints"][-1] == {"name": "seal", "sequence": 0, "attemptNumber": 1}
    check_run(functions.backend, weighing)


def test_a_checkpoint_said_again_at_once_is_stored_once(functions: Functions, weighing: str) -> None:
    for _ in range(2):
        assert say(functions, weighing, "weigh", "checkpoint", name="half", data=1).status == 200
    assert len(happened(functions, weighing, "StepCheckpoint")) == 1


def test_log_lines_are_stored_once_however_often_they_are_said(functions: Functions, weighing: str) -> None:
    now_us = clock.now_us()
    lines = [{"message": f"line {n}", "timestampUs": now_us + n, "stream": "stderr"} for n in range(3)]
    for _ in range(2):
        assert say(functions, weighing, "weigh", "logs", lines=lines).status == 200
    assert say(functions, weighing, "weigh", "complete", output=1, lastLogUs=now_us + 2).status == 200
    found = functions.http("query", events.get(f"/runs/{weighing}/logs?step=weigh")).json["lines"]
    assert [(line["message"], line["stream"]) for line in found] == [(f"line {n}", "stderr") for n in range(3)]
    check_run(functions.backend, weighing)


def test_steps_of_one_pool_stay_with_their_worker(functions: Functions) -> None:
    steps = [
        StepDefinition(id="cut", name="cut", executor="laser"),
        StepDefinition(id="engrave", name="engrave", dependencies=["cut"], executor="laser"),
        StepDefinition(id="pack", name="pack", dependencies=["engrave"]),
    ]
    functions.backend.register_workflow(WorkflowRegistration(slug="signs", name="Signs", steps=steps))
    run_id = functions.submit(workflowSlug="signs", input=None)
    assert claim(functions, pool="laser").json["stepId"] == "cut"
    said = say(functions, run_id, "cut", "complete", output=1, claimNext=True).json
    assert (said["next"]["stepId"], said["next"]["outputs"]) == ("engrave", {"cut": 1})
    assert claim(functions, pool="laser").status == 204
    assert say(functions, run_id, "engrave", "complete", output=2, claimNext=True).json == {"status": "completed"}
    assert claim(functions, runId=run_id, stepId="pack").status == 200
    check_run(functions.backend, run_id)


def test_a_line_without_a_time_was_written_now(functions: Functions, weighing: str) -> None:
    before_us = clock.now_us()
    say(functions, weighing, "weigh", "logs", lines=[{"message": "a"}, {"message": "b"}])
    found = functions.http("query", events.get(f"/runs/{weighing}/logs?step=weigh")).json["lines"]
    assert [line["message"] for line in found] == ["a", "b"]
    assert all(before_us <= line["timestampUs"] for line in found)


def test_the_next_step_of_the_branch_is_claimed_in_one(functions: Functions, weighing: str) -> None:
    replies = [say(functions, weighing, "weigh", "complete", output=3.5, claimNext=True) for _ in range(2)]
    following = replies[0].json["next"]
    assert (following["stepId"], following["outputs"], following["attemptNumber"]) == ("price/post", {"weigh": 3.5}, 1)
    assert replies[1].json["next"] == following
    assert claim(functions, runId=weighing, stepId="price/post").status == 204
    assert say(functions, weighing, "price/post", "complete", output=1, claimNext=True).json == {"status": "completed"}
    check_run(functions.backend, weighing)


def test_what_is_given_up_is_anothers_at_once(functions: Functions, weighing: str) -> None:
    say(functions, weighing, "weigh", "complete", output=1)
    claim(functions, runId=weighing, stepId="price/insurance")
    replies = [say(functions, weighing, "price/insurance", "release") for _ in range(2)]
    due_us = happened(functions, weighing, "StepScheduled")[-1]["availableAtUs"]
    assert [reply.json for reply in replies] == [{"status": "scheduled", "nextRetryAtUs": due_us}] * 2
    given = claim(functions, workerId="otto", runId=weighing, stepId="price/insurance")
    assert (given.status, given.json["attemptNumber"]) == (200, 2)
    assert say(functions, weighing, "price/insurance", "heartbeat").status == 409
    check_run(functions.backend, weighing)


def test_who_gives_up_has_tried_nothing(functions: Functions, weighing: str) -> None:
    """However often workers of this step must end, its policy's only try is left."""
    for attempt in range(1, 4):
        replies = [say(functions, weighing, "weigh", "release", attempt=attempt) for _ in range(2)]
        assert [reply.json["status"] for reply in replies] == ["scheduled"] * 2
        assert claim(functions, runId=weighing, stepId="weigh").json["attemptNumber"] == attempt + 1
    assert say(functions, weighing, "weigh", "fail", error={"message": "no"}, attempt=4).json == {"status": "failed"}
    planned = [
        (each["policyIndex"], each["attemptInPolicy"]) for each in happened(functions, weighing, "StepScheduled")[1:]
    ]
    assert planned == [(0, 1)] * 3
    check_run(functions.backend, weighing)


def test_what_is_given_up_while_its_run_fails_is_not_tried_again(functions: Functions, weighing: str) -> None:
    say(functions, weighing, "weigh", "complete", output=1)
    for step in ("price/post", "price/insurance"):
        claim(functions, runId=weighing, stepId=step)
    say(functions, weighing, "price/post", "fail", error={"message": "no"}, retryable=False)
    replies = [say(functions, weighing, "price/insurance", "release") for _ in range(2)]
    assert [reply.json for reply in replies] == [{"status": "failed"}] * 2
    check_run(functions.backend, weighing)


def test_an_output_may_be_larger_than_a_submission(functions: Functions, weighing: str) -> None:
    output = ["x" * 1_000] * 4_000
    assert say(functions, weighing, "weigh", "complete", output=output).status == 200
    claimed = claim(functions, runId=weighing, stepId="price/post").json
    assert Asking(functions).given(claimed)["outputs"] == {"weigh": output}
    check_run(functions.backend, weighing)


def test_what_is_too_large_or_too_deep_is_told(functions: Functions, weighing: str) -> None:
    reply = say(functions, weighing, "weigh", "complete", output="x" * LARGEST_VALUE_BYTES)
    assert (reply.status, reply.json["facts"]["limit"]) == (413, LARGEST_VALUE_BYTES)
    deep: list[Any] = []
    for _ in range(120):
        deep = [deep]
    reply = say(functions, weighing, "weigh", "complete", output=deep)
    assert (reply.status, reply.json["issues"][0]["message"]) == (400, "is nested more than 100 deep")
    reply = say(functions, weighing, "weigh", "complete", result=1)
    assert (reply.status, reply.json["issues"][0]["path"]) == (400, "result")
    assert say(functions, weighing, "weigh", "complete", output=[[0]] * 50_000).status == 200


def test_a_run_or_step_that_is_not_there_is_told(functions: Functions, weighing: str) -> None:
    assert say(functions, "none", "weigh", "complete").json["code"] == "run-not-found"
    assert say(functions, weighing, "weight", "complete").json["code"] == "step-not-found"
    assert say(functions, weighing, "weigh", "finish").status == 404


@pytest.fixture
def polling(functions: Functions) -> str:
    """A run whose only step asks an inspector, who is not always ready; mila holds it."""
    steps = [StepDefinition(id="ask", name="Ask", poll_every_ms=40_000, give_up_after_ms=60_000)]
    functions.backend.register_workflow(WorkflowRegistration(slug="polls", name="Polls", steps=steps))
    run_id = functions.backend.submit_run(RunSubmission(workflow_slug="polls")).run_id
    assert claim(functions, runId=run_id, stepId="ask").json["countedAttempt"] == 1
    return run_id


@pytest.mark.parametrize(
    ("told", "wait_us"), [({"delayUs": 5_000_000}, 5_000_000), ({}, 40_000_000)], ids=["its own time", "as declared"]
)
def test_what_is_not_ready_comes_again_and_is_answered_the_same_when_it_is_said_again(
    functions: Functions, polling: str, told: dict[str, Any], wait_us: int
) -> None:
    before_us = clock.now_us()
    replies = [say(functions, polling, "ask", "later", reason="no inspector", **told) for _ in range(2)]
    assert (replies[0].json["status"], replies[0].json) == ("scheduled", replies[1].json)
    assert 0 <= replies[0].json["nextRetryAtUs"] - before_us - wait_us < 5_000_000
    step = functions.http("query", events.get(f"/runs/{polling}/steps/ask")).json
    assert (step["laters"], step["laterReason"], step["status"]) == (1, "no inspector", "scheduled")
    [attempt] = step["attempts"]
    assert (attempt["status"], attempt["laterReason"]) == ("postponed", "no inspector")
    assert attempt["nextRetryAtUs"] == replies[0].json["nextRetryAtUs"]
    assert [event["message"] for event in happened(functions, polling, "LogEntry")] == ["later: no inspector"]
    check_run(functions.backend, polling)


def test_other_words_than_those_that_are_stored_are_refused(functions: Functions, polling: str) -> None:
    assert say(functions, polling, "ask", "later", reason="no inspector").status == 200
    assert say(functions, polling, "ask", "later", reason="another").status == 409
    assert say(functions, polling, "ask", "later", reason="no inspector", workerId="otto").status == 409
    assert say(functions, polling, "ask", "complete", output=1).status == 409


def test_who_may_ask_no_longer_fails_and_is_told_so_again(functions: Functions, polling: str) -> None:
    with clock.use(clock.SteppingClock(clock.now_us() + 120_000_000)):
        assert say(functions, polling, "ask", "heartbeat").status == 200
        replies = [say(functions, polling, "ask", "later", reason="no inspector") for _ in range(2)]
    assert [(reply.status, reply.json) for reply in replies] == [(200, {"status": "failed"})] * 2
    [failed] = happened(functions, polling, "StepFailed")
    assert (failed["failureReason"], failed["error"]["name"]) == ("timeout", "GaveUp")
    check_run(functions.backend, polling)


def test_an_instant_may_be_named(functions: Functions, weighing: str) -> None:
    at_us = clock.now_us() + 3_600_000_000
    told = {"status": "scheduled", "nextRetryAtUs": at_us}
    assert say(functions, weighing, "weigh", "later", availableAtUs=at_us).json == told
    assert claim(functions, runId=weighing, stepId="weigh").status == 204


def test_a_step_that_is_to_come_again_at_no_time_is_told_what_to_say(functions: Functions, weighing: str) -> None:
    reply = say(functions, weighing, "weigh", "later")
    assert reply.status == 400
    assert "nothing says when: give availableAtUs or delayUs" in reply.json["detail"]
    assert say(functions, weighing, "weigh", "later", delayUs=0).status == 400
    assert say(functions, weighing, "weigh", "complete", output=1).status == 200, "it is held still"
