"""An exception of user code as the StepError that is stored: name, message, and a traceback that shows their code, not
ours, in bounded size.
"""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, TracebackException, format_exception_only, format_tb

from cascade_flow.model.events import StepError
from cascade_flow.model.wire import well_formed

LONGEST_MESSAGE = 4_000
LONGEST_STACK = 16_000
MOST_FRAMES = 60

_WORKER = Path(__file__).parent
_PACKAGE = str(_WORKER.parent) + "/"
_FIRST = str(_WORKER / "runner.py")
_LAST = str(_WORKER / "interrupt.py")


def step_error(error: BaseException) -> StepError:
    """The error as it is stored, with what can be said of it; whatever it holds and its own methods do."""
    name = well_formed(type(error).__name__)
    try:
        message, stack = _message(error), _stack(error)
    except Exception as failure:  # noqa: BLE001  the traceback module trusts the parts of an exception
        message, stack = _unformatted(error, failure), _end("".join(format_tb(error.__traceback__)), LONGEST_STACK)
    return StepError(message=well_formed(message), name=name, stack=well_formed(stack))


def _stack(error: BaseException) -> str:
    told = TracebackException.from_exception(error, compact=True)
    told.stack[:] = _theirs(list(told.stack))[-MOST_FRAMES:]
    return _end("".join(told.format()).rstrip("\n"), LONGEST_STACK)


def _unformatted(error: BaseException, failure: Exception) -> str:
    try:
        text = str(error)[:LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001  their own `__str__`
        text = "an exception without a text"
    return f"{text} (it can't be formatted: {type(failure).__name__})"


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
