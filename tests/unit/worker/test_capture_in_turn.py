"""Whose a line is, when it goes, and what of the capture's own is nobody's, where no thread happens to help."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from cascade_flow.authoring import StepContext
from cascade_flow.errors import ThrottledError
from cascade_flow.worker import descriptors, interrupt, replaced as module
from cascade_flow.worker.capture import Capture, _switchboard
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.replaced import Replaced, _end_process
from unit.worker.test_capture import Sink, quiet

NEVER_MS = 600_000
NAMES = [(holder, name) for holder, names in module._REPLACED for name in names]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of a descriptor is taken by who asks for it alone."""
    monkeypatch.setattr(descriptors._Reader, "_read", lambda _: None)
    monkeypatch.setattr(descriptors, "_reader", descriptors._Reader())


@pytest.mark.usefixtures("nobody_reads")
def test_what_was_written_past_python_comes_before_what_is_written_then(sink: Sink) -> None:
    ways: list[Callable[[], object]] = [
        lambda: print("print"),
        lambda: sys.stdout.buffer.write(b"bytes\n"),
        lambda: StepContext().log.info("record"),
    ]
    with quiet(sink):
        for write in ways:
            os.write(1, b"before\n")
            write()
        os.write(1, b"at last\n")
    assert sink.messages == ["before", "print", "before", "bytes", "before", "INFO record", "at last"]


@pytest.mark.usefixtures("nobody_reads")
def test_what_was_written_past_python_is_handed_on_before_the_process_ends(sink: Sink) -> None:
    with quiet(sink):
        os.write(1, b"at last\n")
        _switchboard.end_process("the end")
        assert sink.messages == ["at last"]


@pytest.mark.usefixtures("nobody_reads")
def test_what_was_written_while_one_was_alone_is_its_own(sink: Sink) -> None:
    with quiet(sink):
        os.write(1, b"mine\n")
        with quiet(Sink()):
            pass
    assert sink.messages == ["mine"]


def test_who_writes_is_again_who_did_before_another_came(sink: Sink) -> None:
    inner = Sink()
    with quiet(sink):
        with quiet(inner):
            print("inner")
        print("outer")
    assert (sink.messages, inner.messages) == (["outer"], ["inner"])


