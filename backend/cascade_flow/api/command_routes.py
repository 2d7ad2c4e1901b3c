"""Commands of who looks after runs: another try, a new run that goes on from one, many runs at once, a registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import event_answers, representations, workflow_representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.resources import details, patience_us, runtime
from cascade_flow.api.routes import route
from cascade_flow.api.run_shapes import RerunFrom, RetryRun, SomeRuns
from cascade_flow.api.shapes import EventAddress, RunAddress, WorkflowAddress
from cascade_flow.api.submission_shapes import SendEvent, Submission
from cascade_flow.api.workflow_shapes import RegisterWorkflow
from cascade_flow.errors import (
    ArgumentInvalidError,
    EventClosedError,
    EventNotFoundError,
    GraphInvalidError,
    InputInvalidError,
    PayloadLostError,
    RunNotFoundError,
    RunNotRetryableError,
    StepNotFoundError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
)
from cascade_flow.operations.batches import Batches, Bounds
from cascade_flow.operations.reruns import Plan, Reruns
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.signals import Signals

if TYPE_CHECKING:
    from cascade_flow.api.event_replies import Sent
    from cascade_flow.api.replies import GoneOn, Piece, RunAlone, Workflow

_OF_A_NEW_RUN = (
    RunNotFoundError,
    RunNotRetryableError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
    InputInvalidError,
    PayloadLostError,
)


@route("POST /runs/{runId}/retry", errors=[RunNotFoundError, RunNotRetryableError])
def retry_run(address: RunAddress, body: RetryRun) -> Answer[RunAlone]:
    """Try a failed or cancelled run again: what failed or was stopped is scheduled anew, what completed is kept."""
    Retries(runtime()).retry(address.run_id, body.reason)
    return ok({"run": representations.run_in_brief(details().brief(address.run_id))})


@route("POST /runs/{runId}/resume", answers={201: "The new run."}, errors=_OF_A_NEW_RUN)
def resume_run(address: RunAddress) -> Answer[GoneOn]:
    """Make a new run, on the current version, that keeps what a failed or cancelled one has completed."""
    return _gone_on(Reruns(runtime()).plan_resume(address.run_id), None)


@route("POST /runs/{runId}/rerun", answers={201: "The new run."}, errors=[*_OF_A_NEW_RUN, StepNotFoundError])
def rerun_from(address: RunAddress, body: RerunFrom) -> Answer[GoneOn]:
    """Make a new run, on the current version, in which a step and all that depend on it run again."""
    return _gone_on(Reruns(runtime()).plan_rerun(address.run_id, body.from_step_id), body.input)


@route(
    "POST /runs/{runId}/events/{event+}",
    answers={201: "It was taken.", 200: "The same was sent before."},
    errors=[RunNotFoundError, EventNotFoundError, EventClosedError, InputInvalidError],
)
def send_event(address: EventAddress, headers: Submission, body: SendEvent) -> Answer[Sent]:
    """Tell a run that something has happened that it waits for, or will: an approval, a payment. The first counts."""
    key = body.keyed(headers.idempotency_key).idempotency_key
    sent = Signals(runtime()).send(address.run_id, address.event, body.data, key=key)
    return Answer(201 if sent.is_new else 200, event_answers.sent(sent))


@route("POST /runs/cancel", errors=[WorkflowNotFoundError])
def cancel_runs(body: SomeRuns) -> Answer[Piece]:
    """Stop the runs that a filter passes, some at a time; without `status` those that go on. Safe to be repeated."""
    done = Batches(runtime()).cancel(body.workflow_slug, body.wanted, body.reason, _bounds(body))
    return ok(representations.piece(done))


@route("POST /runs/retry", errors=[WorkflowNotFoundError])
def retry_runs(body: SomeRuns) -> Answer[Piece]:
    """Try the runs again that a filter passes, some at a time; without `status` those that failed."""
    done = Batches(runtime()).retry(body.workflow_slug, body.wanted, body.reason, _bounds(body))
    return ok(representations.piece(done))


@route("PUT /workflows/{slug}", errors=[GraphInvalidError, ArgumentInvalidError, InputInvalidError])
def register_workflow(address: WorkflowAddress, body: RegisterWorkflow) -> Answer[Workflow]:
    """Register a workflow that no deployment brings, or a new version of it. The same again changes nothing."""
    registry = runtime().registry
    registry.register(body.registration_of(address.slug))
    return ok(workflow_representations.workflow(registry.current(address.slug)))


def _bounds(wish: SomeRuns) -> Bounds:
    return Bounds(wish.limit, wish.cursor, patience_us())


def _gone_on(plan: Plan, input: object) -> Answer[GoneOn]:
    run = Reruns(runtime()).carry_out(plan, input)
    where = {"location": f"/runs/{run.run_id}"}
    return Answer(201, representations.gone_on(run, plan), headers=where)
