"""A step in the hands of a worker, and words for what a command makes of it, whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cascade_flow import RetryTier, StepError
from cascade_flow.engine.commands import (
    Command,
    Fail,
    SkipStep,
)
from cascade_flow.engine.decide import decide
from cascade_flow.engine.state import (
    Branch,
    Claimant,
    Commit,
    Facts,
)
from cascade_flow.model.events import (
    Event,
    ResourceSnapshot,
    ResourceUsage,
    StepCompleted,
    StepHeartbeat,
    StepStarted,
)
from unit.engine.facts import NOW_US, TIMING, facts_of, step, told

AT = NOW_US + 1
"""The first time of the only branch at or after now: its times are 1 modulo 3."""
TIERS = [
    RetryTier(max_attempts=2, delay_ms=100, backoff=3.0, jitter=0.5),
    RetryTier(max_attempts=2, delay_ms=7_000, jitter=0.5),
]
ALONG = (step("a", retry=TIERS, export_output=True), step("b", "a", skip_cascades=False))
FACTS = facts_of(*ALONG, run_attempt=3, priority=6)
ERROR = StepError(name="ValueError", message="no", stack="ValueError: no\n    at here (a.js:1:2)")
USAGE = ResourceUsage(
    peak_memory_bytes=1,
    cpu_time_user_us=2,
    cpu_time_system_us=3,
    cpu_time_total_us=5,
    voluntary_context_switches=6,
    involuntary_context_switches=7,
)
BEAT = ResourceSnapshot(memory_bytes=11, cpu_time_us=12)
CLAIMANT = Claimant("heir", NOW_US + 77, slot_index=4, worker_concurrency=5)
NOBODY: dict[str, Any] = {
    "available_at_us": None,
    "started_at_us": None,
    "worker": None,
    "lease_us": None,
    "heartbeat_us": None,
    "snapshot": None,
    "slot_index": None,
    "worker_concurrency": None,
}
HELD = Branch(
    "a",
    "running",
    "a",
    attempt=7,
    attempts_before=5,
    run_attempt=2,
    seq=9,
    available_at_us=AT - 66,
    started_at_us=AT - 30,
    worker="w",
    lease_us=NOW_US + 10,
    heartbeat_us=AT - 9,
    snapshot=BEAT,
    slot_index=2,
    worker_concurrency=3,
    priority=4,
    last_us=AT - 66,
    origin_us=AT - 90,
    due_us=NOW_US + 20,
    tail=({"type": "told before"},),
)
"""The second try since the run was tried again; what a claim and a heartbeat have left is no event yet."""
WAITING = replace(HELD, **NOBODY | {"status": "scheduled", "available_at_us": NOW_US + 500})


def of(kind: Any, us: int, step_id: str = "a", attempt: int = 7, **fields: Any) -> Event:
    event: Event = told(kind, us, step_id=step_id, attempt_number=attempt, **fields)
    return event


HOLDER = {"worker_id": "w", "slot_index": 2, "worker_concurrency": 3}
BEGUN = (
    of(StepStarted, AT - 30, dependencies=[], **HOLDER),
    of(StepHeartbeat, AT - 9, resource_snapshot=BEAT, **HOLDER),
)
B_IS_DUE = {"available_at_us": NOW_US, "reason": "dependency-satisfied", "priority": 4}
AT_B: dict[str, Any] = {**NOBODY, "step": "b", "attempt": 1, "attempts_before": None, "available_at_us": NOW_US}
HEIRS: dict[str, Any] = {
    "status": "running",
    "worker": "heir",
    "lease_us": NOW_US + 77,
    "slot_index": 4,
    "worker_concurrency": 5,
}


def decided(command: Command, branch: Branch = HELD, facts: Facts = FACTS) -> Commit:
    return decide(facts, branch, command, now_us=NOW_US)


def completed(us: int, **fields: Any) -> Event:
    return of(StepCompleted, us, **{"output": '"out"', "duration_us": 8, "export_output": True, **fields})


SKIP = SkipStep("rain", 8, {"by": "her"}, CLAIMANT)
FAIL = Fail(ERROR, "execution-error", 8, chance=1.0, resource_usage=USAGE)
AGAIN: dict[str, Any] = {"halt": None, "run_attempt": 3, "due_us": NOW_US + TIMING.grace_us}
