"""All that an attempt writes is handed on, within bounds and in order; afterwards the process is as it was."""

import io
import logging
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from cascade_flow.authoring import StepContext
from cascade_flow.errors import ThrottledError
from cascade_flow.worker.capture import Capture, _Switchboard, _switchboard, unrecorded
from cascade_flow.worker.log_buffer import Limits, LogLine


class Sink:
    """Keeps what it is given, and says when the first chunk came."""

    def __init__(self) -> None:
        self.chunks: list[list[LogLine]] = []
        self.came = threading.Event()

    def __call__(self, lines: Sequence[LogLine]) -> None:
        self.chunks.append(list(lines))
        self.came.set()

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(line.stream, line.message) for chunk in self.chunks for line in chunk]

    @property
    def messages(self) -> list[str]:
        return [message for _, message in self.lines]


@pytest.fixture
def sink() -> Sink:
    return Sink()


def quiet(sink: Sink, **options: Any) -> Capture:
    return Capture(sink, echo=False, **options)


def test_stdout_stderr_and_logging_are_captured_by_line_and_in_order(sink: Sink) -> None:
    log = StepContext(step_id="total").log
    with quiet(sink):
        print("one\ntwo")
        print("warning", file=sys.stderr)
        log.info("counted %d", 3)
        log.debug("too fine")
        logging.getLogger("theirs").warning("careful")
        sys.stdout.writelines(["three", "\n"])
        print("no end", end="")
    assert sink.lines == [
        ("stdout", "one"),
        ("stdout", "two"),
        ("stderr", "warning"),
        ("stderr", "INFO counted 3"),
        ("stderr", "WARNING theirs: careful"),
        ("stdout", "three"),
        ("stdout", "no end"),
    ]
    times = [line.timestamp_us for chunk in sink.chunks for line in chunk]
    assert times == sorted(times)


def test_an_exception_that_is_logged_is_one_entry(sink: Sink) -> None:
    log = StepContext().log
    with quiet(sink):
        try:
            raise ValueError("x")
        except ValueError:
            log.exception("it broke")
    (message,) = sink.messages
    assert message.startswith("ERROR it broke\nTraceback")
    assert message.endswith("ValueError: x")