def test_of_two_at_once_a_thread_of_neither_is_nobodys(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet(sink), quiet(sink):
        thread = threading.Thread(target=print, args=("whose",))
        thread.start()
        thread.join()
    assert sink.messages == []
    assert capsys.readouterr().out == "whose\n"


@pytest.mark.parametrize(
    "write",
    [
        lambda: print("early"),
        lambda: sys.stdout.buffer.write(b"early\n"),
        lambda: StepContext().log.info("early"),
        lambda: os.write(1, b"early\n"),
    ],
)
def test_whatever_comes_first_is_handed_on_while_the_step_runs(sink: Sink, write: Callable[[], object]) -> None:
    with quiet(sink, interval_ms=5):
        write()
        assert sink.came.wait(10)


def test_the_first_lines_wait_for_those_after_them(sink: Sink) -> None:
    with quiet(sink, interval_ms=NEVER_MS):
        print("one")
        assert not sink.came.wait(0.02)
        print("two")
    assert [len(chunk) for chunk in sink.chunks] == [2]


def test_who_hands_on_writes_for_itself_and_keeps_no_process_from_its_end(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    daemons: list[bool] = []

    def send(lines: Sequence[LogLine]) -> None:
        daemons.append(threading.current_thread().daemon)
        print("sent")
        sink(lines)

    with quiet(send, interval_ms=5):  # type: ignore[arg-type]
        print("early")
        assert sink.came.wait(10)
    assert (sink.messages, daemons) == (["early"], [True])
    assert capsys.readouterr().out == "sent\n"


def test_one_thread_hands_on_and_none_begins_when_all_is_over(sink: Sink) -> None:
    with quiet(sink, interval_ms=NEVER_MS) as capture:
        capture._start_pump()
        first = capture._pump
        capture._start_pump()
        assert capture._pump is first
    late = quiet(sink)
    with late:
        pass
    late.write("stdout", "late\n")
    assert late._pump is None


def test_who_is_not_to_show_shows_no_record_either(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with quiet(sink):
        StepContext().log.info("hello")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("on_exit", [None, print])
def test_the_end_of_a_process_is_told_and_is_no_line_of_the_step(
    sink: Sink, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, on_exit: Any
) -> None:
    with quiet(sink, on_exit=on_exit):
        print("last words", end="")
        _switchboard.end_process("the end")
    assert sink.messages == ["last words"]
    assert capsys.readouterr().out == ("the end\n" if on_exit else "")
    assert caplog.messages == []


def test_lines_that_are_lost_at_the_end_of_a_process_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_: Sequence[LogLine]) -> None:
        raise ThrottledError

    with quiet(refuse):  # type: ignore[arg-type]
        print("x")
        _switchboard.end_process("the end")
    assert [message.partition(":")[0] for message in caplog.messages] == ["the end; lines of it are lost"]


def test_a_handler_that_ends_the_process_while_its_end_is_told_is_told_too(sink: Sink) -> None:
    told: list[str] = []

    def send(lines: Sequence[LogLine]) -> None:
        sink(lines)
        if sink.messages == ["last words"]:
            capture._buffer.add("stdout", "a handler's")
            capture.end_process("the handler's end")

    capture = quiet(send, on_exit=told.append)  # type: ignore[arg-type]
    capture._buffer.add("stdout", "last words")
    ending = threading.Thread(target=capture.end_process, args=("the end",), daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    assert (sink.messages, told) == (["last words", "a handler's"], ["the handler's end", "the end"])


@pytest.mark.parametrize("error", [ThrottledError(), ValueError()], ids=repr)
def test_an_end_is_told_to_each_attempt_whatever_fails_in_another(sink: Sink, error: Exception) -> None:
    told: list[str] = []

    def refuse(_: str) -> None:
        raise error

    with quiet(sink, on_exit=refuse), quiet(sink, on_exit=told.append):
        _switchboard.end_process("the end")
    assert told == ["the end"]


def test_a_process_ends_also_where_that_can_not_be_told() -> None:
    ended: list[int] = []

    def refuse(words: str) -> None:
        raise ValueError(words)

    end: Any = ended.append
    with pytest.raises(ValueError, match=r"^the step ended its process with os\._exit\(3\)$"):
        _end_process(refuse, end, "os._exit({})", 3)
    assert ended == [3]


@pytest.mark.parametrize(
    "function", [Capture.write, Capture.write_bytes, Capture.add, type(_switchboard).record, _end_process]
)
def test_what_of_ours_runs_in_their_code_is_sheltered(function: Callable[..., Any]) -> None:
    assert function.__code__ in interrupt._sheltered


def names() -> list[Any]:
    return [getattr(holder, name) for holder, name in NAMES]


def test_a_child_has_the_streams_and_the_ends_that_its_parent_had() -> None:
    before = names()
    with ExitStack() as stack:
        replaced = Replaced.now(lambda: None, lambda *_: True, lambda _: None)
        stack.callback(replaced.put_back)
        assert names() != before
        replaced.inherit()
        assert names() == before


def test_where_there_is_no_descriptor_for_it_stdin_is_empty_all_the_same(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError

    monkeypatch.setattr(module, "EmptyInput", refuse)
    with quiet(sink):
        assert sys.stdin.read() == ""


def test_of_a_process_that_is_not_the_workers_all_but_streams_and_logging_is_left_alone(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHANGED", raising=False)
    root, stdin = logging.getLogger(), sys.stdin
    level = root.level
    with quiet(sink, streams_only=True):
        assert sys.stdin is stdin
        monkeypatch.setenv("CHANGED", "yes")
        root.setLevel(1)
        print("taken")
    assert (os.environ["CHANGED"], root.level, sink.messages) == ("yes", level, ["taken"])


def test_a_flush_hurries_the_first_lines_and_no_others(sink: Sink) -> None:
    with quiet(sink, interval_ms=NEVER_MS):
        print("early", flush=True)
        assert sink.came.wait(10)
        sink.came.clear()
        print("late")
        assert not sink.came.wait(0.02)
    assert [len(chunk) for chunk in sink.chunks] == [1, 1]


def test_the_time_between_two_looks_is_told_in_milliseconds(sink: Sink) -> None:
    assert quiet(sink, interval_ms=250)._interval_s == 0.25


def test_a_child_waits_for_no_thread_of_its_parent() -> None:
    board = type(_switchboard)()
    board._lock.acquire()
    board.forget()
    assert board._lock.acquire(blocking=False)
