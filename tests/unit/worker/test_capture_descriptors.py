"""What does not pass through Python's streams is captured like its own; what user code does to them is undone."""

import ctypes
import io
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.unit.worker.test_capture import Sink, quiet

from cascade_flow.worker.capture import Capture

SHELL = "echo out; echo err >&2"


@pytest.fixture
def sink() -> Sink:
    return Sink()


def test_what_a_child_writes_is_the_steps(sink: Sink) -> None:
    with quiet(sink):
        subprocess.run(["sh", "-c", SHELL], check=True)
    assert sorted(sink.lines) == [("stderr", "err"), ("stdout", "out")]


def test_bytes_written_past_python_are_the_steps(sink: Sink) -> None:
    with quiet(sink):
        os.write(1, b"by os\n")
        ctypes.CDLL(None).write(1, b"by C\n", 5)
        os.write(1, "ü".encode()[:1])
        os.write(1, "ü".encode()[1:] + b"ber\n")
    assert sink.lines == [("stdout", "by os"), ("stdout", "by C"), ("stdout", "über")]


def test_what_is_written_in_turn_comes_in_turn(sink: Sink) -> None:
    with quiet(sink):
        for number in range(5):
            print("python", number)
            subprocess.run(["sh", "-c", f"echo child {number}"], check=True)
    assert sink.messages == [f"{who} {number}" for number in range(5) for who in ("python", "child")]


def test_bytes_and_wrappers_of_the_stream_are_the_steps(sink: Sink) -> None:
    with quiet(sink):
        print("a ", end="")
        sys.stdout.buffer.write("blåbær\n".encode())
        wrapper = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
        print("wrapped", file=wrapper)
        wrapper.close()
        sys.stdout.close()
        print("still open")
        subprocess.run(["echo", "handed down"], stdout=sys.stdout, check=True)
    assert sink.messages == ["a blåbær", "wrapped", "still open", "handed down"]


def test_more_than_a_pipe_holds_comes_whole(sink: Sink) -> None:
    with quiet(sink):
        subprocess.run(["seq", "20000"], check=True)
    assert sink.messages == [str(number) for number in range(1, 20_001)]


def test_a_child_left_behind_does_not_hold_the_attempt_nor_write_into_the_next(
    sink: Sink, capfd: pytest.CaptureFixture[str]
) -> None:
    with quiet(sink):
        child = subprocess.Popen(["sh", "-c", "echo early; read go; echo late"], stdin=subprocess.PIPE)
        while not sink.messages:
            print(end="", flush=True)
    following = Sink()
    with quiet(following):
        child.communicate(b"\n", timeout=10)
        print("next")
    assert (sink.messages, following.messages) == (["early"], ["next"])
    until_s = time.monotonic() + 10
    while "late" not in capfd.readouterr().out:
        assert child.returncode == 0
        assert time.monotonic() < until_s, "what it writes then is shown by nobody"


def test_everything_is_still_echoed(sink: Sink, capfd: pytest.CaptureFixture[str]) -> None:
    with Capture(sink):
        subprocess.run(["sh", "-c", SHELL], check=True)
        sys.stdout.buffer.write(b"bytes\n")
    assert tuple(capfd.readouterr()) == ("out\nbytes\n", "err\n")


def test_the_descriptors_are_put_back_and_neither_one_nor_a_thread_is_left(sink: Sink) -> None:
    def described() -> dict[str, str]:
        return {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if int(name) < 3}

    def number() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    with quiet(sink):
        os.close(1)
    before, open_before = described(), number()
    for _ in range(20):
        with quiet(sink):
            print("x")
            subprocess.run(["true"], check=True)
    now_open, threads = number()
    assert (described(), now_open) == (before, open_before[0])
    assert threads <= open_before[1], "one of before may have ended meanwhile"


