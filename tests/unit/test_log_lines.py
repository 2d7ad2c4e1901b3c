"""Many log lines cost as much as many times one: they are spread in one walk, answered and printed in portions."""

import io
from collections.abc import Container

import pytest
from hypothesis import given, strategies as st
from rich.console import Console
from rich.text import Text

from cascade_flow.api.history_answers import log_page
from cascade_flow.api.query_shapes import MOST_LINES
from cascade_flow.cli.screen import Screen
from cascade_flow.operations.history import StepLine, _spread

times = st.integers(0, 30)


class Counted(Container[int]):
    """Taken times that count how often they are asked."""

    def __init__(self, taken: set[int]) -> None:
        self.asked = 0
        self._taken = taken

    def __contains__(self, time_us: object) -> bool:
        self.asked += 1
        return time_us in self._taken


def lines(times: list[int]) -> list[StepLine]:
    return [StepLine(time_us, "a", 1, "stdout", str(number)) for number, time_us in enumerate(sorted(times))]


@given(st.lists(times, max_size=40), st.sets(times))
def test_each_line_gets_the_first_time_that_is_free(given_us: list[int], taken: set[int]) -> None:
    spread = list(_spread(lines(given_us), taken))
    expected, used = [], set(taken)
    for time_us in sorted(given_us):
        expected.append(next(free for free in range(time_us, 200) if free not in used))
        used.add(expected[-1])
    assert [line.timestamp_us for line in spread] == expected
    assert [line.message for line in spread] == [line.message for line in lines(given_us)]


def test_thousands_of_lines_of_one_microsecond_are_looked_at_once_each() -> None:
    taken = Counted(set(range(1_000, 1_010)))
    spread = list(_spread(lines([1_000] * 8_000), taken))
    assert [line.timestamp_us for line in spread] == list(range(1_010, 9_010))
    assert taken.asked == 8_000 + 10


def test_eleven_thousand_lines_are_two_answers() -> None:
    written = lines(list(range(1, 11_001)))
    first = log_page(written, after_us=0, limit=MOST_LINES)
    second = log_page(written, after_us=first["nextUs"], limit=MOST_LINES)
    assert "nextUs" not in second
    assert [line["message"] for page in (first, second) for line in page["lines"]] == [line.message for line in written]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_lines_are_printed_in_portions(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = io.StringIO()
    out = Console(file=printed, force_terminal=is_terminal, color_system=None)
    calls: list[int] = []
    for holder, name in ((Console, "print"), (Screen, "raw")):
        original = getattr(holder, name)
        counted = lambda *args, _call=original, **options: calls.append(1) or _call(*args, **options)  # noqa: E731
        monkeypatch.setattr(holder, name, counted)
    Screen(as_json=False, out=out).lines(Text(f"line {number} of many") for number in range(11_000))
    text = printed.getvalue() if is_terminal else capsys.readouterr().out
    assert text.splitlines() == [f"line {number} of many" for number in range(11_000)]
    assert len(calls) <= 10
