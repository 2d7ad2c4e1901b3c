"""Reports of a range of time and of now, and the workers. What can't be read in time is refused, never cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import report_representations as representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.names import document
from cascade_flow.api.report_shapes import (
    AskDepth,
    AskReport,
    AskSummary,
    FingerprintAddress,
    ListErrors,
    ListWorkers,
    ShowError,
    WorkerAddress,
)
from cascade_flow.api.resources import analytics
from cascade_flow.api.routes import route
from cascade_flow.errors import InvalidIdError, ReportTooLargeError, WorkerNotFoundError

if TYPE_CHECKING:
    from cascade_flow.api.report_replies import (
        Depths,
        ErrorAnalysis,
        ErrorDetail,
        ErrorPage,
        QueueDepth,
        RetryAnalysis,
        SchedulingLatency,
        StepDuration,
        SuccessRate,
        Summary,
        Throughput,
        Worker,
        WorkerPage,
        WorkerStability,
        WorkflowDuration,
    )


@route("GET /analytics/summary", errors=[ReportTooLargeError])
def get_summary(query: AskSummary) -> Answer[Summary]:
    """Report all of the below, from one reading of the range."""
    found = analytics().overview(by_step=query.by_step, intervals=query.intervals, **query.options)
    return ok(representations.summary(found))


@route("GET /analytics/error-analysis", errors=[ReportTooLargeError])
def get_error_analysis(query: AskReport) -> Answer[ErrorAnalysis]:
    """Report what failed, retried or not: by reason, and the most common messages."""
    return ok(representations.error_analysis(analytics().error_analysis(**query.options)))


@route("GET /analytics/retries", errors=[ReportTooLargeError])
def get_retry_analysis(query: AskReport) -> Answer[RetryAnalysis]:
    """Report what retries led to."""
    return ok(document(analytics().retry_analysis(**query.options), {}))


@route("GET /analytics/scheduling-latency", errors=[ReportTooLargeError])
def get_scheduling_latency(query: AskReport) -> Answer[SchedulingLatency]:
    """Report how long attempts waited for a worker."""
    return ok(document(analytics().scheduling_latency(**query.options), {}))


@route("GET /analytics/step-durations", errors=[ReportTooLargeError])
def get_step_duration(query: AskReport) -> Answer[StepDuration]:
    """Report how long attempts took."""
    return ok(document(analytics().step_duration(**query.options), {}))


@route("GET /analytics/workflow-durations", errors=[ReportTooLargeError])
def get_workflow_duration(query: AskReport) -> Answer[WorkflowDuration]:
    """Report how long runs took."""
    return ok(document(analytics().workflow_duration(**query.options), {}))


@route("GET /analytics/worker-stability", errors=[ReportTooLargeError])
def get_worker_stability(query: AskReport) -> Answer[WorkerStability]:
    """Report which workers fell silent."""
    return ok(document(analytics().worker_stability(**query.options), {}))


@route("GET /analytics/throughput", errors=[ReportTooLargeError])
def get_throughput(query: AskReport) -> Answer[Throughput]:
    """Report how many runs and steps came to an end, in all and in an hour."""
    return ok(document(analytics().throughput(**query.options), {}))


@route("GET /analytics/success-rate", errors=[ReportTooLargeError])
def get_success_rate(query: AskReport) -> Answer[SuccessRate]:
    """Report how runs and steps ended."""
    return ok(document(analytics().success_rate(**query.options), {}))


@route("GET /analytics/errors", errors=[ReportTooLargeError])
def list_errors(query: ListErrors) -> Answer[ErrorPage]:
    """List the failures by fingerprint, the most frequent first."""
    of = {"start_us": query.start_us, "end_us": query.end_us, "workflow_slug": query.workflow}
    page = analytics().errors(query.grouping, limit=query.limit, offset=query.offset, **of)
    return ok(representations.error_page(page, offset=query.offset))


@route("GET /analytics/errors/{fingerprint}", errors=[InvalidIdError, ReportTooLargeError])
def get_error(address: FingerprintAddress, query: ShowError) -> Answer[ErrorDetail]:
    """Read the failures that have one fingerprint, newest first."""
    of = {"start_us": query.start_us, "end_us": query.end_us}
    found = analytics().error(address.fingerprint, query.grouping, limit=query.limit, offset=query.offset, **of)
    return ok(document(found, {}))


@route("GET /analytics/queue-depth", errors=[ReportTooLargeError])
def get_queue_depth(query: AskDepth) -> Answer[QueueDepth]:
    """Report what waits and what is under way now."""
    return ok(document(analytics().queue_depth(workflow_slug=query.workflow), {}))


@route("GET /analytics/queue-depth-by-workflow", errors=[ReportTooLargeError])
def get_queue_depth_by_workflow() -> Answer[Depths]:
    """Report what waits now, by workflow, the longest queue first."""
    return ok({"workflows": [document(depth, {}) for depth in analytics().queue_depth_by_workflow()]})


@route("GET /workers", errors=[ReportTooLargeError])
def list_workers(query: ListWorkers) -> Answer[WorkerPage]:
    """List who works on runs that are running, by their ids."""
    found = analytics().active_workers(include_inactive=query.include_inactive, stale_threshold_us=query.stale_after_us)
    return ok(representations.worker_page(found, after=query.cursor, limit=query.limit))


@route("GET /workers/{workerId+}", errors=[WorkerNotFoundError, ReportTooLargeError])
def get_worker(address: WorkerAddress) -> Answer[Worker]:
    """Read what one of them does, however long ago it was seen."""
    worker = analytics().worker(address.worker_id)
    if worker is None:
        raise WorkerNotFoundError(f"no run that is running knows a worker {address.worker_id!r}: check the id")
    return ok(document(worker, {}))
