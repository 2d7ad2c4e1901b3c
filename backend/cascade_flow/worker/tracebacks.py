"""An exception of user code as the StepError that is stored: name, message, and a traceback that shows their code, not
ours, in bounded size.
"""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, TracebackException, format_exception_only

from cascade_flow.model.events import StepError

LONGEST_MESSAGE = 4_000
LONGEST_STACK = 16_000
MOST_FRAMES = 60

_WORKER = Path(__file__).parent
_PACKAGE = str(_WORKER.parent) + "/"
_FIRST = str(_WORKER / "runner.py")
_LAST = str(_WORKER / "interrupt.py")


def step_error(error: BaseException) -> StepError:
    """The error as it is stored; whatever its own `str` does."""
    told = TracebackException.from_exception(error, compact=True)
    told.stack[:] = _theirs(list(told.stack))[-MOST_FRAMES:]
    return StepError(
        message=_message(error),
        name=type(error).__name__,
        stack=_end("".join(told.format()).rstrip("\n"), LONGEST_STACK),
    )


def _message(error: BaseException) -> str:
    text = "".join(format_exception_only(error)).rstrip("\n")
    head, colon, rest = text.partition(": ")
    own = rest if colon and head.rpartition(".")[2] == type(error).__name__ else text
    return own if len(own) <= LONGEST_MESSAGE else f"{own[:LONGEST_MESSAGE]}… ({len(own)} characters)"


def _theirs(frames: list[FrameSummary]) -> list[FrameSummary]:
    """The frames without those that led into the user's code, and without those that interrupted it."""
    first = max((index + 1 for index, frame in enumerate(frames) if frame.filename == _FIRST), default=0)
    theirs = frames[first:]
    while theirs and theirs[-1].filename == _LAST:
        theirs.pop()
    while theirs and theirs[0].filename.startswith(_PACKAGE):
        theirs.pop(0)
    return theirs or frames


def _end(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"… ({len(text) - longest} characters before)\n{text[-longest:]}"
