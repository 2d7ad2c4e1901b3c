"""What the console's folder needs of Node: what its lock names, installed once, whoever asks first; its commands."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

CONSOLE = Path(__file__).parents[1] / "console"


def node(*command: str, **variables: str) -> str:
    """What a command in the console's folder says; its failure is the test's."""
    done = subprocess.run(
        [_tool("npm"), *command], cwd=CONSOLE, capture_output=True, text=True, check=False, env=os.environ | variables
    )
    assert done.returncode == 0, f"npm {' '.join(command)}: {done.stdout[-4_000:]}\n{done.stderr[-2_000:]}"
    return done.stdout


@cache
def modules() -> Path:
    """Where they are; they are made anew for each lock, by one process at a time."""
    there, lock = CONSOLE / "node_modules", CONSOLE / "package-lock.json"
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        made = there / ".package-lock.json"
        if not made.exists() or made.stat().st_mtime < lock.stat().st_mtime:
            node("ci")
    return there


def _tool(name: str) -> str:
    message = f"{name} is not installed, so the console can't be built: install Node 20 or later"
    if (path := shutil.which(name)) is None:
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
