"""Events that lie in the tables of these tests."""

from __future__ import annotations

from typing import Any

from cascade_flow.model.events import StepCompleted, StepScheduled
from unit.engine.facts import NOW_US, told
from unit.projection.told import usage

SUBMISSION: dict[str, Any] = {
    "version_id": "v",
    "has_input_schema": False,
    "available_at_us": NOW_US,
    "timeout_us": 9,
    "priority": 0,
}


def step_scheduled(us: int, *, available_us: int | None = None) -> Any:
    due_us = us if available_us is None else available_us
    return told(StepScheduled, us, step_id="a", attempt_number=1, available_at_us=due_us, reason="initial")


def step_completed(us: int, output: str = "1", *, step_id: str = "a") -> Any:
    said: Any = {"step_id": step_id, "attempt_number": 1, "duration_us": 1, "output": output, "export_output": False}
    return told(StepCompleted, us, resource_usage=usage(1), **said)
