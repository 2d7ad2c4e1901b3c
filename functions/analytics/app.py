"""Every report, and the workers: what many runs say together."""

from __future__ import annotations

from cascade_flow.api.report_routes import (
    get_error,
    get_error_analysis,
    get_queue_depth,
    get_queue_depth_by_workflow,
    get_retry_analysis,
    get_scheduling_latency,
    get_step_duration,
    get_success_rate,
    get_summary,
    get_throughput,
    get_worker,
    get_worker_stability,
    get_workflow_duration,
    list_errors,
    list_workers,
)
from cascade_flow.api.router import router

handler = router(
    get_summary,
    get_error_analysis,
    get_retry_analysis,
    get_scheduling_latency,
    get_step_duration,
    get_workflow_duration,
    get_worker_stability,
    get_throughput,
    get_success_rate,
    list_errors,
    get_error,
    get_queue_depth,
    get_queue_depth_by_workflow,
    list_workers,
    get_worker,
)
