"""What is deployed beside the template: the functions' code and the two layers, each one zip named by its content.

A zip that is there is not built again. The framework's layer is built by the same make recipe that SAM runs.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import emulator
from cascade_flow.local.project import Project
from cascade_flow.local.tools import make, run, uv

FRAMEWORK = "layers/framework"
_FRAMEWORK_TARGET = "build-FrameworkLayer"
FRAMEWORK_CODE = "backend/cascade_flow"
_LEFT_OUT = {"__pycache__", "node_modules"}
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Artifact:
    """A zip that a template's CodeUri or ContentUri stands for."""

    path: Path

    @property
    def key(self) -> str:
        """Its name in the deployment's bucket: another name means other content."""
        return self.path.name


def function(project: Project, code_uri: str) -> Artifact:
    """A function's folder, as it is. ConfigurationError where it has no app.py."""
    source = project.root / code_uri
    if not (source / "app.py").is_file():
        raise ConfigurationError(f"{code_uri}/app.py is missing, and {project.template.name} names it. Restore it.")
    zipped = _zip_path(project, code_uri.rsplit("/", 1)[-1], digest(source))
    if not zipped.exists():
        _zip(source, zipped, under="")
    return Artifact(zipped)


def framework(project: Project) -> Artifact:
    """The layer with cascade_flow and what it depends on, for the interpreter that runs the emulator."""
    sources = [project.root / FRAMEWORK, project.root / FRAMEWORK_CODE]
    zipped = _zip_path(project, "framework", digest(*sources))
    if not zipped.exists():
        with _scratch(project) as built:
            interpreter = emulator.python(project.home)
            settings = {
                "ARTIFACTS_DIR": built,
                "INSTALL": f"{uv()} pip install --quiet --python {interpreter}",
                "PYTHON": str(interpreter),
            }
            recipe = [make(), "--silent", "--makefile", f"{FRAMEWORK}/Makefile", _FRAMEWORK_TARGET]
            given = [f"{name}={value}" for name, value in settings.items()]
            run([*recipe, *given], "build the framework's layer", folder=project.root)
            _zip(Path(built), zipped, under="")
    return Artifact(zipped)


def workflows(project: Project) -> Artifact:
    """The layer with the user's package, everything that lies beside it, and what its requirements.txt asks for."""
    project.require_workflows()
    source = project.workflows_dir
    zipped = _zip_path(project, "workflows", digest(source))
    if not zipped.exists():
        with _scratch(project) as built:
            _install_requirements(project, source / "requirements.txt", Path(built))
            for path in _files(source):
                target = Path(built) / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            _zip(Path(built), zipped, under="python/")
    return Artifact(zipped)


def digest(*sources: Path) -> str:
    """A name for all that these files and folders hold, and for the interpreter it is built for."""
    seen = hashlib.sha256(sys.version.encode())
    for source in sources:
        for path in _files(source):
            seen.update(f"{path.relative_to(source)}\0{path.stat().st_size}\0".encode())
            seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _install_requirements(project: Project, requirements: Path, target: Path) -> None:
    if requirements.is_file():
        command = [uv(), "pip", "install", "--quiet", "--python", str(emulator.python(project.home))]
        purpose = f"install what {requirements} asks for"
        run([*command, "--target", str(target), "--requirement", str(requirements)], purpose)


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
        return
    for path in sorted(source.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT_OUT:
            continue
        yield from _files(path) if path.is_dir() else [path]


def _zip(folder: Path, target: Path, *, under: str) -> None:
    """Stored, not squeezed: the emulator unpacks it for every process that it starts."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    with zipfile.ZipFile(fresh, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(f"{under}{path.relative_to(folder)}", _EPOCH), path.read_bytes())
    for older in target.parent.glob(f"{target.stem.rsplit('-', 1)[0]}-*.zip"):
        older.unlink()
    fresh.replace(target)


def _zip_path(project: Project, name: str, content: str) -> Path:
    return project.home / "build" / f"{name}-{content}.zip"


def _scratch(project: Project) -> tempfile.TemporaryDirectory[str]:
    project.home.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=project.home, prefix="build-")
