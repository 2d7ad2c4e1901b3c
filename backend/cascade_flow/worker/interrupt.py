"""Stopping user code from outside: because its time is over, or because its attempt belongs to another worker now.

In the main thread (where Lambda runs handlers) a signal raises `Interrupted` in the middle of the user's code, even in
a blocked system call. In any other thread the user's code runs in a thread of its own; `Interrupted` is injected at
its next bytecode, and a thread that does not react is left behind. `Interrupted` is no Exception, so that
`except Exception` can't swallow it; code that swallows it all the same is interrupted again and again.

What neither reaches is a call into C that doesn't return and lets no signal in. In the main thread the worker then
hangs with it: its heartbeats end with the timeout, its lease runs out, and the sweep gives the step to another worker.
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

_sheltered: set[CodeType] = set()


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
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None

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
        bell = _Bell(lambda: self._set(Cause.TIMEOUT))
        before = signal.signal(signal.SIGALRM, bell.ring)
        try:
            with self._stoppable(bell.pull):
                try:
                    bell.on = True
                    _ring_in(0 if timeout_ms is None else max(1, timeout_ms))
                    self.check()
                    return function()
                finally:
                    bell.on = False
        finally:
            bell.on = False
            # In this order: the system call that stops the timer takes in any signal that `fire` has sent before.
            _ring_in(0)
            signal.signal(signal.SIGALRM, before)

    def _run_beside(self, function: Callable[[], T], timeout_ms: int | None) -> T:
        thread = _Thread(function)
        with self._stoppable(thread.wake.set):
            thread.start()
            if self._cause is None:
                thread.wake.wait(None if timeout_ms is None else timeout_ms / 1000)
        if not thread.over:
            self._set(Cause.TIMEOUT)
            thread.interrupt()
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
    """What SIGALRM does in the main thread while it is on: it raises Interrupted, now and again every `AGAIN_MS`."""

    def __init__(self, rung: Callable[[], None]) -> None:
        self.on = False
        self._rung = rung
        self._main_thread = threading.get_ident()
        self._raised_us: int | None = None

    def pull(self) -> None:
        """Ring from another thread."""
        signal.pthread_kill(self._main_thread, signal.SIGALRM)

    def ring(self, _signal: int, frame: FrameType | None) -> None:
        if not self.on or self._is_echo():
            return
        self._rung()
        if _in_shelter(frame):
            _ring_in(_SOON_MS)
            return
        self._raised_us = now_us()
        _ring_in(AGAIN_MS)
        raise Interrupted

    def _is_echo(self) -> bool:
        """Two signals in close succession, from the timer and from `fire`, are one."""
        return self._raised_us is not None and now_us() - self._raised_us < AGAIN_MS * 500


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

    def interrupt(self) -> None:
        """Raise Interrupted in the thread, and wait a while for it to end."""
        for _ in range(AGAIN_MS // _SOON_MS):
            if not _in_shelter(self._frame()):
                break
            self._thread.join(_SOON_MS / 1000)
        with self._lock:
            if not self.over:
                ident = ctypes.c_ulong(self._thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Interrupted))
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


def _ring_in(ms: int) -> None:
    signal.setitimer(signal.ITIMER_REAL, ms / 1000)


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
