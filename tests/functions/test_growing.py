"""Maps and sub-workflows over HTTP: registered, run, looked at, and what is refused of the runs that do their work."""

from __future__ import annotations

from typing import Any

import pytest

import events
from events.deployed import Functions, Reply
from functions.test_worker_protocol import claim

pytestmark = pytest.mark.servers("ministack")


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("CASCADE_WORKFLOWS", "growing")
    return environment


@pytest.fixture
def done(functions: Functions) -> str:
    wish = {"workflowSlug": "orders", "input": {"skus": ["tea", "gone", "milk"]}}
    run_id = str(functions.http("submission", events.post("/runs", wish)).json["runId"])
    functions.work()
    return run_id


def get(functions: Functions, target: str) -> Reply:
    return functions.asked(events.get(target))


def test_a_run_grows_and_tells_what_its_runs_are_at(functions: Functions, done: str) -> None:
    run = get(functions, f"/runs/{done}").json
    assert run["run"]["status"] == "completed"
    assert (run["output"]["labels"], run["output"]["failed"]) == ({"printed": 3}, 1)
    failed = run["output"]["pack/all"][1]["$failed"]
    assert (failed["index"], failed["error"]["message"]) == (1, "no stock")
    children = {step["stepId"]: step.get("children") for step in run["steps"]}
    assert children["pack/all"] == {
        "kind": "map",
        "over": "read/lines",
        "concurrency": 2,
        "batch": 1,
        "tolerate": 0.5,
    }
    assert children["labels"] == {"kind": "workflow", "workflowSlug": "labels"}
    assert children["read/lines"] is None
    assert not any("laters" in step for step in run["steps"]), "whoever waits for children was ready"


def test_the_runs_of_a_step_are_listed_in_pages(functions: Functions, done: str) -> None:
    first = get(functions, f"/runs/{done}/children/pack/all?limit=2").json
    rest = get(functions, f"/runs/{done}/children/pack/all?limit=2&cursor={first['nextCursor']}").json
    found = [*first["children"], *rest["children"]]
    assert [(each["number"], each["status"], each["firstItem"]) for each in found] == [
        (0, "completed", 0),
        (1, "failed", 1),
        (2, "completed", 2),
    ]
    assert found[1]["error"] == {"name": "ValueError", "message": "no stock"}
    assert "nextCursor" not in rest
    only = get(functions, f"/runs/{done}/children/pack/all?status=failed,cancelled").json
    assert only == {"children": [found[1]]}
    assert get(functions, f"/runs/{done}/children/read/lines").status == 404


def test_an_items_run_is_looked_at_as_any_other(functions: Functions, done: str) -> None:
    item = f"{done}~pack%3Aall~1"
    run = get(functions, f"/runs/{item}").json
    assert (run["run"]["status"], [step["stepId"] for step in run["steps"]]) == ("failed", ["pack/all"])
    kinds = [event["type"] for event in get(functions, f"/runs/{item}/events").json["events"]]
    assert (kinds[0], kinds[-1]) == ("RunSubmitted", "WorkflowFailed")
    [attempt] = get(functions, f"/runs/{item}/steps/pack/all").json["attempts"]
    assert attempt["error"]["message"] == "no stock"
    assert get(functions, f"/runs/{done}~labels~0").json["output"] == {"printed": 3}


@pytest.mark.parametrize(("what", "body"), [("cancel", {}), ("retry", {}), ("resume", {})])
def test_what_is_its_parents_is_refused(functions: Functions, done: str, what: str, body: Any) -> None:
    reply = functions.asked(events.post(f"/runs/{done}~pack%3Aall~1/{what}", body))
    assert reply.status == 409
    assert done in reply.json["detail"]


def test_runs_of_steps_are_in_no_list(functions: Functions, done: str) -> None:
    assert [run["runId"] for run in get(functions, "/runs").json["runs"]] == [done]


def registration(**children: Any) -> dict[str, Any]:
    pack = {"stepId": "pack", "dependencies": ["lines"], "children": children}
    return {"name": "Packing", "steps": [{"stepId": "lines"}, pack]}


def test_a_map_is_registered_over_http(functions: Functions) -> None:
    wish = registration(kind="map", over="lines", concurrency=7)
    assert functions.asked(events.post("/workflows/packing", wish, method="PUT")).status in (200, 201)
    steps = get(functions, "/workflows/packing").json["steps"]
    assert steps[1]["children"] == {"kind": "map", "over": "lines", "concurrency": 7, "batch": 1, "tolerate": 0.0}


def test_a_batch_that_gives_too_few_results_is_refused_and_goes_on(functions: Functions) -> None:
    run_id = functions.asked(events.post("/runs", {"workflowSlug": "crates"})).json["runId"]
    functions.work()
    first, last = (f"{run_id}~fill~{number}" for number in (0, 1))
    reply = handed(functions, first, ["one"])
    assert (reply.status, [issue["path"] for issue in reply.json["issues"]]) == (400, ["output"])
    assert "2 results" in reply.json["issues"][0]["message"]
    assert said(functions, first, ["one", "two"]).json == {"status": "completed"}
    assert handed(functions, last, ["three"]).status == 200
    functions.work()
    assert get(functions, f"/runs/{run_id}").json["output"] == {"fill": ["one", "two", "three"]}


def handed(functions: Functions, run_id: str, output: Any) -> Reply:
    """What a worker elsewhere is answered that takes a batch, and returns this."""
    assert claim(functions, runId=run_id, stepId="fill", pool="packers").status == 200
    return said(functions, run_id, output)


def said(functions: Functions, run_id: str, output: Any) -> Reply:
    body = {"workerId": "mila", "attemptNumber": 1, "output": output}
    return functions.asked(events.post(f"/runs/{run_id}/steps/fill/complete", body))


@pytest.mark.parametrize(
    ("children", "status"),
    [
        ({"kind": "map", "over": "nowhere"}, 422),
        ({"kind": "workflow"}, 422),
        ({"kind": "map", "over": "lines", "concurrency": 0}, 400),
        ({"kind": "map", "over": "lines", "tolerate": 2}, 400),
        ({"kind": "many"}, 400),
    ],
)
def test_children_that_make_no_sense_are_refused(functions: Functions, children: Any, status: int) -> None:
    reply = functions.asked(events.post("/workflows/packing", registration(**children), method="PUT"))
    assert reply.status == status, reply.json
