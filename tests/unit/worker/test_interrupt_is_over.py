"""After an attempt its signals are whose they were, whatever of its own interrupts comes last."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted, _Bell, _traceback
from unit.worker.test_interrupt import LONG_MS, SOON_MS, spin

OURS = (signal.SIGALRM, signal.SIGURG)


def theirs(*_: object) -> None:
    """A handler from before."""


@pytest.fixture
def before() -> Iterator[dict[int, Any]]:
    """The handlers that were there: of somebody else, for both signals."""
    defaults = {each: signal.signal(each, theirs) for each in OURS}
    yield dict.fromkeys(OURS, theirs)
    for each, handler in defaults.items():
        signal.signal(each, handler)


def handlers() -> dict[int, Any]:
    return {each: signal.getsignal(each) for each in OURS}


def test_the_handlers_are_those_that_were_before(before: dict[int, Any]) -> None:
    Interrupt().run(lambda: 1, timeout_ms=LONG_MS)
    with pytest.raises(Interrupted):
        Interrupt().run(spin, timeout_ms=SOON_MS)
    assert handlers() == before


def test_a_handler_that_python_does_not_know_leaves_the_systems_own(
    before: dict[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = signal.signal

    def unknown(number: int, handler: Any) -> None:
        real(number, handler)

    monkeypatch.setattr(signal, "signal", unknown)
    assert Interrupt().run(lambda: 42, timeout_ms=LONG_MS) == 42
    assert handlers() == dict.fromkeys(OURS, signal.SIG_DFL)


@pytest.mark.parametrize(("part", "times"), [("take_down", 1), ("_take_down", 2)])
def test_an_interrupt_that_comes_at_the_end_leaves_nothing_of_ours(
    before: dict[int, Any], monkeypatch: pytest.MonkeyPatch, part: str, times: int
) -> None:
    rings, real = [Interrupted() for _ in range(times)], getattr(_Bell, part)

    def rung(bell: _Bell) -> None:
        if rings:
            raise rings.pop()
        real(bell)

    monkeypatch.setattr(_Bell, part, rung)
    try:
        Interrupt().run(lambda: 42, timeout_ms=LONG_MS)
    except Interrupted:
        assert part == "take_down"
    assert (rings, handlers()) == ([], before)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_is_left_behind_is_told_with_the_line_where_it_stands() -> None:
    here = sys._getframe()
    told, line = _traceback(here), here.f_lineno
    while told is not None and told.tb_next is not None:
        told = told.tb_next
    assert told is not None
    assert (told.tb_frame, told.tb_lineno) == (here, line)


def test_only_the_first_cause_counts() -> None:
    interrupt, stops = Interrupt(), list[int]()
    with interrupt._stoppable(lambda: stops.append(1)):
        interrupt.fire(Cause.TIMEOUT)
        interrupt.fire(Cause.LOST)
    assert (interrupt.cause, stops) == (Cause.TIMEOUT, [1])


def test_the_timer_is_off_before_its_signal_is_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no handler for it would be ended by it."""
    real, left_s = signal.signal, list[float]()

    def note(number: int, handler: Any) -> Any:
        left_s.append(signal.getitimer(signal.ITIMER_REAL)[0])
        return real(number, handler)

    def work() -> None:
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        monkeypatch.setattr(signal, "signal", note)

    Interrupt().run(work, timeout_ms=LONG_MS)
    assert set(left_s) == {0.0}


def test_a_ring_that_was_held_back_reaches_nobody_else() -> None:
    heard: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGURG, lambda number, _: heard.append(number))

    def work() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
        while signal.SIGURG not in signal.sigpending():
            pass

    try:
        with pytest.raises(Interrupted):
            Interrupt().run(work, timeout_ms=SOON_MS)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        assert heard == []
    finally:
        signal.signal(signal.SIGURG, before)


def test_a_bell_that_is_not_hung_up_rings_for_nobody() -> None:
    """Nor does one that is being taken down."""
    rung: list[str] = []
    bell = _Bell(lambda: rung.append("rung"), 1, lambda _: False, lambda: False)
    bell._due = True
    bell._heard(signal.SIGALRM, None)
    assert rung == []


def test_a_signal_that_comes_while_the_bell_is_at_work_is_not_waited_for() -> None:
    heard: list[str] = []
    bell = _Bell(lambda: heard.append("rung"), 1, lambda _: False, lambda: True)
    bell._on = bell._due = True

    def hear() -> None:
        with bell._lock:
            bell._heard(signal.SIGALRM, None)

    hearing = threading.Thread(target=hear, daemon=True)
    hearing.start()
    hearing.join(10)
    assert (hearing.is_alive(), heard) == (False, ["rung"])
