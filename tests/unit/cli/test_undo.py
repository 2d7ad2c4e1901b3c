"""A run that is undone, and the one that undoes it: what people see of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unit.cli.conftest import Api, Done
from unit.cli.documents import BUSY_ID, FAILED, RUN_ID

Cascade = Callable[..., Done]


def undone(status: str) -> dict[str, Any]:
    """A failed run that another undoes."""
    return {**FAILED, "run": {**FAILED["run"], "undoneBy": BUSY_ID}, "undoStatus": status}


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        ("completed", f"undone by  {BUSY_ID}: completed", "how what it had done was undone"),
        ("running", f"undone by  {BUSY_ID}: running", "how what it had done is undone"),
        ("cancelled", f"undone by  {BUSY_ID}: cancelled", "how what it had done is undone"),
        ("failed", f"UNDO FAILED in run {BUSY_ID}", "UNDO FAILED: what was not undone"),
    ],
)
def test_show_says_at_the_top_how_it_was_undone(api: Api, cascade: Cascade, status: str, said: str, hint: str) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, undone(status))
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    shown = cascade("show", RUN_ID).out
    assert said in shown.partition("submitted")[0]
    assert f"cascade show {BUSY_ID} --watch" in shown
    assert hint in shown


def test_show_says_what_it_undoes(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, {**FAILED, "run": {**FAILED["run"], "undoes": BUSY_ID}})
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    assert f"undoes     {BUSY_ID}" in cascade("show", RUN_ID).out


def test_a_list_links_the_two(api: Api, cascade: Cascade) -> None:
    run = FAILED["run"]
    undo = {**run, "runId": BUSY_ID, "status": "completed", "undoes": RUN_ID}
    api.routes["GET /runs"] = (200, {"runs": [undo, {**run, "undoneBy": BUSY_ID}, {**run, "runId": "other"}]})
    first, second, other = cascade("runs").out.splitlines()[-3:]
    assert (f"undo of {RUN_ID}" in first, f"undone by {BUSY_ID}" in second) == (True, True)
    assert "und" not in other


def test_a_list_without_any_is_as_ever(api: Api, cascade: Cascade) -> None:
    api.routes["GET /runs"] = (200, {"runs": [FAILED["run"]]})
    assert "undo" not in cascade("runs").out
