"""Undoing over HTTP: the run that undoes another is told of beside it, claimed as any, and counts as none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import events
from checker import check_run
from events.deployed import Functions, Reply
from events.emitted import Emitted

pytestmark = pytest.mark.servers("ministack")
Captured = pytest.CaptureFixture[str]
STEPS = [
    {"stepId": "book", "name": "book", "undo": {"stepId": "unbook", "name": "unbook"}},
    {"stepId": "pay", "name": "pay", "dependencies": ["book"], "retry": [{"maxAttempts": 1}]},
]


@pytest.fixture
def said(functions: Functions) -> Callable[..., Reply]:
    """What a worker of one's own says of the step that it was given last."""
    claim: dict[str, Any] = {}

    def say(word: str, **fields: Any) -> Reply:
        if word == "claim":
            reply = functions.http("claim", events.post("/steps/claim", {"workerId": "mila", **fields}))
            claim.update(reply.json)
            return reply
        place = f"/runs/{claim['runId']}/steps/{claim['stepId']}/{word}"
        said = {"workerId": "mila", "attemptNumber": claim["attemptNumber"], **fields}
        return functions.asked(events.post(place, said))

    return say


def run_of(functions: Functions, run_id: str) -> dict[str, Any]:
    document: dict[str, Any] = functions.asked(events.get(f"/runs/{run_id}")).json
    return document


def test_a_run_that_fails_is_undone(functions: Functions, said: Callable[..., Reply], capsys: Captured) -> None:
    wish = {"name": "Trips", "steps": STEPS}
    assert functions.asked(events.post("/workflows/trips", wish, method="PUT")).status == 200
    run_id = functions.submit(workflowSlug="trips", input={"who": "mila"}, tags=["red"])
    said("claim", runId=run_id, stepId="book")
    said("complete", output={"number": 7})
    said("claim", runId=run_id, stepId="pay")
    capsys.readouterr()
    assert said("fail", error={"name": "ValueError", "message": "no money"}, retryable=False).status == 200
    counted = Emitted(capsys.readouterr().out)
    assert (counted.of("RunsFailed"), counted.of("RunsSubmitted")) == ([1], [])

    failed = run_of(functions, run_id)
    undo_id = failed["run"]["undoneBy"]
    assert (failed["undoStatus"], failed["run"]["status"]) == ("running", "failed")
    undo = run_of(functions, undo_id)
    assert (undo["run"]["undoes"], undo["run"]["tags"]) == (run_id, ["red", "undo"])
    assert [step["stepId"] for step in undo["steps"]] == ["unbook"]
    [listed] = functions.asked(events.get("/runs?workflow=trips&tag=undo")).json["runs"]
    assert (listed["runId"], listed["undoes"]) == (undo_id, run_id)

    given = said("claim", runId=undo_id, stepId="unbook").json
    assert (given["input"], given["outputs"]) == ({"who": "mila"}, {"book": {"number": 7}})
    assert given["firstRunId"] == undo_id
    said("fail", error={"name": "OSError", "message": "away"}, retryable=False)
    counted = Emitted(capsys.readouterr().out)
    assert (counted.of("UndoFailed", workflow="trips"), counted.of("RunsFailed")) == ([1], [])
    assert run_of(functions, run_id)["undoStatus"] == "failed"
    [late] = functions.asked(events.get("/diagnosis")).json["runs"]
    assert (late["runId"], [finding["code"] for finding in late["findings"]]) == (undo_id, ["undo-failed"])
    for each in (run_id, undo_id):
        check_run(functions.backend, each)

    refused = functions.asked(events.post(f"/runs/{run_id}/retry", {}))
    assert (refused.status, refused.json["code"]) == (409, "run-not-retryable")
    rate = functions.asked(events.get("/analytics/success-rate")).json
    assert (rate["totalRuns"], rate["failedRuns"], rate["failedSteps"]) == (1, 1, 2)
