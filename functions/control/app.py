"""Commands of who looks after runs: retry, resume, rerun, many runs at once; and the registration of workflows."""

from __future__ import annotations

from cascade_flow.api.command_routes import (
    cancel_runs,
    register_workflow,
    rerun_from,
    resume_run,
    retry_run,
    retry_runs,
)
from cascade_flow.api.router import router

handler = router(retry_run, resume_run, rerun_from, cancel_runs, retry_runs, register_workflow)
