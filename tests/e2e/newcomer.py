"""Somebody who has the wheel and nothing else of this repository: a folder outside of it, an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade_flow.local import Project
from cascade_flow.local.tools import uv
from e2e.lifeline import lifeline
from e2e.stack import free_port
from infra.thin import share_emulator
from infra.written import ROOT

_VARIABLES = ("HOME", "LANG", "UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "SSL_CERT_FILE")
"""What of this process's environment a newcomer has too: where the machine gets packages from."""


def build_wheel(folder: Path, *options: str) -> Path:
    """This repository's wheel; made of its sdist, unless an option says otherwise."""
    subprocess.run([uv(), "build", "--quiet", "--out-dir", str(folder), *options, str(ROOT)], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def environment_of_ours(place: Path, wheel: Path) -> Path:
    """The wheel, and all other packages as they are installed here: quick to make. Its folder of programs."""
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    python = str(place / "bin/python")
    subprocess.run([uv(), "pip", "install", "--quiet", "--no-deps", "--python", python, str(wheel)], check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    (place / "bin/uv").symlink_to(uv())
    return place / "bin"


def environment_from_scratch(place: Path, wheel: Path) -> Path:
    """As the README says: pip install, of the wheel and of pytest."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, str(wheel), "pytest"], check=True)
    return place / "bin"


@dataclass(frozen=True)
class Newcomer:
    """A person at a terminal, in a project's folder."""

    programs: Path
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def types(self, program: str, *arguments: str, status: int = 0, of: str = "") -> str:
        """What the command answers, or complains; it must end with this status."""
        ended = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == status, f"{program} {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
        said: str = getattr(ended, of or ("stderr" if status else "stdout"))
        return said

    def answer(self, *arguments: str) -> Any:
        return json.loads(self.types("cascade", *arguments, "--json"))

    def starts(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [self.programs / "cascade", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def changes(self, file: str, what: str, into: str) -> None:
        path = self.folder / file
        written = path.read_text(encoding="utf-8")
        assert what in written
        path.write_text(written.replace(what, into), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        return {**kept, "PATH": f"{self.programs}:{os.defpath}", **self.variables}


@contextmanager
def in_a_new_project(programs: Path, home: Path) -> Iterator[Newcomer]:
    """`cascade init my-flows`, and there; when the block ends, or this process does, nothing of its stack is left."""
    Newcomer(programs, home).types("cascade", "init", "my-flows")
    project = Project(home / "my-flows", port=free_port())
    share_emulator(project)
    with lifeline(project):
        yield Newcomer(programs, project.root, {"PORT": str(project.port)})
