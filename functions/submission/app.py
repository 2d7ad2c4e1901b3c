"""Commands of runs: POST /runs accepts a run and starts it, POST /runs/{runId}/cancel stops one."""

from __future__ import annotations

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.documents import rejected
from cascade_flow.api.requests import Request
from cascade_flow.api.resources import backend, details
from cascade_flow.api.router import router
from cascade_flow.api.shapes import CancelRun, RunAddress, SubmitRun


def submit(request: Request) -> Answer:
    """201 and the new run's id; 200 and the known one's, where the idempotency key was used before."""
    submitted = backend().submit_run(_wish(request).submission)
    where = {"location": f"/runs/{submitted.run_id}"}
    return Answer(201 if submitted.is_new else 200, submitted.to_wire(), headers=where)


def cancel(request: Request) -> Answer:
    """200 and the run; once it has answered, nothing of the run can be claimed."""
    run_id = request.address(RunAddress).run_id
    backend().cancel_run(run_id, request.document(CancelRun).reason)
    return ok({"run": representations.run_in_brief(details().brief(run_id))})


def _wish(request: Request) -> SubmitRun:
    """The body; the key may stand in the header as well."""
    wish = request.document(SubmitRun)
    key = request.headers.get("idempotency-key")
    if key is None or key == wish.idempotency_key:
        return wish
    if wish.idempotency_key is not None:
        raise rejected("is not the key in the header Idempotency-Key: send one of the two", path="idempotencyKey")
    return SubmitRun.of({**wish.model_dump(by_alias=True, exclude_unset=True), "idempotencyKey": key})


handler = router({"POST /runs": submit, "POST /runs/{runId}/cancel": cancel})
