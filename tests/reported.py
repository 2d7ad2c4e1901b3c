"""Every report of a range against what the events of all runs make of it, loaded one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cascade_flow import Backend, Event, clock
from cascade_flow.analytics.errors import compute_errors_page
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import Scope

REPORTS: Mapping[str, Callable[[Backend], Callable[..., Any]]] = {
    "error_analysis": lambda backend: backend.get_error_analysis,
    "retry_analysis": lambda backend: backend.get_retry_analysis,
    "scheduling_latency": lambda backend: backend.get_scheduling_latency,
    "step_duration": lambda backend: backend.get_step_duration,
    "workflow_duration": lambda backend: backend.get_workflow_duration,
    "worker_stability": lambda backend: backend.get_worker_stability,
    "throughput": lambda backend: backend.get_throughput,
    "success_rate": lambda backend: backend.get_success_rate,
}


def check_reports(backend: Backend, histories: Sequence[Sequence[Event]], **options: Any) -> None:
    """Assert that each report is what these histories make of it: those of all runs, or of the `run_ids` wanted."""
    past = Past.of(Scope.of(clock.now_us(), **options), histories)
    for name, report in REPORTS.items():
        assert report(backend)(**options) == getattr(past, name)(), name
    if not {"step_id", "run_ids"} & options.keys():
        page = backend.get_errors_list(grouping_strategy="portable", **options)
        assert page == compute_errors_page(past.steps, "portable", limit=50, offset=0)
