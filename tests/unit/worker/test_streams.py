"""A stand-in for a stream passes on what is written, whole and in order, to the attempt and to what it stands for."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from cascade_flow.worker.streams import Stream, Writer

Heard = list[tuple[str, Any]]


class Attempt:
    """Takes down what a stream passes on."""

    def __init__(self, *, echo: bool = False) -> None:
        self.echo = echo
        self.heard: Heard = []

    def write(self, stream: str, text: str) -> None:
        self.heard.append((stream, text))

    def write_bytes(self, stream: str, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.heard.append((stream, data))

    def flush(self) -> None:
        self.heard.append(("flush", None))


class Original(io.TextIOWrapper):
    """The process's stream, over bytes that can be looked at."""

    def __init__(self) -> None:
        self.below = io.BytesIO()
        super().__init__(self.below, encoding="utf-8", write_through=False)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 77

    @property
    def shown(self) -> bytes:
        """What has been flushed."""
        return self.below.getvalue()


class Place:
    """A stream, and whoever writes at the time."""

    def __init__(self) -> None:
        self.original = Original()
        self.writer: Attempt | None = Attempt()
        self.stream = Stream("stderr", self.original, lambda: self.writer)

    @property
    def heard(self) -> Heard:
        assert self.writer is not None
        return self.writer.heard

    def elsewhere(self, text: str) -> None:
        thread = threading.Thread(target=self.stream.write, args=(text,))
        thread.start()
        thread.join()


@pytest.fixture
def place() -> Place:
    return Place()


def test_text_is_passed_on_by_whole_lines(place: Place) -> None:
    assert [place.stream.write(text) for text in ("a", "b\nc", "d\ne\nf", "g\n")] == [1, 3, 5, 2]
    assert place.heard == [("stderr", "ab\n"), ("stderr", "cd\ne\n"), ("stderr", "fg\n")]


def test_what_is_written_is_counted_in_characters(place: Place) -> None:
    assert place.stream.write("für alle") == 8


def test_what_has_no_end_is_passed_on_where_it_is_long_or_in_many_pieces(place: Place) -> None:
    place.stream.write("x" * 8_001)
    for _ in range(1_001):
        place.stream.write("y")
    place.stream.write("x" * 8_000)
    place.stream.write("\nz")
    assert [text for _, text in place.heard] == ["x" * 8_001, "y" * 1_001, "x" * 8_000 + "\nz"]


def test_what_is_no_text_is_refused_as_by_any_stream(place: Place) -> None:
    with pytest.raises(TypeError):
        place.stream.write(b"bytes")  # type: ignore[arg-type]
    place.stream.write("on\n")
    assert place.heard == [("stderr", "on\n")]


def test_where_nobody_writes_the_stream_is_the_processs(place: Place) -> None:
    place.writer = None
    place.original = place.stream.original = io.StringIO()  # type: ignore[assignment]
    assert place.stream.write("für") == 3
    place.stream.write_bytes(b"bytes")
    place.stream.flush()
    assert place.original.getvalue() == "fürbytes"  # type: ignore[attr-defined]


@pytest.mark.parametrize("leave", [Stream.flush, Stream.close])
def test_a_flush_passes_on_what_was_begun_and_hurries_both(place: Place, leave: Any) -> None:
    place.writer = Attempt(echo=True)
    place.stream.write("no end")
    leave(place.stream)
    assert place.heard == [("stderr", "no end"), ("flush", None)]
    assert place.original.shown == b"no end"
    assert not place.original.closed


def test_a_flush_takes_nothing_of_another_thread(place: Place) -> None:
    place.elsewhere("theirs")
    place.stream.flush()
    assert place.heard == [("flush", None)]


def test_who_is_over_leaves_nothing_in_any_thread_and_others_theirs(place: Place) -> None:
    first = place.writer
    assert first is not None
    place.stream.write("mine")
    place.elsewhere("its thread's")
    place.writer = Attempt()
    place.stream.write("another's")
    place.stream.finish(first)
    assert sorted(text for _, text in first.heard) == ["its thread's", "mine"]
    assert place.heard == []


def test_bytes_come_after_what_was_begun_before_them(place: Place) -> None:
    place.stream.write("text ")
    below = place.stream.buffer
    assert below.write(bytearray(b"bytes")) == 5
    assert below.write(memoryview(b"12345678").cast("i")) == 8
    assert place.heard == [("stderr", "text "), ("stderr", b"bytes"), ("stderr", b"12345678")]
    place.stream.flush()
    assert place.original.shown == b""


def test_bytes_are_echoed_after_the_text_before_them(place: Place) -> None:
    place.writer = Attempt(echo=True)
    place.stream.write("text\n")
    place.stream.buffer.write(b"bytes\n")
    assert place.original.shown == b"text\nbytes\n"


def test_what_lies_below_is_for_writing_and_stays_open(place: Place) -> None:
    below = place.stream.detach()
    assert (below.writable(), below.isatty(), below.fileno()) == (True, False, 77)
    place.stream.write("begun")
    below.flush()
    assert place.heard == [("stderr", "begun"), ("flush", None)]
    below.close()
    below.flush()
    place.stream.write("on\n")
    assert place.heard[2:] == [("flush", None), ("stderr", "on\n")]


def test_its_descriptor_is_the_one_that_stands_for_it(place: Place) -> None:
    def nobody() -> Writer | None:
        return None

    assert place.stream.fileno() == 77
    assert Stream("stdout", place.original, nobody, 0).fileno() == 0
    assert (place.stream.isatty(), place.stream.encoding) == (True, "utf-8")
