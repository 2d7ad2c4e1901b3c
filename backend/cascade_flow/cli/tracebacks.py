"""A traceback's files as they lie on this machine, so that an editor opens them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cascade_flow.errors import ConfigurationError

_FILE = re.compile(r'(?<=  File ")([^"/][^"]*)(?=", line )')


def as_it_lies_here(stack: str, start: Path) -> str:
    """The traceback; files of the project that `start` lies in, as one reaches them from there."""
    home = _workflows_dir(start) if _FILE.search(stack) else None
    if home is None:
        return stack

    def reached(match: re.Match[str]) -> str:
        return os.path.relpath(home / match[0], start) if (home / match[0]).is_file() else match[0]

    return _FILE.sub(reached, stack)


def here(stack: str) -> str:
    """The traceback, as one reaches its files from where the command was typed."""
    return as_it_lies_here(stack, Path.cwd())


def _workflows_dir(start: Path) -> Path | None:
    from cascade_flow.local.project import Project, find_root  # noqa: PLC0415  (only a run that failed needs it)

    try:
        return Project(find_root(start)).workflows_dir
    except ConfigurationError:
        return None
