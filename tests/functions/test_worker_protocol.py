"""Steps that are claimed and held over HTTP by workers that are no Lambda."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import events
from cascade_flow import clock
from cascade_flow.idempotency import idempotency_key
from checker import check_run
from events.deployed import Functions, Reply

pytestmark = pytest.mark.servers("ministack")


def claim(functions: Functions, **wish: object) -> Reply:
    return functions.http("claim", events.post("/steps/claim", {"workerId": "mila", **wish}))


def beat(functions: Functions, run_id: str, step: str, **said: object) -> Reply:
    target = f"/runs/{run_id}/steps/{step}/heartbeat"
    return functions.http("heartbeat", events.post(target, {"workerId": "mila", "attemptNumber": 1, **said}))


@pytest.fixture
def weighed(functions: Functions) -> str:
    """A run whose first step is done, so that two steps with nested ids are due."""
    run_id = functions.submit()
    assert claim(functions, runId=run_id, stepId="weigh").status == 200
    functions.backend.save_step_complete("parcels", run_id, "weigh", 3.5, duration_us=1, attempt_number=1)
    return run_id


def test_a_claim_gives_all_that_the_step_needs(functions: Functions, weighed: str) -> None:
    reply = claim(functions, runId=weighed, stepId="price/post", slotIndex=1, workerConcurrency=4)
    lease_us, started_us = reply.json.pop("leaseUntilUs"), reply.json.pop("startedAtUs")
    assert 55_000_000 < lease_us - clock.now_us() <= 60_000_000
    assert clock.now_us() - 5_000_000 < started_us <= clock.now_us()
    assert reply.json == {
        "runId": weighed,
        "workflowSlug": "parcels",
        "stepId": "price/post",
        "attemptNumber": 1,
        "versionId": functions.backend.runtime.run(weighed).version_id,
        "firstRunId": weighed,
        "input": {"weights": [1.5, 2.0]},
        "outputs": {"weigh": 3.5},
        "skipped": [],
        "checkpoints": [],
        "idempotencyKey": idempotency_key("parcels", weighed, "price/post", None),
        "leaseUs": 60_000_000,
        "timeoutUs": 30_000_000,
    }
    check_run(functions.backend, weighed)


def test_a_step_is_claimed_once(functions: Functions, weighed: str) -> None:
    wish = {"runId": weighed, "stepId": "price/post"}
    assert claim(functions, **wish).status == 200
    late = claim(functions, **wish)
    assert (late.status, late.json) == (204, None)
    assert claim(functions, runId=weighed, stepId="bill").status == 204
    check_run(functions.backend, weighed)


def test_whatever_is_due_is_claimed_until_nothing_is(functions: Functions, weighed: str) -> None:
    taken = [claim(functions, workflowSlug="parcels") for _ in range(2)]
    assert {reply.json["stepId"] for reply in taken} == {"price/post", "price/insurance"}
    assert claim(functions).status == 204
    check_run(functions.backend, weighed)


def test_workers_that_claim_at_once_get_different_steps(functions: Functions) -> None:
    run_ids = [functions.submit() for _ in range(4)]
    with ThreadPoolExecutor(4) as workers:
        replies = list(workers.map(lambda _: claim(functions), run_ids))
    assert sorted(reply.json["runId"] for reply in replies) == sorted(run_ids)
    for run_id in run_ids:
        check_run(functions.backend, run_id)


def test_a_step_of_another_workflow_or_graph_is_unknown(functions: Functions, weighed: str) -> None:
    stray = claim(functions, runId=weighed, stepId="price/post", workflowSlug="letters")
    assert (stray.status, stray.json["code"]) == (404, "run-not-found")
    stray = claim(functions, runId=weighed, stepId="price")
    assert (stray.status, stray.json["code"]) == (404, "step-not-found")


@pytest.mark.parametrize("step", ["price/post", "price%2Fpost", "price%2fpost"])
def test_a_heartbeat_prolongs_the_lease_however_the_id_is_written(
    functions: Functions, weighed: str, step: str
) -> None:
    before_us = claim(functions, runId=weighed, stepId="price/post").json["leaseUntilUs"]
    reply = beat(functions, weighed, step, resourceSnapshot={"memoryBytes": 1_000_000, "cpuTimeUs": 5})
    assert reply.status == 200
    assert reply.json["leaseUntilUs"] > before_us
    found = functions.http("query", events.get(f"/runs/{weighed}/events?type=StepHeartbeat")).json["events"]
    assert [event["resourceSnapshot"] for event in found] == [{"memoryBytes": 1_000_000, "cpuTimeUs": 5}]
    check_run(functions.backend, weighed)


def test_a_heartbeat_of_what_is_not_held_is_told_so(functions: Functions, weighed: str) -> None:
    claim(functions, runId=weighed, stepId="price/post")
    for said in ({"workerId": "otto"}, {"attemptNumber": 2}):
        reply = beat(functions, weighed, "price/post", **said)
        assert (reply.status, reply.json["code"]) == (409, "stale-attempt")
    reply = beat(functions, weighed, "weigh")
    assert (reply.status, reply.json["facts"]) == (409, {"now": "running"})
    assert "'price/post'" in reply.json["detail"]
    assert beat(functions, weighed, "price").status == 404
    check_run(functions.backend, weighed)


def test_a_skipped_dependency_gives_null(functions: Functions, weighed: str) -> None:
    backend = functions.backend
    attempt: dict[str, Any] = {"duration_us": 1, "attempt_number": 1}
    for step in ("price/post", "price/insurance"):
        assert claim(functions, runId=weighed, stepId=step).status == 200
    backend.save_step_complete("parcels", weighed, "price/post", 8.75, **attempt)
    backend.save_step_skipped(
        "parcels", weighed, "price/insurance", skip_type="primary", reason="not insured", **attempt
    )
    reply = claim(functions, runId=weighed, stepId="bill")
    assert reply.json["outputs"] == {"price/post": 8.75, "price/insurance": None}
    assert reply.json["skipped"] == ["price/insurance"]
    check_run(backend, weighed)
