"""`make demo PORT=...`: the port goes through make to the demo, and one that can't be had is told in a line."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("given", "handed_on"), [(["PORT=5000"], "demo.py --port 5000"), ([], "demo.py")])
def test_make_hands_the_port_on(given: list[str], handed_on: str) -> None:
    command = ["make", "--dry-run", "--no-print-directory", "demo", *given]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].strip().endswith(handed_on)


def test_installing_says_what_it_does() -> None:
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", "setup"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"^echo \"== Installing", said, re.MULTILINE)) == 5
    assert not re.search(r"uv pip install [^\n]*--quiet[^\n]*--requirement", said)


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1"])
def test_a_port_that_is_none_is_told(
    demo: ModuleType, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["demo.py", f"--port={port}"])
    with pytest.raises(SystemExit):
        demo.main()
    assert "give a number from 1 to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(demo: ModuleType) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"port {port} is taken"):
            demo.free_port(port)
    assert demo.free_port(port) == port
