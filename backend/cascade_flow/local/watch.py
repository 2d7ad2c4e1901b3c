"""Waits until somebody saves something that is deployed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from cascade_flow.clock import pause_us
from cascade_flow.errors import ConfigurationError
from cascade_flow.local import artifacts
from cascade_flow.local.project import CONFIG, Project

_GLANCE_US = 200_000

Seen = dict[Path, tuple[int, int]]


def seen(root: Path, before: Iterable[Path] = ()) -> Seen:
    """When each file that a deployment of the project depends on was written, and how large it is.

    As long as `cascade.toml` makes no sense, those of `before` are looked at.
    """
    try:
        watched = [*_watched(Project(root))]
    except ConfigurationError:
        watched = [root / CONFIG, *before]
    return dict(map(_looked_at, watched))


def until_saved(root: Path, before: Seen) -> list[str]:
    """The files that differ from `before`, once they have come to rest: an editor writes several, one after another."""
    last, now = before, seen(root, before)
    while now == before or now != last:
        pause_us(_GLANCE_US)
        last, now = now, seen(root, before)
    return sorted({os.path.relpath(path, root) for path, _ in now.items() ^ before.items()})


def _watched(project: Project) -> Iterator[Path]:
    yield project.root / CONFIG
    own = project.sources.parts if project.config.sources else []
    for source in [*artifacts.sources_of_workflows(project), *own]:
        yield from artifacts.files(source)


def _looked_at(path: Path) -> tuple[Path, tuple[int, int]]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return path, (0, 0)
    return path, (found.st_mtime_ns, found.st_size)
