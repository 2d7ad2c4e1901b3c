"""Commands of who looks after runs: retry, resume, rerun, events from outside, many at once; and registration."""

from __future__ import annotations

from cascade_flow.api.command_routes import (
    cancel_runs,
    register_workflow,
    rerun_from,
    resume_run,
    retry_run,
    retry_runs,
    send_event,
)
from cascade_flow.api.router import router

handler = router(retry_run, resume_run, rerun_from, send_event, cancel_runs, retry_runs, register_workflow)
