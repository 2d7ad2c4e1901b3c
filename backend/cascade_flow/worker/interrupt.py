"""Stopping user code from outside: because its time is over, or because its attempt belongs to another worker now.

In the main thread (where Lambda runs handlers) a signal raises `Interrupted` in the middle of the user's code, even in
a blocked system call. A thread of ours keeps the time and sends it, so that user code has SIGALRM and the timer to
itself; where user code has taken that signal too, `Interrupted` is injected at its next bytecode. In any other thread
the user's code runs in a thread of its own; `Interrupted` is injected there, and a thread that does not react is left
behind. `Interrupted` is no Exception, so that `except Exception` can't swallow it; code that swallows it all the same
is interrupted again and again.

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

T = TypeVar("T")
P = ParamSpec("P")

AGAIN_MS = 5_000
"""How long interrupted code may clean up before it is interrupted again, or, in a thread of its own, left behind."""

_SOON_MS = 10
_TRIES = 20
"""How often the signal is sent, in a row, to a thread that does not take it."""

_SIGNAL = signal.SIGURG
"""Not SIGALRM, which is the user's. By default it is ignored: where user code resets its handler, nobody dies of it."""

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
        before = signal.signal(_SIGNAL, bell.ring)
        try:
            with self._stoppable(bell.pull):
                bell.ring_after(timeout_ms)
                self.check()
                return function()
        finally:
            try:
                bell.off()
            except Interrupted:  # raised on the way here; the next one is a while away
                bell.off()
            signal.signal(_SIGNAL, before)

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
    """What stops the main thread while it is on: Interrupted is raised there, now and again every `AGAIN_MS`.

    The thread that rings is ours: user code may use, change and clear any timer.
    """

    def __init__(self, rung: Callable[[], None]) -> None:
        self._on = False
        self._rung = rung
        self._main_thread = threading.get_ident()
        self._raised = False
        self._pulled = threading.Event()
        self._wait_s: float | None = None
        self._ringer = threading.Thread(target=self._keep_ringing, name="step-timeout", daemon=True)

    def ring_after(self, timeout_ms: int | None) -> None:
        """On from now; it rings after that time, or when it is pulled."""
        self._wait_s = None if timeout_ms is None else max(1, timeout_ms) / 1000
        self._on = True
        self._ringer.start()

    def off(self) -> None:
        """Nothing is raised after this, not even what was under way."""
        self._on = False
        self._pulled.set()
        if self._ringer.ident:
            self._ringer.join()
        _inject(self._main_thread, None)

    def pull(self) -> None:
        """Ring now, from any thread."""
        self._pulled.set()

    def ring(self, _signal: int, frame: FrameType | None) -> None:
        if self._on and not self._raised and not _in_shelter(frame):
            self._raised = True
            raise Interrupted

    def _keep_ringing(self) -> None:
        self._pulled.wait(self._wait_s)
        self._pulled.clear()
        while self._on:
            self._rung()
            self._ring_until_heard()
            self._pulled.wait(AGAIN_MS / 1000)

    def _ring_until_heard(self) -> None:
        """Until the main thread is out of our own code, and has raised."""
        self._raised = False
        tries = 0
        while self._on and not self._raised and tries < _TRIES:
            signal.pthread_kill(self._main_thread, _SIGNAL)
            self._pulled.wait(_SOON_MS / 1000)
            tries += not self._is_in_shelter()
        if self._on and not self._raised:
            _inject(self._main_thread, Interrupted)

    def _is_in_shelter(self) -> bool:
        return _in_shelter(sys._current_frames().get(self._main_thread))


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
                _inject(self._thread.ident or 0, Interrupted)
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


def _inject(thread: int, error: type[BaseException] | None) -> None:
    """Have it raised at the thread's next bytecode; None takes back what has not been raised yet."""
    injected = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), injected)


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
