"""A child that a step forks off, and that comes back from the step as its parent does, ends there.

Otherwise two processes would go on with one attempt. It ends as any forked child does: with the status of its
SystemExit, with 1 and a traceback after another error, else with 0; nothing of the worker's is flushed or reported.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


@contextmanager
def children_end_here() -> Iterator[None]:
    """Only the process that entered the block leaves it."""
    parent = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != parent:
            _end(error)
        raise
    if os.getpid() != parent:
        _end(None)


def _end(error: BaseException | None) -> NoReturn:
    status = 1
    try:
        status = _status(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(status)


def _status(error: BaseException | None) -> int:
    if error is None:
        return 0
    code = error.code if isinstance(error, SystemExit) else error
    if code is None or isinstance(code, int):
        return 0 if code is None else code & 0xFF
    if isinstance(error, SystemExit):
        print(code, file=sys.stderr)
    else:
        traceback.print_exception(error)
    return 1
