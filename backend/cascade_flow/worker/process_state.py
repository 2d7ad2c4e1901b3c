"""What user code can change in the process, as it was before an attempt, and put back after it.

Put back: the standard streams, all of logging but new loggers, signal handlers, masks and timers, umask, working
directory, `sys.path`, environment, locale, filters of warnings, the recursion limit, garbage collection, and the
default timeout of sockets. Not put back, since a step may rightly keep it for the next one: modules and what they hold,
open files and connections, threads, the state of `random`. The decimal context is each thread's own; in the main thread
it stays as user code leaves it. Resource limits can't be raised again.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cascade_flow import settings

_log = logging.getLogger(__name__)

_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_LOGGER_PARTS = ("level", "disabled", "propagate")

Restore = Callable[[], Any]


def snapshot() -> Restore:
    """Take down how things are now; call the answer to have them so again. What can't be put back is logged."""
    restores = [take() for take in _PARTS]

    def restore() -> None:
        for each in restores:
            try:
                each()
            except Exception:  # noqa: BLE001  one part that fails keeps no other from being put back
                _log.exception("something that a step changed in this process can't be put back")

    return restore


def _streams() -> Restore:
    before = {name: getattr(sys, name) for name in _STREAMS}
    return lambda: vars(sys).update(before)


@dataclass(frozen=True)
class _LoggerState:
    """One logger; `parts` are its plain attributes."""

    logger: logging.Logger
    parts: tuple[Any, ...]
    handlers: list[logging.Handler]
    levels: list[int]
    filters: list[Any]

    @classmethod
    def of(cls, logger: logging.Logger) -> _LoggerState:
        handlers = list(logger.handlers)
        parts = tuple(getattr(logger, name) for name in _LOGGER_PARTS)
        return cls(logger, parts, handlers, [handler.level for handler in handlers], list(logger.filters))

    def restore(self) -> None:
        if self == _LoggerState.of(self.logger):
            return
        level, self.logger.disabled, self.logger.propagate = self.parts
        self.logger.setLevel(level)
        self.logger.handlers[:] = self.handlers
        self.logger.filters[:] = self.filters
        for handler, own in zip(self.handlers, self.levels, strict=True):
            handler.setLevel(own)


def _logging() -> Restore:
    root = logging.getLogger()
    known = [logger for logger in list(root.manager.loggerDict.values()) if isinstance(logger, logging.Logger)]
    before = [_LoggerState.of(logger) for logger in (root, *known)]
    disabled = root.manager.disable

    def restore() -> None:
        logging.disable(disabled)
        for state in before:
            state.restore()

    return restore


def _signals() -> Restore:
    """Only the main thread may have changed them."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    timers = {which: signal.getitimer(which) for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL)}

    def restore() -> None:
        for which, (delay_s, interval_s) in timers.items():
            if signal.getitimer(which) != (0.0, 0.0) or delay_s:
                signal.setitimer(which, delay_s, interval_s)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return restore


def _umask() -> Restore:
    before = os.umask(0o077)
    os.umask(before)
    return lambda: os.umask(before)


def _directory() -> Restore:
    try:
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone, or not ours to read: nowhere to go back to
        return lambda: None

    def restore() -> None:
        try:
            os.fchdir(before)
        finally:
            os.close(before)

    return restore


def _import_path() -> Restore:
    path, entries = sys.path, list(sys.path)

    def restore() -> None:
        path[:] = entries
        sys.path = path

    return restore


def _locale() -> Restore:
    before = locale.setlocale(locale.LC_ALL)
    return lambda: None if locale.setlocale(locale.LC_ALL) == before else locale.setlocale(locale.LC_ALL, before)


def _warnings() -> Restore:
    before = list(warnings.filters)

    def restore() -> None:
        if list(warnings.filters) != before:
            warnings.resetwarnings()
            warnings.filters[:] = before  # type: ignore[index]

    return restore


def _interpreter() -> Restore:
    limit, timeout_s, collects = sys.getrecursionlimit(), socket.getdefaulttimeout(), gc.isenabled()

    def restore() -> None:
        sys.setrecursionlimit(limit)
        socket.setdefaulttimeout(timeout_s)
        (gc.enable if collects else gc.disable)()

    return restore


_PARTS: tuple[Callable[[], Restore], ...] = (
    _streams,
    _logging,
    _signals,
    _umask,
    _directory,
    _import_path,
    settings.environment_kept,
    _locale,
    _warnings,
    _interpreter,
)
