"""`cascade schedules` and what `doctor` says of them, against an API of fixed answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.cli import exits
from unit.cli.conftest import Api, Done, problem

Cascade = Callable[..., Done]
S, DAY = 1_000_000, 86_400_000_000
THREE_US = 1_795_744_800_000_000
"""2026-11-27T02:00Z: three o'clock in Berlin."""
NOW_US = THREE_US - 9 * 3_600 * S
PLACE = {"workflowSlug": "orders", "name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin"}
NIGHTLY = {**PLACE, "missed": "latest", "nextTimesUs": [THREE_US, THREE_US + DAY, THREE_US + 2 * DAY]}
OFTEN = {**NIGHTLY, "name": "often", "everyUs": 600 * S, "nextTimesUs": [NOW_US + 60 * S]}
PAUSED = {**NIGHTLY, "pausedAtUs": NOW_US - DAY}
FAILING = {**NIGHTLY, "failedTimeUs": THREE_US - DAY, "error": "InputInvalidError: input.of: is no text"}
RAN = {**NIGHTLY, "lastTimeUs": THREE_US - DAY, "lastRunId": "01AB", "input": {"of": "tea"}}
AT = "/workflows/orders/schedules/nightly"


@pytest.fixture(autouse=True)
def _now() -> Any:
    with clock.use(clock.SteppingClock(NOW_US)):
        yield


def test_they_are_listed_with_what_comes_next(api: Api, cascade: Cascade) -> None:
    api.routes["GET /schedules"] = (200, {"schedules": [RAN, OFTEN, PAUSED, FAILING]})
    for words in (["schedules"], ["schedules", "list"], ["schedules", "list", "orders"]):
        said = cascade(*words)
        assert said.status == exits.OK
        for told in (
            "0 3 * * *, Europe/Berlin",
            "03:00 CET",
            "in 9 h",
            "every 10 min",
            "paused 1 d ago",
            "failed 15 h ago",
        ):
            assert told in " ".join(said.out.split()), (words, told)
    assert api.asked[-1][0] == "GET /schedules?workflow=orders"
    assert [each["name"] for each in cascade("schedules", "--json").json] == ["nightly", "often", "nightly", "nightly"]
    assert cascade("schedules", "--json", "list").json == cascade("schedules", "list", "--json").json


def test_where_there_is_none_it_says_how_to_declare_one(api: Api, cascade: Cascade) -> None:
    api.routes["GET /schedules"] = (200, {"schedules": []})
    assert 'orders.schedule("nightly", cron="0 3 * * *")' in cascade("schedules").out
    assert cascade("schedules", "--json").json == []


