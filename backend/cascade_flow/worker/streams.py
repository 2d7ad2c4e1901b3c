"""Stand-ins for sys.stdout and sys.stderr: what is written goes to whoever writes now, and to the process's stream.

Text is passed on by whole lines, since `print` writes a line in pieces and other threads print meanwhile.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, Protocol, TextIO

from cascade_flow.model.parts import LogStream

_LONG = 8_000
_MANY = 1_000
"""So many characters, or pieces, without an end of line are passed on without one."""


class Writer(Protocol):
    """An attempt, as far as a stream knows it."""

    echo: bool

    def write(self, stream: LogStream, text: str) -> None:
        """Take text of this thread."""

    def write_bytes(self, stream: LogStream, data: bytes) -> None:
        """Take bytes of this thread."""

    def flush(self) -> None:
        """What was written is wanted soon."""


class Stream:
    """Stands in for a stream of the process. Without an attempt, and but for writing, it is the original."""

    def __init__(
        self, name: LogStream, original: TextIO, writer: Callable[[], Writer | None], descriptor: int | None = None
    ) -> None:
        self.original = original
        self._name = name
        self._writer = writer
        self._descriptor = descriptor
        self._begun: defaultdict[tuple[int, Writer], list[str]] = defaultdict(list)

    def write(self, text: str) -> int:
        writer = self._writer()
        if writer is None or not isinstance(text, str):
            return self.original.write(text)
        source = (get_ident(), writer)
        pieces = self._begun[source]
        pieces.append(text)
        if "\n" in text or len(text) > _LONG or len(pieces) > _MANY:
            self._pass_on(writer, self._lines(*source))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        writer = self._writer()
        if writer is not None:
            self._pass_on(writer, self._all(get_ident(), writer))
            writer.flush()
        self.original.flush()

    def finish(self, writer: Writer) -> None:
        """Pass on the beginnings of lines that this writer's threads have left."""
        for thread, other in list(self._begun):
            if other is writer:
                self._pass_on(writer, self._all(thread, other))

    def close(self) -> None:
        """The process's stream is not the step's to close."""
        self.flush()

    def fileno(self) -> int:
        return self.original.fileno() if self._descriptor is None else self._descriptor

    @property
    def buffer(self) -> io.BufferedIOBase:
        return _Bytes(self)

    def detach(self) -> io.BufferedIOBase:
        return self.buffer

    def write_bytes(self, data: bytes) -> None:
        writer = self._writer()
        if writer is not None:
            self._pass_on(writer, self._all(get_ident(), writer))
            writer.write_bytes(self._name, data)
        if writer is None or writer.echo:
            self._echo_bytes(data)

    def _all(self, thread: int, writer: Writer) -> str:
        return "".join(self._begun.pop((thread, writer), ()))

    def _lines(self, thread: int, writer: Writer) -> str:
        """What was begun, to the end of its last line, where there is one."""
        whole = self._all(thread, writer)
        end = whole.rfind("\n") + 1
        if not end or len(whole) > _LONG:
            return whole
        if end < len(whole):
            self._begun[thread, writer].append(whole[end:])
        return whole[:end]

    def _pass_on(self, writer: Writer, text: str) -> None:
        if text:
            writer.write(self._name, text)
            if writer.echo:
                self.original.write(text)

    def _echo_bytes(self, data: bytes) -> None:
        below = getattr(self.original, "buffer", None)
        if below is None:
            self.original.write(data.decode(errors="replace"))
            return
        self.original.flush()
        below.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _Bytes(io.BufferedIOBase):
    """What lies below a stream, for those who write bytes or wrap it; closing it closes nothing."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        whole = bytes(data)
        self._stream.write_bytes(whole)
        return len(whole)

    def flush(self) -> None:
        if not self.closed:
            self._stream.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False