def test_a_record_that_can_not_be_formatted_does_not_fail_the_step(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own would raise
    with quiet(sink):
        StepContext().log.info("%d", "three")
    assert any("TypeError" in message for message in sink.messages)


def test_everything_is_put_back_even_after_an_error(sink: Sink) -> None:
    streams, handlers = (sys.stdout, sys.stderr), list(logging.getLogger().handlers)

    def fail() -> None:
        with quiet(sink):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (sys.stdout, sys.stderr) == streams
    assert logging.getLogger().handlers == handlers


def test_echo_also_writes_to_the_real_streams(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    with Capture(sink):
        print("seen")
        sys.stderr.write("both\n")
    with quiet(sink):
        print("unseen")
    assert tuple(capsys.readouterr()) == ("seen\n", "both\n")
    assert sink.messages == ["seen", "both", "unseen"]


def test_records_are_echoed_where_nobody_else_shows_them(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with Capture(sink):
        StepContext().log.info("hello")
    assert capsys.readouterr().err == "INFO hello\n"


def test_a_character_in_pieces_is_put_together_by_stream_and_source(sink: Sink) -> None:
    with quiet(sink) as capture:
        capture.write_bytes("stdout", b"\xc3", 1)
        capture.write_bytes("stderr", b"\xe2\x82", 1)
        capture.write_bytes("stdout", b"two\n", 2)
        capture.write_bytes("stdout", b"\xbc\n", 1)
        capture.write_bytes("stderr", b"\xac\n", 1)
    assert sink.lines == [("stdout", "two"), ("stdout", "ü"), ("stderr", "€")]


def test_an_end_is_told_though_lines_of_it_are_lost() -> None:
    def refuse(_: Sequence[LogLine]) -> None:
        raise ThrottledError

    told = list[str]()
    with Capture(refuse, echo=False, on_exit=told.append) as capture:
        print("lost")
        capture.end_process("it has ended")
    assert (told, type(capture.error)) == (["it has ended"], ThrottledError)


class Printing(logging.Handler):
    """Shows records by a print."""

    def emit(self, record: logging.LogRecord) -> None:
        print("shown:", record.getMessage())


def test_what_others_show_of_a_record_is_no_line_of_the_step(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [Printing()])
    with quiet(sink):
        logging.getLogger("theirs").warning("look")
    assert (sink.messages, capsys.readouterr().out) == (["WARNING theirs: look"], "shown: look\n")


@pytest.mark.parametrize(
    ("echoes", "is_echoed"), [((), True), ((True,), True), ((False,), False), ((False, False), True)]
)
def test_what_comes_out_of_a_descriptor_is_the_only_attempts_or_the_processs(
    echoes: Sequence[bool], is_echoed: bool
) -> None:
    board, sinks = _Switchboard(), [Sink() for _ in echoes]
    board._captures = tuple(Capture(sink, echo=echo) for sink, echo in zip(sinks, echoes, strict=True))
    assert board.take("stdout", b"line\n") == is_echoed
    for capture in board._captures:
        capture.__exit__()
    assert [sink.messages for sink in sinks] == ([["line"]] if len(echoes) == 1 else [[] for _ in echoes])


def test_records_are_shown_once_by_those_who_show_them_and_no_finer(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = logging.StreamHandler()
    theirs.setLevel(logging.WARNING)
    monkeypatch.setattr(logging.getLogger(), "handlers", [theirs])
    with Capture(sink):
        StepContext().log.info("hello")
        StepContext().log.warning("careful")
    assert capsys.readouterr().err == "careful\n"
    assert sink.messages == ["INFO hello", "WARNING careful"]


def test_the_streams_are_still_streams(sink: Sink) -> None:
    encoding = sys.stdout.encoding
    with quiet(sink):
        assert sys.stdout.encoding == encoding
        assert sys.stdout.write("abc") == 3
        sys.stdout.flush()
        print("x", flush=True)


def test_lines_are_handed_on_while_the_step_runs(sink: Sink) -> None:
    with quiet(sink, interval_ms=5):
        print("early")
        assert sink.came.wait(10)
        assert sink.messages == ["early"]
        print("late")
    assert sink.messages == ["early", "late"]


def test_threads_that_the_step_starts_are_captured(sink: Sink) -> None:
    with quiet(sink):
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()
    assert sink.messages == ["from a thread"]


def test_attempts_side_by_side_are_kept_apart() -> None:
    both = threading.Barrier(2, timeout=10)

    def attempt(name: str) -> list[str]:
        sink = Sink()
        with quiet(sink):
            both.wait()
            print(name)
            StepContext().log.info(name)
            both.wait()
        return sink.messages

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(attempt, ["a", "b"])) == [["a", "INFO a"], ["b", "INFO b"]]


def test_who_leaves_first_takes_nothing_from_who_stays() -> None:
    first, second = Sink(), Sink()
    begun, left = threading.Event(), threading.Event()

    def stay() -> None:
        with quiet(second):
            begun.set()
            left.wait(10)
            print("still here")

    thread = threading.Thread(target=stay)
    with quiet(first):
        thread.start()
        begun.wait(10)
    left.set()
    thread.join()
    assert (first.messages, second.messages) == ([], ["still here"])


def test_what_is_the_workers_own_is_not_the_steps(sink: Sink, capsys: pytest.CaptureFixture[str]) -> None:
    with quiet(sink):
        with unrecorded():
            print("ours")
        print("theirs")
    assert sink.messages == ["theirs"]
    assert capsys.readouterr().out == "ours\n"


def test_a_thread_that_outlives_its_attempt_writes_to_the_real_stream(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    go = threading.Event()

    def late() -> None:
        go.wait()
        print("late")

    with quiet(sink):
        thread = threading.Thread(target=late)
        thread.start()
    go.set()
    thread.join()
    assert sink.messages == []
    assert capsys.readouterr().out == "late\n"


def test_what_is_left_of_an_attempt_writes_to_the_real_stream_while_another_is_at_work(
    sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    with quiet(Sink()):
        left = copy_context()
    with quiet(sink):
        left.run(print, "late")
    assert sink.messages == []
    assert capsys.readouterr().out == "late\n"


def test_a_record_that_is_nobodys_is_shown(
    sink: Sink, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with quiet(sink), unrecorded():
        StepContext().log.info("ours")
    assert sink.messages == []
    assert capsys.readouterr().err == "INFO ours\n"


def test_an_end_that_cannot_be_told_keeps_no_process_from_ending(sink: Sink) -> None:
    def refuse(_: str) -> None:
        raise ThrottledError

    with quiet(sink, on_exit=refuse):
        print("last words", end="")
        _switchboard.end_process("the end")
        assert sink.messages == ["last words"]


def test_a_sink_that_fails_does_not_fail_the_step() -> None:
    def refuse(lines: Sequence[LogLine]) -> None:
        raise ThrottledError

    capture = quiet(refuse)  # type: ignore[arg-type]
    with capture:
        print("x")
    assert isinstance(capture.error, ThrottledError)


def test_a_chunk_that_is_lost_takes_no_other_with_it() -> None:
    told: list[str] = []

    def refuse(lines: Sequence[LogLine]) -> None:
        told.append(lines[0].message)
        raise ThrottledError

    with quiet(refuse, limits=Limits(chunk_lines=1)):  # type: ignore[arg-type]
        print("one\ntwo")
    assert told == ["one", "two"]


def test_chunks_are_bounded(sink: Sink) -> None:
    with quiet(sink, limits=Limits(chunk_bytes=10)):
        print("\n".join(["12345"] * 5))
    assert [len(chunk) for chunk in sink.chunks] == [2, 2, 1]


def test_the_long_beginning_of_a_line_is_not_lost(sink: Sink) -> None:
    with quiet(sink, limits=Limits(line_chars=10_000)):
        print("x" * 9_000, end="")
        print("y")
    assert sink.messages == ["x" * 9_000 + "y"]


def test_bytes_are_echoed_as_text_where_there_is_no_place_for_bytes(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    with Capture(sink):
        sys.stdout.buffer.write(b"caf\xe9\n")
    assert shown.getvalue() == "caf\ufffd\n"
    assert len(sink.messages) == 1


def test_a_print_reaches_the_process_as_one_write(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Output(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Output())
    with Capture(sink, interval_ms=600_000):
        for number in range(40_000):
            print("line", number, "of many")
        print("no end", end="")
    assert written == [f"{message}\n" for message in sink.messages[:-1]] + ["no end"]
    assert len(sink.messages) == 40_001
    assert len(sink.chunks) <= 40_000 // 2_000 + 1


def test_a_flush_hurries_the_first_chunk(sink: Sink) -> None:
    with quiet(sink, interval_ms=600_000):
        print("early", flush=True)
        assert sink.came.wait(10)
        assert sink.messages == ["early"]


def test_streams_that_user_code_replaces_are_put_back(sink: Sink) -> None:
    before = (sys.stdin, sys.stdout, sys.stderr)
    with quiet(sink):
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), io.StringIO(), io.StringIO()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
