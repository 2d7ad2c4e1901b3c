"""What a function imports before it can answer: a cold start pays for each of these."""

from __future__ import annotations

import subprocess
import sys

import pytest

from events.deployed import FUNCTIONS

NEVER = ("aws_lambda_powertools.event_handler", "cascade_flow.cli", "cascade_flow.local", "httpx", "rich", "typer")
ONLY_WORKER = ("aws_lambda_powertools.utilities.batch", "cascade_flow.worker")
HTTP = ("submission", "query", "claim", "heartbeat")


@pytest.mark.parametrize("name", [*HTTP, "reaper", "registration", "worker"])
def test_a_function_imports_only_what_it_needs(name: str) -> None:
    code = "import sys, app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=FUNCTIONS / name,
        env={"PYTHONPATH": str(FUNCTIONS.parent / "backend")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    unwanted = NEVER if name == "worker" else (*NEVER, *ONLY_WORKER)
    if name in HTTP:
        unwanted = (*unwanted, "cascade_flow.authoring")
    assert not set(unwanted) & set(loaded)
    assert "cascade_flow.settings" in loaded


@pytest.mark.parametrize("name", [*HTTP, "reaper", "registration", "worker"])
def test_a_function_is_short(name: str) -> None:
    assert len((FUNCTIONS / name / "app.py").read_text(encoding="utf-8").splitlines()) <= 60
