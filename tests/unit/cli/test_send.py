"""`cascade send`: what is sent, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cascade_flow.cli import exits
from unit.cli.conftest import Api, Done, problem
from unit.cli.documents import RUN_ID

Cascade = Callable[..., Done]
ROUTE = f"POST /runs/{RUN_ID}/events/approval"
SENT = {"runId": RUN_ID, "event": "approval", "isNew": True}


@pytest.fixture(autouse=True)
def waiting(api: Api) -> None:
    api.routes[ROUTE] = (201, SENT)


def test_what_is_given_is_sent(api: Api, cascade: Cascade) -> None:
    done = cascade("send", RUN_ID, "approval", "--data", '{"ok": true}', "--key", "mail-17")
    assert (done.status, done.err) == (exits.OK, "")
    assert f"✓ approval was sent to run {RUN_ID}" in done.out
    assert api.last_body == {"data": {"ok": True}, "idempotencyKey": "mail-17"}
    assert cascade("send", RUN_ID, "approval", "--json").json == SENT


def test_it_may_lie_in_a_file(api: Api, cascade: Cascade, tmp_path: Path) -> None:
    (tmp_path / "approval.json").write_text('{"ok": false}', encoding="utf-8")
    cascade("send", RUN_ID, "approval", "--data", f"@{tmp_path / 'approval.json'}")
    assert api.last_body == {"data": {"ok": False}}


@pytest.mark.parametrize("data", ["@nothing.json", "{", "perhaps"])
def test_what_is_no_json_is_not_sent(api: Api, cascade: Cascade, data: str) -> None:
    done = cascade("send", RUN_ID, "approval", "--data", data)
    assert done.status == exits.WRONG_USE
    assert "--data" in done.err
    assert ROUTE not in [asked for asked, _ in api.asked]


def test_what_was_known_is_said_to_be(api: Api, cascade: Cascade) -> None:
    api.routes[ROUTE] = (200, {**SENT, "isNew": False})
    assert "has had this approval already" in cascade("send", RUN_ID, "approval").out
    api.routes[ROUTE] = problem(409, "event-closed", "approval was sent already")
    assert cascade("send", RUN_ID, "approval").status == exits.NOT_IN_THIS_STATE


def test_data_that_does_not_fit_is_told_of_the_event(api: Api, cascade: Cascade) -> None:
    said = "the data doesn't match what event 'approval' takes: mend the fields named below"
    issues = [{"path": "data.ok", "message": '"perhaps" is not a "boolean"'}]
    api.routes[ROUTE] = problem(422, "input-invalid", said, issues=issues)
    err = cascade("send", RUN_ID, "approval", "--data", '{"ok": "perhaps"}').err
    assert "the data doesn't match what event 'approval' takes" in err
    assert 'data.ok: "perhaps" is not a "boolean"' in err
