"""POST /runs/{runId}/cancel: stops a run; once it has answered, nothing of the run can be claimed."""

from __future__ import annotations

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.requests import Request
from cascade_flow.api.resources import backend, details
from cascade_flow.api.router import router
from cascade_flow.api.shapes import CancelRun, RunAddress


def cancel(request: Request) -> Answer:
    run_id = request.address(RunAddress).run_id
    backend().cancel_run(run_id, request.document(CancelRun).reason)
    return ok({"run": representations.run_in_brief(details().brief(run_id))})


handler = router({"POST /runs/{runId}/cancel": cancel})
