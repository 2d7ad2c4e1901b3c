"""User code may change the process, write past Python, fork or leave: the worker and its log are as before."""

import locale
import logging
import logging.config
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow.worker import process_state
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.step_logging import step_logger

OTHER = logging.getLogger("some.library")


class Passing:
    """What colorama and its like leave in the place of a stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def written(work: Callable[[], Any], *, echo: bool = False) -> list[str]:
    lines: list[LogLine] = []
    with Capture(lines.extend, echo=echo):
        work()
    return [line.message for line in lines]


def wrap_streams() -> None:
    sys.stdout = Passing(sys.stdout)  # type: ignore[assignment]
    sys.stderr = Passing(sys.stderr)  # type: ignore[assignment]
    sys.__stdout__ = None  # type: ignore[misc]
    sys.stdin = None  # type: ignore[assignment]


def configure_logging() -> None:
    root = {"level": "ERROR", "handlers": ["out"]}
    handlers = {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
    logging.config.dictConfig({"version": 1, "handlers": handlers, "root": root})


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "streams": (wrap_streams, lambda: (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__)),
    "root logger": (configure_logging, lambda: (logging.getLogger().level, list(logging.getLogger().handlers))),
    "other loggers": (configure_logging, lambda: OTHER.disabled),
    "a logger's level": (lambda: OTHER.setLevel(1), lambda: (OTHER.level, OTHER.isEnabledFor(2))),
    "a logger's filters": (lambda: OTHER.addFilter(lambda record: False), lambda: list(OTHER.filters)),
    "logging.disable": (lambda: logging.disable(logging.CRITICAL), lambda: logging.root.manager.disable),
    "signal handlers": (lambda: signal.signal(signal.SIGUSR1, print), lambda: signal.getsignal(signal.SIGUSR1)),
    "signal mask": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "timer": (lambda: signal.alarm(600), lambda: signal.getitimer(signal.ITIMER_REAL)),
    "umask": (lambda: os.umask(0), lambda: (before := os.umask(0), os.umask(before))[0]),
    "directory": (lambda: os.chdir("/"), os.getcwd),
    "sys.path": (lambda: sys.path.insert(0, "/nowhere"), lambda: list(sys.path)),
    "another sys.path": (lambda: setattr(sys, "path", []), lambda: list(sys.path)),
    "environment": (lambda: os.environ.update(HOME="/x", NEW="1"), lambda: dict(os.environ)),
    "locale": (lambda: locale.setlocale(locale.LC_ALL, "C"), lambda: locale.setlocale(locale.LC_ALL)),
    "warnings": (lambda: warnings.simplefilter("ignore"), lambda: list(warnings.filters)),
    "recursion limit": (lambda: sys.setrecursionlimit(5_000), sys.getrecursionlimit),
    "socket timeout": (lambda: socket.setdefaulttimeout(0.1), socket.getdefaulttimeout),
    "arguments": (lambda: sys.argv.append("--more"), lambda: list(sys.argv)),
    "hooks": (lambda: setattr(threading, "excepthook", print), lambda: (sys.excepthook, threading.excepthook)),
    "timer of processor time": (
        lambda: signal.setitimer(signal.ITIMER_PROF, 600),
        lambda: signal.getitimer(signal.ITIMER_PROF),
    ),
    "turns of threads": (lambda: sys.setswitchinterval(1), sys.getswitchinterval),
    "the process's own streams": (
        lambda: [setattr(sys, name, None) for name in ("__stdin__", "__stdout__", "__stderr__")],
        lambda: (sys.__stdin__, sys.__stdout__, sys.__stderr__),
    ),
    "os.abort": (lambda: setattr(os, "abort", print), lambda: os.abort),
    "os._exit": (lambda: setattr(os, "_exit", print), lambda: os._exit),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_user_code_changes_is_put_back(name: str) -> None:
    change, look = CHANGES[name]
    before = look()
    written(change)
    assert look() == before


def test_hundreds_of_attempts_that_wrap_the_streams_leave_them_as_they_were() -> None:
    before = (sys.stdout, sys.stderr)
    for _ in range(300):
        written(wrap_streams)
    assert (sys.stdout, sys.stderr) == before
    assert written(lambda: print("once")) == ["once"]


def test_a_part_that_can_not_be_put_back_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("gone")

    done: list[str] = []
    monkeypatch.setattr(process_state, "_PARTS", (lambda: fail, lambda: lambda: done.append("other")))
    process_state.snapshot()()
    assert done == ["other"]
    assert "gone" in caplog.text


def test_what_of_ours_fails_at_the_end_keeps_nothing_else_from_being_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("gone")

    monkeypatch.setattr("cascade_flow.worker.capture.step_logging.show_records", lambda *_: fail)
    before = (list(sys.path), sys.stdin, sys.stdout, os._exit)
    with pytest.raises(OSError, match="gone"):
        written(lambda: sys.path.insert(0, "/nowhere"))
    assert (list(sys.path), sys.stdin, sys.stdout, os._exit) == before


def test_a_record_comes_once_also_where_the_streams_are_wrapped_and_nobody_else_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def work() -> None:
        wrap_streams()
        step_logger("flow.step").info("once")

    assert written(work, echo=True) == ["INFO once"]
    assert capsys.readouterr().err == "INFO once\n"


@pytest.mark.parametrize(
    "change",
    [
        configure_logging,
        wrap_streams,
        lambda: logging.disable(logging.CRITICAL),
        lambda: logging.basicConfig(force=True, level=logging.DEBUG),
        lambda: logging.getLogger().addHandler(logging.StreamHandler()),
        lambda: logging.getLogger().handlers.clear(),
        lambda: None,
    ],
)
def test_the_steps_own_logger_arrives_once_whatever_is_done_to_logging(change: Callable[[], Any]) -> None:
    def work() -> None:
        log = step_logger("flow.step")
        change()
        log.info("hello")

    for _ in range(2):
        assert [message for message in written(work) if "hello" in message] == ["INFO hello"]


@pytest.mark.parametrize("add", [lambda: None, configure_logging, lambda: logging.basicConfig(force=True)])
def test_other_records_arrive_once(add: Callable[[], Any]) -> None:
    def work() -> None:
        add()
        logging.error("hello")

    assert len([message for message in written(work) if "hello" in message]) == 1


def test_child_processes_and_bytes_are_captured_in_order() -> None:
    def work() -> None:
        print("first")
        subprocess.run(["sh", "-c", "echo out; echo err >&2"], check=True)
        print("then")
        sys.stdout.buffer.write(b"bytes\n")
        sys.stdout.buffer.flush()
        os.write(2, b"descriptor\n")

    found = written(work)
    assert sorted(found) == sorted(["first", "out", "err", "then", "bytes", "descriptor"])
    assert found.index("first") < found.index("out") < found.index("then") < found.index("bytes")


def test_more_than_a_pipe_holds_passes_through() -> None:
    found = written(
        lambda: subprocess.run(
            [sys.executable, "-c", "print('x' * 99 + '\\n', end='') or [print('y' * 99) for _ in range(5_000)]"],
            check=True,
        )
    )
    assert len(found) == 5_001


def test_descriptors_are_put_back_and_none_is_left_open() -> None:
    written(lambda: None)
    before = ([os.fstat(number).st_ino for number in (0, 1, 2)], len(os.listdir("/proc/self/fd")))
    for _ in range(3):
        written(lambda: subprocess.run(["true"], check=True))
    assert ([os.fstat(number).st_ino for number in (0, 1, 2)], len(os.listdir("/proc/self/fd"))) == before


def test_stdin_is_empty() -> None:
    def work() -> None:
        with pytest.raises(EOFError):
            input()
        assert subprocess.run(["cat"], check=True, capture_output=True).stdout == b""
        assert os.read(0, 1) == b""

    written(work)


def test_a_print_is_one_line_from_any_number_of_threads() -> None:
    def work() -> None:
        threads = [
            threading.Thread(target=lambda: [print("some", "words", "more") for _ in range(200)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert written(work) == ["some words more"] * 1_600


def processor_time_of(lines: int) -> float:
    begun = time.process_time()
    assert len(written(lambda: [print(f"line {number}") for number in range(lines)])) == lines
    return time.process_time() - begun


def test_ten_times_the_lines_take_ten_times_the_processor_and_not_a_hundred() -> None:
    few, many = (min(processor_time_of(lines) for _ in range(3)) for lines in (2_000, 20_000))
    assert many / few < 30


def outcome_of(body: str, *, timeout_ms: int = 300) -> "subprocess.CompletedProcess[str]":
    """Run a step's code in a worker process of its own; the log's lines are shown with a mark."""
    code = f"""
        import os, signal, sys, time, threading, subprocess
        from cascade_flow.authoring import StepContext, StepInputs, Workflow
        from cascade_flow.worker.capture import Capture
        from cascade_flow.worker.interrupt import Interrupt
        from cascade_flow.worker.runner import run_attempt
        real = os.dup(1)
        flow = Workflow("f")
        @flow.step
        def work() -> int:
{textwrap.indent(textwrap.dedent(body), " " * 12)}
        def sink(lines):
            os.write(real, "".join(f"LOG {{line.message}}\\n" for line in lines).encode())
        given = StepInputs(input_json=None, outputs={{}}, context=StepContext())
        step = flow.definition().steps["work"]
        capture = Capture(sink, echo=False)
        outcome = run_attempt(step, given, timeout_ms={timeout_ms}, interrupt=Interrupt(), capture=capture)
        print("OUTCOME", type(outcome).__name__, getattr(outcome, "failure_reason", ""), flush=True)
    """
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=path, check=False)


def test_a_forked_child_ends_with_the_step_and_its_lines_are_kept() -> None:
    done = outcome_of("""
        child = os.fork()
        print("child" if child == 0 else "parent")
        if child:
            os.waitpid(child, 0)
        return 1
    """)
    assert sorted(done.stdout.splitlines()) == ["LOG child", "LOG parent", "OUTCOME Completed "], done.stderr


@pytest.mark.parametrize(
    "change",
    [
        "signal.alarm(1); signal.alarm(0)",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})",
        "signal.signal(signal.SIGURG, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    ],
)
def test_no_signal_of_user_code_keeps_the_timeout_off(change: str) -> None:
    done = outcome_of(f"{change}\nwhile True: pass")
    assert done.stdout.splitlines() == ["OUTCOME Failed timeout"], done.stderr


@pytest.mark.parametrize("asked", ["breakpoint()", "import pdb; pdb.set_trace()", "input()"])
def test_a_step_that_waits_for_a_person_ends_at_once(asked: str) -> None:
    done = outcome_of(f"{asked}\nreturn 1", timeout_ms=30_000)
    assert done.stdout.splitlines()[-1] == "OUTCOME Failed execution-error", done.stderr
    assert sum(line.startswith("OUTCOME") for line in done.stdout.splitlines()) == 1


def test_a_blocked_system_call_is_stopped_whatever_was_done_to_the_alarm() -> None:
    done = outcome_of("signal.alarm(1); signal.alarm(0)\nthreading.Event().wait()")
    assert done.stdout.splitlines() == ["OUTCOME Failed timeout"], done.stderr
