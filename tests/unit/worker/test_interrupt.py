"""Code that would never end is stopped: in the main thread even in a system call, elsewhere at its next bytecode."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, cast

import pytest

from cascade_flow.clock import now_us
from cascade_flow.worker import interrupt as module
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted, sheltered
from cascade_flow.worker.tracebacks import step_error

SOON_MS = 30
LONG_MS = 600_000


@pytest.fixture(autouse=True)
def quick_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_MS", 50)


def run_here(function: Callable[[], Any], *, timeout_ms: int | None, interrupt: Interrupt | None = None) -> Any:
    return (interrupt or Interrupt()).run(function, timeout_ms=timeout_ms)


def run_elsewhere(function: Callable[[], Any], **options: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run_here, function, **options).result()


@pytest.fixture(params=[run_here, run_elsewhere])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    runner: Callable[..., Any] = request.param
    return runner


def test_the_code_sees_the_context_of_its_worker(run: Callable[..., Any]) -> None:
    known = ContextVar("known", default="nothing")

    def work() -> str:
        known.set("here")
        return str(Interrupt().run(known.get, timeout_ms=LONG_MS))

    assert copy_context().run(run, work, timeout_ms=None) == "here"


def spin() -> None:
    while True:
        pass


def test_what_ends_in_time_is_returned(run: Callable[..., Any]) -> None:
    assert run(lambda: 42, timeout_ms=LONG_MS) == 42
    assert run(lambda: 42, timeout_ms=None) == 42


def test_a_loop_without_end_is_stopped_where_it_is(run: Callable[..., Any]) -> None:
    with pytest.raises(Interrupted) as caught:
        run(spin, timeout_ms=SOON_MS)
    assert "in spin" in (step_error(caught.value).stack or "")


def test_no_time_at_all_is_not_all_the_time(run: Callable[..., Any]) -> None:
    with pytest.raises(Interrupted):
        run(spin, timeout_ms=0)


def test_except_exception_does_not_swallow_it(run: Callable[..., Any]) -> None:
    def stubborn() -> None:
        try:
            spin()
        except Exception:  # noqa: BLE001
            spin()

    with pytest.raises(Interrupted):
        run(stubborn, timeout_ms=SOON_MS)


def test_a_blocked_system_call_is_stopped_in_the_main_thread() -> None:
    near, far = socket.socketpair()
    with near, far, pytest.raises(Interrupted):
        run_here(lambda: near.recv(1), timeout_ms=SOON_MS)


def test_code_that_swallows_everything_is_stopped_again() -> None:
    swallowed: list[str] = []

    def swallowing() -> str:
        for _ in range(2):
            try:
                spin()
            except BaseException as error:  # noqa: BLE001
                swallowed.append(type(error).__name__)
        return "done"

    with pytest.raises(Interrupted):
        run_here(swallowing, timeout_ms=SOON_MS)
    assert swallowed == ["Interrupted", "Interrupted"]


@pytest.mark.parametrize("kind", [lambda function: function, sheltered], ids=["theirs", "ours"])
def test_code_that_nothing_reaches_is_left_behind_outside_of_the_main_thread(kind: Callable[..., Any]) -> None:
    release = threading.Event()
    interrupt = Interrupt()

    def blocked() -> None:
        release.wait(10)

    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(interrupt.run, kind(blocked), timeout_ms=SOON_MS).exception()
    assert isinstance(left, Interrupted)
    assert interrupt.cause is Cause.TIMEOUT
    assert "in blocked" in (step_error(left).stack or "")
    release.set()


def test_firing_stops_from_another_thread(run: Callable[..., Any]) -> None:
    running = threading.Event()
    interrupt = Interrupt()

    def work() -> None:
        running.set()
        spin()

    def fire() -> None:
        running.wait()
        interrupt.fire(Cause.LOST)

    thread = threading.Thread(target=fire)
    thread.start()
    with pytest.raises(Interrupted):
        run(work, timeout_ms=LONG_MS, interrupt=interrupt)
    thread.join()
    assert interrupt.cause is Cause.LOST


def test_fired_before_the_start_nothing_is_run(run: Callable[..., Any]) -> None:
    interrupt = Interrupt()
    interrupt.fire(Cause.LOST)
    with pytest.raises(Interrupted):
        run(spin, timeout_ms=LONG_MS, interrupt=interrupt)


def test_the_first_cause_counts_and_a_late_fire_does_nothing() -> None:
    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        interrupt.run(spin, timeout_ms=SOON_MS)
    interrupt.fire(Cause.LOST)
    assert interrupt.cause is Cause.TIMEOUT
    calm = Interrupt()
    assert calm.run(lambda: 1, timeout_ms=LONG_MS) == 1
    calm.fire(Cause.LOST)


def test_the_signal_and_the_timer_are_put_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    run_here(lambda: 1, timeout_ms=LONG_MS)
    with pytest.raises(Interrupted):
        run_here(spin, timeout_ms=SOON_MS)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_alarm_that_was_set_before_comes_after_it() -> None:
    signal.setitimer(signal.ITIMER_REAL, 600, 60)
    try:
        run_here(lambda: 1, timeout_ms=LONG_MS)
        left_s, every_s = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert (500 < left_s <= 600, every_s) == (True, 60)


def test_our_own_code_is_let_finish_first() -> None:
    steps: list[str] = []
    interrupt = Interrupt()
    rung = threading.Event()

    @sheltered
    def saving() -> None:
        interrupt.fire(Cause.LOST)
        rung.wait(0.1)
        steps.append("saved")

    def work() -> None:
        saving()
        spin()

    with pytest.raises(Interrupted):
        interrupt.run(work, timeout_ms=LONG_MS)
    assert steps == ["saved"]


def test_checking_stops_code_that_cooperates() -> None:
    interrupt = Interrupt()
    interrupt.check()
    interrupt.fire(Cause.LOST)
    with pytest.raises(Interrupted):
        interrupt.check()


def foreign(*_: object) -> None:
    """A handler of the user's."""


