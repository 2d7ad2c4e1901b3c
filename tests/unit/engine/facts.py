"""What the tests of the pure engine judge upon: a graph's facts, and a run of it, both made without a table."""

from __future__ import annotations

from typing import Any

from cascade_flow import StepDefinition
from cascade_flow.engine.state import Facts, Run, Timing
from cascade_flow.graph import Graph
from cascade_flow.model.events import make_event

NOW_US = 1_800_000_000_000_000
TIMING = Timing(lease_us=10_000_000, grace_us=3_000_000, timeout_us=3_600_000_000)


def step(id: str, *dependencies: str, **options: Any) -> StepDefinition:
    return StepDefinition(id=id, name=id, dependencies=list(dependencies), **options)


def facts_of(*steps: StepDefinition, **known: Any) -> Facts:
    return Facts("run", "flow", Graph(steps), 2_000_000_000, TIMING, **known)


def run_of(**known: Any) -> Run:
    began = {"created_us": NOW_US - 200, "available_at_us": NOW_US - 200, "started_at_us": NOW_US - 100}
    ends = {"deadline_us": NOW_US + TIMING.timeout_us, "expires_s": 2_000_000_000}
    return Run("run", "flow", "v1", **{"status": "running", **began, **ends, **known})


def told(kind: Any, us: int, **fields: Any) -> Any:
    """An event of this run."""
    return make_event(kind, timestamp_us=us, workflow_slug="flow", run_id="run", **fields)
