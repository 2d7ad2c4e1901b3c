"""What the analytics answer: the reports of the wire contract. How each number comes about is said in `analytics`.

Times are integers in microseconds since the Unix epoch; averages and rates may be fractions; percentages run from 0 to
100. A report about nothing holds zeros and leaves out what has no value.
"""

from pydantic import ConfigDict

from cascade_flow.model.parts import StepFailureReason
from cascade_flow.model.wire import Count, Number, Ordinal, Text, WireModel


class Report(WireModel):
    """What every report is; validators are built on first use, since few processes ask for any."""

    model_config = ConfigDict(defer_build=True)


class Percentiles(Report):
    """How values are distributed; all zeros where there are none."""

    count: Count
    min: Number
    max: Number
    average: float
    median: Number
    p95: Number
    p99: Number


class ErrorBreakdown(Report):
    """How many of the failures had this reason."""

    failure_reason: StepFailureReason
    count: Count
    percentage: float


class ErrorOccurrence(Report):
    """One failure of one attempt."""

    workflow_slug: Text
    run_id: Text
    step_id: Text
    attempt_number: Ordinal
    timestamp_us: Number


class FrequentError(Report):
    """Failures with the same message; the reason is the first one's."""

    message: Text
    count: Count
    failure_reason: StepFailureReason
    last_occurrence: Number
    occurrences: list[ErrorOccurrence]


class ErrorAnalysis(Report):
    """What failed, why, and which errors are the most common (at most ten)."""

    workflow_slug: Text | None = None
    step_id: Text | None = None
    total_failures: Count
    unique_errors: Count
    breakdown_by_reason: list[ErrorBreakdown]
    most_common_errors: list[FrequentError]
    first_failure: Number | None = None
    last_failure: Number | None = None


class ErrorGroup(Report):
    """Failures that share a fingerprint, with the first one's words."""

    fingerprint: Text
    error_message: Text
    error_name: Text
    sample_stack: Text
    count: Count
    affected_runs: Count
    first_seen: Number
    last_seen: Number


class ErrorsPage(Report):
    """A part of a list of error groups; `total` counts the whole list."""

    errors: list[ErrorGroup]
    total: Count


class ErrorDetail(Report):
    """One group of errors, with a part of its occurrences, newest first, and the newest one's words."""

    fingerprint: Text
    error_message: Text
    error_name: Text
    sample_stack: Text
    total_count: Count
    affected_runs: Count
    first_seen: Number
    last_seen: Number
    occurrences: list[ErrorOccurrence]
    total: Count


class RetryAnalysis(Report):
    """What retries led to; the averages are of the highest attempt of each step that retried."""

    total_retries: Count
    retries_succeeded: Count
    retries_failed: Count
    average_attempts_before_success: float
    average_attempts_before_failure: float
    retry_effectiveness_rate: float


class _Times(Report):
    """How long something took, again and again."""

    workflow_slug: Text | None = None
    count: Count
    average_us: float
    median_us: Number
    p95_us: Number
    p99_us: Number
    min_us: Number
    max_us: Number


class WorkflowDuration(_Times):
    """How long runs took, from start to end."""


class StepDuration(_Times):
    """How long attempts took, those that failed too."""

    step_id: Text | None = None


class SchedulingLatency(_Times):
    """How long attempts waited for a worker, from the time at which they could be claimed."""

    step_id: Text | None = None


class StepReport(_Times):
    """How long the attempts of one step took, those that failed too, and how many these were."""

    step_id: Text
    failures: Count
    retries: Count


class Interval(Report):
    """A part of a range, its end excluded: what came to an end in it, and how long runs and waits took that did."""

    start_us: Number
    end_us: Number
    runs_completed: Count
    runs_failed: Count
    runs_cancelled: Count
    steps_completed: Count
    steps_failed: Count
    retries: Count
    reclamations: Count
    run_median_us: Number
    run_p95_us: Number
    wait_median_us: Number
    wait_p95_us: Number


class UnstableWorker(Report):
    """A worker that steps were taken away from, and how often."""

    worker_id: Text
    reclamation_count: Count


class WorkerStability(Report):
    """Which workers fell silent, how often and for how long (at most ten are listed)."""

    total_reclamations: Count
    unique_workers_with_reclamations: Count
    steps_reclaimed_by_worker: dict[Text, Count]
    average_stale_time_us: float
    most_unstable_workers: list[UnstableWorker]


class Throughput(Report):
    """What came to an end in the range, and how much of it in an hour."""

    workflow_slug: Text | None = None
    time_range_us: Number
    runs_completed: Count
    runs_failed: Count
    steps_completed: Count
    steps_failed: Count
    steps_skipped: Count
    runs_per_hour: float
    steps_per_hour: float


class SuccessRate(Report):
    """How runs and steps ended."""

    workflow_slug: Text | None = None
    step_id: Text | None = None
    total_runs: Count
    successful_runs: Count
    failed_runs: Count
    cancelled_runs: Count
    success_rate: float
    failure_rate: float
    total_steps: Count
    successful_steps: Count
    failed_steps: Count
    skipped_steps: Count
    step_success_rate: float
    step_failure_rate: float


class QueueDepth(Report):
    """What waits and what is under way, now."""

    workflow_slug: Text | None = None
    pending_runs: Count
    running_runs: Count
    scheduled_steps: Count
    running_steps: Count
    oldest_scheduled_step_us: Number | None = None
    oldest_pending_run_us: Number | None = None


class WorkflowQueueDepth(Report):
    """What waits of one workflow, now."""

    workflow_slug: Text
    workflow_name: Text | None = None
    pending_runs: Count
    scheduled_steps: Count
    oldest_pending_item_us: Number | None = None


class ActiveStep(Report):
    """A step that a worker runs."""

    workflow_slug: Text
    run_id: Text
    step_id: Text
    started_at_us: Number
    last_heartbeat_us: Number
    slot_index: Count | None = None


class ActiveWorker(Report):
    """A worker, as the events of running runs show it."""

    worker_id: Text
    last_seen_us: Number
    currently_running_steps: Count
    total_steps_processed: Count
    failed_steps: Count
    reclaimed_from_count: Count
    worker_concurrency: Ordinal | None = None
    active_steps: list[ActiveStep]


class ActiveWorkers(Report):
    """Workers, the busiest first; active is who runs a step."""

    workers: list[ActiveWorker]
    total_active_workers: Count
    total_running_steps: Count
    stale_threshold_us: Number


class TimeRange(Report):
    """From when to when, both included."""

    start_us: Number
    end_us: Number
    duration_us: Number


class AnalyticsSummary(Report):
    """All analytics of a range, from one reading of it; the queue's depth is that of now."""

    time_range: TimeRange
    error_analysis: ErrorAnalysis
    retry_analysis: RetryAnalysis
    scheduling_latency: SchedulingLatency
    step_duration: StepDuration
    workflow_duration: WorkflowDuration
    worker_stability: WorkerStability
    throughput: Throughput
    queue_depth: QueueDepth
    success_rate: SuccessRate
