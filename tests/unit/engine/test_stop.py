"""Who is halted and who is waited for, to the microsecond."""

from __future__ import annotations

import pytest

from cascade_flow.engine.state import Branch, Stop
from cascade_flow.engine.stop import Halting, halting, terminal_event
from unit.engine.facts import NOW_US, facts_of, run_of, step

FAILED = Stop("failed", 1)
BUSY = Branch("a", "running", "a", worker="w", lease_us=NOW_US + 1)


@pytest.mark.parametrize(("lease_us", "halt"), [(NOW_US + 1, "park"), (NOW_US, "stop")])
def test_nobody_waits_for_a_lease_that_is_over_now(lease_us: int, halt: str) -> None:
    branch = Branch("a", "running", "a", worker="w", lease_us=lease_us)
    assert halting(run_of(), FAILED, [branch], now_us=NOW_US).halts == ((branch, halt),)


@pytest.mark.parametrize(("deadline_us", "halt"), [(NOW_US + 1, "park"), (NOW_US, "stop")])
def test_nobody_is_waited_for_at_the_deadline(deadline_us: int, halt: str) -> None:
    found = halting(run_of(deadline_us=deadline_us), FAILED, [BUSY], now_us=NOW_US)
    assert found.halts == ((BUSY, halt),)


def test_who_may_finish_is_told_so_once() -> None:
    parked = Branch("a", "running", "a", worker="w", lease_us=NOW_US + 1, halt="park")
    assert halting(run_of(), FAILED, [parked], now_us=NOW_US) == Halting((), (parked,))


def test_a_run_that_never_started_took_no_time() -> None:
    run = run_of(status="pending", started_at_us=None)
    told = terminal_event(facts_of(step("a")), run, Stop("cancelled", 1), [], now_us=NOW_US)
    assert told.duration_us == 0
