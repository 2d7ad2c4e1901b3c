"""A test that hangs ends its process, and is told: which it was, and where its threads and greenlets stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import limits

HANGING = """
import threading

import pytest

from testbed.turnstile import Turnstile


def never_ends():
    threading.Event().wait()


def play():
    Turnstile().run(1, {"a": never_ends, "b": never_ends})


@pytest.mark.timeout(1)
@pytest.mark.parametrize("act", [never_ends, play])
def test_hanging(act):
    act()
"""


@pytest.mark.parametrize(("act", "processes"), [("never_ends", "0"), ("play", "1")])
def test_a_test_that_hangs_is_told_by_name(tmp_path: Path, act: str, processes: str) -> None:
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "test_it.py").write_text(HANGING)
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "limits", "-n", processes, f"test_it.py::test_hanging[{act}]"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(limits.__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert told.returncode != 0
    assert f"test_it.py::test_hanging[{act}] has not ended after 1" in told.stderr
    assert "in never_ends" in told.stderr
    assert "in test_hanging" in told.stderr
