"""What is wrong with a project's workflows, found before anything of them is deployed.

A process of its own imports them, with the packages and the few variables that they will have as functions.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cascade_flow.authoring.inspection import Declared, Report
from cascade_flow.authoring.mistakes import Mistake, Place
from cascade_flow.errors import ConfigurationError, DefinitionError
from cascade_flow.local import artifacts, emulator
from cascade_flow.local.project import Project
from cascade_flow.local.state import REGION

_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from cascade_flow.authoring.inspection import main; main(sys.argv[2:])"
)
_PATIENCE_S = 60
_MISSING = re.compile(r"No module named '([^.']+)")


def require_sound(project: Project, *, patience_s: float = _PATIENCE_S) -> list[Declared]:
    """The project's workflows. Raises DefinitionError, which has an issue for each mistake, with its file and line."""
    workflows, mistakes = inspect(project, patience_s=patience_s)
    if mistakes:
        found = "There is a mistake" if len(mistakes) == 1 else f"There are {len(mistakes)} mistakes"
        raise DefinitionError(f"{found} in the workflows of {project.workflows_package!r}", issues=mistakes)
    return workflows


def inspect(project: Project, *, patience_s: float = _PATIENCE_S) -> tuple[list[Declared], list[Mistake]]:
    """The project's workflows, or their mistakes; files are told from the project's folder."""
    with _requirements(project) as packages, _as_deployed(project) as folder:
        status, said, complained = _looked_at(project, [folder, *packages, *sys.path], patience_s)
    if not said:
        raise ConfigurationError(f"The workflows can't be looked at: {_last_line(complained)}")
    last = _last_line(said)
    if not last.startswith("{"):
        return [], [_shown(project, _fatal(project, last, status, complained))]
    report = Report.model_validate_json(last)
    return report.workflows, [_shown(project, _at_home(project, folder, wrong.mistake)) for wrong in report.mistakes]


def _looked_at(project: Project, path: Sequence[str], patience_s: float) -> tuple[int | None, str, str]:
    """How the process ended (None: it did not), what it answered, what was printed in it."""
    command = [sys.executable, "-B", "-X", "utf8", "-c", _CHILD, json.dumps(path), project.workflows_package]
    with tempfile.TemporaryDirectory(dir=project.home, prefix="check-") as folder:
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=_environment(folder),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=patience_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return None, _text(late.stdout), _text(late.stderr)
    return ended.returncode, _text(ended.stdout), _text(ended.stderr)


@contextmanager
def _requirements(project: Project) -> Iterator[list[str]]:
    """Where the packages lie that the workflows ask for, unpacked from their layer."""
    project.make_home()
    if project.requirements is None:
        yield []
        return
    if not emulator.is_installed(project.home):
        emulator.install(project.home)
    with tempfile.TemporaryDirectory(dir=project.home, prefix="check-") as folder:
        with zipfile.ZipFile(artifacts.workflows(project, artifacts.this_machine(project)).path) as layer:
            layer.extractall(folder)
        yield [str(Path(folder) / "python")]


@contextmanager
def _as_deployed(project: Project) -> Iterator[str]:
    """A folder with links to what is deployed, and to nothing that merely lies beside it."""
    project.make_home()
    with tempfile.TemporaryDirectory(dir=project.home, prefix="check-") as folder:
        for path in project.deployed:
            link = Path(folder) / path.relative_to(project.workflows_dir)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        yield folder


def _at_home(project: Project, folder: str, mistake: Mistake) -> Mistake:
    """The mistake in the file that the link stands for; and how to get at what isn't deployed."""
    place, told = mistake.place, mistake.message
    if place and Path(place.file).is_relative_to(folder):
        place = Place(str(project.workflows_dir / Path(place.file).relative_to(folder)), place.line)
    missing = _MISSING.search(told)
    for beside in (missing[1], f"{missing[1]}.py") if missing else ():
        if (project.workflows_dir / beside).exists():
            told = f"{told}; or have {beside!r}, which lies beside the package, deployed too: `include` in cascade.toml"
    return Mistake(told, place)


def _environment(folder: str) -> dict[str, str]:
    """None of the user's own variables: functions don't have them either."""
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _fatal(project: Project, module: str, status: int | None, complained: str) -> Mistake:
    """A module that ended the process, or doesn't come to its end."""
    if status is None:
        how = "does not come to its end when it is imported"
    elif status < 0:
        how = f"ends the process when it is imported, by {signal.Signals(-status).name}"
    else:
        how = f"ends the process when it is imported, with status {status}"
    said = f" (it said: {_last_line(complained)})" if complained.strip() else ""
    file = project.workflows_dir.joinpath(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return Mistake(f"the module {module!r} {how}{said}: let a step do that", Place(str(file), 1))


def _shown(project: Project, mistake: Mistake) -> Mistake:
    if mistake.place is None or not Path(mistake.place.file).is_relative_to(project.root):
        return mistake
    file = Path(mistake.place.file).relative_to(project.root)
    return Mistake(mistake.message, Place(str(file), mistake.place.line))


def _text(data: bytes | str | None) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data or ""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
