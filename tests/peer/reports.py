"""What it means that the peer computes the same reports: its pure functions and ours, on the same histories."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from cascade_flow import analytics
from cascade_flow.model.events import Event, StepEvent, WorkflowEvent, dump_event
from peer.oracle import Question, shared_oracle

STEP_EVENTS, WORKFLOW_EVENTS = get_args(StepEvent), get_args(WorkflowEvent)

Steps = Sequence[StepEvent]
Runs = Sequence[WorkflowEvent]


def split(history: Sequence[Event]) -> tuple[list[StepEvent], list[WorkflowEvent]]:
    return [e for e in history if isinstance(e, STEP_EVENTS)], [e for e in history if isinstance(e, WORKFLOW_EVENTS)]


def comparable(value: Any) -> Any:
    """Without absent fields, without the order of equals, without the last digits of a sum."""
    if isinstance(value, dict):
        return {name: comparable(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return sorted((comparable(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return float(f"{value:.9g}") if isinstance(value, int | float) and not isinstance(value, bool) else value


OURS: Mapping[Question, Callable[[Steps, Runs], Any]] = {
    "computeErrorAnalysis": lambda steps, _: analytics.compute_error_analysis(steps, workflow_slug="w", step_id="s"),
    "computeRetryAnalysis": lambda steps, _: analytics.compute_retry_analysis(steps),
    "computeSchedulingLatency": lambda steps, _: analytics.compute_scheduling_latency(steps, step_id="s"),
    "computeStepDuration": lambda steps, _: analytics.compute_step_duration(steps, workflow_slug="w", step_id="s"),
    "computeWorkflowDuration": lambda _, runs: analytics.compute_workflow_duration(runs, workflow_slug="w"),
    "computeWorkerStability": lambda steps, _: analytics.compute_worker_stability(steps),
    "computeThroughput": lambda steps, runs: analytics.compute_throughput(steps, runs, 7_200_000_001),
    "computeSuccessRate": lambda steps, runs: analytics.compute_success_rate(steps, runs, step_id="s"),
}

THEIRS: Mapping[Question, Callable[[list[Any], list[Any]], list[Any]]] = {
    "computeErrorAnalysis": lambda steps, _: [steps, "w", "s"],
    "computeRetryAnalysis": lambda steps, _: [steps],
    "computeSchedulingLatency": lambda steps, _: [steps, None, "s"],
    "computeStepDuration": lambda steps, _: [steps, "w", "s"],
    "computeWorkflowDuration": lambda _, runs: [runs, "w"],
    "computeWorkerStability": lambda steps, _: [steps],
    "computeThroughput": lambda steps, runs: [steps, runs, 7_200_000_001],
    "computeSuccessRate": lambda steps, runs: [steps, runs, None, "s"],
}


def assert_reports_agree(histories: Sequence[Sequence[Event]]) -> None:
    """Of each history."""
    parted = [split(history) for history in histories]
    dumped = [([dump_event(event) for event in steps], [dump_event(event) for event in runs]) for steps, runs in parted]
    for question, compute in OURS.items():
        answers = shared_oracle().ask(question, [THEIRS[question](*wire) for wire in dumped])
        for (steps, runs), answer in zip(parted, answers, strict=True):
            assert comparable(compute(steps, runs).to_wire()) == comparable(answer.value), question
