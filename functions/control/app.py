"""Commands of who looks after runs: retry, resume, rerun, many at once; registration of workflows; schedules."""

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
from cascade_flow.api.schedule_routes import backfill_schedule, pause_schedule, resume_schedule, trigger_schedule

_OF_SCHEDULES = (pause_schedule, resume_schedule, trigger_schedule, backfill_schedule)
handler = router(retry_run, resume_run, rerun_from, cancel_runs, retry_runs, register_workflow, *_OF_SCHEDULES)
