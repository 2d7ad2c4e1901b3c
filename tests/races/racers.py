"""What each process of a race does. Its answer tells what came of every try; judging is the tests' matter.

Imported by every racing process, so nothing heavy may enter: no pytest, no checker.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from cascade_flow import (
    CascadeFlowError,
    ConflictError,
    DynamoDBBackend,
    LogEntry,
    RunNotCancellableError,
    RunSubmission,
    StaleAttemptError,
    clock,
)
from cascade_flow.operations.sweep import Sweep
from contract.outside import FLOW, Outside
from testbed.races import Lane

KEYS = 3
AT_US = 1_700_000_000_000_000
ROOTS = [f"r{number}" for number in range(12)]
MIDDLE = [f"p{number}" for number in range(24)]


@cache
def backend_of(lane: Lane) -> DynamoDBBackend:
    """The backend of one racing process."""
    return DynamoDBBackend(lane.table, client=lane.product())


def worker_of(lane: Lane, run_id: str) -> Outside:
    return Outside(backend_of(lane), run_id, name=f"worker-{lane.number}")


def claim_all(lane: Lane, run_id: str) -> list[str]:
    """Claim every root of a run: those that this process won."""
    return [name for name in ROOTS if worker_of(lane, run_id).claim(name) is not None]


def submit_with_keys(lane: Lane) -> list[tuple[str, bool]]:
    """Submit with the keys that every process uses: run and whether it is new."""
    wishes = [RunSubmission(workflow_slug=FLOW, input={"n": n}, idempotency_key=f"key-{n}") for n in range(KEYS)]
    return [(found.run_id, found.is_new) for found in map(backend_of(lane).submit_run, wishes)]


def submit_with_one_id(lane: Lane) -> str:
    """Submit with an id that every process wants."""
    with suppress(ConflictError):
        backend_of(lane).submit_run(RunSubmission(workflow_slug=FLOW, run_id="wanted", input=f"of {lane.number}"))
        return "mine"
    return "taken"


def claim_and_append(lane: Lane, run_id: str) -> tuple[list[str], list[int]]:
    """Claim what a caller has scheduled, and append events that all have the same time: what was won, and the times."""
    won = claim_all(lane, run_id)
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": run_id, "timestamp_us": AT_US, "step_id": "log"}
    line = LogEntry(**place, stream="stdout", message=f"of {lane.number}", attempt_number=1)
    return won, [backend_of(lane).append_event(FLOW, run_id, line).timestamp_us for _ in range(5)]


def complete_or_reclaim(lane: Lane, run_ids: list[str]) -> list[str]:
    """The first process completes a step of each run, the others take away whatever runs."""
    return [_complete(lane, run_id) if lane.number == 0 else _reclaim(lane) for run_id in run_ids]


def complete_or_cancel(lane: Lane, run_ids: list[str]) -> list[str]:
    """Every other process cancels the runs, the rest complete their only step."""
    return [_cancel(lane, run_id) if lane.number % 2 else _complete(lane, run_id) for run_id in run_ids]


def carry_a_share(lane: Lane, run_id: str) -> int:
    """Do every n-th of the parallel steps: how many could not be done."""
    errors = 0
    for name in MIDDLE[lane.number :: lane.of]:
        try:
            worker_of(lane, run_id).do(name)
        except CascadeFlowError:
            errors += 1
    return errors


def _complete(lane: Lane, run_id: str) -> str:
    try:
        worker_of(lane, run_id).complete("a", output="late")
    except StaleAttemptError:
        return "too late"
    return "completed"


def _cancel(lane: Lane, run_id: str) -> str:
    try:
        backend_of(lane).cancel_run(run_id)
    except RunNotCancellableError:
        return "too late"
    return "cancelled"


def _reclaim(lane: Lane) -> str:
    return str(len(backend_of(lane).reclaim_stale_steps(0, f"reaper-{lane.number}")))


def sweep(lane: Lane) -> int:
    """How many runs of schedules a sweep has submitted, or found."""
    done = (
        Sweep(backend_of(lane).runtime, name=f"reaper-{lane.number}").sweep(until_us=clock.now_us() + 60_000_000).done
    )
    return done.get("runs of schedules submitted", 0)
