"""Lines are bounded one by one and all together; what is left out is told."""

import threading
from itertools import chain, repeat

import pytest
from hypothesis import given, strategies as st

from cascade_flow.worker import log_buffer
from cascade_flow.worker.log_buffer import Limits, LogBuffer, LogLine

SMALL = Limits(line_chars=10, total_bytes=40, tail_lines=2, chunk_bytes=25)


def everything(book: LogBuffer) -> list[LogLine]:
    return [line for chunk in book.close() for line in chunk]


def messages(book: LogBuffer) -> list[str]:
    return [line.message for line in everything(book)]


@given(st.lists(st.text(alphabet="ab\n", max_size=20)))
def test_however_the_text_is_cut_the_lines_are_the_same(pieces: list[str]) -> None:
    whole, cut = LogBuffer(Limits()), LogBuffer(Limits())
    whole.write("stdout", "".join(pieces))
    for piece in pieces:
        cut.write("stdout", piece)
    text = "".join(pieces)
    assert messages(cut) == messages(whole) == (text.removesuffix("\n").split("\n") if text else [])


def test_a_progress_bar_is_one_line() -> None:
    book = LogBuffer(Limits())
    for percent in range(0, 101, 10):
        book.write("stderr", f"\r{percent} %")
    book.write("stderr", "\ndone\r\n")
    assert messages(book) == ["100 %", "done"]


def test_the_two_streams_do_not_share_a_line() -> None:
    book = LogBuffer(Limits())
    book.write("stdout", "a")
    book.write("stderr", "b\n")
    book.write("stdout", "c\n")
    assert messages(book) == ["b", "ac"]


def test_a_long_line_is_cut_and_says_so() -> None:
    book = LogBuffer(SMALL)
    for _ in range(1_000):
        book.write("stdout", "x" * 100)
    book.write("stdout", "\n")
    book.add("stderr", "y" * 11)
    book.add("stderr", "z" * 10)
    longest = [f"{'x' * 10}… (+99,990 characters)", f"{'y' * 10}… (+1 characters)", "z" * 10]
    assert messages(book) == longest


def test_of_a_line_that_is_begun_anew_nothing_is_left() -> None:
    book = LogBuffer(SMALL)
    book.write("stdout", "x" * 100)
    book.write("stdout", "\rdone\n")
    assert messages(book) == ["done"]


def test_of_a_line_without_an_end_no_more_is_kept_than_is_told() -> None:
    book = LogBuffer(SMALL)
    for _ in range(100):
        book.write("stdout", "x" * 9)
    assert [len(pending.text) for pending in book._pending.values()] == [10]


def test_what_comes_after_a_line_that_was_too_much_does_not_come_before_it() -> None:
    book = LogBuffer(Limits(total_bytes=10))
    for line in ("first", "too much", "last"):
        book.write("stdout", f"{line}\n")
    assert messages(book) == ["first", "too much", "last"]


def test_of_too_many_lines_the_first_and_the_last_are_kept() -> None:
    book = LogBuffer(SMALL)
    for number in range(100):
        book.write("stdout", f"line {number:03}\n")
    kept = messages(book)
    assert kept[:5] == [f"line {number:03}" for number in range(5)]
    assert kept[5].startswith("… 93 lines (744 bytes) are missing here")
    assert kept[6:] == ["line 098", "line 099"]


def test_what_was_told_at_the_end_is_not_told_again() -> None:
    """Code that ends its process is closed twice where the process lives on."""
    book = LogBuffer(Limits(total_lines=1, tail_lines=1))
    book.write("stdout", "first\nmissing\nlast\n")
    assert messages(book)[-1] == "last"
    assert "last" not in messages(book)


def test_a_little_too_much_is_kept_whole() -> None:
    book = LogBuffer(SMALL)
    for number in range(7):
        book.write("stdout", f"line {number:03}\n")
    assert messages(book) == [f"line {number:03}" for number in range(7)]


def test_times_never_go_back() -> None:
    book = LogBuffer(SMALL)
    for number in range(30):
        book.write("stdout", f"line {number:03}\n")
    times = [line.timestamp_us for line in everything(book)]
    assert times == sorted(times)


def test_a_line_of_which_nothing_is_kept_is_told_all_the_same() -> None:
    book = LogBuffer(Limits(line_chars=0))
    book.write("stdout", "xyz")
    assert messages(book) == ["… (+3 characters)"]


