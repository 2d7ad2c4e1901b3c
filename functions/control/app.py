"""Commands of who looks after runs: retry, resume, rerun, events, many at once; registration; schedules."""

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
from cascade_flow.api.schedule_routes import backfill_schedule, pause_schedule, resume_schedule, trigger_schedule

_OF_SCHEDULES = (pause_schedule, resume_schedule, trigger_schedule, backfill_schedule)
_OF_RUNS = (retry_run, resume_run, rerun_from, send_event, cancel_runs, retry_runs)
handler = router(*_OF_RUNS, register_workflow, *_OF_SCHEDULES)
