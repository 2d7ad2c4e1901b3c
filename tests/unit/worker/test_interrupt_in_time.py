"""Code that is stopped is asked first where it can be, and may clean up; by whichever means it is reached."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow.clock import now_us
from cascade_flow.worker import interrupt as module
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted, _Bell, sheltered
from unit.worker.test_interrupt import LONG_MS, SOON_MS, run_elsewhere, run_here

OFTEN_SOON_S = 5 * module._SOON_MS / 1000
"""Long enough for the watch to look several times."""


@pytest.fixture(autouse=True)
def never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_MS", LONG_MS)


def by_the_watch_alone(function: Callable[[], Any], **options: Any) -> Any:
    def work() -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return function()

    return run_here(work, **options)


def by_the_timer_alone(function: Callable[[], Any], **options: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Bell, "_watch", lambda _: None)
        return run_here(function, **options)


def deaf(function: Callable[[], Any], **options: Any) -> Any:
    """Where only an injection reaches it."""

    def work() -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0)  # its signal is any thread's
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        return function()

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        return run_here(work, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


Run = Callable[..., Any]
WAYS = [by_the_watch_alone, by_the_timer_alone, deaf, run_elsewhere]


class Stopping:
    """Code that is stopped from where it says, or, where nothing but the timer may come, some time later."""

    def __init__(self, run: Run) -> None:
        self.interrupt = Interrupt()
        self._run = run
        self._is_timed = run is by_the_timer_alone

    def now(self) -> None:
        if not self._is_timed:
            self.interrupt.fire(Cause.LOST)

    def run(self, work: Callable[[], object]) -> None:
        with pytest.raises(Interrupted):
            self._run(work, timeout_ms=200 if self._is_timed else LONG_MS, interrupt=self.interrupt)


def spin() -> None:
    """Ends, so that who isn't stopped is told from who is."""
    until_us = now_us() + 10_000_000
    while now_us() < until_us:
        pass
    pytest.fail("nobody stopped it")


@pytest.mark.parametrize("run", WAYS)
def test_each_means_alone_stops_code_and_says_why(run: Run) -> None:
    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        run(spin, timeout_ms=SOON_MS, interrupt=interrupt)
    assert interrupt.cause is Cause.TIMEOUT


@pytest.mark.parametrize("run", WAYS)
def test_what_is_stopped_has_its_time_to_clean_up(run: Run) -> None:
    stopping, cleaned = Stopping(run), list[str]()

    def work() -> None:
        try:
            stopping.now()
            spin()
        finally:
            threading.Event().wait(OFTEN_SOON_S)
            cleaned.append("up")

    stopping.run(work)
    assert cleaned == ["up"]


@pytest.mark.parametrize("run", WAYS)
def test_what_can_be_asked_is_asked_once_and_has_its_time_to_end_by_itself(run: Run) -> None:
    stopping, asked, ended = Stopping(run), list[str](), list[str]()

    def work() -> None:
        with stopping.interrupt.asking(lambda: asked.append("asked")):
            stopping.now()
            until_us = now_us() + 10_000_000
            while not asked and now_us() < until_us:
                pass
            threading.Event().wait(OFTEN_SOON_S)
            ended.append("by itself")

    stopping.run(work)
    assert (asked, ended) == (["asked"], ["by itself"])


@pytest.mark.parametrize("run", WAYS)
def test_what_could_be_asked_before_is_stopped_as_any_other(run: Run) -> None:
    stopping, asked = Stopping(run), list[str]()

    def work() -> None:
        with stopping.interrupt.asking(lambda: asked.append("asked")):
            pass
        stopping.now()
        spin()

    stopping.run(work)
    assert asked == []


def test_what_is_stopped_already_is_asked_as_soon_as_it_can_be() -> None:
    interrupt, asked = Interrupt(), list[str]()
    interrupt.fire(Cause.LOST)
    with interrupt.asking(lambda: asked.append("asked")):
        assert asked == ["asked"]


@pytest.mark.parametrize("run", [run_here, deaf, run_elsewhere])
def test_a_shelter_is_waited_for_and_not_longer(run: Run) -> None:
    interrupt, steps = Interrupt(), list[str]()

    @sheltered
    def saving() -> None:
        interrupt.fire(Cause.LOST)
        threading.Event().wait(OFTEN_SOON_S)
        steps.append("saved")

    def work() -> None:
        saving()
        spin()
        steps.append("not stopped")

    with pytest.raises(Interrupted):
        run(work, timeout_ms=LONG_MS, interrupt=interrupt)
    assert steps == ["saved"]


