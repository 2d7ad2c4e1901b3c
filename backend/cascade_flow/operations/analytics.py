"""Analytics of what is stored: finds the runs that a question is about, reads them, and has the reports computed.

A question about the past reads the runs that go on and those that have ended since its range began, by the due index,
never the whole table. One about now reads what is live. Payloads and logs are never read. Who has little time says
until when: what can't be read by then is refused, since numbers about a part would be wrong.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Unpack, get_args

from cascade_flow import clock
from cascade_flow.analytics.depth import LiveRun, compute_queue_depth, compute_queue_depth_by_workflow
from cascade_flow.analytics.errors import check_fingerprint, compute_error_detail, compute_errors_page
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import AnalyticsOptions, Scope, own_events
from cascade_flow.analytics.workers import active_workers, compute_workers
from cascade_flow.dynamodb import caller_items, due, items, keys
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.errors import ReportTooLargeError
from cascade_flow.fingerprints import GroupingStrategy
from cascade_flow.model.events import Event, StepEvent
from cascade_flow.model.ids import check_run_id
from cascade_flow.model.reports import (
    ActiveWorker,
    ActiveWorkers,
    AnalyticsSummary,
    ErrorAnalysis,
    ErrorDetail,
    ErrorsPage,
    Interval,
    QueueDepth,
    RetryAnalysis,
    SchedulingLatency,
    StepDuration,
    StepReport,
    SuccessRate,
    Throughput,
    WorkerStability,
    WorkflowDuration,
    WorkflowQueueDepth,
)
from cascade_flow.operations.history import Histories, RunHistory
from cascade_flow.operations.runtime import Runtime
from cascade_flow.portions import portions

_AT_ONCE = 500
_STEP_EVENTS = get_args(StepEvent)


class Overview(NamedTuple):
    """All reports of a range, and where it was asked for, these by step and by parts of the range."""

    summary: AnalyticsSummary
    steps: list[StepReport] | None
    intervals: list[Interval] | None


class Analytics:
    """The reports of the contract, about the runs of one table.

    With `until_us` each raises ReportTooLargeError where it can't be made by then.
    """

    def __init__(self, runtime: Runtime, *, until_us: int | None = None) -> None:
        self._runtime = runtime
        self._until_us = until_us
        self._table = runtime.ledger.table
        self._histories = Histories(runtime)

    # -- the past -------------------------------------------------------------------------------------------------

    def error_analysis(self, **options: Unpack[AnalyticsOptions]) -> ErrorAnalysis:
        return self._past(**options).error_analysis()

    def errors(self, strategy: GroupingStrategy, *, limit: int, offset: int, **options: Any) -> ErrorsPage:
        """The failures of a range by fingerprint."""
        return compute_errors_page(self._past(**options).steps, strategy, limit=limit, offset=offset)

    def error(
        self, fingerprint: str, strategy: GroupingStrategy, *, limit: int, offset: int, **options: Any
    ) -> ErrorDetail:
        """The failures of a range with one fingerprint; raises InvalidIdError where it is none."""
        check_fingerprint(fingerprint)
        steps = self._past(**options).steps
        return compute_error_detail(steps, fingerprint, strategy, limit=limit, offset=offset)

    def retry_analysis(self, **options: Unpack[AnalyticsOptions]) -> RetryAnalysis:
        return self._past(**options).retry_analysis()

    def scheduling_latency(self, **options: Unpack[AnalyticsOptions]) -> SchedulingLatency:
        return self._past(**options).scheduling_latency()

    def step_duration(self, **options: Unpack[AnalyticsOptions]) -> StepDuration:
        return self._past(**options).step_duration()

    def workflow_duration(self, **options: Unpack[AnalyticsOptions]) -> WorkflowDuration:
        return self._past(**options).workflow_duration()

    def worker_stability(self, **options: Unpack[AnalyticsOptions]) -> WorkerStability:
        return self._past(**options).worker_stability()

    def throughput(self, **options: Unpack[AnalyticsOptions]) -> Throughput:
        return self._past(**options).throughput()

    def success_rate(self, **options: Unpack[AnalyticsOptions]) -> SuccessRate:
        return self._past(**options).success_rate()

    def overview(
        self, *, by_step: bool = False, intervals: int | None = None, **options: Unpack[AnalyticsOptions]
    ) -> Overview:
        """All reports from one reading of the range; the queue's depth is that of the workflow, now."""
        live, workflow_slug = list(due.live(self._table)), options.get("workflow_slug")
        depth = compute_queue_depth(self._live_runs(live, workflow_slug), workflow_slug=workflow_slug)
        past = self._past(live, **options)
        parts = None if intervals is None else past.intervals(intervals)
        return Overview(past.summary(depth), past.by_step() if by_step else None, parts)

    # -- now ------------------------------------------------------------------------------------------------------

    def queue_depth(self, *, workflow_slug: str | None = None) -> QueueDepth:
        live = due.live(self._table)
        return compute_queue_depth(self._live_runs(live, workflow_slug), workflow_slug=workflow_slug)

    def queue_depth_by_workflow(self) -> list[WorkflowQueueDepth]:
        names = self._runtime.registry.names()
        return compute_queue_depth_by_workflow(self._live_runs(due.live(self._table), None), names)

    def active_workers(self, **options: Any) -> ActiveWorkers:
        """Who works on the runs that are running."""
        return active_workers(self._workers(), now_us=clock.now_us(), **options)

    def worker(self, worker_id: str) -> ActiveWorker | None:
        """One of them, also where it fell silent long ago."""
        return next((worker for worker in self._workers() if worker.worker_id == worker_id), None)

    # -- reading --------------------------------------------------------------------------------------------------

    def _past(self, live: Iterable[due.Entry] | None = None, **options: Unpack[AnalyticsOptions]) -> Past:
        """What happened in a range; `live` is what the index holds of live runs, where that was read already."""
        scope = Scope.of(clock.now_us(), **options)
        return Past.of(scope, self._events_of(self._runs_within(scope, live)))

    def _runs_within(self, scope: Scope, live: Iterable[due.Entry] | None) -> list[Run]:
        """The runs of which anything may have happened in the range: each one's item says whether it can."""
        if scope.run_ids is None:
            known = due.live(self._table) if live is None else live
            ids: Iterable[str] = _runs_among(chain(known, due.ended(self._table, since_us=scope.start_us)))
        else:
            ids = map(check_run_id, scope.run_ids)
        return [run for run in self._runs(ids) if _may_matter(run, scope)]

    def _runs(self, ids: Iterable[str]) -> Iterator[Run]:
        """These runs, in no order, some at a time."""
        for number, some in enumerate(portions(ids, size_of=lambda _: 1, most_bytes=_AT_ONCE)):
            self._check_time(read=number * _AT_ONCE)
            yield from self._runtime.ledger.runs(some)

    def _events_of(self, runs: Sequence[Run]) -> Iterator[Sequence[Event]]:
        return map(counted, self._stories_of(runs))

    def _stories_of(self, runs: Sequence[Run]) -> Iterator[RunHistory]:
        for number, run in enumerate(runs):
            self._check_time(read=number, found=len(runs))
            story = self._histories.outline(run.run_id)
            if story is not None:
                yield story

    def _check_time(self, *, read: int, found: int | None = None) -> None:
        if self._until_us is not None and clock.now_us() > self._until_us:
            facts: dict[str, Any] = {"runs_read": read} if found is None else {"runs_read": read, "runs_found": found}
            raise ReportTooLargeError(**facts)

    def _workers(self) -> list[ActiveWorker]:
        live = self._runs(_runs_among(due.live(self._table)))
        stories = self._stories_of([run for run in live if run.status == "running"])
        events = [event for story in stories for event in own_events(_by_workers(story))]
        return compute_workers(event for event in events if isinstance(event, _STEP_EVENTS))

    def _live_runs(self, live: Iterable[due.Entry], workflow_slug: str | None) -> list[LiveRun]:
        """The index says where, the items say what."""
        places: dict[str, list[str]] = {}
        for entry in live:
            places.setdefault(entry.run_id, []).append(entry.branch)
        found = (run for run in self._runs(places) if run.status in ("pending", "running"))
        runs = [run for run in found if workflow_slug in (None, run.workflow_slug)]
        running = [run.run_id for run in runs if run.status == "running"]
        parts = self._parts((run_id, name) for run_id in running for name in places[run_id] if name)
        return [_live_run(run, parts.get(run.run_id, ())) for run in runs]

    def _parts(self, places: Iterable[tuple[str, str]]) -> dict[str, list[items.Item]]:
        """The items of these branches and steps, by run."""
        found: dict[str, list[items.Item]] = {}
        for some in portions(places, size_of=lambda _: 1, most_bytes=_AT_ONCE):
            self._check_time(read=len(found))
            for item in self._table.batch_get(keys.branch(run_id, name) for run_id, name in some):
                found.setdefault(keys.run_of(str(item[keys.PARTITION])), []).append(item)
        return found


