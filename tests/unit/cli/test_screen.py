"""What is shown does nothing to the terminal of who looks, whoever wrote it."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from cascade_flow.cli.outcome import indented
from cascade_flow.cli.screen import Screen, harmless
from cascade_flow.cli.tables import facts

HOSTILE = "a\u202egpj\x1b[31mred\x1b]0;title\x07\x9b2J\u2066b"
SEEN = "agpj[31mred]0;title2Jb"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STREAMS = pytest.mark.parametrize("kind", [Terminal, io.StringIO], ids=["person", "pipe"])


@STREAMS
def test_nothing_that_is_shown_moves_the_cursor_or_turns_the_line(
    kind: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stdout(kind()) as out:
        screen = Screen(as_json=False)
        screen.show(facts([("tag", HOSTILE), ("name", Text(HOSTILE))]), indented(Text(HOSTILE)))
        screen.lines([Text(HOSTILE)])
    assert out.getvalue().count(SEEN) == 4
    hidden = [each for each in out.getvalue() if unicodedata.category(each) in ("Cc", "Cf", "Zl")]
    assert set(hidden) == {"\n"}


@STREAMS
def test_what_is_asked_for_as_it_is_stays_as_it_is(kind: Callable[[], io.StringIO]) -> None:
    with redirect_stdout(kind()) as out:
        Screen(as_json=False).raw(HOSTILE)
    assert out.getvalue() == HOSTILE + "\n"


def test_what_is_left_out_takes_no_room() -> None:
    assert cell_len(harmless(HOSTILE)) == cell_len(HOSTILE)


def test_what_is_written_for_people_is_left_alone() -> None:
    written = Path(__file__).read_text(encoding="utf-8") + "\tZoë 東京 ✓ █▓▒ e\u0301"
    assert harmless(written) == written
