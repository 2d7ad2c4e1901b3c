"""Each part of the process is put back to what it was, also where it was unusual before, and nothing more is."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cascade_flow.worker import process_state

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
HOOKS = ((sys, "excepthook"), (sys, "unraisablehook"), (sys, "breakpointhook"), (threading, "excepthook"))


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """One of a library's, with a handler of its own."""
    logger, handler = logging.getLogger("a.library"), logging.NullHandler(logging.ERROR)
    logger.addHandler(handler)
    yield logger
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def test_a_handlers_level_is_put_back(logger: logging.Logger) -> None:
    restore = process_state.snapshot()
    logger.handlers[0].setLevel(logging.DEBUG)
    restore()
    assert logger.handlers[0].level == logging.ERROR


def test_who_passes_records_on_does_so_again(logger: logging.Logger) -> None:
    restore = process_state.snapshot()
    logger.propagate = False
    restore()
    assert logger.propagate


def test_what_a_logger_had_found_out_about_a_level_is_forgotten_with_it(logger: logging.Logger) -> None:
    restore = process_state.snapshot()
    logger.setLevel(logging.DEBUG)
    assert logger.isEnabledFor(logging.DEBUG)
    restore()
    assert not logger.isEnabledFor(logging.DEBUG)


@pytest.mark.parametrize("error", [OSError("gone"), TypeError("odd")], ids=repr)
def test_whatever_fails_keeps_no_other_part_from_being_put_back(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    done: list[str] = []
    monkeypatch.setattr(process_state, "_PARTS", (lambda: fail, lambda: lambda: done.append("other")))
    process_state.snapshot()()
    assert done == ["other"]


@pytest.mark.parametrize("which", TIMERS)
@pytest.mark.parametrize("before", [(0.0, 0.0), (600.0, 60.0)])
@pytest.mark.parametrize("changed", [(0.0, 0.0), (900.0, 0.0)])
def test_a_timer_is_put_back_with_what_it_repeats(
    which: int, before: tuple[float, float], changed: tuple[float, float]
) -> None:
    signal.setitimer(which, *before)
    try:
        restore = process_state.snapshot()
        signal.setitimer(which, *changed)
        restore()
        left_s, every_s = signal.getitimer(which)
    finally:
        signal.setitimer(which, 0)
    assert (before[0] - 60 <= left_s <= before[0] + 1, every_s) == (True, before[1])


def test_outside_of_the_main_thread_its_timers_are_left_alone() -> None:
    with ThreadPoolExecutor(1) as pool:
        restore = pool.submit(process_state.snapshot).result()
        signal.setitimer(signal.ITIMER_REAL, 600)
        try:
            pool.submit(restore).result()
            assert signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def test_a_handler_that_python_does_not_know_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(process_state, "getsignal", lambda _: None)
        restore = process_state._signals()
    restore()


def test_a_signal_that_was_held_back_before_still_is() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        restore = process_state.snapshot()
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2})
        restore()
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | {signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_who_looks_at_the_umask_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        process_state._umask()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), OSError()], ids=repr)
def test_from_a_directory_that_can_not_be_opened_one_goes_on(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def refuse(*_: Any) -> int:
        raise error

    monkeypatch.setattr(os, "open", refuse)
    process_state._directory()()


def test_a_directory_that_one_can_not_go_back_to_is_held_open_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, closed, open, close = list[int](), list[int](), os.open, os.close

    def noted(*args: Any) -> int:
        opened.append(open(*args))
        return opened[-1]

    def refuse(_: int) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noted)
        restore = process_state._directory()
    monkeypatch.setattr(os, "fchdir", refuse)
    monkeypatch.setattr(os, "close", lambda number: closed.append(number) or close(number))
    with pytest.raises(PermissionError):
        restore()
    [number] = opened
    assert closed.count(number) == 1, "others may close theirs meanwhile"


def test_the_path_of_imports_is_the_same_list_with_the_same_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["/one", "/two"]
    monkeypatch.setattr(sys, "path", known)
    restore = process_state._import_path()
    known.insert(0, "/three")
    monkeypatch.setattr(sys, "path", ["/four"])
    restore()
    assert sys.path is known
    assert known == ["/one", "/two"]


def test_a_warning_that_was_shown_under_other_filters_is_shown_again() -> None:
    def warn() -> None:
        warnings.warn_explicit("old", UserWarning, "shop.py", 1, registry=registry)

    registry: dict[Any, Any] = {}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("error")
        restore = process_state._warnings()
        warnings.simplefilter("default")
        warn()
        restore()
        with pytest.raises(UserWarning):
            warn()


@pytest.mark.parametrize(("owner", "name"), HOOKS)
def test_each_hook_is_put_back(owner: Any, name: str) -> None:
    before = getattr(owner, name)
    restore = process_state.snapshot()
    setattr(owner, name, print)
    restore()
    assert getattr(owner, name) is before


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_as_before(collects: bool) -> None:
    (gc.enable if collects else gc.disable)()
    try:
        restore = process_state.snapshot()
        (gc.disable if collects else gc.enable)()
        restore()
        assert gc.isenabled() == collects
    finally:
        gc.enable()


def test_a_signal_that_was_held_back_comes_to_the_handler_from_before() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append("before"))
    try:
        restore = process_state.snapshot()
        signal.signal(signal.SIGUSR1, lambda *_: heard.append("theirs"))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        restore()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == ["before"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD])
def test_the_handlers_that_end_a_process_are_put_back_too(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    restore = process_state.snapshot()
    signal.signal(number, lambda *_: None)
    restore()
    assert signal.getsignal(number) is before
