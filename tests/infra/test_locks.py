"""What is installed is written down: exact versions with hashes, and the same one wherever two locks name a package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.written import ROOT

DEV = ROOT / "requirements/dev.txt"
LAYER = ROOT / "layers/framework/requirements.txt"
EMULATOR = ROOT / "backend/cascade_flow/local/emulator.txt"
LOCKS = [DEV, ROOT / "requirements/run.txt", LAYER, EMULATOR]


def _pins(lock: Path) -> dict[str, str]:
    found = re.findall(
        r"^([a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(found)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_line_is_a_pin_with_its_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith(("#", "--hash="))]
    assert lines
    assert all("==" in line and line.endswith("\\") for line in lines)
    assert "://" not in text


@pytest.mark.parametrize("lock", [ROOT / "requirements/run.txt", LAYER], ids=["run", "layer"])
def test_what_ships_is_what_is_tested(lock: Path) -> None:
    tested = _pins(DEV)
    assert {name: tested.get(name) for name in _pins(lock)} == _pins(lock)


def test_the_layer_leaves_boto3_to_the_runtime() -> None:
    assert not {"boto3", "botocore"} & set(_pins(LAYER))


def test_one_emulator_serves_tests_and_the_local_stack() -> None:
    assert _pins(EMULATOR)["ministack"] == _pins(DEV)["ministack"]
