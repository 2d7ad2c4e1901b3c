"""A test that hangs is told by name, with where each thread and greenlet stands, and its process ends. A pytest plugin.

pytest-timeout knows how long a test may take (pyproject.toml, marks); what it writes itself is lost in a process of
pytest-xdist, and knows no greenlets. A signal would be an exception in the greenlet that runs, and taken for its end.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import Any, TextIO

import pytest
from greenlet import greenlet

TESTS = Path(__file__).parent
SLOW_S = 4 * 3600
STACK_S = 900
STACKS = {TESTS / folder for folder in ("e2e", "infra", "functions", "races")}
"""What waits for whole stacks, or for processes; the first test of a folder waits for its start as well."""
_STDERR = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the process's own stderr: while tests run, theirs is captured."""
    config.stash[_STDERR] = os.fdopen(os.dup(2), "w")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_STDERR].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Some may take longer than all; a test's own mark goes before its kind's."""
    for item in items:
        limit_s = _limit_s(item)
        if limit_s is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(limit_s))


def _limit_s(item: pytest.Item) -> int | None:
    if item.get_closest_marker("slow") is not None:
        return SLOW_S
    return STACK_S if STACKS & set(item.path.parents) else None


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: Any, settings: Any) -> bool:
    timer = Timer(settings.timeout, partial(_end, item.nodeid, settings.timeout, item.config.stash[_STDERR]))
    timer.name, timer.daemon = "limit of a test", True
    item.cancel_timeout = timer.cancel
    timer.start()
    return True


def _end(name: str, limit_s: float, stderr: TextIO) -> None:
    print(f"\n== {name} has not ended after {limit_s} s; here it stands:", file=stderr, flush=True)
    faulthandler.dump_traceback(stderr, all_threads=True)
    for frame in _suspended():
        print("Greenlet:", *traceback.format_stack(frame), sep="\n", file=stderr, flush=True)
    os._exit(1)


def _suspended() -> Iterator[FrameType]:
    """Where the greenlets stand that do not run."""
    for found in gc.get_objects():
        if isinstance(found, greenlet) and found.gr_frame is not None:
            yield found.gr_frame
