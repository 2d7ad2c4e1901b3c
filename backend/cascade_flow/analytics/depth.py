"""How much waits and how much is under way, now. Its input is what is live, not what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal

from cascade_flow.model.reports import QueueDepth, WorkflowQueueDepth
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class LiveRun:
    """A run that has not ended; `scheduled_us` says of each scheduled step from when on it may be claimed. One that
    `is_child` does another's work: its steps count, and it is no run of its own.
    """

    workflow_slug: str
    status: Literal["pending", "running"]
    created_us: int
    scheduled_us: tuple[int, ...] = ()
    running_steps: int = 0
    is_child: bool = False


def compute_queue_depth(live: Iterable[LiveRun], *, workflow_slug: str | None = None) -> QueueDepth:
    """Of one workflow's runs, or of all."""
    runs = [run for run in live if workflow_slug in (None, run.workflow_slug)]
    scheduled_us = _scheduled_us(runs)
    pending_us = _pending_us(runs)
    return QueueDepth(
        workflow_slug=workflow_slug,
        pending_runs=len(pending_us),
        running_runs=sum(run.status == "running" and not run.is_child for run in runs),
        scheduled_steps=len(scheduled_us),
        running_steps=sum(run.running_steps for run in runs),
        oldest_scheduled_step_us=min(scheduled_us, default=None),
        oldest_pending_run_us=min(pending_us, default=None),
    )


def compute_queue_depth_by_workflow(live: Iterable[LiveRun], names: Mapping[str, str]) -> list[WorkflowQueueDepth]:
    """The workflows of which anything waits, the longest queue first; `names` are those that are registered."""
    by_workflow: dict[str, list[LiveRun]] = {}
    for run in live:
        by_workflow.setdefault(run.workflow_slug, []).append(run)
    found = [_of_workflow(slug, runs, names.get(slug)) for slug, runs in by_workflow.items()]
    waiting = [depth for depth in found if depth.pending_runs or depth.scheduled_steps]
    return sorted(waiting, key=lambda depth: -(depth.pending_runs + depth.scheduled_steps))


def _of_workflow(slug: str, runs: Sequence[LiveRun], name: str | None) -> WorkflowQueueDepth:
    scheduled_us, pending_us = _scheduled_us(runs), _pending_us(runs)
    return WorkflowQueueDepth(
        workflow_slug=slug,
        workflow_name=name,
        pending_runs=len(pending_us),
        scheduled_steps=len(scheduled_us),
        oldest_pending_item_us=min(chain(scheduled_us, pending_us), default=None),
    )


def _scheduled_us(runs: Iterable[LiveRun]) -> list[int]:
    return [time_us for run in runs for time_us in run.scheduled_us]


def _pending_us(runs: Iterable[LiveRun]) -> list[int]:
    return [run.created_us for run in runs if run.status == "pending"]
