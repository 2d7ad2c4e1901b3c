"""What an attempt writes (stdout, stderr, logging) is collected and handed on while it runs; then all is put back.

The process's streams are replaced while any attempt is captured. Who writes is known by the context (`contextvars`); a
thread that user code started and that has none, a child process, and C code belong to the only attempt there is. A log
that can't be handed on is no failure of the attempt: the error is remembered. `os._exit` hands on what was written
before it ends the process; of a process that is killed, the lines of its last second are lost.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NoReturn, TextIO, cast

from cascade_flow.model.parts import LogStream
from cascade_flow.worker import process_state, step_logging
from cascade_flow.worker.descriptors import NUMBERS, CapturedStream, Descriptors, empty_stdin, flush_quietly, original
from cascade_flow.worker.interrupt import sheltered
from cascade_flow.worker.log_buffer import Limits, LogBuffer, LogLine

Sink = Callable[[Sequence[LogLine]], None]
"""Takes a chunk of lines. It is called from a thread of the capture's own, and at the end from the attempt's."""

_INTERVAL_MS = 1_000


class Capture:
    """Captures what is written inside its `with` block, and hands it to `sink` in chunks, once a second.

    `echo` also passes everything on to the process's own streams. Errors of the sink are kept in `error`; the lines
    they concern are lost.
    """

    def __init__(
        self, sink: Sink, *, echo: bool = True, limits: Limits | None = None, interval_ms: int = _INTERVAL_MS
    ) -> None:
        self.echo = echo
        self.error: Exception | None = None
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
        self.finish()

    def finish(self) -> None:
        """Hand on everything that has been written."""
        self._closing.set()
        with unrecorded():
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
            except Exception as error:  # noqa: BLE001  a log is no reason to fail
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
    """The one place where the process's streams and loggers are changed, and put back when the last one leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._captures: list[Capture] = []
        self._restore: Callable[[], Any] = lambda: None
        self._descriptors = Descriptors(self._take)
        self._streams: list[CapturedStream] = []
        self._own_pid = 0

    def plug(self, capture: Capture) -> None:
        with self._lock:
            self._captures.append(capture)
            if len(self._captures) == 1:
                self._open()

    def unplug(self, capture: Capture) -> None:
        with self._lock:
            if len(self._captures) == 1:
                self._close()
            self._captures.remove(capture)

    def writer(self) -> Capture | None:
        """Whose the text is that is being written now."""
        captures = tuple(self._captures)
        known = _writer.get(captures[0] if len(captures) == 1 else None)
        return known if known in captures else None

    @sheltered
    def write(self, stream: LogStream, text: str, original: TextIO) -> None:
        """Text of the process's own stream. A forked child's goes the way of every other child's."""
        if os.getpid() != self._own_pid:
            os.write(NUMBERS[stream], text.encode(errors="backslashreplace"))
            return
        self._descriptors.drain()
        capture = self.writer()
        if capture:
            capture.write(stream, text)
        if capture is None or capture.echo:
            self._descriptors.echo(stream, text, original)

    @sheltered
    def record(self, text: str, *, echo: bool) -> None:
        """A formatted log record; with `echo` nobody else shows it."""
        if os.getpid() != self._own_pid:
            os.write(NUMBERS["stderr"], f"{text}\n".encode(errors="backslashreplace"))
            return
        self._descriptors.drain()
        capture = self.writer()
        if capture:
            capture.add("stderr", text)
            if echo and capture.echo:
                self._descriptors.echo("stderr", f"{text}\n", original(sys.stderr))

    def _open(self) -> None:
        restores = [process_state.snapshot(), self._leaving_reported()]
        self._own_pid = os.getpid()
        self._descriptors.open()
        restores.append(step_logging.keep_own_logs_out(self._descriptors.outlet))
        restores.append(step_logging.show_records(self.record, unrecorded))
        self._streams = [CapturedStream(name, getattr(sys, name), self.write) for name in NUMBERS]
        sys.stdin, sys.stdout, sys.stderr = empty_stdin(), *(cast(TextIO, stream) for stream in self._streams)
        self._restore = lambda: [restore() for restore in reversed(restores)]

    def _close(self) -> None:
        self._finish_lines()
        self._restore()
        flush_quietly(sys.stdout, sys.stderr)
        self._descriptors.close()

    def _finish_lines(self) -> None:
        for stream in self._streams:
            stream.finish()
        self._descriptors.drain()

    def _take(self, stream: LogStream, text: str) -> bool:
        """What came through a file descriptor; answers whether it is to be echoed."""
        captures = tuple(self._captures)
        if len(captures) != 1:
            return True
        captures[0].write(stream, text)
        return captures[0].echo

    def _leaving_reported(self) -> Callable[[], None]:
        leave = os._exit

        def tell_and_leave(status: int) -> NoReturn:
            if os.getpid() == self._own_pid:
                for capture in tuple(self._captures):
                    self._finish_lines()
                    capture.add("stderr", f"os._exit({status}) ends the worker's process")
                    capture.finish()
            leave(status)

        os._exit = tell_and_leave
        return lambda: setattr(os, "_exit", leave)


_writer: ContextVar[Capture | None] = ContextVar("cascade_flow_writer")
_switchboard = _Switchboard()
