"""What an attempt writes (stdout, stderr, logging) is collected and handed on while it runs; then all is put back.

The process's streams and descriptors are replaced while any attempt is captured. Who writes is known by the context
(`contextvars`); a thread that user code started and that has none, a child process and C code belong to the only
attempt there is. A log that can't be handed on is no failure of the attempt: the error is remembered.
"""

from __future__ import annotations

import logging
import os
import threading
from codecs import getincrementaldecoder
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar, Token
from functools import partial
from typing import Any

from cascade_flow.model.parts import LogStream
from cascade_flow.worker import descriptors, process_state, step_logging
from cascade_flow.worker.interrupt import sheltered
from cascade_flow.worker.log_buffer import Limits, LogBuffer, LogLine
from cascade_flow.worker.replaced import Replaced

Sink = Callable[[Sequence[LogLine]], None]
"""Takes a chunk of lines. It is called from a thread of the capture's own, and at the end from the attempt's."""

_INTERVAL_MS = 1_000
_CHILD = "child"
"""The source of what comes out of a descriptor: of threads, it is their number."""

_log = logging.getLogger(__name__)
_Decoder = partial(getincrementaldecoder("utf-8"), errors="replace")


class Capture:
    """Captures what is written inside its `with` block, and hands it to `sink` in chunks, once a second.

    The first chunk goes as soon as the code flushes. `echo` also passes everything on to the process's own streams.
    `on_exit` is called where the code ends the process by `os._exit` or `os.abort`, with the words for that, and when
    all that was written has been handed on. With `streams_only` descriptors, stdin and what user code changes in the
    process are left alone, for a process that is not the worker's. Each line is later than `after_us`. Errors of the
    sink are kept in `error`; the lines they concern are lost.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        echo: bool = True,
        limits: Limits | None = None,
        interval_ms: int = _INTERVAL_MS,
        after_us: int = 0,
        on_exit: Callable[[str], None] | None = None,
        streams_only: bool = False,
    ) -> None:
        self.echo = echo
        self.streams_only = streams_only
        self.error: Exception | None = None
        self._sink = sink
        self._on_exit = on_exit
        self._buffer = LogBuffer(limits or Limits(), after_us=after_us)
        self._decoders: defaultdict[tuple[LogStream, Hashable], Any] = defaultdict(_Decoder)
        self._interval_s = interval_ms / 1000
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._pump: threading.Thread | None = None
        self._lock = threading.Lock()
        self._handing_on = threading.RLock()
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
        self._hurry.set()
        if self._pump:
            self._pump.join()
        self._hand_on(self._buffer.close)

    @sheltered
    def write(self, stream: LogStream, text: str) -> None:
        _switchboard.drain()
        self._buffer.write(stream, text, threading.get_ident())
        if not self._pump:
            self._start_pump()

    @sheltered
    def write_bytes(self, stream: LogStream, data: bytes, source: Hashable = None) -> None:
        if source is None:
            source = threading.get_ident()
            _switchboard.drain()
        text = self._decoders[stream, source].decode(data)
        self._buffer.write(stream, text, source)
        if not self._pump:
            self._start_pump()

    @sheltered
    def add(self, stream: LogStream, message: str) -> None:
        _switchboard.drain()
        self._buffer.add(stream, message)
        if not self._pump:
            self._start_pump()

    def flush(self) -> None:
        if self._pump:
            self._hurry.set()

    def end_process(self, words: str) -> None:
        """Hand on what there is, and tell of the end: the process has no later moment for it."""
        _switchboard.finish(self)
        with unrecorded():
            self._hand_on(self._buffer.close)
            if self.error:
                _log.warning("%s; lines of it are lost: %r", words, self.error)
            if self._on_exit:
                self._on_exit(words)

    def _start_pump(self) -> None:
        with self._lock:
            if self._pump or self._closing.is_set():
                return
            pump = threading.Thread(target=self._keep_handing_on, name="step-log", daemon=True)
            pump.start()
            self._pump = pump

    def _keep_handing_on(self) -> None:
        with unrecorded():
            self._hurry.wait(self._interval_s)
            while not self._closing.is_set():
                self._hand_on(self._buffer.take)
                self._closing.wait(self._interval_s)

    def _hand_on(self, chunks: Callable[[], Sequence[Sequence[LogLine]]]) -> None:
        with self._handing_on:
            for chunk in chunks():
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
        self._captures: tuple[Capture, ...] = ()
        self._replaced = Replaced()
        self._restores = ExitStack()

    def plug(self, capture: Capture) -> None:
        with self._lock:
            self.drain()
            self._captures = (*self._captures, capture)
            if len(self._captures) == 1:
                self._replace(streams_only=capture.streams_only)

    def unplug(self, capture: Capture) -> None:
        with self._lock:
            self.finish(capture)
            try:
                if self._captures == (capture,):
                    self._restores.close()
            finally:
                self._captures = tuple(other for other in self._captures if other is not capture)

    def _replace(self, *, streams_only: bool) -> None:
        self._restores.callback(process_state.loggers() if streams_only else process_state.snapshot())
        self._replaced = Replaced.now(self.writer, self.take, self.end_process, streams_only=streams_only)
        self._restores.callback(self._replaced.put_back)
        self._restores.callback(step_logging.show_records(self.record, unrecorded))

    def writer(self) -> Capture | None:
        """Whose the text is that is being written now."""
        captures = self._captures
        known = _writer.get(captures[0] if len(captures) == 1 else None)
        return known if known in captures else None

    def drain(self) -> None:
        """Take what children and C code have written until now."""
        self._replaced.outlets.drain()

    def finish(self, capture: Capture) -> None:
        """Take all that is on its way to this capture."""
        for stream in self._replaced.streams.values():
            stream.finish(capture)
        self.drain()

    @sheltered
    def record(self, text: str, *, echo: bool) -> None:
        """Take a formatted log record; with `echo` nobody else shows it."""
        capture = self.writer()
        if capture:
            capture.add("stderr", text)
        if echo and (capture is None or capture.echo):
            self._replaced.streams["stderr"].original.write(f"{text}\n")

    def take(self, name: LogStream, data: bytes) -> bool:
        """Take what came out of a descriptor, and answer whether it is to be echoed."""
        captures = self._captures
        if len(captures) != 1:
            return True
        captures[0].write_bytes(name, data, _CHILD)
        return captures[0].echo

    def end_process(self, words: str) -> None:
        """Tell every attempt of this process; what can't be told is at least logged."""
        for capture in self._captures:
            try:
                capture.end_process(words)
            except Exception:  # noqa: BLE001  the attempt is reclaimed then, as after any death
                _log.exception("%s, which could not be reported", words)

    def flush(self) -> None:
        """Before a `fork`: what the process's own streams still hold would be written by both."""
        for stream in self._replaced.streams.values():
            stream.original.flush()

    def forget(self) -> None:
        """In a child made by `fork`: its streams lead to its parent's pipes, and nothing here is its own."""
        self._replaced.inherit()
        self._lock, self._captures, self._replaced, self._restores = threading.Lock(), (), Replaced(), ExitStack()


_writer: ContextVar[Capture | None] = ContextVar("cascade_flow_writer")
_switchboard = _Switchboard()


def _after_fork() -> None:
    descriptors.after_fork()
    _switchboard.forget()


os.register_at_fork(before=_switchboard.flush, after_in_child=_after_fork)
