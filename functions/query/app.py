"""Questions about runs, their steps, events and logs, about workflows, their schedules and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.history_routes import get_events, get_logs
from cascade_flow.api.limit_routes import get_limit, list_limits
from cascade_flow.api.query_shapes import ListRuns, ShowRun
from cascade_flow.api.resources import details
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.schedule_routes import get_schedule, list_schedules
from cascade_flow.api.shapes import RunAddress
from cascade_flow.api.step_routes import get_step, list_children, list_steps, plan_rerun
from cascade_flow.api.workflow_routes import get_version, get_workflow, list_versions, list_workflows
from cascade_flow.errors import ArgumentInvalidError, PayloadLostError, RunNotFoundError, WorkflowNotFoundError

if TYPE_CHECKING:
    from cascade_flow.api.replies import RunDetails, RunPart


@route("GET /runs", errors=[WorkflowNotFoundError, ArgumentInvalidError])
def list_runs(query: ListRuns) -> Answer[RunPart]:
    """List runs, newest first. While runs come in, going on with `nextCursor` neither skips nor repeats one."""
    part = details().runs(query.workflow, query.wanted, limit=query.limit, after=query.cursor, offset=query.offset)
    counted = details().counted(query.workflow, query.wanted, total=query.total, by_status=query.by_status)
    return ok(representations.run_part(part, *counted))


@route("GET /runs/{runId}", errors=[RunNotFoundError, PayloadLostError])
def get_run(address: RunAddress, query: ShowRun) -> Answer[RunDetails]:
    """Read a run: where it stands, every step of it, its input and its output or error."""
    return ok(representations.run_details(details().run(address.run_id, payloads=query.payloads, steps=query.steps)))


_OF_WORKFLOWS = (list_workflows, get_workflow, list_versions, get_version, list_schedules, get_schedule)
_REST = (list_steps, get_step, list_children, plan_rerun, *_OF_WORKFLOWS, list_limits, get_limit)
handler = router(list_runs, get_run, get_events, get_logs, *_REST)
