"""File descriptors during an attempt: 1 and 2 lead into pipes of ours, 0 to the empty file; then all is put back.

A pipe belongs to one attempt. One thread of the process reads them all, and goes on with those that a child left
behind still writes to: nobody waits for such a child, and what it writes is only echoed.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from io import FileIO
from typing import Any

Take = Callable[[bytes], bool]
"""Takes what came; answers whether it is to be echoed to the process's own descriptor."""

_CAPACITY = 65_536
"""What a pipe holds at most, in bytes."""


class Diverted:
    """A descriptor that is written to, led into a pipe until `restore`.

    What is echoed goes where the first of its streams goes, which somebody may have led away from the descriptor.
    Raises OSError where there is no descriptor of this number.
    """

    def __init__(self, number: int, take: Take, lock: threading.RLock, streams: Sequence[Any]) -> None:
        self.number = number
        self._take: Take | None = take
        self._lock = lock
        self._open = True
        self._own = os.dup(number)
        self._echo = os.dup(_fileno(streams[0], self._own))
        self._raws = _raws(streams, number)
        self.pipe, entrance = os.pipe()
        os.set_blocking(self.pipe, False)
        _reader.add(self.pipe, self.drain)
        _lead(self._raws, self._own)
        os.dup2(entrance, number)
        os.close(entrance)

    def drain(self) -> None:
        """Take all that has been written until now, and no more: who goes on writing keeps nobody here."""
        with self._lock:
            if self._open and self._meets_end():
                _reader.remove(self.pipe)
                self._close()

    def restore(self) -> None:
        """Put the descriptor back, after taking what was written to it."""
        with self._lock:
            if self._open:
                _reader.remove(self.pipe)
            os.dup2(self._own, self.number)
            _lead(self._raws, self.number)
            over = not self._open or self._meets_end()
            self._take = None
            if over or self._meets_end():
                self._close()
            else:
                _reader.add(self.pipe, self.drain)  # a child still writes

    def inherit(self) -> None:
        """In a child made by `fork`: the process's streams write to the pipe too, which the parent reads."""
        _lead(self._raws, self.number)

    def _meets_end(self) -> bool:
        """Take what is there; whether nobody can write any more."""
        try:
            data = os.read(self.pipe, _CAPACITY)
        except BlockingIOError:
            return False
        if data and (self._take is None or self._take(data)):
            _write_all(self._echo, data)
        return not data

    def _close(self) -> None:
        """The pipe where it is over; the process's own descriptors where they are back in their place."""
        if self._open:
            self._open = False
            os.close(self.pipe)
        if self._take is None:
            os.close(self._own)
            os.close(self._echo)


class Outlets:
    """All that is diverted at a time. To ask it costs one call of the system where nothing came."""

    def __init__(self) -> None:
        self._diverted: list[Diverted] = []
        self._lock = threading.RLock()  # a signal's handler may write, too

    def divert(self, number: int, take: Take, streams: Sequence[Any]) -> None:
        """Raises OSError where there is no descriptor of this number."""
        self._diverted.append(Diverted(number, take, self._lock, streams))

    def drain(self) -> None:
        """Take all that has been written until now; what another thread is taking, has been taken."""
        _reader.take()
        with self._lock:
            pass

    def restore(self) -> None:
        for diverted in self._diverted:
            diverted.restore()

    def inherit(self) -> None:
        for diverted in self._diverted:
            diverted.inherit()


class EmptyInput:
    """Descriptor 0 reads the empty file until `restore`. Raises OSError where there is no descriptor 0."""

    def __init__(self) -> None:
        self._own = os.dup(0)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)

    def restore(self) -> None:
        os.dup2(self._own, 0)
        os.close(self._own)


class _Reader:
    """The thread that reads the pipes; it begins with the first of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, pipe: int, drain: Callable[[], None]) -> None:
        self._selector.register(pipe, selectors.EVENT_READ, drain)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="step-output", daemon=True)
                self._thread.start()

    def remove(self, pipe: int) -> None:
        self._selector.unregister(pipe)

    def take(self, wait_s: float | None = 0) -> None:
        """Have what there is taken, now or when something comes; any thread may ask."""
        for key, _ in self._selector.select(wait_s):
            key.data()

    def _read(self) -> None:
        while True:
            self.take(None)


def after_fork() -> None:
    """In a child made by `fork`: threads are not inherited."""
    global _reader
    _reader = _Reader()


def _fileno(stream: Any, otherwise: int) -> int:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return otherwise


def _raws(streams: Iterable[Any], number: int) -> list[FileIO]:
    """What lies below those streams that write to this descriptor."""
    buffers = [getattr(stream, "buffer", None) for stream in streams]
    found = {id(raw): raw for buffer in buffers for raw in [getattr(buffer, "raw", buffer)]}
    return [raw for raw in found.values() if isinstance(raw, FileIO) and not raw.closed and raw.fileno() == number]


def _lead(raws: Iterable[FileIO], number: int) -> None:
    """Have them write to another descriptor: whoever keeps one of the process's own streams goes on writing there."""
    for raw in raws:
        name = raw.name
        FileIO.__init__(raw, number, "wb", closefd=False)
        raw.name = name


def _write_all(number: int, data: bytes) -> None:
    with suppress(OSError):  # nobody listens any more
        while data:
            data = data[os.write(number, data) :]


_reader = _Reader()
