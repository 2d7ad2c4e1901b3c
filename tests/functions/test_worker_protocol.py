"""Steps that are claimed and held over HTTP by workers that are no Lambda."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import events
from cascade_flow import RunSubmission, StepDefinition, WorkflowRegistration, clock
from cascade_flow.api import representations
from cascade_flow.client.asking import Json
from cascade_flow.client.workers import WorkerMethods
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


class Asking(WorkerMethods):
    """A client whose requests go to the functions themselves."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def _get(self, path: str, wish: Mapping[str, Any] | None = None) -> Json:
        reply: Json = self._functions.http("query", events.get(path, headers={"accept-encoding": "gzip"})).json
        return reply

    def _filled(self, document: Json, names: Sequence[str], read: Callable[[str], Any]) -> Json:
        return document


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
        "countedAttempt": 1,
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


def test_what_would_make_a_claim_too_large_is_left_out_and_asked_for(
    functions: Functions, weighed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that is too large would leave the step claimed, and nobody at work on it."""
    monkeypatch.setattr(representations, "GIVEN_BYTES", 0)
    claimed = claim(functions, runId=weighed, stepId="price/post").json
    assert (claimed["outputs"], claimed["leftOut"]) == ({}, ["weigh"])
    assert Asking(functions).given(claimed)["outputs"] == {"weigh": 3.5}


def test_a_claim_passes_whatever_it_gives_and_however_it_is_sent(functions: Functions) -> None:
    """Three million bytes of input, and as many of an output, that pack to nothing: too much for one answer."""
    owls, backend = "🦉" * 750_000, functions.backend
    run_id = backend.submit_run(RunSubmission(workflow_slug="parcels", input={"weights": [1], "note": owls})).run_id
    assert claim(functions, runId=run_id, stepId="weigh").status == 200
    backend.save_step_complete("parcels", run_id, "weigh", owls, duration_us=1, attempt_number=1)
    reply = claim(functions, runId=run_id, stepId="price/post")
    assert (reply.status, len(reply.json["input"]["note"])) == (200, len(owls))
    assert (reply.json["outputs"], reply.json["leftOut"]) == ({}, ["weigh"])
    assert Asking(functions).given(reply.json)["outputs"] == {"weigh": owls}


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


# -- pools ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def engraved(functions: Functions) -> str:
    """A run whose next step waits for a worker of pool laser."""
    steps = [
        StepDefinition(id="draw", name="draw"),
        StepDefinition(id="engrave", name="engrave", dependencies=["draw"], executor="laser", timeout_ms=7_200_000),
    ]
    functions.backend.register_workflow(WorkflowRegistration(slug="engraved", name="Engraved", steps=steps))
    run_id = functions.submit(workflowSlug="engraved", input="ada")
    drawn(functions, run_id)
    return run_id


def drawn(functions: Functions, run_id: str) -> None:
    assert claim(functions, runId=run_id, stepId="draw").status == 200
    functions.backend.save_step_complete("engraved", run_id, "draw", "ADA", duration_us=1, attempt_number=1)
    functions.lose_messages()


def test_a_step_of_a_pool_is_for_a_worker_that_asks_for_it(functions: Functions, engraved: str) -> None:
    assert claim(functions).status == 204
    assert claim(functions, pool="printer").status == 204
    reply = claim(functions, pool="laser")
    assert (reply.status, reply.json["runId"], reply.json["outputs"]) == (200, engraved, {"draw": "ADA"})
    assert reply.json["timeoutUs"] == 7_200_000_000
    assert claim(functions, pool="laser").status == 204
    check_run(functions.backend, engraved)


@pytest.mark.parametrize("pool", [None, "printer"])
def test_a_claim_by_name_for_another_pool_is_told_whose_the_step_is(
    functions: Functions, engraved: str, pool: str | None
) -> None:
    wish = {"runId": engraved, "stepId": "engrave", **({"pool": pool} if pool else {})}
    refused = claim(functions, **wish)
    assert (refused.status, refused.json["code"]) == (409, "wrong-pool")
    assert refused.json["facts"] == {"stepId": "engrave", "pool": "laser"}
    assert claim(functions, **{**wish, "pool": "laser"}).status == 200


def test_a_step_says_whose_it_is(functions: Functions, engraved: str) -> None:
    steps = functions.http("query", events.get(f"/runs/{engraved}")).json["steps"]
    assert [step.get("executor") for step in steps] == [None, "laser"]
    steps = functions.http("query", events.get("/workflows/engraved")).json["steps"]
    assert [step.get("executor") for step in steps] == [None, "laser"]


def test_who_waits_gets_what_comes_meanwhile(functions: Functions, engraved: str) -> None:
    assert claim(functions, pool="laser").status == 200
    run_id = functions.submit(workflowSlug="engraved", input="eve")
    with clock.use(Meanwhile(lambda: drawn(functions, run_id))) as late:
        reply = claim(functions, pool="laser", waitMs=20_000)
    assert (reply.status, reply.json["runId"], reply.json["stepId"]) == (200, run_id, "engrave")
    assert late.paused_us == [500_000]


def test_who_waits_in_vain_is_told_so_in_time(functions: Functions) -> None:
    with clock.use(Meanwhile(lambda: None)) as late:
        assert claim(functions, pool="laser", waitMs=20_000).status == 204
    assert sum(late.paused_us) == 20_000_000
    assert len(late.paused_us) == 13


@pytest.mark.parametrize("wait", [20_001, -1, 0.5, "1"])
def test_nobody_waits_for_longer_than_a_function_lives(functions: Functions, wait: object) -> None:
    refused = claim(functions, pool="laser", waitMs=wait)
    assert (refused.status, refused.json["issues"][0]["path"]) == (400, "waitMs")


def test_a_pool_is_an_id(functions: Functions) -> None:
    refused = claim(functions, pool="gpu box")
    assert (refused.status, refused.json["issues"][0]["path"]) == (400, "pool")


class Meanwhile(clock.SteppingClock):
    """A time that passes only while somebody pauses; others act in the first of the pauses."""

    def __init__(self, others: Callable[[], object]) -> None:
        super().__init__(clock.now_us())
        self._others = others
        self.paused_us: list[int] = []

    def pause_us(self, us: int) -> int:
        if not self.paused_us:
            self._others()
        self.paused_us.append(us)
        return self.advance(us)


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