def test_halves_of_characters_are_replaced() -> None:
    book = LogBuffer(Limits())
    book.write("stdout", "a\ud800b\n")
    assert messages(book) == ["a\ufffdb"]


@given(st.lists(st.text(alphabet="abc", max_size=60), max_size=30))
def test_no_chunk_is_larger_than_asked_unless_a_single_line_is(lines: list[str]) -> None:
    book = LogBuffer(Limits(chunk_bytes=50))
    for line in lines:
        book.add("stdout", line)
    chunks = book.take()
    assert [line.message for chunk in chunks for line in chunk] == lines
    assert all(len(chunk) == 1 or sum(line.size_bytes for line in chunk) <= 50 for chunk in chunks)
    assert book.take() == []


def test_lines_without_text_are_bounded_too() -> None:
    book = LogBuffer(Limits(total_lines=5, chunk_lines=3, tail_lines=2))
    book.write("stdout", "\n" * 100)
    chunks = book.close()
    assert [len(chunk) for chunk in chunks] == [3, 3, 2]
    [told] = [line.message for chunk in chunks for line in chunk if line.message]
    assert told.startswith("… 93 lines (0 bytes) are missing here")


@pytest.mark.parametrize("text", ["10 %\r20 %\n", "10 %\r20 %\r\n", "longer\r10 %\r\r20 %\r", "10 %\r20 %"])
def test_of_what_is_written_over_the_last_is_kept(text: str) -> None:
    book = LogBuffer(Limits())
    book.write("stdout", text)
    assert messages(book) == ["20 %"]


def test_no_line_is_mixed_of_what_two_have_written() -> None:
    book = LogBuffer(Limits())
    for source, text in ((1, "one "), (2, "two "), (1, "first\n"), (2, "second")):
        book.write("stdout", text, source)
    assert messages(book) == ["one first", "two second"]


def test_what_is_missing_is_counted_as_it_would_be_stored() -> None:
    book = LogBuffer(Limits(total_lines=1, tail_lines=1))
    book.write("stdout", "first\nü\nfour\nlast line\n")
    assert messages(book)[1].startswith("… 2 lines (6 bytes) are missing here")


def test_a_line_as_long_as_may_be_is_not_cut() -> None:
    book = LogBuffer(SMALL)
    book.add("stdout", "x" * SMALL.line_chars)
    assert messages(book) == ["x" * SMALL.line_chars]


def test_halves_of_characters_are_replaced_in_a_line_that_is_cut_too() -> None:
    book = LogBuffer(SMALL)
    book.add("stdout", "\ud800" + "x" * 10)
    assert messages(book) == ["\ufffd" + "x" * 9 + "… (+1 characters)"]


def test_a_line_that_was_only_begun_anew_is_none() -> None:
    book = LogBuffer(Limits())
    book.write("stdout", "\r")
    assert messages(book) == []


def test_a_line_is_as_large_as_it_is_stored() -> None:
    assert [LogLine("stdout", text, 0).size_bytes for text in ("abc", "für", "")] == [3, 4, 0]


@pytest.mark.parametrize("clock", [repeat(5), chain([7], repeat(5))])
def test_each_line_is_later_than_the_one_before_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch, clock: "repeat[int]"
) -> None:
    monkeypatch.setattr(log_buffer, "now_us", lambda: next(clock))
    book = LogBuffer(Limits(), after_us=9)
    book.write("stdout", "one\ntwo\n")
    book.add("stderr", "three")
    assert [line.timestamp_us for line in everything(book)] == [10, 11, 12]


def test_where_no_last_line_is_kept_none_of_those_that_would_fit_is() -> None:
    book = LogBuffer(Limits(total_bytes=5, tail_lines=0))
    book.write("stdout", "first\nmuch\n\n")
    first, told = everything(book)
    assert first.message == "first"
    assert (told.stream, told.message[:36]) == ("stderr", "… 2 lines (4 bytes) are missing here")


def test_a_signals_handler_may_write_in_the_middle_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    book, handled = LogBuffer(Limits()), list[str]()

    def interrupted() -> int:
        if not handled:
            handled.append("once")
            book.add("stderr", "handled")
        return 1

    monkeypatch.setattr(log_buffer, "now_us", interrupted)
    writing = threading.Thread(target=book.write, args=("stdout", "line\n"), daemon=True)
    writing.start()
    writing.join(10)
    assert not writing.is_alive()
    assert messages(book) == ["handled", "line"]
