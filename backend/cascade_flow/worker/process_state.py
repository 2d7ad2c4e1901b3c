"""What user code can change in the process, as it was before an attempt, and put back after it.

Put back: all of logging but new loggers, signal handlers, masks and timers, umask, working directory, `sys.path`,
`sys.argv`, environment, locale, filters of warnings, hooks for errors, the recursion limit, how often threads take
turns, garbage collection, and the default timeout of sockets. The streams, and the means to end the process, are put
back by `capture`, which replaces them. Not put back, since a step may rightly keep it for the next one: modules and
what they hold, open files and connections, threads, the state of `random`. The decimal context is each thread's own; in
the main thread it stays as user code leaves it. Resource limits can't be raised again.
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
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Callable
from typing import Any

from cascade_flow import settings

_log = logging.getLogger(__name__)

_HOOKS = ((sys, "excepthook"), (sys, "unraisablehook"), (sys, "breakpointhook"), (threading, "excepthook"))
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_NUMBERS = tuple(number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP))
"""Those that have a name: of the others, of which nobody makes use, asking for each would take longer than the rest.

`_signal` is asked, since `signal` looks for a name of each handler, which takes 25 times as long."""

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


LoggerState = tuple[int, bool, bool, tuple[logging.Handler, ...], tuple[int, ...], tuple[Any, ...]]


def _state_of(logger: logging.Logger) -> LoggerState:
    handlers, filters = tuple(logger.handlers), tuple(logger.filters)
    levels = tuple([handler.level for handler in handlers]) if handlers else ()
    return logger.level, logger.disabled, logger.propagate, handlers, levels, filters


def _put_back(logger: logging.Logger, state: LoggerState) -> None:
    level, logger.disabled, logger.propagate, handlers, levels, filters = state
    logger.setLevel(level)
    logger.handlers[:] = handlers
    logger.filters[:] = filters
    for handler, own in zip(handlers, levels, strict=True):
        handler.setLevel(own)


def loggers() -> Restore:
    """The same of logging alone."""
    root = logging.getLogger()
    known = [logger for logger in list(root.manager.loggerDict.values()) if isinstance(logger, logging.Logger)]
    before = [(logger, _state_of(logger)) for logger in (root, *known)]
    disabled = root.manager.disable

    def restore() -> None:
        if root.manager.disable != disabled:
            logging.disable(disabled)
        for logger, state in before:
            if _state_of(logger) != state:
                _put_back(logger, state)

    return restore


def _signals() -> Restore:
    """Only the main thread may have changed them."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers = {number: getsignal(number) for number in _NUMBERS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    timers = {which: signal.getitimer(which) for which in _TIMERS}

    def restore() -> None:
        for which, (delay_s, interval_s) in timers.items():
            if signal.getitimer(which) != (0.0, 0.0) or delay_s:
                signal.setitimer(which, delay_s, interval_s)
        for number, handler in handlers.items():
            if handler is not None and getsignal(number) is not handler:
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
    switch_s, arguments = sys.getswitchinterval(), list(sys.argv)
    hooks = [(owner, name, getattr(owner, name)) for owner, name in _HOOKS]

    def restore() -> None:
        for owner, name, hook in hooks:
            setattr(owner, name, hook)
        sys.argv = arguments
        sys.setswitchinterval(switch_s)
        sys.setrecursionlimit(limit)
        socket.setdefaulttimeout(timeout_s)
        (gc.enable if collects else gc.disable)()

    return restore


_PARTS: tuple[Callable[[], Restore], ...] = (
    loggers,
    _signals,
    _umask,
    _directory,
    _import_path,
    settings.environment_kept,
    _locale,
    _warnings,
    _interpreter,
)
