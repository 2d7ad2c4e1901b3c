"""Runs gone on from, one or many: what is shown first, who is asked, what is sent, and how it ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.cli import exits
from unit.cli.conftest import Api, Done, problem
from unit.cli.documents import DONE, FAILED, NOW_US, RUN_ID

Cascade = Callable[..., Done]
NEW_ID = "a305eedd29d536c7"
PLAN = {"versionId": "sha256:abc", "keeps": ["read"], "runsAgain": ["check", "chart"]}
MADE = {"runId": NEW_ID, "isNew": True, "keeps": ["read"], "runsAgain": ["check", "chart"]}
PIECES = [
    (200, {"count": 2, "refused": [], "nextCursor": "1~a"}),
    (200, {"count": 1, "refused": [{"runId": RUN_ID, "code": "run-not-retryable", "detail": "it is running"}]}),
]


class Terminal(io.StringIO):
    """Somebody who can be asked."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def again(api: Api) -> Any:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, FAILED)
    api.routes[f"GET /runs/{RUN_ID}/rerun"] = (200, PLAN)
    api.routes[f"POST /runs/{RUN_ID}/retry"] = (200, {"run": FAILED["run"]})
    api.routes[f"POST /runs/{RUN_ID}/resume"] = (201, MADE)
    api.routes[f"POST /runs/{RUN_ID}/rerun"] = (201, MADE)
    api.routes[f"GET /runs/{NEW_ID}"] = (200, DONE)
    api.routes["GET /runs"] = (200, {"runs": [FAILED["run"]], "total": 3, "totalIsExact": True})
    api.routes["POST /runs/retry"] = [*PIECES]
    api.routes["POST /runs/cancel"] = [*PIECES]
    with clock.use(clock.SteppingClock(NOW_US)):
        yield


def bodies(api: Api, route: str) -> list[Any]:
    return [body for asked, body in api.asked if asked == route]


def test_a_run_is_tried_again(api: Api, cascade: Cascade) -> None:
    done = cascade("retry", RUN_ID, "--reason", "why not")
    assert (done.status, done.err) == (exits.OK, "")
    assert f"✓ run {RUN_ID} of mishaps is tried again" in done.out
    assert f"cascade show {RUN_ID} --watch" in done.out
    assert api.last_body == {"reason": "why not"}
    assert cascade("retry", RUN_ID, "--json").json == FAILED["run"]


def test_what_is_in_no_state_for_it_has_a_status_of_its_own(api: Api, cascade: Cascade) -> None:
    api.routes[f"POST /runs/{RUN_ID}/retry"] = problem(409, "run-not-retryable", "the run is completed")
    assert cascade("retry", RUN_ID).status == exits.NOT_IN_THIS_STATE


@pytest.mark.parametrize(
    ("arguments", "asked", "body"),
    [
        (["resume"], f"GET /runs/{RUN_ID}/rerun", {}),
        (["rerun", "--from", "check"], f"GET /runs/{RUN_ID}/rerun?fromStepId=check", {"fromStepId": "check"}),
        (
            ["rerun", "--from", "check", "--input", '{"a": 1}'],
            f"GET /runs/{RUN_ID}/rerun?fromStepId=check",
            {"fromStepId": "check", "input": {"a": 1}},
        ),
    ],
)
def test_what_is_kept_is_shown_first(
    api: Api, cascade: Cascade, arguments: list[str], asked: str, body: dict[str, Any]
) -> None:
    verb, *rest = arguments
    done = cascade(verb, RUN_ID, *rest, "--yes")
    assert (done.status, done.err) == (exits.OK, "")
    assert done.out.index("keeps       read") < done.out.index("runs again  check, chart") < done.out.index(NEW_ID)
    assert api.asked[0][0] == asked
    assert api.asked[-1] == (f"POST /runs/{RUN_ID}/{verb}", body)


def test_with_json_the_answer_stands_alone(cascade: Cascade) -> None:
    done = cascade("resume", RUN_ID, "--yes", "--json")
    assert done.json == MADE
    assert "runs again" in done.err


