"""Commands of runs: POST /runs accepts a run and starts it, POST /runs/{runId}/cancel stops one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.documents import rejected
from cascade_flow.api.resources import backend, details
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import CancelRun, RunAddress, Submission, SubmitRun
from cascade_flow.errors import (
    IdempotencyConflictError,
    InputInvalidError,
    RunNotCancellableError,
    RunNotFoundError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
)

if TYPE_CHECKING:
    from cascade_flow.api.replies import RunAlone, Submitted


@route(
    "POST /runs",
    answers={201: "The new run.", 200: "The run that was submitted before with this idempotency key."},
    errors=[WorkflowNotFoundError, WorkflowRetiredError, InputInvalidError, IdempotencyConflictError],
)
def submit_run(headers: Submission, body: SubmitRun) -> Answer[Submitted]:
    """Submit a run: it starts at once, or when it says. With an idempotency key, sending it again makes no second."""
    submitted = backend().submit_run(_keyed(body, headers.idempotency_key).submission)
    where = {"location": f"/runs/{submitted.run_id}"}
    return Answer(201 if submitted.is_new else 200, representations.submitted(submitted), headers=where)


@route("POST /runs/{runId}/cancel", errors=[RunNotFoundError, RunNotCancellableError])
def cancel_run(address: RunAddress, body: CancelRun) -> Answer[RunAlone]:
    """Stop a run: once this has answered, nothing of the run can be claimed."""
    backend().cancel_run(address.run_id, body.reason)
    return ok({"run": representations.run_in_brief(details().brief(address.run_id))})


def _keyed(wish: SubmitRun, key: str | None) -> SubmitRun:
    """The wish; its key may stand in the header as well."""
    if key is None or key == wish.idempotency_key:
        return wish
    if wish.idempotency_key is not None:
        raise rejected("is not the key in the header Idempotency-Key: send one of the two", path="idempotencyKey")
    return wish.model_copy(update={"idempotency_key": key})


handler = router(submit_run, cancel_run)
