"""An exception of user code as the StepError that is stored: name, message, and a traceback that shows their code, not
ours, in bounded size.

A file is named as an import finds it, by its place under an entry of `sys.path`: where a function's layers happen to be
unpacked tells nobody anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from traceback import FrameSummary, TracebackException, format_exception_only, walk_tb

from cascade_flow.model.events import StepError
from cascade_flow.model.wire import well_formed
from cascade_flow.serialization import safe_serialize
from cascade_flow.worker.interrupt import Interrupted

LONGEST_MESSAGE = 4_000
LONGEST_STACK = 16_000
MOST_FRAMES = 60

_WORKER = Path(__file__).parent
_PACKAGE = str(_WORKER.parent) + "/"
_FIRST = (str(_WORKER / "runner.py"), str(_WORKER / "coroutines.py"))
_LAST = str(_WORKER / "interrupt.py")
_FOLD = "<folded>"
_FOLDED = re.compile(rf'  File "{_FOLD}", line (\d+), in {_FOLD}\n')


def step_error(error: BaseException) -> StepError:
    """The error as it is stored; whatever its own code does."""
    try:
        return _formatted(error)
    except Interrupted:
        raise
    except BaseException as failure:  # noqa: BLE001  its class's own code ran, or its attributes are not what they must be
        return _bare(error, failure)


def _formatted(error: BaseException) -> StepError:
    message, stack = well_formed(_message(error)), well_formed(_stack(error))
    return StepError(message=message, name=well_formed(type(error).__name__), stack=stack)


def _stack(error: BaseException) -> str:
    told = TracebackException.from_exception(error, compact=True)
    for each in _chain(told):
        each.stack[:] = _folded(_theirs(list(each.stack)))[-MOST_FRAMES:]
        if isinstance(named := getattr(each, "filename", None), str):
            each.filename = _as_imported(named)  # that of a SyntaxError
    return _end(_FOLDED.sub(r"  ... frames of cascade-flow: \1\n", "".join(told.format())).rstrip("\n"), LONGEST_STACK)


def _bare(error: BaseException, failure: BaseException) -> StepError:
    """What can be said without any code of the error's own: its class, what it was made of, and where it was raised."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    arguments = safe_serialize(vars(BaseException)["args"].__get__(error))
    message = f"{arguments} (it can't be shown as Python shows it: that raises {type(failure).__name__})"
    trace = vars(BaseException)["__traceback__"].__get__(error)
    frames = [FrameSummary(at.f_code.co_filename, line, at.f_code.co_name, line="") for at, line in walk_tb(trace)]
    places = [
        f'  File "{_as_imported(at.filename)}", line {at.lineno}, in {at.name}' for at in _theirs(frames)[-MOST_FRAMES:]
    ]
    return StepError(message=_cut(message), name=name, stack=_end("\n".join([*places, name]), LONGEST_STACK))


def _message(error: BaseException) -> str:
    text = "".join(format_exception_only(error)).rstrip("\n")
    head, colon, rest = text.partition(": ")
    own = rest if colon and head.rpartition(".")[2] == type(error).__name__ else text
    return _cut(own)


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}… ({len(message)} characters)"


def _chain(told: TracebackException) -> Iterator[TracebackException]:
    """The exception, those that it came from, and those that it is a group of."""
    waiting = [told]
    while waiting:
        yield (each := waiting.pop())
        related = [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]
        waiting += [other for other in related if other is not None]


def _theirs(frames: list[FrameSummary]) -> list[FrameSummary]:
    """The frames without those that led into the user's code, and without those that interrupted it."""
    first = max((index + 1 for index, frame in enumerate(frames) if frame.filename in _FIRST), default=0)
    theirs = frames[first:]
    while theirs and theirs[-1].filename == _LAST:
        theirs.pop()
    while theirs and _is_ours(theirs[0]):
        theirs.pop(0)
    return theirs or frames


def _folded(frames: list[FrameSummary]) -> list[FrameSummary]:
    """Their frames, each in its file as imported; ours between them as one that only counts them."""
    if all(map(_is_ours, frames)):
        return frames
    found: list[FrameSummary] = []
    for is_ours, run in groupby(frames, _is_ours):
        several = list(run)
        found += [FrameSummary(_FOLD, len(several), _FOLD, line="")] if is_ours else map(_placed, several)
    return found


def _placed(frame: FrameSummary) -> FrameSummary:
    frame.filename = _as_imported(frame.filename)
    return frame


def _as_imported(filename: str) -> str:
    roots = (entry.rstrip("/") + "/" for entry in sys.path if entry)
    root = max((root for root in roots if filename.startswith(root)), key=len, default="")
    return filename.removeprefix(root)


def _is_ours(frame: FrameSummary) -> bool:
    return frame.filename.startswith(_PACKAGE)


def _end(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"… ({len(text) - longest} characters before)\n{text[-longest:]}"
