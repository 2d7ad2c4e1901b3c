"""Every GET: runs, their events and logs, workflows."""

from __future__ import annotations

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.requests import Request
from cascade_flow.api.resources import backend, details, runtime
from cascade_flow.api.router import router
from cascade_flow.api.shapes import ListEvents, ListLogs, ListRuns, Query, RunAddress, WorkflowAddress


def list_workflows(request: Request) -> Answer:
    request.query(Query)
    return ok({"workflows": [representations.workflow(entry) for entry in details().workflows()]})


def get_workflow(request: Request) -> Answer:
    request.query(Query)
    return ok(representations.workflow_details(details().workflow(request.address(WorkflowAddress).slug)))


def list_runs(request: Request) -> Answer:
    asked = request.query(ListRuns)
    page = backend().list_runs(
        workflow_slug=asked.workflow, status=asked.status, tags=asked.tag, limit=asked.limit, offset=asked.offset
    )
    if asked.workflow and not page.total:
        runtime().registry.current(asked.workflow)
    return ok(representations.run_page(page))


def get_run(request: Request) -> Answer:
    request.query(Query)
    return ok(representations.run_details(details().run(request.address(RunAddress).run_id)))


def get_events(request: Request) -> Answer:
    run_id, asked = request.address(RunAddress).run_id, request.query(ListEvents)
    events = details().events(run_id, step_id=asked.step, types=asked.type)
    return ok(representations.event_page(events, after_us=asked.after_us, limit=asked.limit))


def get_logs(request: Request) -> Answer:
    run_id, asked = request.address(RunAddress).run_id, request.query(ListLogs)
    lines = details().logs(run_id, step_id=asked.step, attempt=asked.attempt)
    return ok(representations.log_page(lines, after_us=asked.after_us, limit=asked.limit))


handler = router(
    {
        "GET /workflows": list_workflows,
        "GET /workflows/{slug}": get_workflow,
        "GET /runs": list_runs,
        "GET /runs/{runId}": get_run,
        "GET /runs/{runId}/events": get_events,
        "GET /runs/{runId}/logs": get_logs,
    }
)
