"""The lines that one attempt writes, kept within bounds until they are handed on. Text in, lines out; no streams here.

A carriage return begins the line anew, as on a terminal, so that a progress bar is one line. Of an attempt that writes
too much the beginning and the very end are kept, with one line between them that says what is missing.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Hashable
from operator import attrgetter
from typing import NamedTuple

from cascade_flow.clock import now_us
from cascade_flow.model.parts import LogStream
from cascade_flow.model.wire import well_formed
from cascade_flow.portions import portions
from cascade_flow.records import dataclass


class LogLine(NamedTuple):
    """One line of an attempt, ready to become a LogEntry."""

    stream: LogStream
    message: str
    timestamp_us: int

    @property
    def size_bytes(self) -> int:
        return len(self.message) if self.message.isascii() else len(self.message.encode())


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of an attempt's log is kept. Lines are counted too, since an empty one has no bytes and still costs."""

    line_chars: int = 8_000
    total_bytes: int = 1_000_000
    total_lines: int = 50_000
    tail_lines: int = 50
    chunk_bytes: int = 64_000
    chunk_lines: int = 2_000


@dataclass
class _Pending:
    """The beginning of a line that has no end yet; `beyond` counts the characters that were too many."""

    text: str = ""
    beyond: int = 0


class LogBuffer:
    """Collects from any thread. `take` hands out what is complete, `close` the rest.

    A line is never mixed of what two sources write, such as two threads. Each line is later than the one before, and
    than `after_us`, whatever the clock says.
    """

    def __init__(self, limits: Limits, *, after_us: int = 0) -> None:
        self.limits = limits
        self._lock = threading.RLock()  # a signal's handler may write, too
        self._pending: defaultdict[tuple[LogStream, Hashable], _Pending] = defaultdict(_Pending)
        self._ready: list[LogLine] = []
        self._last_us = after_us
        self._kept_bytes = 0
        self._kept_lines = 0
        self._tail: deque[LogLine] = deque()
        self._cut_lines = 0
        self._cut_bytes = 0

    def write(self, stream: LogStream, text: str, source: Hashable = None) -> None:
        """Text as a stream gets it: any number of lines, the last one perhaps not at its end."""
        place = (stream, source)
        *complete, rest = text.split("\n")
        with self._lock:
            for line in complete:
                if place in self._pending or "\r" in line:
                    self._extend(place, line)
                    self._end_line(place)
                else:
                    self._keep(stream, self._bounded(line))
            if rest:
                self._extend(place, rest)

    def add(self, stream: LogStream, message: str) -> None:
        """A message of its own, such as a log record; it may hold several lines."""
        with self._lock:
            self._keep(stream, self._bounded(message))

    def take(self) -> list[list[LogLine]]:
        """The lines that are ready, in chunks of bounded size; they are forgotten here."""
        with self._lock:
            ready, self._ready = self._ready, []
        limits = self.limits
        size_of = attrgetter("size_bytes")
        return list(portions(ready, size_of=size_of, most_bytes=limits.chunk_bytes, most=limits.chunk_lines))

    def close(self) -> list[list[LogLine]]:
        """Everything that is left: unfinished lines, what was cut, the last lines."""
        with self._lock:
            for place, pending in list(self._pending.items()):
                if pending.text or pending.beyond:
                    self._end_line(place)
            if self._cut_lines:
                self._ready.append(self._cut_line())
            self._ready.extend(self._tail)
            self._tail.clear()
        return self.take()

    def _extend(self, place: tuple[LogStream, Hashable], text: str) -> None:
        pending = self._pending[place]
        if "\r" in text:
            pending.text, pending.beyond = "", 0
            text = next((part for part in reversed(text.split("\r")) if part), "")
        room = max(0, self.limits.line_chars - len(pending.text))
        pending.text += text[:room]
        pending.beyond += len(text[room:])

    def _end_line(self, place: tuple[LogStream, Hashable]) -> None:
        pending = self._pending.pop(place)
        self._keep(place[0], self._bounded(pending.text, pending.beyond))

    def _bounded(self, message: str, beyond: int = 0) -> str:
        longest = self.limits.line_chars
        if not beyond and len(message) <= longest:
            return well_formed(message)
        beyond += max(0, len(message) - longest)
        return f"{well_formed(message[:longest])}… (+{beyond:,} characters)"

    def _keep(self, stream: LogStream, message: str) -> None:
        self._last_us = max(now_us(), self._last_us + 1)
        line = LogLine(stream, message, self._last_us)
        if self._takes(line):
            self._ready.append(line)
            return
        self._tail.append(line)
        if len(self._tail) > self.limits.tail_lines:
            cut = self._tail.popleft()
            self._cut_lines += 1
            self._cut_bytes += cut.size_bytes

    def _takes(self, line: LogLine) -> bool:
        """Whether the line is of the beginning that is kept; once one isn't, none is."""
        if self._tail or self._cut_lines or self._kept_lines >= self.limits.total_lines:
            return False
        whole_bytes = self._kept_bytes + line.size_bytes
        if whole_bytes > self.limits.total_bytes:
            return False
        self._kept_bytes, self._kept_lines = whole_bytes, self._kept_lines + 1
        return True

    def _cut_line(self) -> LogLine:
        first = self._tail[0].timestamp_us if self._tail else now_us()
        message = (
            f"… {self._cut_lines:,} lines ({self._cut_bytes:,} bytes) are missing here: "
            f"of an attempt's log {self.limits.total_bytes:,} bytes, {self.limits.total_lines:,} lines at most, and "
            "its last lines are kept"
        )
        return LogLine("stderr", message, first)