def test_of_two_attempts_at_once_none_gets_what_a_descriptor_gets(capfd: pytest.CaptureFixture[str]) -> None:
    both, sinks = threading.Barrier(2, timeout=10), [Sink(), Sink()]

    def attempt(number: int) -> None:
        with quiet(sinks[number]):
            both.wait()
            os.write(1, b"whose\n")
            print(number)
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(attempt, range(2)))
    assert [sink.messages for sink in sinks] == [["0"], ["1"]]
    assert capfd.readouterr().out == "whose\n" * 2


def test_stdin_is_empty(sink: Sink) -> None:
    before = sys.stdin
    with quiet(sink):
        with pytest.raises(EOFError):
            input("name? ")
        assert subprocess.run(["cat"], check=True, timeout=10, capture_output=True).stdout == b""
        assert os.read(0, 1) == b""
    assert sys.stdin is before
    assert sink.messages == ["name? "]


def test_a_print_is_one_line_whoever_else_prints(sink: Sink) -> None:
    def work(number: int) -> None:
        for _ in range(500):
            print("words", "of", "thread", number)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with quiet(sink):
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert sorted(sink.messages) == [f"words of thread {number}" for number in range(8) for _ in range(500)]


IN_A_PROCESS = """
import logging, multiprocessing, os, subprocess, sys
from cascade_flow.worker.capture import Capture, unrecorded

ours = logging.StreamHandler(sys.stdout)  # as Powertools does, at the worker's import
log = logging.getLogger("worker")
log.addHandler(ours)
log.propagate = False
lines = []
for turn in range(2):
    with Capture(lines.extend):
        print("printed", turn)
        os.write(1, b"written\\n")
        os.fork() or os._exit(print("forked") or sys.stdout.flush() or 0)
        os.wait()
        subprocess.run(["sh", "-c", "echo child"], stdout=sys.stdout)
        child = multiprocessing.get_context("fork").Process(target=print, args=("processed",))
        child.start(), child.join()
        with unrecorded():
            log.warning("ours")
    print("after", turn)
sys.stdout.flush()
print([line.message for line in lines], file=sys.stderr)
"""


def test_in_a_process_of_its_own_the_workers_lines_are_no_steps() -> None:
    whole_lines = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, timeout=30, check=True, env=whole_lines
    )
    theirs = [[f"printed {turn}", "written", "forked", "child", "processed"] for turn in range(2)]
    assert done.stderr == f"{theirs[0] + theirs[1]}\n"
    rest = ["ours", "after 0", "ours", "after 1"]
    assert sorted(done.stdout.splitlines()) == sorted([*theirs[0], *theirs[1], *rest])


def test_where_stdout_was_led_away_its_descriptor_is_left_alone() -> None:
    """As under an emulator whose protocol is on descriptor 1."""
    code = (
        "import os, subprocess, sys\n"
        "from cascade_flow.worker.capture import Capture\n"
        "protocol, sys.stdout, lines = sys.stdout, sys.stderr, []\n"
        "with Capture(lines.extend):\n"
        "    print('printed')\n"
        "    subprocess.run(['echo', 'child'])\n"
        "    subprocess.run(['echo', 'handed down'], stdout=sys.stdout)\n"
        "    print('answer', file=protocol, flush=True)\n"
        "print([(line.stream, line.message) for line in lines])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=30, check=True, capture_output=True, text=True)
    told = ["printed", "child", "handed down"]
    assert done.stdout == "answer\n"
    assert done.stderr.splitlines() == [*told, str([("stdout", message) for message in told])]


def test_without_descriptors_streams_are_captured_all_the_same() -> None:
    code = (
        "import io, os, sys\n"
        "from cascade_flow.worker.capture import Capture\n"
        "sys.stdout, lines = io.StringIO(), []\n"
        "for number in range(3): os.close(number)\n"
        "with Capture(lines.extend): print('seen')\n"
        "os._exit([line.message for line in lines] != ['seen'] or sys.stdout.getvalue() != 'seen\\n')\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
