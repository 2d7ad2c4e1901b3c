"""A descriptor is led into a pipe and back again, whatever stands on it, and whoever still writes to it."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cascade_flow.worker import descriptors
from cascade_flow.worker.descriptors import EmptyInput, Outlets, _fileno, _lead, _raws, _write_all

OTHERWISE = 7


class Place:
    """A descriptor that stands for the process's own: what is written to it can be looked at."""

    def __init__(self) -> None:
        self.shown, self.number = os.pipe()
        os.set_blocking(self.shown, False)
        self.taken: list[bytes] = []
        self.echoes = True
        self.outlets = Outlets()

    def take(self, data: bytes) -> bool:
        self.taken.append(data)
        return self.echoes

    def divert(self, *streams: Any) -> None:
        self.outlets.divert(self.number, self.take, streams or [None])

    def seen(self) -> bytes:
        try:
            return os.read(self.shown, 65_536)
        except BlockingIOError:
            return b""

    def whole(self) -> bytes:
        return b"".join(self.taken)

    def close(self) -> None:
        os.close(self.shown)
        os.close(self.number)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Nobody reads but who asks."""
    monkeypatch.setattr(descriptors, "_reader", descriptors._Reader())
    monkeypatch.setattr(descriptors._Reader, "_read", lambda _: None)
    place = Place()
    yield place
    place.close()


@pytest.fixture
def other() -> Iterator[Place]:
    place = Place()
    yield place
    place.close()


def opened() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("echoes", [True, False])
def test_what_is_written_meanwhile_is_taken_and_shown_where_it_is_to_be(place: Place, echoes: bool) -> None:
    before, place.echoes = opened(), echoes
    place.divert()
    os.write(place.number, b"first ")
    place.outlets.drain()
    os.write(place.number, b"second")
    place.outlets.restore()
    os.write(place.number, b" after")
    assert place.whole() == b"first second"
    assert place.seen() == (b"first second after" if echoes else b" after")
    assert opened() == before


def test_what_is_echoed_goes_where_the_first_of_its_streams_goes(place: Place, other: Place) -> None:
    with os.fdopen(other.number, "w", closefd=False) as elsewhere:
        place.divert(elsewhere, None)
        os.write(place.number, b"echoed")
        place.outlets.restore()
    assert (place.whole(), place.seen(), other.seen()) == (b"echoed", b"", b"echoed")


def test_a_stream_of_the_process_writes_past_the_pipe_and_is_led_back(place: Place) -> None:
    with os.fdopen(place.number, "w", closefd=False) as own:
        place.divert(own)
        print("meanwhile", file=own, flush=True)
        place.outlets.restore()
        print("after", file=own, flush=True)
    assert (place.whole(), place.seen()) == (b"", b"meanwhile\nafter\n")


def test_all_that_came_by_any_descriptor_is_taken_at_once(place: Place, other: Place) -> None:
    place.echoes = False
    place.divert()
    place.outlets.divert(other.number, place.take, [None])
    os.write(place.number, b"one")
    os.write(other.number, b"other")
    place.outlets.drain()
    assert sorted(place.taken) == [b"one", b"other"]
    place.outlets.restore()


def test_nothing_that_came_is_not_taken(place: Place) -> None:
    place.divert()
    place.outlets.drain()
    place.outlets.restore()
    assert place.taken == []


def test_a_pipe_that_is_full_at_the_end_is_taken_whole(place: Place) -> None:
    place.echoes = False
    place.divert()
    os.set_blocking(place.number, False)
    written = os.write(place.number, b"x" * 1_000_000)
    os.set_blocking(place.number, True)
    place.outlets.restore()
    assert place.whole() == b"x" * written


def test_what_is_still_written_by_a_child_is_only_shown_and_then_all_is_closed(place: Place) -> None:
    before = opened()
    place.divert()
    child = os.dup(place.number)
    place.outlets.restore()
    os.write(child, b"late")
    place.outlets.drain()
    assert (place.whole(), place.seen()) == (b"", b"late")
    os.close(child)
    place.outlets.drain()
    assert opened() == before


def test_who_closes_it_has_it_back_in_the_end_and_nothing_is_left_open(place: Place) -> None:
    before = opened()
    place.divert()
    os.close(place.number)
    place.outlets.drain()
    assert not descriptors._reader._selector.get_map(), "a pipe that is over is still looked at"
    place.outlets._diverted[0].drain()
    place.outlets.restore()
    os.write(place.number, b"back")
    assert place.seen() == b"back"
    assert opened() == before


def test_each_of_several_is_put_back_and_in_a_child_led_on(place: Place) -> None:
    other = Place()
    streams = [os.fdopen(os.dup(each.number), "w", closefd=True) for each in (place, other)]
    numbers = [stream.fileno() for stream in streams]
    for number, stream in zip(numbers, streams, strict=True):
        place.outlets.divert(number, place.take, [stream])
    assert [stream.fileno() in numbers for stream in streams] == [False, False]
    place.outlets.inherit()
    assert [stream.fileno() for stream in streams] == numbers
    place.outlets.restore()
    for number in numbers:
        os.write(number, b"back")
        os.close(number)
    assert (place.seen(), other.seen()) == (b"back", b"back")


def test_who_takes_may_write_in_the_middle(place: Place) -> None:
    """As a signal's handler does."""

    def take(data: bytes) -> bool:
        place.taken.append(data)
        place.outlets.drain()
        return False

    place.outlets.divert(place.number, take, [None])
    os.write(place.number, b"once")
    taking = threading.Thread(target=place.outlets.drain, daemon=True)
    taking.start()
    taking.join(10)
    assert not taking.is_alive()
    place.outlets.restore()
    assert place.whole() == b"once"