def test_firing_is_heard_as_a_signal_before_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blocked system call is reached by nothing else."""
    monkeypatch.setattr(module, "_inject", lambda _: None)
    interrupt, running = Interrupt(), threading.Event()

    def work() -> None:
        running.set()
        spin()

    def fire() -> None:
        running.wait()
        interrupt.fire(Cause.LOST)

    thread = threading.Thread(target=fire)
    thread.start()
    with pytest.raises(Interrupted):
        interrupt.run(work, timeout_ms=LONG_MS)
    thread.join()


@pytest.mark.parametrize("run", [by_the_watch_alone, by_the_timer_alone, deaf])
def test_what_is_let_go_on_has_no_limit_from_then_on(run: Run) -> None:
    interrupt, seen = Interrupt(), threading.Event()

    def waiver(frame: Any) -> bool:
        seen.set()
        return frame is not None

    def work() -> int:
        seen.wait(10)
        threading.Event().wait(OFTEN_SOON_S)
        return 42

    interrupt._is_waived = waiver
    assert run(work, timeout_ms=SOON_MS, interrupt=interrupt) == 42
    assert seen.is_set()
    assert interrupt.cause is None


@pytest.mark.parametrize("run", [run_here, run_elsewhere])
def test_who_has_no_limit_of_time_is_not_stopped(run: Run) -> None:
    interrupt = Interrupt()
    assert run(lambda: threading.Event().wait(OFTEN_SOON_S), timeout_ms=None, interrupt=interrupt) is False
    assert interrupt.cause is None


@pytest.mark.parametrize("run", [run_here, run_elsewhere])
def test_code_that_ends_by_an_interrupt_of_its_own_has_not_taken_too_long(run: Run) -> None:
    """As where it means to end the process, and the process isn't the worker's."""

    def leave() -> None:
        raise Interrupted

    interrupt = Interrupt()
    with pytest.raises(Interrupted):
        run(leave, timeout_ms=LONG_MS, interrupt=interrupt)
    assert interrupt.cause is None


@pytest.mark.parametrize("run", [run_here, run_elsewhere])
def test_what_was_stopped_before_its_start_is_not_begun(run: Run) -> None:
    interrupt, begun = Interrupt(), list[str]()
    interrupt.fire(Cause.LOST)
    with pytest.raises(Interrupted):
        run(lambda: begun.append("begun"), timeout_ms=LONG_MS, interrupt=interrupt)
    assert begun == []


@pytest.mark.parametrize(("run", "name"), [(run_here, "step-watch"), (run_elsewhere, "step")])
def test_no_thread_of_ours_outlives_its_attempt_or_keeps_a_process_from_its_end(run: Run, name: str) -> None:
    others = threading.enumerate()

    def ours() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == name and thread not in others]

    threads: list[threading.Thread] = run(ours, timeout_ms=LONG_MS)
    for thread in threads:
        thread.join(10)
    assert {(thread.daemon, thread.is_alive()) for thread in threads} == {(True, False)}


def test_an_alarm_of_the_users_own_is_no_timeout_before_that_is_due() -> None:
    def work() -> str:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0):
            pass
        threading.Event().wait(0.01)  # any thread may be given it
        return "done"

    assert run_here(work, timeout_ms=20_000) == "done"


def test_a_signal_that_comes_just_before_a_call_that_blocks_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes nothing then, and what is injected waits for the call's end."""
    kill, sent = signal.pthread_kill, list[int]()

    def first_in_vain(thread: int, number: int) -> None:
        sent.append(number)
        if len(sent) > 1:
            kill(thread, number)

    monkeypatch.setattr(signal, "pthread_kill", first_in_vain)
    reads, writes = os.pipe()
    after_all = threading.Timer(10, os.write, (writes, b"nobody has woken it"))
    after_all.daemon = True
    interrupt = Interrupt()

    def work() -> bytes:
        after_all.start()
        threading.Thread(target=interrupt.fire, args=(Cause.LOST,)).start()
        return os.read(reads, 99)

    try:
        with pytest.raises(Interrupted):
            interrupt.run(work, timeout_ms=None)
    finally:
        after_all.cancel()
        os.close(reads)
        os.close(writes)
    assert len(sent) == 2
