"""What a command imports before it can answer: every one of these costs a tenth of a second and more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unit.cli.conftest import Api
from unit.cli.documents import RUN_ID

NEVER = (
    "boto3",
    "botocore.auth",
    "botocore.client",
    "botocore.session",
    "cascade_flow.authoring",
    "cascade_flow.backend",
    "cascade_flow.local.deployment",
    "cascade_flow.model.events",
    "cascade_flow.operations",
    "httpx",
    "jsonschema",
    "jsonschema_rs",
    "pydantic",
)
ONLY_WITH_AN_ENGINE = ("cascade_flow.client", "cascade_flow.local", "cascade_flow.signing", "urllib3")
CODE = (
    "import json, sys; from cascade_flow.cli.app import run; run(sys.argv[1:]); json.dump([*sys.modules], sys.stderr)"
)


def imported(arguments: list[str], folder: Path) -> set[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout
    return set(json.loads(done.stderr))


@pytest.mark.parametrize("arguments", [["--help"], ["show", "--help"], ["--version"]])
def test_help_imports_no_engine(arguments: list[str], tmp_path: Path) -> None:
    assert not {*NEVER, *ONLY_WITH_AN_ENGINE} & imported(arguments, tmp_path)


@pytest.mark.parametrize("arguments", [["show", RUN_ID], ["show", RUN_ID, "--json"], ["events", RUN_ID], ["runs"]])
def test_a_question_imports_what_it_needs(api: Api, tmp_path: Path, arguments: list[str]) -> None:
    code = f"""
import json, sys
from cascade_flow.client import Client
from cascade_flow.local import endpoints
from cascade_flow.signing import StaticKeys

endpoints.local_client = lambda _: Client({api.url!r}, session=StaticKeys("k", "s"))
from cascade_flow.cli.app import run
assert run({arguments!r}) == 0
json.dump([*sys.modules], sys.stderr)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout
    assert not set(NEVER) & set(json.loads(done.stderr))
