"""What an attempt writes (stdout, stderr, logging) is collected and handed on while it runs; then all is put back.

The process's streams are replaced while any attempt is captured. Who writes is known by the context (`contextvars`); a
thread that user code started and that has none belongs to the only attempt there is. What a child process or C code
writes does not pass here. A log that can't be handed on is no failure of the attempt: the error is remembered.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, TextIO, cast

from cascade_flow.authoring.context import STEP_LOGGER
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.parts import LogStream
from cascade_flow.worker.interrupt import sheltered
from cascade_flow.worker.log_buffer import Limits, LogBuffer, LogLine

Sink = Callable[[Sequence[LogLine]], None]
"""Takes a chunk of lines. It is called from a thread of the capture's own, and at the end from the attempt's."""

_INTERVAL_MS = 1_000


class Capture:
    """Captures what is written inside its `with` block, and hands it to `sink` in chunks, once a second.

    `echo` also passes everything on to the process's own streams. CascadeFlowErrors of the sink are kept in `error`;
    the lines they concern are lost.
    """

    def __init__(
        self, sink: Sink, *, echo: bool = True, limits: Limits | None = None, interval_ms: int = _INTERVAL_MS
    ) -> None:
        self.echo = echo
        self.error: CascadeFlowError | None = None
        self._sink = sink
        self._book = LogBuffer(limits or Limits())
        self._interval_s = interval_ms / 1000
        self._closing = threading.Event()
        self._pump: threading.Thread | None = None
        self._lock = threading.Lock()
        self._token: Token[Capture | None] | None = None

    def __enter__(self) -> Capture:
        _switchboard.plug(self)
        self._token = _writer.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token:
            _writer.reset(self._token)
        _switchboard.unplug(self)
        self._closing.set()
        if self._pump:
            self._pump.join()
        self._hand_on(self._book.close())

    @sheltered
    def write(self, stream: LogStream, text: str) -> None:
        self._book.write(stream, text)
        self._start_pump()

    @sheltered
    def add(self, stream: LogStream, message: str) -> None:
        self._book.add(stream, message)
        self._start_pump()

    def _start_pump(self) -> None:
        with self._lock:
            if self._pump or self._closing.is_set():
                return
            pump = threading.Thread(target=self._keep_handing_on, name="step-log", daemon=True)
            pump.start()
            self._pump = pump

    def _keep_handing_on(self) -> None:
        with unrecorded():
            while not self._closing.wait(self._interval_s):
                self._hand_on(self._book.take())

    def _hand_on(self, chunks: Sequence[Sequence[LogLine]]) -> None:
        for chunk in chunks:
            try:
                self._sink(chunk)
            except CascadeFlowError as error:
                self.error = error


@contextmanager
def unrecorded() -> Iterator[None]:
    """What is written in this block is the worker's own: it belongs to no attempt."""
    token = _writer.set(None)
    try:
        yield
    finally:
        _writer.reset(token)


class _Switchboard:
    """The one place where the process's streams and root logger are changed, and put back when the last one leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captures: list[Capture] = []
        self._handler = _log_handler()

    def plug(self, capture: Capture) -> None:
        with self._lock:
            self._captures.append(capture)
            if len(self._captures) == 1:
                sys.stdout = cast(TextIO, _Stream("stdout", sys.stdout))
                sys.stderr = cast(TextIO, _Stream("stderr", sys.stderr))
                logging.getLogger().addHandler(self._handler)

    def unplug(self, capture: Capture) -> None:
        with self._lock:
            self._captures.remove(capture)
            if not self._captures:
                logging.getLogger().removeHandler(self._handler)
                sys.stdout = _original(sys.stdout)
                sys.stderr = _original(sys.stderr)

    def writer(self) -> Capture | None:
        """Whose the text is that is being written now."""
        captures = tuple(self._captures)
        known = _writer.get(captures[0] if len(captures) == 1 else None)
        return known if known in captures else None


class _Stream:
    """Stands in for sys.stdout or sys.stderr. Without an attempt, and but for writing, it is the original."""

    def __init__(self, name: LogStream, original: TextIO) -> None:
        self.original = original
        self._name = name

    def write(self, text: str) -> int:
        capture = _switchboard.writer()
        if capture:
            capture.write(self._name, text)
        if capture is None or capture.echo:
            self.original.write(text)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Records:
    """What the log handler writes to: each text is one formatted record of any logger that reaches the root."""

    def __init__(self, is_alone: Callable[[], bool]) -> None:
        self._is_alone = is_alone

    def write(self, text: str) -> None:
        capture = _switchboard.writer()
        if capture is None:
            return
        capture.add("stderr", text)
        if capture.echo and self._is_alone():
            _original(sys.stderr).write(f"{text}\n")

    def flush(self) -> None:
        """Nothing is held back."""


class _Layout(logging.Formatter):
    """The step's own logger needs no name in front of its messages."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        name = "" if record.name.startswith(STEP_LOGGER) else f" {record.name}:"
        return f"{record.levelname}{name} {record.message}"


def _log_handler() -> logging.Handler:
    """A StreamHandler, since that one keeps a record that can't be formatted from failing the code that logs."""
    handler = logging.StreamHandler(_Records(lambda: logging.getLogger().handlers == [handler]))
    handler.terminator = ""
    handler.setFormatter(_Layout())
    return handler


_writer: ContextVar[Capture | None] = ContextVar("cascade_flow_writer")
_switchboard = _Switchboard()


def _original(stream: Any) -> TextIO:
    return cast(TextIO, stream.original if isinstance(stream, _Stream) else stream)
