"""Limits over HTTP: what there are, who has a place, who waits for one, and what a step says that it waits for."""

from __future__ import annotations

from typing import Any

import pytest

import events
from cascade_flow import RunLimit, RunSubmission, StepDefinition, StepLimit, WorkflowRegistration
from cascade_flow.operations.steps import Steps
from cascade_flow.wake import Wake
from events.deployed import Functions

pytestmark = pytest.mark.servers("ministack")

STRIPE = StepLimit(name="stripe", at_most=1)
ERP = StepLimit(name="erp", at_most=2, key="customer")
OPENAI = StepLimit(name="openai", at_most=1, per_ms=60_000)


@pytest.fixture
def shop(functions: Functions) -> Functions:
    steps = [
        StepDefinition(id=name, name=name, limit=limit)
        for name, limit in (("pay", STRIPE), ("book", ERP), ("ask", OPENAI))
    ]
    functions.backend.register_workflow(WorkflowRegistration(slug="shop", name="Shop", steps=steps))
    for name in ("r1", "r2"):
        submission = RunSubmission(workflow_slug="shop", run_id=name, input={"customer": "C-1"})
        functions.backend.submit_run(submission)
    return functions


def asked(shop: Functions, path: str, status: int = 200, *, function: str = "query") -> dict[str, Any]:
    reply = shop.http(function, events.get(path))
    assert reply.status == status
    found: dict[str, Any] = reply.json
    return found


def test_all_limits_and_the_steps_that_name_them(shop: Functions) -> None:
    assert asked(shop, "/limits")["limits"] == [
        {"name": "erp", "atMost": 2, "key": "customer", "steps": {"shop": ["book"]}},
        {"name": "openai", "atMost": 1, "perUs": 60_000_000, "steps": {"shop": ["ask"]}},
        {"name": "stripe", "atMost": 1, "steps": {"shop": ["pay"]}},
    ]


def test_who_has_a_place_and_who_waits(shop: Functions) -> None:
    found = asked(shop, "/limits/stripe")
    [holder] = found["holders"]
    assert (holder["runId"], holder["stepId"], holder["attemptNumber"], holder["place"]) == ("r1", "pay", 1, 0)
    assert holder["sinceUs"] < holder["untilUs"]
    assert found["waiters"] == [{"runId": "r2", "stepId": "pay", "attemptNumber": 1}]


def test_of_a_limit_by_key_one_value_is_asked_for(shop: Functions) -> None:
    assert [each["runId"] for each in asked(shop, "/limits/erp?key=C-1")["holders"]] == ["r1", "r2"]
    assert asked(shop, "/limits/erp?key=C-2")["holders"] == []


def test_of_turns_the_next_one_is_told(shop: Functions) -> None:
    assert "nextFreeUs" not in asked(shop, "/limits/openai")
    steps = Steps(shop.backend.runtime)
    for name in ("r1", "r2"):
        steps.claim(Wake(name, "ask", "ask", 1), "worker-1")
    assert asked(shop, "/limits/openai")["nextFreeUs"] > 0
    waits = step_of(shop, "r2", "ask")["waitsFor"]
    assert (waits["limit"], waits["atMost"], waits["perUs"]) == ("openai", 1, 60_000_000)
    assert waits["turnAtUs"] > 0


def test_a_limit_that_nobody_names_is_not_found(shop: Functions) -> None:
    told = asked(shop, "/limits/strip", 404)
    assert told["code"] == "limit-not-found"
    assert "erp, openai, stripe" in told["detail"]


def step_of(shop: Functions, run_id: str, step_id: str) -> dict[str, Any]:
    steps = asked(shop, f"/runs/{run_id}/steps")["steps"]
    found: dict[str, Any] = next(step for step in steps if step["stepId"] == step_id)
    return found


def test_a_step_says_what_it_waits_for(shop: Functions) -> None:
    assert step_of(shop, "r2", "pay")["waitsFor"] == {"limit": "stripe", "atMost": 1, "taken": 1, "before": 0}
    assert step_of(shop, "r1", "pay")["limit"] == {"name": "stripe", "atMost": 1}
    assert "waitsFor" not in step_of(shop, "r1", "pay")


def test_a_diagnosis_says_so_too(shop: Functions) -> None:
    found = asked(shop, "/runs/r2/diagnosis", function="diagnosis")["findings"]
    told = {finding["code"]: finding for finding in found}
    assert told["waits-for-place"]["sentence"] == "`pay` waits for a place of stripe (1 of 1 taken, 0 before it)"
    assert told["waits-for-place"]["severity"] == "waits"


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (RunLimit(at_most=5), {"atMost": 5, "skips": False}),
        (RunLimit(at_most=1, key="shop_id", skips=True), {"atMost": 1, "key": "shop_id", "skips": True}),
        (None, None),
    ],
)
def test_a_workflow_says_how_many_of_its_runs_go_on_at_once(
    functions: Functions, limit: RunLimit | None, told: dict[str, Any] | None
) -> None:
    steps = [StepDefinition(id="a", name="a")]
    functions.backend.register_workflow(
        WorkflowRegistration(slug="single", name="Single", steps=steps, run_limit=limit)
    )
    [listed] = [each for each in asked(functions, "/workflows")["workflows"] if each["workflowSlug"] == "single"]
    assert listed.get("runLimit") == told
    assert asked(functions, "/workflows/single").get("runLimit") == told


def test_a_diagnosis_says_that_a_run_waits_for_others(functions: Functions) -> None:
    steps, limit = [StepDefinition(id="a", name="a")], RunLimit(at_most=1)
    registration = WorkflowRegistration(slug="single", name="Single", steps=steps, run_limit=limit)
    functions.backend.register_workflow(registration)
    for name in ("s1", "s2", "s3"):
        functions.backend.submit_run(RunSubmission(workflow_slug="single", run_id=name))
    [finding] = asked(functions, "/runs/s3/diagnosis", function="diagnosis")["findings"]
    said = "the run waits for another run of 'single' to end (1 of 1 go on, 1 before it)"
    assert (finding["code"], finding["severity"], finding["sentence"]) == ("waits-for-runs", "waits", said)
