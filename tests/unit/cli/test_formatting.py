"""Times, sizes and texts as people read and write them."""

import pytest

from cascade_flow.cli import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.000_4, "<1 ms"),
        (0.35, "350 ms"),
        (0.999_6, "1.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3_600, "1 h"),
        (7_505, "2 h 5 min"),
        (349_300, "4 d 1 h"),
        (-5, "0 ms"),
    ],
)
def test_durations_have_as_many_digits_as_anybody_reads(seconds: float, text: str) -> None:
    assert formatting.duration(seconds * 1_000_000) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "now"), (0.2, "in 1 s"), (2.4, "in 3 s"), (61, "in 1 min 1 s")])
def test_a_countdown_is_in_whole_seconds(seconds: float, text: str) -> None:
    assert formatting.countdown(seconds * 1_000_000) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "just now"), (42, "42 s ago"), (200, "3 min ago"), (90_000, "1 d ago")]
)
def test_an_age_has_one_unit(seconds: int, text: str) -> None:
    assert formatting.ago(0, now_us=seconds * 1_000_000) == text


@pytest.mark.parametrize(
    ("written", "seconds"), [("90", 90), ("90s", 90), ("1.5h", 5_400), ("5 m", 300), ("2d", 172_800), ("10min", 600)]
)
def test_durations_are_read_as_people_write_them(written: str, seconds: float) -> None:
    assert formatting.seconds_of(written) == seconds


@pytest.mark.parametrize("written", ["soon", "-3", "", "5 weeks"])
def test_what_is_no_duration_is_told(written: str) -> None:
    assert formatting.seconds_of(written) is None


@pytest.mark.parametrize("text", ["", "short", "a line\nand another", "x" * 200, "x" * 200 + "\ny"])
@pytest.mark.parametrize("width", [10, 40])
def test_a_shortened_text_is_one_line_that_says_if_more_follows(text: str, width: int) -> None:
    shown = formatting.shortened(text, width)
    assert len(shown) <= max(width, len("a line …"))
    assert "\n" not in shown
    assert shown.endswith("…") == (shown != text)