def test_what_another_thread_is_taking_has_been_taken(place: Place) -> None:
    begun, go, done = threading.Event(), threading.Event(), list[str]()

    def take(_: bytes) -> bool:
        begun.set()
        go.wait(10)
        done.append("taken")
        return False

    place.outlets.divert(place.number, take, [None])
    os.write(place.number, b"x")
    taking = threading.Thread(target=place.outlets.drain)
    taking.start()
    begun.wait(10)
    asking = threading.Thread(target=lambda: (place.outlets.drain(), done.append("drained")))
    asking.start()
    asking.join(0.02)
    go.set()
    taking.join()
    asking.join()
    place.outlets.restore()
    assert done == ["taken", "drained"]


class Refusing:
    """A stream without a descriptor, in one of the ways that there are."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def fileno(self) -> int:
        raise self.error


@pytest.mark.parametrize(
    "stream", [None, io.StringIO(), Refusing(OSError()), Refusing(ValueError("closed")), SimpleNamespace()]
)
def test_a_stream_without_a_descriptor_is_shown_where_its_number_was(stream: Any) -> None:
    assert _fileno(stream, OTHERWISE) == OTHERWISE


def test_below_streams_are_those_files_that_are_open_and_write_there(place: Place) -> None:
    first, again, other, closed = (io.FileIO(each, "wb", closefd=False) for each in (place.number,) * 2 + (2, 2))
    closed.close()
    streams = [
        None,
        io.StringIO(),
        SimpleNamespace(buffer=SimpleNamespace(raw=first)),
        SimpleNamespace(buffer=SimpleNamespace(raw=first)),
        SimpleNamespace(buffer=again),
        SimpleNamespace(buffer=other),
        SimpleNamespace(buffer=closed),
        SimpleNamespace(buffer=SimpleNamespace(closed=False, fileno=lambda: place.number)),
    ]
    assert _raws(streams, place.number) == [first, again]


def test_a_file_that_is_led_elsewhere_keeps_its_name_and_leaves_the_descriptor_open(place: Place) -> None:
    number = os.dup(place.number)
    raw = io.FileIO(number, "wb", closefd=False)
    raw.name = "<stdout>"  # type: ignore[misc]
    _lead([raw], place.number)
    raw.write(b"there")
    assert (raw.name, raw.fileno(), place.seen()) == ("<stdout>", place.number, b"there")
    raw.close()
    os.close(number)
    assert os.fstat(place.number)


def test_where_nobody_listens_any_more_what_is_shown_is_lost(place: Place) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    _write_all(writing, b"lost")
    os.close(writing)


def test_all_is_shown_of_what_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        parts.append(data[:2])
        return min(2, len(data))

    monkeypatch.setattr(os, "write", write)
    _write_all(OTHERWISE, b"whole")
    assert parts == [b"wh", b"ol", b"e"]


def test_after_a_fork_there_is_a_reader_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors._Reader()
    monkeypatch.setattr(descriptors, "_reader", before)
    descriptors.after_fork()
    assert descriptors._reader is not before


def test_one_thread_reads_for_all_and_keeps_no_process_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(descriptors._Reader, "_read", lambda _: threads.append(threading.current_thread()))
    reader, pipes = descriptors._Reader(), [os.pipe(), os.pipe()]
    for reading, _ in pipes:
        reader.add(reading, lambda: None)
    assert reader._thread is not None
    reader._thread.join()
    assert [thread.daemon for thread in threads] == [True]
    for pair in pipes:
        for number in pair:
            os.close(number)


@pytest.fixture
def given() -> Iterator[None]:
    """Who reads the process's input finds this."""
    own, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    os.write(writing, b"given")
    os.close(writing)
    yield
    os.dup2(own, 0)
    for number in (own, reading):
        os.close(number)


def test_the_input_is_empty_until_it_is_restored(given: None) -> None:
    before = opened()
    empty = EmptyInput()
    assert os.read(0, 9) == b""
    empty.restore()
    assert (os.read(0, 9), opened()) == (b"given", before)