def test_one_is_shown_in_its_zone_and_from_now(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET {AT}"] = (200, {**RAN, **FAILING, **PAUSED})
    said = " ".join(cascade("schedules", "show", "orders", "nightly").out.split())
    for told in (
        "Fri 2026-11-27 03:00 CET (in 9 h",
        "Sat 2026-11-28 03:00 CET",
        "Sun 2026-11-29 03:00 CET",
        "the latest of them has a run",
        '{"of": "tea"}',
        "Thu 2026-11-26 03:00 CET, run 01AB",
        "since Wed 2026-11-25 18:00 CET",
        "Thu 2026-11-26 03:00 CET: InputInvalidError: input.of: is no text",
        "cascade runs --workflow orders --tag schedule:nightly",
    ):
        assert told in said
    assert cascade("schedules", "show", "orders", "nightly", "--json").json == {**RAN, **FAILING, **PAUSED}


def test_it_is_paused_and_resumed(api: Api, cascade: Cascade) -> None:
    api.routes[f"POST {AT}/pause"] = (200, {**PAUSED, "lastTimeUs": NOW_US + 30 * S, "lastRunId": "01AB"})
    said = cascade("schedules", "pause", "orders", "nightly").out
    assert "nightly of orders is paused." in said
    assert "on its way already" in said
    assert "cascade cancel 01AB" in said
    api.routes[f"POST {AT}/resume"] = (200, NIGHTLY)
    assert "goes on: Fri 2026-11-27 03:00 CET." in cascade("schedules", "resume", "orders", "nightly").out


def test_a_run_now(api: Api, cascade: Cascade) -> None:
    api.routes[f"POST {AT}/trigger"] = (201, {"runId": "01AB", "isNew": True})
    assert "cascade show 01AB --watch" in cascade("schedules", "trigger", "orders", "nightly").out
    assert cascade("schedules", "trigger", "orders", "nightly", "--json").json == {"runId": "01AB", "isNew": True}


def test_a_range_is_filled_piece_by_piece_in_the_schedules_zone(api: Api, cascade: Cascade) -> None:
    first = {"runs": [{"timeUs": THREE_US - 2 * DAY, "runId": "01AA", "isNew": True}], "moreFromUs": THREE_US - DAY}
    last = {"runs": [{"timeUs": THREE_US - DAY, "runId": "01AB", "isNew": False}]}
    api.routes |= {f"GET {AT}": (200, NIGHTLY), f"POST {AT}/backfill": [(200, first), (200, last)]}
    words = ["schedules", "backfill", "orders", "nightly", "--from", "2026-11-25", "--until", "2026-11-25"]
    said = cascade(*words, "--yes").out
    assert "1 run submitted, 1 were there already." in said
    assert "Thu 2026-11-26 03:00 CET" in said
    asked = [body for target, body in api.asked if target == f"POST {AT}/backfill"]
    begin_us = THREE_US - 2 * DAY - 3 * 3_600 * S
    assert asked == [
        {"fromUs": begin_us, "untilUs": begin_us + DAY - 1},
        {"fromUs": THREE_US - DAY, "untilUs": begin_us + DAY - 1},
    ]
    assert cascade(*words, "--yes", "--json").json == {"runs": last["runs"]}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from", "yesterday"], "is no time: 2026-11-01 and 2026-11-01T03:00 are some"),
        (["--from", "2026-12-24"], "the range is empty"),
        (["--from", "2026-11-20", "--until", "2026-11-19"], "the range is empty"),
        (["--from", "2026-11-20"], "say yes with --yes"),
    ],
)
def test_a_range_that_is_none_is_refused(api: Api, cascade: Cascade, options: list[str], told: str) -> None:
    api.routes[f"GET {AT}"] = (200, NIGHTLY)
    said = cascade("schedules", "backfill", "orders", "nightly", *options)
    assert (said.status, told in said.err) == (exits.WRONG_USE, True)


def test_what_the_api_refuses_of_a_range_is_told_of_what_was_typed(api: Api, cascade: Cascade) -> None:
    wrong = [{"path": "fromUs", "message": "Input should be greater than or equal to 0"}]
    refused = problem(422, "request-invalid", "the request is not valid", issues=wrong)
    api.routes |= {f"GET {AT}": (200, NIGHTLY), f"POST {AT}/backfill": refused}
    said = cascade("schedules", "backfill", "orders", "nightly", "--from", "1900-01-01", "--yes")
    assert said.err.startswith("error: --from: ")


def test_one_that_is_not_there_is_told_so(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET {AT}"] = problem(404, "schedule-not-found", "workflow 'orders' has no schedule 'nightly'")
    said = cascade("schedules", "show", "orders", "nightly")
    assert (said.status, "has no schedule 'nightly'" in said.err) == (exits.NOT_THERE, True)


def test_the_doctor_tells_which_fail_and_which_are_paused(api: Api, cascade: Cascade) -> None:
    api.routes["GET /diagnosis"] = (200, {"runs": [], "engine": [], "lookedAt": 0})
    api.routes["GET /schedules"] = (200, {"schedules": [RAN, PAUSED]})
    said = cascade("doctor")
    assert said.status == exits.OK
    assert "schedule nightly of orders: paused since Wed 2026-11-25 18:00 CET" in said.out
    api.routes["GET /schedules"] = (200, {"schedules": [FAILING]})
    said = cascade("doctor")
    assert said.status == exits.NOT_AS_PROMISED
    assert "its time of Thu 2026-11-26 03:00 CET has no run: InputInvalidError: input.of: is no text" in " ".join(
        said.out.split()
    )
    assert cascade("doctor", "--json").json["schedules"][0]["schedule"] == "nightly"