def disarm_the_timer() -> None:
    signal.alarm(1)
    signal.alarm(0)


DISARMING: list[Callable[[], object]] = [
    disarm_the_timer,
    lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    lambda: signal.setitimer(signal.ITIMER_REAL, 600),
    lambda: signal.signal(signal.SIGALRM, foreign),
    lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
    lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM}),
]
DEAFENING: list[Callable[[], object]] = [
    lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    lambda: [signal.signal(each, signal.SIG_IGN) for each in (signal.SIGALRM, signal.SIGURG)],
    lambda: [signal.signal(each, foreign) for each in (signal.SIGALRM, signal.SIGURG)],
]


@pytest.fixture
def mask() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("disarm", [*DISARMING, *DEAFENING])
@pytest.mark.usefixtures("mask")
def test_user_code_that_takes_the_signals_is_stopped_all_the_same(disarm: Callable[[], object]) -> None:
    def work() -> None:
        disarm()
        spin()

    interrupt = Interrupt()
    with pytest.raises(Interrupted) as caught:
        interrupt.run(work, timeout_ms=SOON_MS)
    assert interrupt.cause is Cause.TIMEOUT
    assert "in spin" in (step_error(caught.value).stack or "")
    assert run_here(lambda: 42, timeout_ms=LONG_MS) == 42


@pytest.mark.parametrize("disarm", DISARMING)
@pytest.mark.usefixtures("mask")
def test_a_blocked_system_call_is_stopped_without_the_timer_too(disarm: Callable[[], object]) -> None:
    near, far = socket.socketpair()

    def work() -> None:
        disarm()
        near.recv(1)

    with near, far, pytest.raises(Interrupted):
        run_here(work, timeout_ms=SOON_MS)


def test_an_alarm_of_the_users_own_is_no_timeout() -> None:
    def work() -> str:
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        signal.pause()
        return "done"

    assert run_here(work, timeout_ms=LONG_MS) == "done"


def test_swallowing_without_signals_is_stopped_again() -> None:
    swallowed: list[str] = []

    def swallowing() -> None:
        for each in (signal.SIGALRM, signal.SIGURG):
            signal.signal(each, signal.SIG_IGN)
        while len(swallowed) < 3:
            try:
                spin()
            except BaseException as error:  # noqa: BLE001
                swallowed.append(type(error).__name__)

    with pytest.raises(Interrupted):
        run_here(swallowing, timeout_ms=SOON_MS)
    assert swallowed == ["Interrupted"] * 3


def test_a_shelter_holds_without_signals_too() -> None:
    saved: list[int] = []

    @sheltered
    def saving() -> None:
        saved.extend(number for number in range(300_000))

    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            saving()
            saved.clear()
            saving()
            assert len(saved) == 300_000
            saved.clear()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with pytest.raises(Interrupted):
        run_here(work, timeout_ms=SOON_MS)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


ALONE = """
import signal, threading
from cascade_flow.worker.interrupt import Interrupt, Interrupted

def work():
    signal.alarm(1)
    signal.alarm(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass

interrupt = Interrupt()
for _ in range(20):
    try:
        interrupt.run(work, timeout_ms=5)
    except Interrupted:
        print(interrupt.cause.name)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
"""


def test_a_process_whose_signals_are_off_outlives_its_timeouts() -> None:
    """What was held back while signals were blocked kills no one when they are let in again."""
    told = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stdout.split(), told.stderr) == (0, ["TIMEOUT"] * 20, "")


def test_code_that_ends_when_its_time_does_is_never_interrupted_afterwards() -> None:
    for _ in range(200):
        try:
            run_here(lambda: sum(range(20_000)), timeout_ms=1)
        except Interrupted:
            continue


def test_c_code_that_keeps_the_interpreter_to_itself_is_stopped_where_it_looks_for_signals() -> None:
    """No thread of ours gets its turn meanwhile: only the timer does."""
    match = cast(Callable[[str, str], object], re.match)
    begun_us = now_us()
    with pytest.raises(Interrupted):
        run_here(lambda: match(r"(a+)+$", "a" * 30 + "b"), timeout_ms=SOON_MS)
    assert now_us() - begun_us < 5_000_000


WATCHED = """
import signal, sys
from cascade_flow.worker.interrupt import Interrupt, Interrupted

def work():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    sum(range(20_000))

sys.setprofile(lambda *_: None)
for _ in range(50):
    try:
        Interrupt().run(work, timeout_ms=1)
    except Interrupted:
        pass
print("over")
"""


def test_a_process_under_a_profiler_or_a_debugger_goes_on_after_a_step() -> None:
    """Python 3.11 stands still at the first call where it was told to look for an exception that isn't there."""
    told = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, "over\n", "")
