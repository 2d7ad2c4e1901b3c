"""Where a command's words go: what was asked for to stdout, all else to stderr; colours only where a person looks.

With `--json`, stdout gets JSON and nothing but JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cascade_flow.portions import portions

_PIPE_WIDTH = 160
_PORTION = 30_000
_MOVING = [range(0x09), range(0x0B, 0x20), range(0x7F, 0xA0)]
_TURNING = [range(0x61C, 0x61D), range(0x200B, 0x2010), range(0x2028, 0x202F), range(0x2060, 0x206A)]
_HIDDEN = dict.fromkeys(code for codes in [*_MOVING, *_TURNING, range(0xFEFF, 0xFF00)] for code in codes)


def harmless(text: str) -> str:
    """What somebody else wrote, without what a terminal would obey: nothing in it moves the cursor, changes colours or
    titles, or turns the line round. What is left is as wide as before.
    """
    return text.translate(_HIDDEN)


class _Console(Console):
    """Prints only what is harmless, whoever wrote it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def _console(*, stderr: bool = False) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    return console


@dataclass(frozen=True)
class Screen:
    """The two streams of one command."""

    as_json: bool
    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: _console(stderr=True))

    @property
    def stage(self) -> Console:
        """Where progress is shown."""
        return self.err if self.as_json else self.out

    def show(self, *parts: RenderableType) -> None:
        """Something made for people; not with --json."""
        if self.as_json:
            return
        if self.out.is_terminal:
            self._print(parts)
            return
        with self.out.capture() as captured:
            self._print(parts)
        self.raw("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def _print(self, parts: Iterable[RenderableType]) -> None:
        """Nothing is cut off; a line of text is broken by the terminal only, so that what is copied is whole."""
        for part in parts:
            self.out.print(part, crop=False, soft_wrap=isinstance(part, Text))

    def lines(self, lines: Iterable[Text]) -> None:
        """Many lines, in portions: one by one they take longer to lay out than to fetch."""
        for portion in portions(lines, size_of=len, most_bytes=_PORTION):
            if self.out.is_terminal:
                self._print([Text("\n").join(portion)])
            else:
                self.raw(harmless("\n".join(line.plain for line in portion)))

    def data(self, value: Any) -> None:
        """One JSON document."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def record(self, value: Any) -> None:
        """One JSON value on a line of its own, seen at once."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def raw(self, text: str) -> None:
        """Text exactly as it is, seen at once."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def say(self, text: str, style: str = "") -> None:
        """A remark, on stderr."""
        self.err.print(Text(text, style), soft_wrap=True)

    def complain(self, text: str) -> None:
        """What went wrong, on stderr."""
        head, _, rest = text.partition("\n")
        self.err.print(Text.assemble(("error: ", "bold red"), head), soft_wrap=True)
        if rest:
            self.err.print(Text(rest), soft_wrap=True)

    @contextmanager
    def busy(self) -> Iterator[Busy]:
        """Steps of some work, one after the other, each shown while it lasts."""
        busy = Busy(self)
        try:
            yield busy
        finally:
            busy.end()


class Busy:
    """The work that is under way: a spinner where a person looks, a line each where not."""

    def __init__(self, screen: Screen) -> None:
        self._console = screen.stage
        self._status: Any = None
        self._line: str | None = None

    def begin(self, line: str) -> None:
        self.end(done=True)
        self._line = line
        if self._console.is_terminal:
            self._status = self._console.status(Text(f"{line} ..."), spinner="dots")
            self._status.start()
        else:
            self._console.print(Text(f"{line} ..."), soft_wrap=True)

    def far(self, line: str) -> None:
        """Say how far something is, in one line that changes and leaves nothing: only who looks sees it."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("", spinner="dots")
            self._status.start()
        self._status.update(Text(f"{line} ..."))

    def forget(self) -> None:
        """Leave nothing of that line."""
        if self._status is not None:
            self._status.stop()
        self._status = None

    def end(self, *, done: bool = False) -> None:
        if self._status is not None:
            self._status.stop()
            sign, style = ("✓", "green") if done else ("✗", "red")
            self._console.print(Text.assemble((f"{sign} ", style), self._line or ""), soft_wrap=True)
        self._status = None
