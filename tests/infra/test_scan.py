"""`make scan` notices: what is unsafe in the code and in the template, planted, fails it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.written import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make scan` looks at, to be spoiled."""
    for name in ("Makefile", "pyproject.toml", ".checkov.yaml", "template.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("backend", "functions", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    subprocess.run(["make", ".tools/scan/installed"], cwd=ROOT, check=True, capture_output=True)
    (tmp_path / ".tools").symlink_to(ROOT / ".tools")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def scan(checkout: Path) -> subprocess.CompletedProcess[str]:
    tools = ["--old-file", ".tools/scan/installed"]
    return subprocess.run(["make", *tools, "scan"], cwd=checkout, capture_output=True, text=True, check=False)


def test_what_is_committed_is_clean(checkout: Path) -> None:
    scanned = scan(checkout)
    assert scanned.returncode == 0, scanned.stdout + scanned.stderr


def test_a_shell_that_runs_what_it_is_told_is_noticed(checkout: Path) -> None:
    planted = "import subprocess\n\n\ndef run(told: str) -> None:\n    subprocess.run(told, shell=True)\n"
    (checkout / "functions/query/told.py").write_text(planted)
    scanned = scan(checkout)
    assert scanned.returncode != 0
    assert "B602" in scanned.stdout + scanned.stderr


def test_a_bucket_that_everybody_may_read_is_noticed(checkout: Path) -> None:
    template = checkout / "template.yaml"
    guarded = "BlockPublicAcls: true, BlockPublicPolicy: true"
    text = template.read_text(encoding="utf-8")
    assert guarded in text
    template.write_text(text.replace(guarded, "BlockPublicAcls: false, BlockPublicPolicy: false"), encoding="utf-8")
    scanned = scan(checkout)
    assert scanned.returncode != 0
    assert "CKV_AWS_5" in scanned.stdout + scanned.stderr
