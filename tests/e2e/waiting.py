"""How the suite waits: for a condition, looking again and again, and never longer than a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cascade_flow.clock import now_us, pause_us

PATIENCE_US = 90_000_000
_GLANCE_US = 50_000

T = TypeVar("T")


def until(answer: Callable[[], T], *, otherwise: Callable[[], object] = str, within_us: int = PATIENCE_US) -> T:
    """The first answer that is true; where none comes in time, the test fails with what `otherwise` says."""
    deadline_us = now_us() + within_us
    while not (given := answer()):
        assert now_us() < deadline_us, f"in vain waited for {within_us // 1_000_000} s: {otherwise()}"
        pause_us(_GLANCE_US)
    return given
