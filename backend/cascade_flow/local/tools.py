"""The outside programs that the local stack is built with. What they complain of becomes one line."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from cascade_flow.errors import ConfigurationError


def uv() -> str:
    """The path of uv, beside this interpreter or anywhere. ConfigurationError where there is none."""
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("uv", path=scripts) or shutil.which("uv")
    if not found:
        raise ConfigurationError("The local stack is built with uv, and there is none. Install it: pip install uv")
    return found


def run(
    command: Sequence[str], purpose: str, *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return what it printed; with this process's environment unless another is given.

    ConfigurationError, with the last that it said, where it fails.
    """
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip() or "it said nothing").splitlines()
        raise ConfigurationError(f"Could not {purpose}: {' / '.join(line.strip() for line in said[-3:])}")
    return ended.stdout
