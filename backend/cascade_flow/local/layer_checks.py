"""Whether what was zipped will work on Lambda, as far as this machine can tell: complete, for its processor, small."""

from __future__ import annotations

import ast
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cascade_flow.local.artifacts import LAMBDA_PYTHON

LARGEST_FRAMEWORK = 15 * 1024 * 1024
"""Bytes, zipped: a layer is read with each cold start."""
LARGEST_UNPACKED = 250 * 1024 * 1024
"""Bytes, of a function and all its layers: Lambda's own limit."""
OLDEST_SDK = {"boto3": "1.35.0", "botocore": "1.35.0"}
"""Lambda's Python 3.13 was announced on 2024-11-13 with an SDK of its own, of a version that no page names: not as old
as this one, of 2024-08-16. The contract suite runs on it (`tests/infra/test_cloud_build.py`).
"""
_OURS = "cascade_flow"
_ONLY_HERE = ("cli", "client", "console", "local", "remote", "smoke", "stack", "testing")
_AARCH64 = 183
_LIBRARY = re.compile(r"\.so(\.\d+)*$")
_ABI = re.compile(rf"\.(cpython-{LAMBDA_PYTHON.replace('.', '')}-aarch64-linux-gnu|abi3)\.so$")


def of_framework(zipped: Path) -> list[str]:
    """What is wrong with the framework's layer, in sentences' parts."""
    too_large = zipped.stat().st_size > LARGEST_FRAMEWORK
    size = [f"it has {zipped.stat().st_size:,} bytes, and may have {LARGEST_FRAMEWORK:,}"] if too_large else []
    return [*size, *_unpacked(zipped, in_framework)]


def of_workflows(zipped: Path) -> list[str]:
    """The same of a user's layer, of which only its packages' needs and machine code are known."""
    return _unpacked(zipped, _wrong_in_layer)


def _unpacked(zipped: Path, find: Callable[[Path], Iterator[str]]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(zipped) as archive:
            archive.extractall(folder)
        return list(find(Path(folder) / "python"))


def in_framework(root: Path) -> Iterator[str]:
    """What is wrong with the unpacked layer."""
    yield from _wrong_in_layer(root)
    yield from _unknown_imports(root)
    yield from (f"{_OURS}/{room} is in it" for room in _ONLY_HERE if (root / _OURS / room).exists())


def _wrong_in_layer(root: Path) -> Iterator[str]:
    yield from _missing_packages(root)
    yield from (f"{path.relative_to(root)} is no code for arm64" for path in _libraries(root) if not _is_arm(path))
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    if size > LARGEST_UNPACKED:
        yield f"it has {size:,} bytes unpacked, and Lambda takes {LARGEST_UNPACKED:,} of a function and its layers"


def _missing_packages(root: Path) -> Iterator[str]:
    """What a package that is there requires and that isn't."""
    found = list(metadata.distributions(path=[str(root)]))
    there = OLDEST_SDK | {canonicalize_name(each.name): each.version for each in found}
    for each in found:
        for needed in filter(_is_needed, _requirements(each)):
            version = there.get(canonicalize_name(needed.name))
            if version is None or not needed.specifier.contains(version, prereleases=True):
                yield f"{each.name} needs {needed}, and there is {version or 'none'}"


def _requirements(package: metadata.Distribution) -> Iterator[Requirement]:
    """What can be read of what a package requires: old ones write it in their own way."""
    for written in package.requires or []:
        with suppress(InvalidRequirement):
            yield Requirement(written)


def _is_needed(requirement: Requirement) -> bool:
    """Whether Lambda's markers ask for it; extras are asked for by nobody here."""
    return requirement.marker is None or requirement.marker.evaluate({**_environment(), "extra": ""})


def _unknown_imports(root: Path) -> Iterator[str]:
    """What a module of ours imports that would be found nowhere."""
    there = {path.name.split(".")[0] for path in root.iterdir()} | sys.stdlib_module_names | OLDEST_SDK.keys()
    for module in sorted((root / _OURS).rglob("*.py")):
        for name in _imported(ast.parse(module.read_text(encoding="utf-8"))):
            if name.split(".")[0] not in there:
                yield f"{module.relative_to(root)} imports {name}, which is missing"


def _imported(tree: ast.AST) -> Iterator[str]:
    """All that is imported when code runs; what only type checkers read isn't."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        else:
            yield from _imported(node)


def _libraries(root: Path) -> Iterator[Path]:
    """Machine code, whatever else has a name like it."""
    named = (path for path in root.rglob("*.so*") if path.is_file() and _LIBRARY.search(path.name))
    return (path for path in named if path.read_bytes()[:4] == b"\x7fELF")


def _is_arm(library: Path) -> bool:
    """Whether it is machine code for the processor and, where its name says one, for the Python (ELF: e_machine)."""
    head = library.read_bytes()[:20]
    another_python = ".cpython-" in library.name and not _ABI.search(library.name)
    return int.from_bytes(head[18:20], "little") == _AARCH64 and not another_python


def _environment() -> dict[str, str]:
    """What markers of requirements ask about, as Lambda would answer."""
    asked = {
        "python_version": LAMBDA_PYTHON,
        "python_full_version": f"{LAMBDA_PYTHON}.0",
        "platform_machine": "aarch64",
    }
    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    return {**default_environment(), **asked, **linux, "implementation_name": "cpython"}  # type: ignore[dict-item]