def test_a_new_run_is_watched_to_its_end(cascade: Cascade) -> None:
    done = cascade("rerun", RUN_ID, "--from", "check", "--yes", "--watch")
    assert (done.status, "4.0 kB of SVG" in done.out) == (exits.OK, True)


def test_a_rerun_without_a_step_names_those_there_are(api: Api, cascade: Cascade) -> None:
    done = cascade("rerun", RUN_ID)
    assert done.status == exits.WRONG_USE
    assert "--from: name the step to begin with; there are: read, check, chart" in done.err
    assert not bodies(api, f"POST /runs/{RUN_ID}/rerun")


@pytest.mark.parametrize(
    "arguments",
    [["resume", RUN_ID], ["rerun", RUN_ID, "--from", "check"], ["retry", "--tag", "a"], ["cancel", "--tag", "a"]],
)
def test_where_nobody_can_be_asked_nothing_is_done(
    api: Api, cascade: Cascade, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    done = cascade(*arguments)
    assert (done.status, "say yes with --yes" in done.err) == (exits.WRONG_USE, True)
    assert not [asked for asked, _ in api.asked if asked.startswith("POST")]


@pytest.mark.parametrize(("typed", "status", "is_done"), [("y\n", exits.NOT_AS_PROMISED, True), ("n\n", 130, False)])
def test_who_is_asked_hears_how_many_there_are(
    api: Api, cascade: Cascade, monkeypatch: pytest.MonkeyPatch, typed: str, status: int, is_done: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    done = cascade("retry", "--workflow", "mishaps", "--tag", "nightly")
    assert done.status == status
    assert "Retry 3 runs (failed, of mishaps, with the tag nightly)?" in done.err
    assert bool(bodies(api, "POST /runs/retry")) is is_done


def test_many_are_done_piece_by_piece_and_counted(api: Api, cascade: Cascade) -> None:
    done = cascade("retry", "--workflow", "mishaps", "--since", "24h", "--reason", "again", "--yes")
    assert done.status == exits.NOT_AS_PROMISED
    assert "✓ 3 runs tried again." in done.out
    assert "✗ 1 run refused:" in done.out
    assert "it is running" in done.out
    first, second = bodies(api, "POST /runs/retry")
    wish = {
        "workflowSlug": "mishaps",
        "status": ["failed"],
        "createdAfterUs": NOW_US - 86_400_000_000,
        "reason": "again",
    }
    assert {**first, "createdAfterUs": first["createdAfterUs"] // 10**9} == {
        **wish,
        "createdAfterUs": wish["createdAfterUs"] // 10**9,  # type: ignore[operator]
    }
    assert second == {**first, "cursor": "1~a"}


def test_many_with_json_are_one_document(api: Api, cascade: Cascade) -> None:
    done = cascade("cancel", "--workflow", "mishaps", "--yes", "--json")
    assert done.json == {"count": 3, "refused": PIECES[1][1]["refused"]}
    assert bodies(api, "POST /runs/cancel")[0] == {"workflowSlug": "mishaps", "status": ["pending", "running"]}


def test_where_none_matches_nobody_is_asked(api: Api, cascade: Cascade) -> None:
    api.routes["GET /runs"] = (200, {"runs": [], "total": 0, "totalIsExact": True})
    done = cascade("cancel", "--tag", "none")
    assert (done.status, done.out) == (exits.OK, "No run matches: pending or running, with the tag none.\n")
    assert cascade("cancel", "--tag", "none", "--json").json == {"count": 0, "refused": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry"], "name a run, or several by --workflow"),
        (["cancel", RUN_ID, "--tag", "a"], "not both"),
        (["cancel", "--status", "failed", "--yes"], "give pending or running"),
        (["retry", "--status", "running", "--yes"], "give failed or cancelled"),
        (["retry", "--since", "oops", "--yes"], "give a duration"),
        (["retry", "--tag", "a", "--watch"], "watches one run"),
        (["retry", "no id!"], "is no run's id"),
        (["rerun", RUN_ID, "--from", "check", "--input", "{"], "--input"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_a_line(cascade: Cascade, arguments: list[str], said: str) -> None:
    done = cascade(*arguments)
    assert (done.status, done.out) == (exits.WRONG_USE, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1
