"""Analytics: events in, reports out. Pure; where the events come from is the business of `operations/analytics`.

The definitions are the wire contract's, percentile by percentile. Events are given in order.
"""

from cascade_flow.analytics.durations import (
    compute_scheduling_latency,
    compute_step_duration,
    compute_workflow_duration,
)
from cascade_flow.analytics.errors import compute_error_analysis
from cascade_flow.analytics.percentiles import calculate_percentiles
from cascade_flow.analytics.retries import compute_retry_analysis
from cascade_flow.analytics.throughput import compute_success_rate, compute_throughput
from cascade_flow.analytics.workers import compute_worker_stability

__all__ = [
    "calculate_percentiles",
    "compute_error_analysis",
    "compute_retry_analysis",
    "compute_scheduling_latency",
    "compute_step_duration",
    "compute_success_rate",
    "compute_throughput",
    "compute_worker_stability",
    "compute_workflow_duration",
]
