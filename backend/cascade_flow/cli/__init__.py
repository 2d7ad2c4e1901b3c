"""The command line: `cascade up`, `cascade run`, and what else a person types. Only words and tables are made here."""

from __future__ import annotations

import os
import signal
import sys

_INTERRUPTED = 130


def main() -> None:
    """The entry point of the command `cascade`: it ends quietly on Ctrl-C, from its first import to its last line."""
    signal.signal(signal.SIGINT, _leave)
    from cascade_flow.cli.app import run  # noqa: PLC0415  (so that nobody else pays for it)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = run(sys.argv[1:])
        signal.signal(signal.SIGINT, _leave)
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        status = _nobody_reads()
    sys.exit(status)


def _leave(*_: object) -> None:
    """Go at once: nothing is open yet, or nothing any more, and no traceback tells anybody anything."""
    os._exit(_INTERRUPTED)


def _nobody_reads() -> int:
    """Whoever read our answer has gone, as `head` does: nothing more can be told, and nothing is wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
