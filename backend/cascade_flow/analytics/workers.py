"""Who works, on what, and who fell silent: workers as the events of their steps show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from cascade_flow.model.events import (
    StepCompleted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepStarted,
)
from cascade_flow.model.reports import ActiveStep, ActiveWorker, ActiveWorkers, UnstableWorker, WorkerStability
from cascade_flow.projection import project_step_state
from cascade_flow.records import dataclass

MOST_UNSTABLE = 10
STALE_THRESHOLD_US = 30_000_000


def compute_worker_stability(step_events: Iterable[StepEvent]) -> WorkerStability:
    """Who lost how many steps, and after how long a silence."""
    reclaims = [event for event in step_events if isinstance(event, StepReclaimed)]
    by_worker = Counter(event.original_worker_id for event in reclaims)
    silent_us = sum(event.stale_duration_us for event in reclaims)
    return WorkerStability(
        total_reclamations=len(reclaims),
        unique_workers_with_reclamations=len(by_worker),
        steps_reclaimed_by_worker=dict(by_worker),
        average_stale_time_us=silent_us / len(reclaims) if reclaims else 0,
        most_unstable_workers=[
            UnstableWorker(worker_id=worker, reclamation_count=count)
            for worker, count in by_worker.most_common(MOST_UNSTABLE)
        ],
    )


def compute_workers(step_events: Iterable[StepEvent]) -> list[ActiveWorker]:
    """Every worker that these events name, the busiest first, then who was seen last. Events in order, of any runs."""
    steps: dict[tuple[str, str], list[StepEvent]] = {}
    for event in step_events:
        steps.setdefault((event.run_id, event.step_id), []).append(event)
    crew = _Crew()
    for events in steps.values():
        crew.watch(events)
    found = [worker.report() for worker in crew.workers.values()]
    return sorted(found, key=lambda worker: (-worker.currently_running_steps, -worker.last_seen_us))


def active_workers(
    workers: Iterable[ActiveWorker],
    *,
    now_us: int,
    stale_threshold_us: int = STALE_THRESHOLD_US,
    include_inactive: bool = False,
    start_us: int | None = None,
    end_us: int | None = None,
) -> ActiveWorkers:
    """Those who run a step or were seen lately (or all), and were last seen within the range."""
    found = [
        worker
        for worker in workers
        if (include_inactive or worker.active_steps or now_us - worker.last_seen_us < stale_threshold_us)
        and (start_us is None or worker.last_seen_us >= start_us)
        and (end_us is None or worker.last_seen_us <= end_us)
    ]
    return ActiveWorkers(
        workers=found,
        total_active_workers=sum(worker.currently_running_steps > 0 for worker in found),
        total_running_steps=sum(worker.currently_running_steps for worker in found),
        stale_threshold_us=stale_threshold_us,
    )


@dataclass
class _Worker:
    """What is known of a worker so far."""

    worker_id: str
    last_seen_us: int
    concurrency: int | None = None
    processed: int = 0
    failed: int = 0
    lost: int = 0
    active: list[ActiveStep] = field(default_factory=list)

    def seen(self, at_us: int) -> None:
        self.last_seen_us = max(self.last_seen_us, at_us)

    def report(self) -> ActiveWorker:
        return ActiveWorker(
            worker_id=self.worker_id,
            last_seen_us=self.last_seen_us,
            currently_running_steps=len(self.active),
            total_steps_processed=self.processed,
            failed_steps=self.failed,
            reclaimed_from_count=self.lost,
            worker_concurrency=self.concurrency,
            active_steps=self.active,
        )


class _Crew:
    """The workers, one step after the other."""

    def __init__(self) -> None:
        self.workers: dict[str, _Worker] = {}

    def watch(self, events: Sequence[StepEvent]) -> None:
        """Take in the events of one step, in order."""
        starts: dict[int, str] = {}
        for event in events:
            if isinstance(event, StepStarted):
                starts.setdefault(event.attempt_number, event.worker_id)
        for event in events:
            self._see(event, starts)
        self._see_running(events)

    def _see(self, event: StepEvent, starts: Mapping[int, str]) -> None:
        if isinstance(event, StepStarted | StepHeartbeat):
            worker = self._worker(event.worker_id, event.timestamp_us)
            worker.seen(event.timestamp_us)
            worker.concurrency = event.worker_concurrency or worker.concurrency
        elif isinstance(event, StepReclaimed):
            self._worker(event.original_worker_id, event.last_heartbeat_us).lost += 1
        elif isinstance(event, StepCompleted | StepFailed):
            self._see_end(event, starts.get(event.attempt_number))

    def _see_end(self, event: StepCompleted | StepFailed, worker_id: str | None) -> None:
        worker = None if worker_id is None else self.workers.get(worker_id)
        if worker is not None:
            worker.processed += isinstance(event, StepCompleted)
            worker.failed += isinstance(event, StepFailed)
            worker.seen(event.timestamp_us)

    def _see_running(self, events: Sequence[StepEvent]) -> None:
        state = project_step_state(events, events[0].workflow_slug)
        worker = self.workers.get(state.claimed_by) if state.claimed_by else None
        if worker is None or state.status != "running" or state.start_time is None:
            return
        step = ActiveStep(
            workflow_slug=state.workflow_slug,
            run_id=state.run_id,
            step_id=state.step_id,
            started_at_us=state.start_time,
            last_heartbeat_us=state.last_heartbeat or state.start_time,
            slot_index=_slot(events),
        )
        worker.active.append(step)

    def _worker(self, worker_id: str, seen_us: int) -> _Worker:
        return self.workers.setdefault(worker_id, _Worker(worker_id, seen_us))


def _slot(events: Sequence[StepEvent]) -> int | None:
    """The one that was named last."""
    named = (event.slot_index for event in reversed(events) if isinstance(event, StepStarted | StepHeartbeat))
    return next((slot for slot in named if slot is not None), None)
