"""Begins a project: writes a small one, or takes up a package that is there. Nothing that exists is written over."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Template

from cascade_flow.errors import ConfigurationError
from cascade_flow.local.project import CONFIG

_STARTER = resources.files("cascade_flow.local") / "starter"
_PACKAGE = "{package}"
_FILES = {
    CONFIG: CONFIG,
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "requirements.txt": "requirements.txt",
    "conftest.py": "conftest.py.txt",
    f"{_PACKAGE}/__init__.py": "package.py.txt",
    f"{_PACKAGE}/hello.py": "hello.py.txt",
    "tests/test_hello.py": "test_hello.py.txt",
}
"""What a new project has, and which of the starter's files each is."""
_TAKEN = {*sys.stdlib_module_names, "cascade_flow", "tests", "pydantic", "boto3"}


def new(folder: Path) -> list[Path]:
    """The files of a new project. ConfigurationError where its folder isn't empty, or its name can't be a package's."""
    name = folder.resolve().name
    package = name.replace("-", "_").lower()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or keyword.iskeyword(package):
        raise ConfigurationError(
            f"{name!r} can't be a project's name: begin with a letter, go on with letters, digits, -; "
            "no word of Python's own"
        )
    if package in _TAKEN:
        raise ConfigurationError(
            f"The package would be called {package!r}, like another that is needed: name it otherwise"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            f"{folder} is there already, and isn't empty. Name another folder; or, to take up a package in it, "
            f"go there: cascade init --here"
        )
    return [
        _write(folder / path.replace(_PACKAGE, package), source, stack=_stack(name), package=package)
        for path, source in _FILES.items()
    ]


def take_up(root: Path, package: str | None) -> list[Path]:
    """The `cascade.toml` of a folder that has a package already. ConfigurationError where it isn't clear which."""
    if (root / CONFIG).exists():
        raise ConfigurationError(
            f"{CONFIG} is here already: this is a project of cascade-flow. Look at it: cascade check"
        )
    folder, found = _home(root, package) if package else _only(list(_declaring(root)))
    written = _write(root / CONFIG, CONFIG, stack=_stack(root.resolve().name), package=found)
    if folder != ".":
        text = written.read_text(encoding="utf-8")
        written.write_text(text.replace("# include", f'folder = "{folder}"\n# include', 1), encoding="utf-8")
    return [written]


def _write(path: Path, source: str, **named: str) -> Path:
    text = Template((_STARTER / source).read_text(encoding="utf-8")).substitute(named)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}. Choose another place.") from error
    return path


def _stack(name: str) -> str:
    """The nearest name that CloudFormation takes."""
    usable = re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")
    return usable if usable[:1].isalpha() else f"flows-{usable}".rstrip("-")


def _home(root: Path, package: str) -> tuple[str, str]:
    """The folder of a package that is named, and its name."""
    first = package.split(".", maxsplit=1)[0]
    for folder in (".", "src"):
        if (root / folder / first).is_dir() or (root / folder / f"{first}.py").is_file():
            return folder, package
    raise ConfigurationError(
        f"There is no package {package!r} here, nor in src. Name one that there is: --package NAME"
    )


def _only(found: list[tuple[str, str]]) -> tuple[str, str]:
    if not found:
        raise ConfigurationError(
            "No package here, nor in src, declares a workflow of cascade-flow. Name the one that is to: "
            "cascade init --here --package NAME"
        )
    if found[1:]:
        raise ConfigurationError(
            f"Several packages here declare workflows: {', '.join(name for _, name in found)}. Name the one that is "
            "deployed: cascade init --here --package NAME"
        )
    return found[0]


def _declaring(root: Path) -> Iterator[tuple[str, str]]:
    """Packages and modules that seem to declare workflows, and the folder that each lies in."""
    for folder in (".", "src"):
        for path in sorted((root / folder).glob("*")):
            sources = [path] if path.suffix == ".py" else path.rglob("*.py") if (path / "__init__.py").is_file() else []
            if path.stem not in ("tests", "conftest") and any(_declares(source) for source in sources):
                yield folder, path.stem


def _declares(source: Path) -> bool:
    text = source.read_text(encoding="utf-8", errors="replace")
    return "cascade_flow" in text and re.search(r"\bWorkflow\(", text) is not None
