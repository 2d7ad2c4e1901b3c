"""What happened in a run, and what its steps wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.history_answers import event_page, log_page
from cascade_flow.api.query_shapes import ListEvents, ListLogs
from cascade_flow.api.resources import details
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import RunAddress
from cascade_flow.errors import PayloadLostError, RunNotFoundError, StepNotFoundError

if TYPE_CHECKING:
    from cascade_flow.api.replies import EventPage, LogPage


@route("GET /runs/{runId}/events", errors=[RunNotFoundError, StepNotFoundError, PayloadLostError])
def get_events(address: RunAddress, query: ListEvents) -> Answer[EventPage]:
    """Read what happened in a run, in order."""
    events = details().events(
        address.run_id, step_id=query.step, types=query.type, after_us=query.after_us, payloads=query.payloads
    )
    return ok(event_page(events, limit=query.limit))


@route("GET /runs/{runId}/logs", errors=[RunNotFoundError, StepNotFoundError, PayloadLostError])
def get_logs(address: RunAddress, query: ListLogs) -> Answer[LogPage]:
    """Read what a run's steps wrote to stdout, stderr and the log."""
    lines = details().logs(address.run_id, step_id=query.step, attempt=query.attempt)
    return ok(log_page(lines, after_us=query.after_us, limit=query.limit))
