"""The specification as data: its operations in its order, group by group, with what it marks them by.

`docs/backend.pyi` is the project's copy of it, so that a clone has it too. Nothing is judged here.
"""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "docs" / "backend.pyi"
ORIGINAL = PATH.parents[2] / "shared" / "spec" / "backend.pyi"
"""Where the specification itself lies on the machines of those who work on the project."""

_GROUP = re.compile(r"^    # -- (?P<name>[\w ]+)")
_OPERATION = re.compile(r"^    def (?P<name>[a-z]\w*)\(self.*?\.\.\.\s*#\s*(?P<marks>(\[[12+]\])+)(?P<refused> D\b)?")
_REPORTS = re.compile(r"^# cascade_flow\.analytics: (?P<names>.*?):$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Operation:
    """One operation of the contract: which release has it, and whether the engine refuses it on runs of its own."""

    name: str
    group: str
    marks: str
    is_refused: bool

    @property
    def function(self) -> Callable[..., Any]:
        """What the specification declares."""
        found: Callable[..., Any] = vars(declared()["Backend"])[self.name]
        return found


@cache
def operations() -> tuple[Operation, ...]:
    """Every public method of `Backend`, in the specification's order."""
    return tuple(_operations())


def functions() -> Mapping[str, Callable[..., Any]]:
    """The pure functions that are importable from `cascade_flow`."""
    return {name: value for name, value in declared().items() if inspect.isfunction(value)}


def reports() -> list[str]:
    """The names that are importable from `cascade_flow.analytics`."""
    found = _REPORTS.search(PATH.read_text(encoding="utf-8"))
    assert found, "the specification no longer names the functions of cascade_flow.analytics"
    return re.findall(r"\w+_\w+", found["names"].replace("#", ""))


def _operations() -> Iterator[Operation]:
    group = ""
    for line in PATH.read_text(encoding="utf-8").splitlines():
        if found := _GROUP.match(line):
            group = found["name"].strip()
        elif found := _OPERATION.match(line):
            yield Operation(found["name"], group, found["marks"], found["refused"] is not None)


@cache
def declared() -> dict[str, Any]:
    """The names that the stub declares: it is Python, and imports its models from `cascade_flow`."""
    return runpy.run_path(str(PATH))
