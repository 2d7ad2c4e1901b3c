"""An exception of user code as the StepError that is stored: name, message, and a traceback that shows their code, not
ours, in bounded size.
"""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, TracebackException, format_exception_only, walk_tb

from cascade_flow.model.events import StepError
from cascade_flow.serialization import safe_serialize
from cascade_flow.worker.interrupt import Interrupted

LONGEST_MESSAGE = 4_000
LONGEST_STACK = 16_000
MOST_FRAMES = 60

_WORKER = Path(__file__).parent
_PACKAGE = str(_WORKER.parent) + "/"
_FIRST = str(_WORKER / "runner.py")
_LAST = str(_WORKER / "interrupt.py")


def step_error(error: BaseException) -> StepError:
    """The error as it is stored; whatever its own code does."""
    try:
        return _formatted(error)
    except Interrupted:
        raise
    except BaseException as failure:  # noqa: BLE001  its class's own code ran, or its attributes are not what they must be
        return _bare(error, failure)


def _formatted(error: BaseException) -> StepError:
    told = TracebackException.from_exception(error, compact=True)
    told.stack[:] = _theirs(list(told.stack))[-MOST_FRAMES:]
    return StepError(
        message=_message(error),
        name=type(error).__name__,
        stack=_end("".join(told.format()).rstrip("\n"), LONGEST_STACK),
    )


def _bare(error: BaseException, failure: BaseException) -> StepError:
    """What can be said without any code of the error's own: its class, what it was made of, and where it was raised."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    arguments = safe_serialize(BaseException.args.__get__(error))
    message = f"{arguments} (it can't be shown as Python shows it: that raises {type(failure).__name__})"
    trace = BaseException.__traceback__.__get__(error)
    frames = [FrameSummary(at.f_code.co_filename, line, at.f_code.co_name, line="") for at, line in walk_tb(trace)]
    places = [f'  File "{at.filename}", line {at.lineno}, in {at.name}' for at in _theirs(frames)[-MOST_FRAMES:]]
    return StepError(message=_cut(message), name=name, stack=_end("\n".join([*places, name]), LONGEST_STACK))


def _message(error: BaseException) -> str:
    text = "".join(format_exception_only(error)).rstrip("\n")
    head, colon, rest = text.partition(": ")
    own = rest if colon and head.rpartition(".")[2] == type(error).__name__ else text
    return _cut(own)


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}… ({len(message)} characters)"


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
