"""Stopping user code from outside: because its time is over, or because its attempt belongs to another worker now.

In the main thread (where Lambda runs handlers) a signal raises `Interrupted` in the middle of the user's code, even in
a blocked system call. The alarm comes from a timer, which needs no thread of ours to get its turn; but timer, handlers
and mask are the process's, and user code may change them. So a thread watches too: it rings with another signal, and
where that isn't heard it injects `Interrupted` at the next bytecode. In any other thread the user's code runs in a
thread of its own; `Interrupted` is injected there as well, and a thread that does not react is left behind.
`Interrupted` is no Exception, so that `except Exception` can't swallow it; code that swallows it all the same is
interrupted again and again. Code that can be asked to end by itself (`asking`: an event loop, whose task is cancelled)
is asked first, and interrupted where that was of no use.

What none of them reaches is a call into C that doesn't return and lets no signal in. In the main thread the worker
then hangs with it until its own time is over; then its lease runs out, and the sweep gives the step to another worker.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from enum import Enum
from types import CodeType, FrameType, TracebackType
from typing import Any, ParamSpec, TypeVar

from cascade_flow.clock import now_us

T = TypeVar("T")
P = ParamSpec("P")

AGAIN_MS = 5_000
"""How long interrupted code may clean up before it is interrupted again, or, in a thread of its own, left behind."""

_SOON_MS = 10
_SIGNALS = (signal.SIGALRM, signal.SIGURG)
"""The timer's, and the watch's: hardly anybody uses that one, and where it has no handler it is ignored."""

_sheltered: set[CodeType] = set()

Waiver = Callable[[FrameType | None], bool]
"""Whether code that stands at this frame is let go on, without any limit of time from then on."""


def _never(_frame: FrameType | None) -> bool:
    return False


class Cause(Enum):
    """Why an attempt is stopped."""

    TIMEOUT = "timeout"
    LOST = "lost"


class Interrupted(BaseException):
    """Raised inside user code to stop it."""


def sheltered(function: Callable[P, T]) -> Callable[P, T]:
    """Mark a function of ours that user code calls: it may finish before an interrupt is raised in its caller."""
    _sheltered.add(function.__code__)
    return function


class Interrupt:
    """The means to stop one attempt: `run` runs its code; `fire`, from any thread and at any time, stops that."""

    def __init__(self) -> None:
        self._cause: Cause | None = None
        self._is_waived: Waiver = _never
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._ask: Callable[[], None] | None = None

    @property
    def cause(self) -> Cause | None:
        """Why the attempt was stopped; None where nothing stopped it."""
        return self._cause

    def fire(self, cause: Cause) -> None:
        """Stop what `run` runs, or will run. Only the first cause counts; without effect once the run has ended."""
        with self._lock:
            if self._cause is None:
                self._cause = cause
                if self._stop:
                    self._stop()

    @contextmanager
    def asking(self, ask: Callable[[], None]) -> Iterator[None]:
        """In this block the code is asked once to end by itself, by `ask`, before Interrupted is raised in it."""
        self._ask = ask
        try:
            if self._cause:
                self._asks()
            yield
        finally:
            self._ask = None

    def _asks(self) -> bool:
        """Ask the code to end by itself; whether there was one to be asked that hasn't been."""
        ask, self._ask = self._ask, None
        if ask is not None:
            ask()
        return ask is not None

    def check(self) -> None:
        """Raises Interrupted where the attempt has been stopped."""
        if self._cause:
            raise Interrupted

    def run(self, function: Callable[[], T], *, timeout_ms: int | None) -> T:
        """What `function` returns; it must raise nothing but Interrupted.

        Raises Interrupted where it was stopped or took longer than `timeout_ms`; `cause` says which.
        """
        if threading.current_thread() is threading.main_thread():
            result = self._run_here(function, timeout_ms)
        else:
            result = self._run_beside(function, timeout_ms)
        self.check()
        return result

    def _run_here(self, function: Callable[[], T], timeout_ms: int | None) -> T:
        bell = _Bell(lambda: self._set(Cause.TIMEOUT), timeout_ms, self._is_waived, self._asks)
        with self._stoppable(bell.pull):
            try:
                try:
                    bell.hang_up()
                    self.check()
                    return function()
                finally:
                    bell.take_down()
            finally:
                bell.take_down()  # a last ring may have come between

    def _run_beside(self, function: Callable[[], T], timeout_ms: int | None) -> T:
        thread = _Thread(function)
        with self._stoppable(thread.wake.set):
            self.check()
            thread.start()
            if self._cause is None:
                thread.wake.wait(None if timeout_ms is None else timeout_ms / 1000)
        if not thread.over:
            self._set(Cause.TIMEOUT)
            thread.interrupt(self._asks)
        result: T = thread.result()
        return result

    def _set(self, cause: Cause) -> None:
        self._cause = self._cause or cause

    @contextmanager
    def _stoppable(self, stop: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            self._stop = stop
        try:
            yield
        finally:
            with self._lock:
                self._stop = None


class _Bell:
    """Raises Interrupted in the main thread when its time is over or when it is pulled, and again every `AGAIN_MS`.

    A ring is at most one Interrupted, by whichever means it comes first.
    """

    def __init__(
        self, rung: Callable[[], None], timeout_ms: int | None, is_waived: Waiver, asks: Callable[[], bool]
    ) -> None:
        self._rung = rung
        self._asks = asks
        self._is_waived = is_waived
        self._timeout_s = None if timeout_ms is None else max(1, timeout_ms) / 1000
        self._due_us: int | None = None
        self._main_thread = threading.get_ident()
        self._pulled, self._over = threading.Event(), threading.Event()
        self._on = self._due = self._raised = False
        self._lock = threading.RLock()
        self._before: dict[signal.Signals, Any] = {}
        self._timer_before = (0.0, 0.0)

    def hang_up(self) -> None:
        """From here on it may ring, in the thread that calls this."""
        self._before = {each: signal.signal(each, self._heard) for each in _SIGNALS}
        if self._timeout_s is not None:
            self._due_us = now_us() + round(self._timeout_s * 1_000_000)
        self._on = True
        threading.Thread(target=self._watch, name="step-watch", daemon=True).start()
        self._timer_before = signal.setitimer(signal.ITIMER_REAL, self._timeout_s or 0)

    def pull(self) -> None:
        """Ring from another thread."""
        self._pulled.set()

    def take_down(self) -> None:
        """From here on it rings no more, whatever is on its way."""
        while True:
            try:
                return self._take_down()
            except Interrupted:
                self._on = False

    def _take_down(self) -> None:
        self._on = False
        with self._lock:
            self._over.set()
            self._pulled.set()
        # What was injected and not raised yet is raised by one of these calls. It is not taken back with a NULL: Python
        # 3.11 and 3.12 would look for it at each call from then on, and under a tracer 3.11 would never get past one.
        signal.setitimer(signal.ITIMER_REAL, 0)
        # What was sent, and perhaps held back by a mask, must come before the handlers are those that were before.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for each, handler in self._before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        signal.setitimer(signal.ITIMER_REAL, *self._timer_before)  # a test's own limit, say

    def _heard(self, _signal: int, frame: FrameType | None) -> None:
        with self._lock:
            if not self._on or self._raised or not self._is_due() or _in_shelter(frame):
                return
            if self._is_let_go(frame):
                return
            self._raised = True
            self._rung()
            asked = self._asks()
        if not asked:
            raise Interrupted

    def _is_let_go(self, frame: FrameType | None = None) -> bool:
        if self._is_waived(frame or sys._current_frames().get(self._main_thread)):
            self._on = False
            self._over.set()
        return self._over.is_set()

    def _is_due(self) -> bool:
        """The watch says so; or the clock, where the watch hasn't had its turn. An alarm may be the user's own."""
        return self._due or (self._due_us is not None and now_us() >= self._due_us)

    def _watch(self) -> None:
        self._pulled.wait(self._timeout_s)
        while not self._over.is_set():
            self._ring()
            self._over.wait((AGAIN_MS if self._raised else _SOON_MS) / 1000)
            self._raised = False

    def _ring(self) -> None:
        with self._lock:
            if self._over.is_set() or self._is_let_go():
                return
            self._due = True
            self._rung()
            if self._asks():
                self._raised = True
                return
            signal.pthread_kill(self._main_thread, signal.SIGURG)
        if self._over.wait(_SOON_MS / 1000):
            return
        with self._lock:
            frame = sys._current_frames().get(self._main_thread)
            if not (self._over.is_set() or self._raised or _in_shelter(frame)):
                self._raised = True
                _inject(self._main_thread)
                # The first signal wakes no call that began to block after it; this one does, and what was injected is
                # raised in its handler.
                signal.pthread_kill(self._main_thread, signal.SIGURG)


class _Thread:
    """User code in a thread of its own. It is a daemon: left behind, it doesn't keep the process alive."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.wake = threading.Event()
        self.over = False
        self._function = function
        self._results: list[Any] = []
        self._interrupted = Interrupted()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=copy_context().run, args=(self._main,), name="step", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def interrupt(self, asks: Callable[[], bool]) -> None:
        """Raise Interrupted in the thread, where it can't be asked to end, and wait a while for it to do so."""
        if asks():
            self._thread.join(AGAIN_MS / 1000)
        for _ in range(AGAIN_MS // _SOON_MS):
            if not _in_shelter(self._frame()):
                break
            self._thread.join(_SOON_MS / 1000)
        with self._lock:
            if not self.over:
                _inject(self._thread.ident or 0)
        self._thread.join(AGAIN_MS / 1000)

    def result(self) -> Any:
        """What the function returned. Interrupted where it was stopped; its traceback is the place where that was."""
        if self._results:
            return self._results[0]
        where = _traceback(self._frame()) or self._interrupted.__traceback__
        raise self._interrupted.with_traceback(where)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread.ident or 0)

    def _main(self) -> None:
        try:
            result = self._function()
            with self._lock:
                self.over = True
            self._results.append(result)
        except Interrupted as interrupted:
            self._interrupted = interrupted
            self.over = True
        finally:
            self.wake.set()


def _inject(thread: int) -> None:
    """Let a thread raise Interrupted at its next bytecode."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Interrupted))


def _in_shelter(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in _sheltered:
            return True
        frame = frame.f_back
    return False


def _traceback(frame: FrameType | None) -> TracebackType | None:
    traceback: TracebackType | None = None
    while frame is not None:
        traceback = TracebackType(traceback, frame, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return traceback
