"""The analytics of the contract: what happened in a range of time, and what is under way now.

A range reads the runs that go on and those that have ended since its start, and nothing else. Where no range is given
it is the last 24 hours; both ends are included. Every method delegates in one statement.
"""

from __future__ import annotations

from typing import Unpack

from cascade_flow.analytics.scope import AnalyticsOptions
from cascade_flow.contract.argument_checks import checked
from cascade_flow.fingerprints import GroupingStrategy
from cascade_flow.model.reports import (
    ActiveWorker,
    ActiveWorkers,
    AnalyticsSummary,
    ErrorAnalysis,
    ErrorDetail,
    ErrorsPage,
    QueueDepth,
    RetryAnalysis,
    SchedulingLatency,
    StepDuration,
    SuccessRate,
    Throughput,
    WorkerStability,
    WorkflowDuration,
    WorkflowQueueDepth,
)
from cascade_flow.operations.analytics import Analytics


@checked
class AnalyticsContract:
    """All reports. The options of most are `start_us`, `end_us`, `workflow_slug`, `step_id` and `run_ids`.

    Every one raises InvalidIdError for run ids that are none; ids that nothing has lead to empty reports.
    """

    _analytics: Analytics

    def get_error_analysis(self, **options: Unpack[AnalyticsOptions]) -> ErrorAnalysis:
        """What failed, retried or not: by reason, and the ten most common messages with all their occurrences.

        Raises InvalidIdError (among the run ids).
        """
        return self._analytics.error_analysis(**options)

    def get_errors_list(
        self,
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        workflow_slug: str | None = None,
        grouping_strategy: GroupingStrategy = "exact",
        limit: int = 50,
        offset: int = 0,
    ) -> ErrorsPage:
        """The failures grouped by fingerprint, the most frequent first; `total` counts all groups.

        Raises InvalidIdError (the workflow's).
        """
        return self._analytics.errors(
            grouping_strategy,
            limit=limit,
            offset=offset,
            start_us=start_us,
            end_us=end_us,
            workflow_slug=workflow_slug,
        )

    def get_error_detail(
        self,
        fingerprint: str,
        grouping_strategy: GroupingStrategy,
        *,
        start_us: int | None = None,
        end_us: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> ErrorDetail:
        """The failures with one fingerprint, newest first; zeros where there are none.

        Raises InvalidIdError (what is no fingerprint).
        """
        return self._analytics.error(
            fingerprint, grouping_strategy, limit=limit, offset=offset, start_us=start_us, end_us=end_us
        )

    def get_retry_analysis(self, **options: Unpack[AnalyticsOptions]) -> RetryAnalysis:
        """What retries led to: how many of the steps that retried succeeded, and at which attempt.

        Raises InvalidIdError (among the run ids).
        """
        return self._analytics.retry_analysis(**options)

    def get_scheduling_latency(self, **options: Unpack[AnalyticsOptions]) -> SchedulingLatency:
        """How long attempts waited for a worker once they could be claimed.

        Raises InvalidIdError (among the run ids).
        """
        return self._analytics.scheduling_latency(**options)

    def get_step_duration(self, **options: Unpack[AnalyticsOptions]) -> StepDuration:
        """How long attempts took, those that failed too. Raises InvalidIdError (among the run ids)."""
        return self._analytics.step_duration(**options)

    def get_workflow_duration(self, **options: Unpack[AnalyticsOptions]) -> WorkflowDuration:
        """How long runs took, however they ended. Raises InvalidIdError (among the run ids)."""
        return self._analytics.workflow_duration(**options)

    def get_worker_stability(self, **options: Unpack[AnalyticsOptions]) -> WorkerStability:
        """Which workers fell silent, so that their steps were taken away from them.

        Raises InvalidIdError (among the run ids).
        """
        return self._analytics.worker_stability(**options)

    def get_throughput(self, **options: Unpack[AnalyticsOptions]) -> Throughput:
        """How many runs and steps came to an end, in all and in an hour. Raises InvalidIdError (among the run ids)."""
        return self._analytics.throughput(**options)

    def get_queue_depth(self, *, workflow_slug: str | None = None) -> QueueDepth:
        """What waits and what is under way now, of one workflow or of all; costs what is live.

        Raises InvalidIdError (the workflow's).
        """
        return self._analytics.queue_depth(workflow_slug=workflow_slug)

    def get_queue_depth_by_workflow(self) -> list[WorkflowQueueDepth]:
        """What waits now by workflow, the longest queue first; costs what is live."""
        return self._analytics.queue_depth_by_workflow()

    def get_success_rate(self, **options: Unpack[AnalyticsOptions]) -> SuccessRate:
        """How runs and steps ended, in numbers and in percent. Raises InvalidIdError (among the run ids)."""
        return self._analytics.success_rate(**options)

    def get_analytics_summary(self, **options: Unpack[AnalyticsOptions]) -> AnalyticsSummary:
        """All these reports at once, from one reading of the range. Raises InvalidIdError (among the run ids)."""
        return self._analytics.overview(**options).summary

    def get_active_workers(
        self,
        *,
        stale_threshold_us: int = 30_000_000,
        include_inactive: bool = False,
        start_us: int | None = None,
        end_us: int | None = None,
    ) -> ActiveWorkers:
        """Who works on runs that are running: those with a step in hand or seen lately, or all who did anything.

        With a range, only those who were last seen in it.
        """
        return self._analytics.active_workers(
            stale_threshold_us=stale_threshold_us, include_inactive=include_inactive, start_us=start_us, end_us=end_us
        )

    def get_worker_by_id(self, worker_id: str) -> ActiveWorker | None:
        """One of these workers, however long ago it was seen; None where no running run knows it.

        Raises InvalidIdError.
        """
        return self._analytics.worker(worker_id)
