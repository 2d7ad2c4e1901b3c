"""Who is halted and who is waited for, to the microsecond; and the event that ends a run, whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import StepError
from cascade_flow.engine.state import Branch, Family, Owed, Stop, StopKind
from cascade_flow.engine.stop import Halting, halting, terminal_event
from cascade_flow.model.events import Event, WorkflowCancelled, WorkflowFailed
from unit.engine.facts import NOW_US, facts_of, run_of, step, told
from unit.engine.openings import FACTS

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


@pytest.mark.parametrize(
    ("known", "failed", "cancelled"),
    [
        ({}, "park", "stop"),
        ({"owed": Owed(("a",))}, "stop", "stop"),
        ({"halt": "park"}, None, "stop"),
        ({"halt": "park", "lease_us": NOW_US}, "stop", "stop"),
        ({"run_attempt": 2}, "park", "stop"),
        ({"run_attempt": 3}, None, None),
        ({"status": "scheduled", "lease_us": None}, "stop", "stop"),
        ({"status": "skipping", "lease_us": None}, "stop", "stop"),
        ({"status": "ended", "lease_us": None, "owed": Owed(("a",))}, "stop", "stop"),
        ({"status": "ended", "lease_us": None}, None, None),
        ({"status": "open", "lease_us": None}, None, None),
        ({"status": "parked", "lease_us": None}, None, None),
        ({"status": "failed", "lease_us": None}, None, None),
        ({"halt": "stop"}, None, None),
    ],
)
def test_what_a_stop_of_the_second_attempt_does_to_a_branch(
    known: dict[str, Any], failed: str | None, cancelled: str | None
) -> None:
    branch = replace(BUSY, **known)
    kinds: dict[StopKind, str | None] = {"failed": failed, "cancelled": cancelled, "timeout": cancelled}
    for kind, halt in kinds.items():
        found = halting(run_of(), Stop(kind, 2), [branch], now_us=NOW_US)
        assert found.halts == (((branch, halt),) if halt else ())
        waits = kind == "failed" and (halt == "park" or (branch.halt == "park" and halt is None))
        assert found.awaited == ((branch,) if waits else ())


def test_each_branch_is_halted_by_itself() -> None:
    waiting, other = replace(BUSY, status="scheduled", lease_us=None), replace(BUSY, name="b")
    found = halting(run_of(), FAILED, [BUSY, waiting, other], now_us=NOW_US)
    assert found == Halting(((BUSY, "park"), (waiting, "stop"), (other, "park")), (BUSY, other))


def test_a_run_that_never_started_took_no_time() -> None:
    run = run_of(status="pending", started_at_us=None)
    told = terminal_event(facts_of(step("a")), run, Stop("cancelled", 1), [], now_us=NOW_US)
    assert told.duration_us == 0


ERROR = StepError(name="ValueError", message="no")
TIMED_OUT = StepError(name="RunTimeout", message="the run did not end before its deadline")
COUNTED = {"workflow_attempt_number": 2, "duration_us": 100, "completed_steps": 1}
CANCELLED = told(WorkflowCancelled, NOW_US, reason="enough", **COUNTED)


def failed(reason: str, error: StepError = ERROR, failed_step: str | None = "a") -> Event:
    said = {"error": error, "failed_step": failed_step, "failure_reason": reason}
    event: Event = told(WorkflowFailed, NOW_US, **said, **COUNTED)
    return event


@pytest.mark.parametrize(
    ("stop", "end"),
    [
        (Stop("cancelled", 2, reason="enough"), CANCELLED),
        (Stop("failed", 2, "a", ERROR, "exhausted-retries"), failed("step-failed")),
        (Stop("failed", 2, "a", ERROR, "timeout"), failed("step-failed")),
        (Stop("failed", 2, "a", ERROR, "worker-crash"), failed("worker-crash")),
        (Stop("timeout", 2), failed("timeout", TIMED_OUT, None)),
    ],
    ids=["cancelled", "a step has failed", "a step has timed out", "a worker has died", "the time is over"],
)
def test_a_run_is_stopped(stop: Stop, end: Event) -> None:
    run = run_of(run_attempt=2, stop=stop)
    assert terminal_event(FACTS, run, stop, [Branch("a", "ended", "a")], now_us=NOW_US) == end


def test_a_run_ends_after_what_its_workers_will_be_told_to_have_done() -> None:
    held = Branch("a", "running", "a", worker="w", started_at_us=NOW_US + 70, heartbeat_us=NOW_US + 80, last_us=NOW_US)
    end = terminal_event(FACTS, run_of(), Stop("cancelled", 1), [held], now_us=NOW_US)
    assert end.timestamp_us == NOW_US + 84


def test_a_run_that_is_stopped_counts_what_has_completed_in_the_attempt_that_it_ends() -> None:
    """One that was meant for an earlier attempt ends the run as it is now; what is parked has completed too."""
    facts = facts_of(step("a"), step("b", "a"), step("c", "b"), step("d"), step("e"), step("j", "c", "d", "e"))
    branches = [
        Branch("a", "running", "c", skipped={"b": "b"}),
        Branch("d", "parked", "d"),
        Branch("e", "failed", "e"),
        Branch("j", "open", "j"),
    ]
    for kind in ("cancelled", "failed"):
        end = terminal_event(facts, run_of(run_attempt=3), Stop(kind, 2), branches, now_us=NOW_US)  # type: ignore[arg-type]
        assert (end.workflow_attempt_number, end.completed_steps) == (3, 2)  # type: ignore[union-attr]


@pytest.mark.parametrize(("last_us", "at_us"), [(NOW_US + 60, NOW_US + 63), (NOW_US - 60, NOW_US + 24)])
def test_a_run_ends_after_all_that_is_told_already(last_us: int, at_us: int) -> None:
    """Of a branch by its commits, and by its tail."""
    for branch in (Branch("a", "ended", "a", last_us=NOW_US + 22), HEARD):
        end = terminal_event(FACTS, run_of(last_us=last_us), Stop("cancelled", 1), [branch], now_us=NOW_US)
        assert end.timestamp_us == at_us


HEARD = Branch("a", "running", "a", worker="w", started_at_us=NOW_US + 22, last_us=NOW_US)


@pytest.mark.parametrize(
    ("known", "halt"), [({}, "stop"), ({"family": Family(1, 1, 1, 1, 1)}, "park"), ({"step": "b"}, "park")]
)
def test_nobody_waits_for_who_has_still_to_hand_its_work_out(known: dict[str, Any], halt: str) -> None:
    branch = replace(BUSY, **known)
    assert halting(run_of(), FAILED, [branch], now_us=NOW_US, parents={"a"}).halts == ((branch, halt),)


def test_a_run_that_is_stopped_by_who_is_behind_took_no_time() -> None:
    run = run_of(started_at_us=NOW_US + 50, last_us=NOW_US + 60)
    end = terminal_event(FACTS, run, Stop("cancelled", 1), [], now_us=NOW_US)
    assert isinstance(end, WorkflowCancelled)
    assert (end.timestamp_us, end.duration_us) == (NOW_US + 63, 0)
