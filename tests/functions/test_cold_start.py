"""What a function imports before it can answer: a cold start pays for each of these."""

from __future__ import annotations

import subprocess
import sys

import pytest

from events.deployed import FUNCTIONS

NEVER = (
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "boto3",
    "botocore.client",
    "s3transfer",
    "cascade_flow.cli",
    "cascade_flow.local",
    "httpx",
    "rich",
    "typer",
)
ONLY_WORKER = ("cascade_flow.worker",)
NEVER_WHERE_HOT = (
    "boto3",
    "botocore.session",
    "botocore.client",
    "s3transfer",
    "jsonschema_rs",
    "cascade_flow.analytics",
    "cascade_flow.backend",
    "cascade_flow.contract",
    "cascade_flow.model.reports",
    "cascade_flow.operations.caller_steps",
    "cascade_flow.operations.copies",
    "cascade_flow.operations.reports",
)
_FOLDS = (
    "cascade_flow.engine.caller",
    "cascade_flow.model.states",
    "cascade_flow.operations.history",
    "cascade_flow.operations.validation",
    "cascade_flow.projection",
)
_OTHERS = ("cascade_flow.api.submission_shapes", "cascade_flow.api.query_shapes")
NEVER_AT_FIRST = {
    "worker": (
        "cascade_flow.authoring.growing",
        "cascade_flow.authoring.schedules",
        "cascade_flow.dynamodb.caller_ledger",
        "cascade_flow.engine.children",
        "cascade_flow.operations.checkpoints",
        "cascade_flow.operations.children",
        "cascade_flow.operations.logs",
        "cascade_flow.operations.runs",
        "cascade_flow.operations.sweep",
        "cascade_flow.worker.children",
        *_FOLDS,
    ),
    "claim": ("cascade_flow.api.heartbeat_shapes", *_OTHERS),
    "heartbeat": ("cascade_flow.api.worker_shapes", *_OTHERS),
}
"""What a function may need later, or another one's requests."""
HOT = ("worker", "claim", "heartbeat", "reaper")
HTTP = ("submission", "query", "analytics", "control", "service", "diagnosis", "claim", "heartbeat")


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
    if name in HOT:
        unwanted = (*unwanted, *NEVER_WHERE_HOT)
    if name in HTTP:
        unwanted = (*unwanted, "cascade_flow.authoring")
    unwanted = (*unwanted, *NEVER_AT_FIRST.get(name, ()))
    assert not set(unwanted) & set(loaded)
    assert "cascade_flow.settings" in loaded


@pytest.mark.parametrize("name", [*HTTP, "reaper", "registration", "worker"])
def test_a_function_is_short(name: str) -> None:
    assert len((FUNCTIONS / name / "app.py").read_text(encoding="utf-8").splitlines()) <= 60
