"""Schedules over HTTP: declared, looked at, paused, resumed, triggered, filled in; and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

import events
from cascade_flow import clock
from events.deployed import Functions, Reply, app

pytestmark = pytest.mark.servers("ministack")
DAY = 86_400_000_000
NIGHTLY = {"name": "nightly", "cron": "0 3 * * 1-5", "timezone": "Europe/Berlin", "input": {"of": "tea"}}
AT = "/workflows/orders/schedules/nightly"


def declared(functions: Functions, *schedules: dict[str, Any], **more: Any) -> Reply:
    document = {"name": "Orders", "steps": [{"stepId": "a"}], "schedules": schedules or [NIGHTLY], **more}
    return functions.http("control", events.put("/workflows/orders", document))


def said(functions: Functions, verb: str, body: Any = None, **more: Any) -> Reply:
    return functions.http("control", events.post(f"{AT}/{verb}", body or {}, **more))


def shown(functions: Functions) -> dict[str, Any]:
    found: dict[str, Any] = functions.http("query", events.get(AT)).json
    return found


def test_what_is_declared_is_listed_with_its_next_times(functions: Functions) -> None:
    assert declared(functions, NIGHTLY, {"name": "often", "everyUs": 600_000_000}).status == 200
    [nightly, often] = functions.http("query", events.get("/schedules")).json["schedules"]
    assert (nightly["workflowSlug"], nightly["name"], nightly["cron"]) == ("orders", "nightly", "0 3 * * 1-5")
    assert "input" not in nightly
    assert shown(functions) == {**nightly, "input": {"of": "tea"}}
    assert (often["everyUs"], [us - often["nextTimesUs"][0] for us in often["nextTimesUs"]]) == (
        600_000_000,
        [0, 600_000_000, 1_200_000_000],
    )
    assert functions.http("query", events.get("/schedules?workflow=parcels")).json == {"schedules": []}


def test_it_is_paused_and_resumed(functions: Functions) -> None:
    declared(functions)
    paused = said(functions, "pause").json
    assert paused["pausedAtUs"] <= clock.now_us()
    assert said(functions, "pause").json["pausedAtUs"] == paused["pausedAtUs"]
    assert "pausedAtUs" not in said(functions, "resume").json


def test_a_run_now_is_made_once_under_its_key(functions: Functions) -> None:
    declared(functions)
    replies = [said(functions, "trigger", headers={"idempotency-key": "once"}) for _ in range(2)]
    assert [reply.status for reply in replies] == [201, 200]
    [run_id] = {reply.json["runId"] for reply in replies}
    assert replies[0].headers["location"] == f"/runs/{run_id}"
    run = functions.http("query", events.get(f"/runs/{run_id}")).json["run"]
    assert (run["input"], run["tags"]) == ({"of": "tea"}, ["schedule:nightly"])
    assert said(functions, "trigger").status == 201


def test_a_range_is_filled_in_pieces(functions: Functions) -> None:
    declared(functions, {**NIGHTLY, "cron": "0 3 * * *", "timezone": "UTC"})
    now_us = clock.now_us()
    wish: dict[str, Any] = {"fromUs": now_us - 4 * DAY, "untilUs": now_us, "limit": 3}
    first = said(functions, "backfill", wish).json
    assert [run["isNew"] for run in first["runs"]] == [True] * 3
    rest = said(functions, "backfill", {**wish, "fromUs": first["moreFromUs"]}).json
    assert ([run["isNew"] for run in rest["runs"]], "moreFromUs" in rest) == ([True], False)
    again = said(functions, "backfill", {**wish, "limit": 100}).json["runs"]
    assert again == [{**run, "isNew": False} for run in [*first["runs"], *rest["runs"]]]


def test_the_reaper_submits_what_is_due(functions: Functions) -> None:
    declared(functions, {"name": "nightly", "everyUs": 60_000_000, "input": 7})
    due_us = shown(functions)["nextTimesUs"][0]
    with clock.use(clock.SteppingClock(due_us)):
        swept = app("reaper").handler(events.load("scheduler"), events.Context())
    assert swept["done"]["runs of schedules submitted"] >= 1
    found = shown(functions)
    assert found["lastTimeUs"] >= due_us
    assert functions.http("query", events.get(f"/runs/{found['lastRunId']}")).json["run"]["input"] == 7


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ({"name": "n", "cron": "0 25 * * *"}, "has '25' as its hour"),
        ({"name": "n", "cron": "0 3 * * *", "timezone": "Europe/Berln"}, "perhaps Europe/Berlin is meant"),
        ({"name": "n"}, "neither is given"),
        ({"name": "n", "everyUs": 1}, "a minute at least"),
        ({"name": "a b", "everyUs": DAY}, "is no schedule name"),
    ],
)
def test_what_is_no_schedule_is_refused(functions: Functions, schedule: dict[str, Any], told: str) -> None:
    reply = declared(functions, schedule)
    assert (reply.status, told in json.dumps(reply.json)) == (400, True)
    assert functions.http("query", events.get("/workflows/orders")).status == 404


def test_an_input_that_the_workflow_does_not_take_is_refused(functions: Functions) -> None:
    reply = declared(functions, inputSchemaJSON={"type": "array"})
    assert (reply.status, reply.json["code"]) == (422, "input-invalid")


def test_who_asks_for_what_is_not_there_is_told_so(functions: Functions) -> None:
    replies = [
        functions.http("query", events.get(AT)),
        *(said(functions, verb) for verb in ("pause", "resume", "trigger")),
    ]
    assert [(reply.status, reply.json["code"]) for reply in replies] == [(404, "schedule-not-found")] * 4


@pytest.mark.parametrize("body", [{}, {"fromUs": 2, "untilUs": 1, "more": 1}, {"fromUs": 0, "untilUs": 10**16}])
def test_a_range_that_is_none_is_refused(functions: Functions, body: dict[str, Any]) -> None:
    declared(functions)
    assert said(functions, "backfill", body).status == 400
