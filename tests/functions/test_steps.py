"""A run's steps, one by one: where each stands, what it was given and gave, and who tried it how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import events
from cascade_flow import DynamoDBBackend, StepDefinition, StepError, WorkflowRegistration, clock
from cascade_flow.api import representations, resources
from cascade_flow.offload import Bucket
from cascade_flow.testing.memory.bucket_client import BucketClient
from checker import check_run
from contract.called import Called
from events.deployed import Functions, app

pytestmark = pytest.mark.servers("ministack")

ALL = ["weigh", "price/post", "price/insurance", "bill"]


def get(functions: Functions, target: str) -> Any:
    reply = functions.asked(events.get(target))
    assert reply.status == 200, reply.json
    return reply.json


@pytest.fixture
def done(functions: Functions) -> str:
    run_id = functions.submit(input={"weights": [2], "insured": False})
    functions.work()
    check_run(functions.backend, run_id)
    return run_id


def test_steps_are_listed_as_in_the_run_and_in_pages(functions: Functions, done: str) -> None:
    whole = get(functions, f"/runs/{done}/steps")
    assert whole == {"steps": get(functions, f"/runs/{done}")["steps"]}
    first = get(functions, f"/runs/{done}/steps?limit=3")
    rest = get(functions, f"/runs/{done}/steps?limit=3&cursor={first['nextCursor']}")
    assert [step["stepId"] for step in (*first["steps"], *rest["steps"])] == ALL
    assert "nextCursor" not in rest
    assert get(functions, f"/runs/{done}/steps?cursor=9") == {"steps": []}


def test_a_step_shows_its_input_its_output_and_its_attempts(functions: Functions, done: str) -> None:
    step = get(functions, f"/runs/{done}/steps/price/post")
    assert (step["stepId"], step["status"], step["output"]) == ("price/post", "completed", 5.0)
    assert step["input"] == {"input": {"weights": [2], "insured": False}, "outputs": {"weigh": 2.0}}
    [attempt] = step["attempts"]
    assert (attempt["attemptNumber"], attempt["status"]) == (1, "completed")
    assert attempt["workerId"].startswith("worker-")
    assert attempt["durationUs"] == attempt["endedAtUs"] - attempt["startedAtUs"] > 0
    assert attempt["resourceUsage"]["peakMemoryBytes"] > 0
    assert (step["maxAttempts"], step["timeoutUs"]) == (3, 30_000_000)


def test_a_dependency_that_was_skipped_gives_null(functions: Functions, done: str) -> None:
    bill = get(functions, f"/runs/{done}/steps/bill")
    assert bill["input"]["outputs"] == {"price/post": 5.0, "price/insurance": None}
    skipped = get(functions, f"/runs/{done}/steps/price/insurance")
    assert (skipped["status"], skipped["skipReason"], skipped["output"]) == ("skipped", "not insured", None)


def test_before_anything_happened_there_is_what_is_known(functions: Functions) -> None:
    run_id = functions.submit()
    bill = get(functions, f"/runs/{run_id}/steps/bill")
    assert (bill["status"], bill["attempts"], bill["input"]["outputs"]) == ("pending", [], {})
    assert "output" not in bill


def test_without_payloads_none_is_read(functions: Functions, done: str) -> None:
    step = get(functions, f"/runs/{done}/steps/price/post?payloads=false")
    assert not {"input", "output"} & step.keys()
    assert len(step["attempts"]) == 1


def test_a_run_is_told_without_its_steps_where_these_are_read_in_pages(functions: Functions, done: str) -> None:
    """Those of an enormous graph may be more than an answer holds."""
    run = get(functions, f"/runs/{done}")
    assert get(functions, f"/runs/{done}?steps=false") == {name: run[name] for name in run if name != "steps"}
    pages = [get(functions, f"/runs/{done}/steps?limit=3{more}") for more in ("", "&cursor=3")]
    assert [step for page in pages for step in page["steps"]] == run["steps"]


def test_each_attempt_says_how_it_ended(functions: Functions) -> None:
    """A worker that falls silent, one that fails, one that is at it."""
    flow = [StepDefinition(id="a", name="a")]
    functions.backend.register_workflow(WorkflowRegistration(slug="tries", name="tries", steps=flow))
    run_id = functions.submit(workflowSlug="tries", input=None)
    hold = {"runId": run_id, "stepId": "a"}
    functions.asked(events.post("/steps/claim", {"workerId": "silent", **hold}))
    with clock.use(clock.SteppingClock(clock.now_us() + 61_000_000)):
        app("reaper").handler(events.load("scheduler"), events.Context())
    with clock.use(clock.SteppingClock(clock.now_us() + 70_000_000)):
        functions.asked(events.post("/steps/claim", {"workerId": "clumsy", **hold}))
        error = {"message": "no", "name": "OSError", "stack": "Traceback: no"}
        functions.backend.save_step_failed(
            "tries",
            run_id,
            "a",
            StepError(**error),
            duration_us=1,
            attempt_number=2,
            terminal=False,
            failure_reason="execution-error",
        )
    with clock.use(clock.SteppingClock(clock.now_us() + 80_000_000)):
        functions.asked(events.post("/steps/claim", {"workerId": "mila", **hold}))
    silent, clumsy, mila = get(functions, f"/runs/{run_id}/steps/a")["attempts"]
    assert (silent["workerId"], silent["status"], silent["reclaimedBy"]) == ("silent", "reclaimed", "reaper")
    assert (clumsy["status"], clumsy["error"], clumsy["failureReason"]) == ("failed", error, "execution-error")
    assert clumsy["nextRetryAtUs"] > clumsy["endedAtUs"]
    assert (mila["attemptNumber"], mila["status"], mila["workerId"]) == (3, "running", "mila")
    assert "endedAtUs" not in mila


def test_a_callers_run_has_steps_too(functions: Functions) -> None:
    run = Called.new(functions.backend, run_id="told")
    run.schedule("a/b")
    assert [step["stepId"] for step in get(functions, "/runs/told/steps")["steps"]] == ["a/b"]
    assert get(functions, "/runs/told/steps/a/b")["status"] == "scheduled"


def test_what_is_not_there_is_named(functions: Functions, done: str) -> None:
    for target, code in (("/runs/nobody/steps", "run-not-found"), (f"/runs/{done}/steps/paint", "step-not-found")):
        reply = functions.asked(events.get(target))
        assert (reply.status, reply.json["code"]) == (404, code)
    odd = functions.asked(events.get(f"/runs/{done}/steps/a//b"))
    assert (odd.status, odd.json["issues"][0]["path"]) == (400, "stepId")


class TestLargePayloads:
    @pytest.fixture
    def stored(self, functions: Functions) -> Iterator[Functions]:
        """The functions, around a bucket too."""
        runtime = functions.backend.runtime
        backend = DynamoDBBackend(
            runtime.ledger.table.name,
            client=runtime.ledger.table.client,
            bucket=Bucket("bucket", client=BucketClient()),
            timing=runtime.timing,
        )
        with resources.use(backend.runtime):
            yield Functions(backend, functions.sqs, functions.queue_url)

    def test_they_stand_as_addresses(self, stored: Functions) -> None:
        steps = [StepDefinition(id="a", name="a"), StepDefinition(id="b", name="b", dependencies=["a"])]
        stored.backend.register_workflow(WorkflowRegistration(slug="large", name="large", steps=steps))
        text = "x" * 1_100_000
        run_id = stored.submit(workflowSlug="large", input=None)
        stored.asked(events.post("/steps/claim", {"workerId": "mila", "runId": run_id, "stepId": "a"}))
        stored.backend.save_step_complete("large", run_id, "a", text, duration_us=1, attempt_number=1)
        assert get(stored, f"/runs/{run_id}/steps/a")["outputUrl"].startswith("memory://")
        given = get(stored, f"/runs/{run_id}/steps/b")["input"]
        assert given["outputUrls"]["a"].startswith("memory://")
        assert given["outputs"] == {}

    def test_what_would_make_an_answer_too_large_is_named_instead(
        self, functions: Functions, done: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(representations, "GIVEN_BYTES", 0)
        given = get(functions, f"/runs/{done}/steps/bill")["input"]
        assert (given["outputs"], given["leftOut"]) == ({}, ["price/post", "price/insurance"])
        assert get(functions, f"/runs/{done}/steps/price/post")["output"] == 5.0
