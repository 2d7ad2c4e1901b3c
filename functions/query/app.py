"""Questions about runs, their steps, events and logs, about workflows, their schedules and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.limit_routes import get_limit, list_limits
from cascade_flow.api.query_shapes import ListEvents, ListLogs, ListRuns, ShowRun
from cascade_flow.api.resources import details
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.schedule_routes import get_schedule, list_schedules
from cascade_flow.api.shapes import RunAddress
from cascade_flow.api.step_routes import get_step, list_children, list_steps, plan_rerun
from cascade_flow.api.workflow_routes import get_version, get_workflow, list_versions, list_workflows
from cascade_flow.errors import (
    ArgumentInvalidError,
    PayloadLostError,
    RunNotFoundError,
    StepNotFoundError,
    WorkflowNotFoundError,
)

if TYPE_CHECKING:
    from cascade_flow.api.replies import EventPage, LogPage, RunDetails, RunPart


@route("GET /runs", errors=[WorkflowNotFoundError, ArgumentInvalidError])
def list_runs(query: ListRuns) -> Answer[RunPart]:
    """List runs, newest first. While runs come in, going on with `nextCursor` neither skips nor repeats one."""
    part = details().runs(query.workflow, query.wanted, limit=query.limit, after=query.cursor, offset=query.offset)
    count = details().count(query.workflow, query.wanted) if query.total else None
    return ok(representations.run_part(part, count))


@route("GET /runs/{runId}", errors=[RunNotFoundError, PayloadLostError])
def get_run(address: RunAddress, query: ShowRun) -> Answer[RunDetails]:
    """Read a run: where it stands, every step of it, its input and its output or error."""
    return ok(representations.run_details(details().run(address.run_id, payloads=query.payloads, steps=query.steps)))


@route("GET /runs/{runId}/events", errors=[RunNotFoundError, StepNotFoundError, PayloadLostError])
def get_events(address: RunAddress, query: ListEvents) -> Answer[EventPage]:
    """Read what happened in a run, in order."""
    events = details().events(address.run_id, step_id=query.step, types=query.type, after_us=query.after_us)
    return ok(representations.event_page(events, limit=query.limit))


@route("GET /runs/{runId}/logs", errors=[RunNotFoundError, StepNotFoundError, PayloadLostError])
def get_logs(address: RunAddress, query: ListLogs) -> Answer[LogPage]:
    """Read what a run's steps wrote to stdout, stderr and the log."""
    lines = details().logs(address.run_id, step_id=query.step, attempt=query.attempt)
    return ok(representations.log_page(lines, after_us=query.after_us, limit=query.limit))


_OF_WORKFLOWS = (list_workflows, get_workflow, list_versions, get_version, list_schedules, get_schedule)
_REST = (list_steps, get_step, list_children, plan_rerun, *_OF_WORKFLOWS, list_limits, get_limit)
handler = router(list_runs, get_run, get_events, get_logs, *_REST)
