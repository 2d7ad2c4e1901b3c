"""Words for how runs and branches begin, whole: what was ordered, what is said of it, and what is there then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cascade_flow.engine.runs import Submission
from cascade_flow.engine.state import Birth, Branch, Run
from cascade_flow.model.events import Event, StepScheduled, WorkflowInputValidation, WorkflowStarted
from unit.engine.facts import NOW_US, TIMING, facts_of, step, told

FACTS = facts_of(step("a"), run_attempt=1, priority=6)
"""The run's times are 0 modulo 3, as now is, and its branch's are 1."""
ORDER = Submission(
    "v2",
    available_at_us=NOW_US,
    has_input_schema=True,
    input="[1]",
    priority=6,
    timeout_us=500,
    idempotency_key="k",
    metadata={"m": 1},
    tags=("t",),
)
SAID: dict[str, Any] = {
    "version_id": "v2",
    "has_input_schema": True,
    "input": "[1]",
    "priority": 6,
    "timeout_us": 500,
    "idempotency_key": "k",
    "metadata": {"m": 1},
    "tags": ["t"],
}
NEW = Run(
    run_id="run",
    workflow_slug="flow",
    version_id="v2",
    status="pending",
    created_us=NOW_US,
    available_at_us=NOW_US,
    deadline_us=NOW_US + 500,
    expires_s=FACTS.expires_s,
    priority=6,
    tags=("t",),
    last_us=NOW_US,
    due_us=NOW_US,
)
GRACE_US = NOW_US + TIMING.grace_us
ENDED = replace(NEW, status="failed", started_at_us=NOW_US - 90, completed_at_us=NOW_US - 30, last_us=NOW_US - 30)


def validated(us: int, attempt: int = 1, *, has_schema: bool = True) -> Event:
    said = {"has_schema": has_schema, "success": True, "workflow_attempt_number": attempt}
    event: Event = told(WorkflowInputValidation, us, **said)
    return event


def started(us: int, attempt: int = 1, **said: Any) -> Event:
    known = {"version_id": "v2", "has_input_schema": True, "has_input": True, "workflow_attempt_number": attempt}
    event: Event = told(WorkflowStarted, us, **known | said)
    return event


def scheduled(us: int, step_id: str, reason: str = "initial") -> Event:
    said = {"attempt_number": 1, "available_at_us": NOW_US, "reason": reason, "priority": 6}
    event: Event = told(StepScheduled, us, step_id=step_id, **said)
    return event


def born(name: str, us: int, **known: Any) -> Birth:
    """A branch whose first step is scheduled, at this time."""
    branch = Branch(name, "scheduled", name, priority=6, available_at_us=NOW_US, last_us=us, due_us=GRACE_US)
    return Birth(replace(branch, **known), (scheduled(us, name),))
