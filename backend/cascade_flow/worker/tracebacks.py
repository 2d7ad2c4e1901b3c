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
_FOLD = "<folded>"
_FOLDED = re.compile(rf'  File "{_FOLD}", line (\d+), in {_FOLD}\n')


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
    for each in _chain(told):
        each.stack[:] = _folded(_theirs(list(each.stack)))[-MOST_FRAMES:]
        if isinstance(named := getattr(each, "filename", None), str):
            each.filename = _as_imported(named)  # that of a SyntaxError
    return _end(_FOLDED.sub(r"  ... frames of cascade-flow: \1\n", "".join(told.format())).rstrip("\n"), LONGEST_STACK)


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


def _chain(told: TracebackException) -> Iterator[TracebackException]:
    """The exception, those that it came from, and those that it is a group of."""
    waiting = [told]
    while waiting:
        yield (each := waiting.pop())
        related = [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]
        waiting += [other for other in related if other is not None]


def _theirs(frames: list[FrameSummary]) -> list[FrameSummary]:
    """The frames without those that led into the user's code, and without those that interrupted it."""
    first = max((index + 1 for index, frame in enumerate(frames) if frame.filename == _FIRST), default=0)
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
