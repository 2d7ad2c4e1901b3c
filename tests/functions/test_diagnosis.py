"""Why runs stand where they stand, and what a deployment would do to them, asked over HTTP."""

from __future__ import annotations

import pytest

import events
from cascade_flow import clock
from cascade_flow.operations.pulse import Pulse
from events.deployed import Functions

pytestmark = pytest.mark.servers("ministack")
LATER_US = 40_000_000


def test_a_lost_wake_up_is_told_in_words_and_times(functions: Functions) -> None:
    run_id = functions.submit()
    functions.lose_messages()
    begun_us = clock.now_us()
    with clock.use(clock.SteppingClock(begun_us + LATER_US)):
        Pulse().beat(functions.backend.runtime, begun_us)
        found = functions.http("diagnosis", events.get("/diagnosis")).json
        alone = functions.http("diagnosis", events.get(f"/runs/{run_id}/diagnosis")).json
    [run] = found["runs"]
    [finding] = run["findings"]
    assert (found["engine"], found["lookedAt"], "nextCursor" in found) == ([], 1, False)
    assert (run["runId"], run["workflowSlug"], run["isWell"]) == (run_id, "parcels", False)
    assert (finding["code"], finding["severity"], finding["stepId"]) == ("wake-up-lost", "late", "weigh")
    assert "its wake-up is lost; the sweep in" in finding["sentence"]
    assert finding["untilUs"] == begun_us + 60_000_000
    assert alone["findings"][0]["code"] == "wake-up-lost"


def test_pieces_go_on_where_the_last_one_ended(functions: Functions) -> None:
    runs = {functions.submit() for _ in range(5)}
    functions.lose_messages()
    told, target = [], "/diagnosis?limit=2"
    with clock.use(clock.SteppingClock(clock.now_us() + LATER_US)):
        while target:
            piece = functions.http("diagnosis", events.get(target)).json
            told += [run["runId"] for run in piece["runs"]]
            target = f"/diagnosis?limit=2&cursor={piece['nextCursor']}" if "nextCursor" in piece else ""
    assert sorted(told) == sorted(runs)


def test_a_preflight_tells_what_would_break(functions: Functions) -> None:
    run_id = functions.submit()
    registered = functions.http("query", events.get("/workflows/parcels")).json
    step_ids = [step["stepId"] for step in registered["steps"]]
    same = {"workflowSlug": "parcels", "versionId": registered["versionId"], "stepIds": step_ids}

    def asked(*workflows: object, **more: object) -> object:
        return functions.http("diagnosis", events.post("/preflight", {"workflows": [*workflows], **more})).json

    assert asked(same) == {"unaffected": 1, "changed": 0, "broken": []}
    assert asked({**same, "versionId": "v2"}) == {"unaffected": 0, "changed": 1, "broken": []}
    broken = {"runId": run_id, "workflowSlug": "parcels", "stepIds": ["bill"]}
    gone = asked({**same, "versionId": "v2", "stepIds": step_ids[:-1]}, limit=1)
    assert isinstance(gone, dict)
    assert gone["broken"] == [broken]


@pytest.mark.parametrize(
    "event",
    [
        events.get("/diagnosis?limit=0"),
        events.get("/diagnosis?cursor=later"),
        events.get("/diagnosis?cursor=%EA%A7%97"),
        events.get("/diagnosis?nothing=1"),
        events.post("/preflight"),
        events.post("/preflight", {"workflows": [{"workflowSlug": "a", "versionId": "v"}]}),
        events.post("/preflight", {"workflows": [], "cursor": "-1"}),
        events.post("/preflight", {"workflows": [], "cursor": "\u0667"}),
    ],
)
def test_what_is_asked_wrongly_is_refused(untouched: Functions, event: events.Event) -> None:
    reply = untouched.http("diagnosis", event)
    assert (reply.status, reply.json["code"]) == (400, "request-invalid")


def test_nobody_is_diagnosed_who_is_not_there(untouched: Functions) -> None:
    assert untouched.http("diagnosis", events.get("/runs/nobody/diagnosis")).status == 404