def counted(story: RunHistory) -> Sequence[Event]:
    """What of a run counts in reports: of one that does another's work, or undoes it, its steps; of a map those who do
    its items.
    """
    events = _without(story, {id for id, step in story.steps.items() if step.children and step.children.kind == "map"})
    is_own = story.run.up is None and story.run.undoing is None
    return events if is_own else [event for event in events if isinstance(event, _STEP_EVENTS)]


def _by_workers(story: RunHistory) -> Sequence[Event]:
    """What workers are at work on: on no step that waits for its children."""
    return _without(story, {id for id, step in story.steps.items() if step.children})


def _without(story: RunHistory, steps: Container[str]) -> Sequence[Event]:
    return [event for event in story.events if getattr(event, "step_id", None) not in steps] if steps else story.events


def _runs_among(entries: Iterable[due.Entry]) -> list[str]:
    return [entry.run_id for entry in entries if not entry.branch]


def _may_matter(run: Run, scope: Scope) -> bool:
    """A caller may tell of what happened before its run was submitted."""
    too_late = run.created_us > scope.end_us and run.driver == "engine"
    if too_late or scope.workflow_slug not in (None, run.workflow_slug):
        return False
    return run.status not in ENDED or run.completed_at_us is None or run.completed_at_us >= scope.start_us


def _live_run(run: Run, parts: Iterable[items.Item]) -> LiveRun:
    steps = [_step_of(run, item) for item in parts]
    return LiveRun(
        workflow_slug=run.workflow_slug,
        status="pending" if run.status == "pending" else "running",
        created_us=run.created_us,
        scheduled_us=tuple(available_us or 0 for status, available_us in steps if status == "scheduled"),
        running_steps=sum(status == "running" for status, _ in steps),
        is_child=run.up is not None,
    )


def _step_of(run: Run, item: items.Item) -> tuple[str, int | None]:
    """Where the step stands that a branch is at, or that a caller has told of; and when it may be claimed."""
    if run.driver == "caller":
        state = caller_items.to_caller_step(item).state
        return state.status, state.available_at
    branch = items.to_branch(item)
    return branch.status, branch.available_at_us
