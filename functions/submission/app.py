"""Commands of runs that everybody gives: to submit one or many, which starts them, and to cancel one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.batch_routes import submit_runs
from cascade_flow.api.resources import backend, details
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import RunAddress, WorkflowAddress
from cascade_flow.api.submission_shapes import CancelRun, NewRun, Submission, SubmitRun
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
    from cascade_flow.model.workflows import RunSubmission


_ANSWERS = {201: "The new run.", 200: "The run that was submitted before with this idempotency key."}
_ERRORS = (WorkflowNotFoundError, WorkflowRetiredError, InputInvalidError, IdempotencyConflictError)


@route("POST /runs", answers=_ANSWERS, errors=_ERRORS)
def submit_run(headers: Submission, body: SubmitRun) -> Answer[Submitted]:
    """Submit a run: it starts at once, or when it says. With an idempotency key, sending it again makes no second."""
    return _submitted(body.keyed(headers.idempotency_key).submission_of(body.workflow_slug))


@route("POST /workflows/{slug}/runs", answers=_ANSWERS, errors=_ERRORS)
def submit_run_of(address: WorkflowAddress, headers: Submission, body: NewRun) -> Answer[Submitted]:
    """Submit a run, where the address names the workflow: so that IAM can allow a single one."""
    return _submitted(body.keyed(headers.idempotency_key).submission_of(address.slug))


@route("POST /runs/{runId}/cancel", errors=[RunNotFoundError, RunNotCancellableError])
def cancel_run(address: RunAddress, body: CancelRun) -> Answer[RunAlone]:
    """Stop a run: once this has answered, nothing of the run can be claimed."""
    backend().cancel_run(address.run_id, body.reason)
    return ok({"run": representations.run_in_brief(details().brief(address.run_id))})


def _submitted(submission: RunSubmission) -> Answer[Submitted]:
    run = backend().submit_run(submission)
    where = {"location": f"/runs/{run.run_id}"}
    return Answer(201 if run.is_new else 200, representations.submitted(run), headers=where)


handler = router(submit_run, submit_run_of, submit_runs, cancel_run)
