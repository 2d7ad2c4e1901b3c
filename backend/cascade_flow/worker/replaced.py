"""What of the process is replaced while attempts run: its streams, its descriptors, and its means to end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TextIO

from cascade_flow.model.parts import LogStream
from cascade_flow.worker.descriptors import EmptyInput, Outlets
from cascade_flow.worker.interrupt import Interrupted, sheltered
from cascade_flow.worker.streams import Stream, Writer

_OUTPUTS: tuple[LogStream, LogStream] = ("stdout", "stderr")
_REPLACED = (
    (sys, ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")),
    (os, ("_exit", "abort")),
)


class Replaced:
    """All that is replaced, from `now` until `put_back`; at first, nothing."""

    def __init__(self) -> None:
        self.streams: dict[LogStream, Stream] = {}
        self.outlets = Outlets()
        self._input: EmptyInput | None = None
        self._nothing: TextIO | None = None
        self._before: list[tuple[Any, str, Any]] = []

    @classmethod
    def now(
        cls,
        writer: Callable[[], Writer | None],
        take: Callable[[LogStream, bytes], bool],
        ending: Callable[[str], None],
        *,
        streams_only: bool = False,
    ) -> Replaced:
        """`writer` says who writes now; `take` gets what comes out of a descriptor, and answers whether it is echoed;
        `ending` is called before the code ends the process, with the words for that. With `streams_only` the process
        keeps its descriptors and its stdin, and isn't ended: the code is, as by an interrupt.
        """
        new = cls()
        new._before = [(holder, name, getattr(holder, name)) for holder, names in _REPLACED for name in names]
        for number, name in enumerate(_OUTPUTS, start=1):
            new._replace_output(None if streams_only else number, name, writer, partial(take, name))
        if not streams_only:
            new._replace_input()
        os._exit = partial(_end_process, ending, _interrupted if streams_only else os._exit, "os._exit({})")
        os.abort = partial(_end_process, ending, _interrupted if streams_only else os.abort, "os.abort()")
        return new

    def put_back(self) -> None:
        self._put_back_names()
        self.outlets.restore()
        if self._input:
            self._input.restore()

    def inherit(self) -> None:
        """In a child: write to the descriptors as they are, which lead to the parent."""
        self._put_back_names()
        self.outlets.inherit()

    def _put_back_names(self) -> None:
        for holder, name, value in self._before:
            setattr(holder, name, value)
        if self._nothing:
            self._nothing.close()

    def _replace_output(
        self, number: int | None, name: LogStream, writer: Callable[[], Writer | None], take: Callable[[bytes], bool]
    ) -> None:
        original, descriptor = getattr(sys, name), None
        if number is not None:
            with suppress(OSError):
                self.outlets.divert(number, take, [original, getattr(sys, f"__{name}__")])
                descriptor = number
        self.streams[name] = Stream(name, original, writer, descriptor)
        setattr(sys, name, self.streams[name])

    def _replace_input(self) -> None:
        with suppress(OSError):
            self._input = EmptyInput()
        self._nothing = open(os.devnull, encoding="utf-8")  # noqa: SIM115  open as long as the attempt
        sys.stdin = self._nothing


def _interrupted(*_: Any) -> NoReturn:
    raise Interrupted


@sheltered
def _end_process(ending: Callable[[str], None], end: Callable[..., NoReturn], words: str, *args: Any) -> NoReturn:
    try:
        ending(f"the step ended its process with {words.format(*args)}")
    finally:
        end(*args)
