"""What a function measures: one line a workflow and invocation, in CloudWatch's embedded metric format, no requests.

CloudWatch reads the lines out of the log. Each metric is kept by service, which is the stack, and by workflow; how long
steps wait for a pool's workers by pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from aws_lambda_powertools.metrics import EphemeralMetrics

from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event, StepFailed, WorkflowFailed
from cascade_flow.model.ids import up_of
from cascade_flow.operations.observer import Observer

NAMESPACE = "cascade-flow"
MOST_WORKFLOWS = 99
"""Every value of a dimension (pools are among them) is paid for as a metric; what is beyond these counts for the
service only.
"""

Unit = Literal["Count", "Milliseconds", "Seconds", "Percent"]


class Measured(NamedTuple):
    """One value. Without a workflow or a pool it counts for the service only."""

    name: str
    value: float
    unit: Unit = "Count"
    workflow: str = ""
    pool: str = ""


def _run_failed(event: WorkflowFailed) -> list[Measured]:
    timed_out = event.failure_reason == "timeout"
    return [Measured("RunsTimedOut" if timed_out else "RunsFailed", 1), Measured("RunFailure", 100, "Percent")]


def _step_failed(event: StepFailed) -> list[Measured]:
    took = Measured("StepDuration", _ms(event.duration_us), "Milliseconds")
    return [Measured("StepsFailed", 1), took] if event.terminal else [Measured("StepsRetried", 1), took]


OF_EVENTS: Mapping[str, Callable[[Any], list[Measured]]] = {
    "RunSubmitted": lambda event: [Measured("RunsSubmitted", 1)],
    "WorkflowCompleted": lambda event: [Measured("RunsCompleted", 1), Measured("RunFailure", 0, "Percent")],
    "WorkflowFailed": _run_failed,
    "WorkflowCancelled": lambda event: [Measured("RunsCancelled", 1)],
    "StepCompleted": lambda event: [
        Measured("StepsCompleted", 1),
        Measured("StepDuration", _ms(event.duration_us), "Milliseconds"),
    ],
    "StepFailed": _step_failed,
    "StepSkipped": lambda event: [Measured("StepsSkipped", 1)],
    "StepReclaimed": lambda event: [Measured("StepsReclaimed", 1)],
}
"""What is measured of each kind of event. `RunFailure` is 0 or 100 for each run that ended: its average is a rate."""


class Metrics(Observer):
    """Collects what is measured, from any thread, until it is written."""

    def __init__(self, *, by_workflow: bool = True) -> None:
        self._by_workflow = by_workflow
        self._known: set[tuple[str, str]] = set()
        self._noted: list[Measured] = []

    def committed(self, events: Sequence[Event]) -> None:
        """A run that does another's work counts for its steps alone."""
        for event in events:
            if event.category == "workflow" and up_of(event.run_id) is not None:
                continue
            if (measure := OF_EVENTS.get(event.type)) is not None:
                self._noted += [each._replace(workflow=event.workflow_slug) for each in measure(event)]

    def undoing(self, events: Sequence[Event]) -> None:
        super().undoing(events)
        failed = (event for event in events if isinstance(event, WorkflowFailed))
        self._noted += [Measured("UndoFailed", 1, workflow=event.workflow_slug) for event in failed]

    def claimed(self, facts: Facts, branch: Branch) -> None:
        waited_us = (branch.started_at_us or 0) - (branch.available_at_us or branch.started_at_us or 0)
        self._noted.append(Measured("SchedulingLatency", _ms(waited_us), "Milliseconds", facts.workflow_slug))

    def overtaken(self, facts: Facts) -> None:
        self._noted.append(Measured("LateResultsRefused", 1, workflow=facts.workflow_slug))

    def swept(self, swept: Mapping[str, Any]) -> None:
        """What a sweep came to; where it found nothing, there is nothing to pay for either."""
        found: dict[str, tuple[int, Unit]] = {
            "SweepEntries": (swept["done"].get("looked at", 0), "Count"),
            "SweepFailures": (swept["done"].get("failed", 0), "Count"),
            "SweepUnfinished": (int(swept["left"]), "Count"),
            "WakeUpsRepeated": (swept["done"].get("wake-ups repeated", 0), "Count"),
            "OldestDueSeconds": (swept["oldest_due_s"], "Seconds"),
        }
        self._noted += [Measured(name, value, unit) for name, (value, unit) in found.items() if value]
        waits = [(pool, seconds) for pool, seconds in swept["pools"].items() if seconds]
        self._noted += [Measured("PoolWaitSeconds", seconds, "Seconds", pool=pool) for pool, seconds in waits]
        if found["SweepEntries"][0]:
            self._noted.append(Measured("SweepDuration", swept["took_ms"], "Milliseconds"))

    def write(self) -> None:
        """Write what was measured since the last time."""
        noted, self._noted = self._noted, []
        lines: dict[tuple[str, str], list[Measured]] = {}
        for each in noted:
            lines.setdefault(self._dimension(each), []).append(each)
        for dimension, measured in lines.items():
            _write(dimension, measured)

    def _dimension(self, measured: Measured) -> tuple[str, str]:
        """The name and value of the dimension beside the service, or twice nothing."""
        dimension = ("pool", measured.pool) if measured.pool else ("workflow", measured.workflow)
        known = dimension in self._known or len(self._known) < MOST_WORKFLOWS
        if not self._by_workflow or not dimension[1] or not known:
            return "", ""
        self._known.add(dimension)
        return dimension


def _write(dimension: tuple[str, str], measured: Sequence[Measured]) -> None:
    line = EphemeralMetrics(namespace=NAMESPACE)
    line.service = line.service or NAMESPACE
    name, value = dimension
    if value:
        line.add_dimensions(service=line.service, **{name: value})
    for each in measured:
        line.add_metric(name=each.name, unit=each.unit, value=each.value)
    if line.metric_set:  # it writes by itself what is a hundred
        line.flush_metrics()


def _ms(us: float) -> float:
    return max(0, round(us / 1_000))
