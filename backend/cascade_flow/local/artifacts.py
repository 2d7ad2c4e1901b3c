"""What is deployed beside the template: the functions' code and the two layers, each one zip named by its content.

A zip that is there is not built again. The framework's layer is built by the same program that SAM runs.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import emulator
from cascade_flow.local.project import Project
from cascade_flow.local.sources import FRAMEWORK
from cascade_flow.local.tools import run, uv

WORKFLOWS = "!Ref WorkflowsDir"
"""Where the template says that the workflows' layer lies."""
_FURTHER_LIST = re.compile(r"^(?:-r|-c|--requirement|--constraint)[ =]\s*(\S+)", re.MULTILINE)
_LEFT_OUT = {"__pycache__", "node_modules"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LAMBDA_PLATFORM = "aarch64-manylinux_2_28"
LAMBDA_PYTHON = "3.13"


@dataclass(frozen=True)
class Platform:
    """For what a layer is built, and where its zip goes.

    `install` says to uv whose packages are wanted, `python` compiles them where it can be run.
    """

    name: str
    folder: Path
    install: Sequence[str]
    python: str
    squeezed: bool


def this_machine(project: Project) -> Platform:
    """The interpreter that runs the emulator, which unpacks a zip for every process: they are stored, not squeezed."""
    python = str(emulator.python(project.home))
    return Platform(sys.version, project.home / "build", ["--python", python], python, squeezed=False)


def aws_lambda(folder: Path) -> Platform:
    """The template's runtime, on arm64, whatever machine builds for it: nothing is compiled, wheels are chosen."""
    install = ["--python-platform", _LAMBDA_PLATFORM, "--python-version", LAMBDA_PYTHON, "--only-binary", ":all:"]
    return Platform(f"{LAMBDA_PYTHON} {_LAMBDA_PLATFORM}", folder, install, f"python{LAMBDA_PYTHON}", squeezed=True)


@dataclass(frozen=True)
class Artifact:
    """A zip that a template's CodeUri or ContentUri stands for."""

    path: Path

    @property
    def key(self) -> str:
        """Its name in the deployment's bucket: another name means other content."""
        return self.path.name


def artifact(project: Project, place: str, platform: Platform) -> Artifact:
    """What a CodeUri or ContentUri of the template names, as it is written there."""
    if place == FRAMEWORK:
        return framework(project, platform)
    if place == WORKFLOWS:
        return workflows(project, platform)
    return function(project, place, platform)


def function(project: Project, code_uri: str, platform: Platform) -> Artifact:
    """A function's folder, as it is. ConfigurationError where it has no app.py."""
    source = project.sources.folder / code_uri
    if not (source / "app.py").is_file():
        raise ConfigurationError(f"{code_uri}/app.py is missing, and {project.template.name} names it. Restore it.")
    zipped = _zip_path(platform, code_uri.rsplit("/", 1)[-1], source)
    if not zipped.exists():
        _zip(source, zipped, under="", squeezed=platform.squeezed)
    return Artifact(zipped)


def framework(project: Project, platform: Platform) -> Artifact:
    """The layer with cascade_flow and what it depends on."""
    sources = project.sources
    zipped = _zip_path(platform, "framework", *sources.layer)
    if not zipped.exists():
        with _scratch(platform) as built:
            program = [sys.executable, "-B", str(sources.framework / "build.py")]
            given = ["--package", str(sources.package), "--python", platform.python]
            recipe = [*program, *given, "--", str(Path(built) / "python"), *_installer(platform)]
            run(recipe, "build the framework's layer")
            _zip(Path(built), zipped, under="", squeezed=platform.squeezed)
    return Artifact(zipped)


def workflows(project: Project, platform: Platform) -> Artifact:
    """The layer with the user's package, what is deployed beside it, and what its requirements.txt asks for."""
    zipped = _zip_path(platform, "workflows", *sources_of_workflows(project))
    if not zipped.exists():
        with _scratch(platform) as built:
            _install_requirements(platform, project.requirements, Path(built))
            for path in [path for source in project.deployed for path in files(source)]:
                target = Path(built) / path.relative_to(project.workflows_dir)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            _zip(Path(built), zipped, under="python/", squeezed=platform.squeezed)
    return Artifact(zipped)


def sources_of_workflows(project: Project) -> list[Path]:
    """All that the layer of the user's workflows is made of."""
    return [*project.deployed, *(_named_with(project.requirements) if project.requirements else [])]


def _named_with(requirements: Path) -> list[Path]:
    """A list of packages, and the lists that it names in turn."""
    found, unread = list[Path](), [requirements]
    while unread:
        found.append(read := unread.pop())
        named = {(read.parent / name).resolve() for name in _FURTHER_LIST.findall(read.read_text(encoding="utf-8"))}
        unread += sorted(path for path in named - {*found, *unread} if path.is_file())
    return found


def digest(*sources: Path) -> str:
    """A name for all that these files and folders hold, and for the interpreter that runs here."""
    return _digest(sys.version, *sources)


def _digest(built_for: str, *sources: Path) -> str:
    seen = hashlib.sha256(built_for.encode())
    for source in sources:
        for path in files(source):
            seen.update(f"{path.relative_to(source.parent)}\0{path.stat().st_size}\0".encode())
            seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _install_requirements(platform: Platform, requirements: Path | None, target: Path) -> None:
    if requirements:
        command = [*_installer(platform), "--target", str(target), "--requirement", str(requirements)]
        run(command, f"install what {requirements} asks for")


def _installer(platform: Platform) -> list[str]:
    return [uv(), "pip", "install", "--quiet", *platform.install]


def files(source: Path) -> Iterator[Path]:
    """A file, or all that a folder holds, but for what is hidden or made by a program."""
    if source.is_file():
        yield source
        return
    for path in sorted(source.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT_OUT:
            continue
        yield from files(path) if path.is_dir() else [path]


def _zip(folder: Path, target: Path, *, under: str, squeezed: bool) -> None:
    """The same files make the same zip, byte for byte."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED if squeezed else zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{under}{path.relative_to(folder)}", _EPOCH)
            entry.external_attr = (0o755 if path.stat().st_mode & 0o111 else 0o644) << 16
            archive.writestr(entry, path.read_bytes(), archive.compression)
    for older in target.parent.glob(f"{target.stem.rsplit('-', 1)[0]}-*.zip"):
        older.unlink()
    fresh.replace(target)


def _zip_path(platform: Platform, name: str, *sources: Path) -> Path:
    return platform.folder / f"{name}-{_digest(platform.name, *sources)}.zip"


def _scratch(platform: Platform) -> tempfile.TemporaryDirectory[str]:
    platform.folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=platform.folder, prefix="build-")
