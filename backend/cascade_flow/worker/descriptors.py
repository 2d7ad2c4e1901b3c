"""The process's streams below `logging`: what replaces sys.stdout and sys.stderr, and file descriptors 0, 1 and 2.

Child processes, C code and `os.write` write to descriptors 1 and 2: while an attempt is captured these are pipes, which
a thread reads. Descriptor 0 is empty. Text that is shown to the process's owner goes to the descriptors as they were.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, TextIO, cast

from cascade_flow.model.parts import LogStream

NUMBERS: dict[LogStream, int] = {"stdout": 1, "stderr": 2}
_PORTION_BYTES = 65_536
_HELD_CHARS = 8_000

Take = Callable[[LogStream, str], bool]
"""Takes text of a descriptor; answers whether it is to be echoed."""


def original(stream: Any) -> TextIO:
    return cast(TextIO, stream.original if isinstance(stream, CapturedStream) else stream)


def flush_quietly(*streams: Any) -> None:
    """User code may have put anything there, or closed it."""
    for stream in streams:
        try:
            stream.flush()
        except Exception:
            logging.getLogger(__name__).debug("a stream of the process can't be flushed", exc_info=True)


def empty_stdin() -> TextIO:
    """What `input()` and a debugger read: nothing."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


class CapturedStream:
    """Stands in for sys.stdout or sys.stderr. But for writing, it is the original."""

    def __init__(self, name: LogStream, original: TextIO, take: Callable[[LogStream, str, TextIO], None]) -> None:
        self.original = original
        self._name = name
        self._take = take
        self._held: dict[int, str] = {}
        self.buffer = io.BufferedWriter(_Bytes(self.write), 1)

    def write(self, text: str) -> int:
        """A line is passed on when it is whole, since `print` writes its end by itself, and other threads print too."""
        thread = threading.get_ident()
        whole = self._held.pop(thread, "") + text
        if whole.endswith("\n") or len(whole) > _HELD_CHARS:
            self._take(self._name, whole, self.original)
        else:
            self._held[thread] = whole
        return len(text)

    def flush(self) -> None:
        if held := self._held.pop(threading.get_ident(), ""):
            self._take(self._name, held, self.original)
        self.original.flush()

    def finish(self) -> None:
        """Pass on what any thread has left without an end."""
        flush_quietly(self.buffer)
        while self._held:
            self._take(self._name, self._held.popitem()[1], self.original)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def fileno(self) -> int:
        return NUMBERS[self._name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Bytes(io.RawIOBase):
    """Bytes that become text."""

    def __init__(self, write: Callable[[str], int]) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._write(self._decoder.decode(bytes(data)))
        return len(data)


class _Pipe:
    """One descriptor that is a pipe for a while; `saved` is where it led before."""

    def __init__(self, name: LogStream) -> None:
        self.name = name
        self.number = NUMBERS[name]
        self.saved = os.dup(self.number)
        self.read_end, write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.dup2(write_end, self.number)
        os.close(write_end)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> bytes:
        """What is there now; nothing where there is none."""
        try:
            return os.read(self.read_end, _PORTION_BYTES)
        except BlockingIOError:
            return b""

    def decode(self, data: bytes) -> str:
        return self._decoder.decode(data)

    def put_back(self) -> None:
        os.dup2(self.saved, self.number)

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.saved)


class Descriptors:
    """Descriptors 0, 1 and 2 between `open` and `close`; `take` gets what is written to the last two."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._pipes: list[_Pipe] = []
        self._stdin: int | None = None
        self._reading = threading.RLock()
        self._poll = select.poll()
        self._wake: tuple[int, int] | None = None
        self._reader: threading.Thread | None = None

    def open(self) -> None:
        flush_quietly(sys.stdout, sys.stderr)
        self._stdin = _emptied()
        self._pipes = [_Pipe(name) for name, number in NUMBERS.items() if _is_open(number)]
        self._poll = select.poll()
        for pipe in self._pipes:
            self._poll.register(pipe.read_end, select.POLLIN)
        self._wake = os.pipe()
        self._reader = threading.Thread(target=self._keep_reading, args=(self._wake[0],), name="step-fds", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """All that was written is taken first; what a child process writes later goes nowhere."""
        for pipe in self._pipes:
            pipe.put_back()
        if self._stdin is not None:
            os.dup2(self._stdin, 0)
            os.close(self._stdin)
        self._stop_reader()
        self.drain()
        with self._reading:
            pipes, self._pipes = self._pipes, []
            for pipe in pipes:
                pipe.close()

    def drain(self) -> None:
        """Take what has been written so far, so that it stands before what is written next."""
        with self._reading:
            if not self._pipes or not self._poll.poll(0):
                return
            for pipe in self._pipes:
                while data := pipe.read():
                    if self._take(pipe.name, pipe.decode(data)):
                        _write_all(pipe.saved, data)

    def echo(self, name: LogStream, text: str, stream: TextIO) -> None:
        """Show text where the stream leads. One that leads to a pipe of ours is passed by."""
        saved = next((pipe.saved for pipe in self._pipes if pipe.name == name), None)
        if saved is not None and _number_of(stream) in NUMBERS.values():
            _write_all(saved, text.encode(errors="backslashreplace"))
        else:
            stream.write(text)

    def outlet(self, stream: Any) -> TextIO | None:
        """A way around our pipe for a stream that leads into it; None where there is none."""
        number = _number_of(stream)
        saved = next((pipe.saved for pipe in self._pipes if pipe.number == number), None)
        return None if saved is None else open(saved, "w", buffering=1, errors="backslashreplace", closefd=False)

    def _keep_reading(self, wake: int) -> None:
        poll = select.poll()
        for number in (wake, *(pipe.read_end for pipe in self._pipes)):
            poll.register(number, select.POLLIN)
        while wake not in (found := dict(poll.poll())):
            self.drain()
            for number, state in found.items():
                if not state & select.POLLIN:  # user code has closed the other end
                    poll.unregister(number)

    def _stop_reader(self) -> None:
        if self._wake and self._reader:
            os.write(self._wake[1], b".")
            self._reader.join()
            for end in self._wake:
                os.close(end)


def _emptied() -> int | None:
    """Make descriptor 0 empty; the answer leads to where it led before."""
    if not _is_open(0):
        return None
    saved = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return saved


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _number_of(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (OSError, AttributeError, TypeError, ValueError):
        return None


def _write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]
