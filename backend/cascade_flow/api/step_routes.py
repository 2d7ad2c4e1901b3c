"""Questions about a run's steps: where they stand, what one has done, which of them a rerun would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import representations
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.query_shapes import ShowStep
from cascade_flow.api.resources import details, runtime
from cascade_flow.api.routes import route
from cascade_flow.api.run_shapes import ListChildren, ListSteps, PlanRerun
from cascade_flow.api.shapes import RunAddress, StepAddress
from cascade_flow.errors import (
    PayloadLostError,
    RunNotFoundError,
    RunNotRetryableError,
    StepNotFoundError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
)

if TYPE_CHECKING:
    from cascade_flow.api.children_replies import ChildPage
    from cascade_flow.api.replies import RerunPlan, StepFiles, StepPage


@route("GET /runs/{runId}/steps", errors=[RunNotFoundError])
def list_steps(address: RunAddress, query: ListSteps) -> Answer[StepPage]:
    """List the steps of a run, in declared order, and where each stands."""
    return ok(representations.step_page(details().steps(address.run_id), after=query.cursor, limit=query.limit))


@route("GET /runs/{runId}/steps/{stepId+}", errors=[RunNotFoundError, StepNotFoundError, PayloadLostError])
def get_step(address: StepAddress, query: ShowStep) -> Answer[StepFiles]:
    """Read a step: where it stands, what it was given and gave, and each of its attempts."""
    return ok(representations.step_files(details().step(address.run_id, address.step_id, payloads=query.payloads)))


@route("GET /runs/{runId}/children/{stepId+}", errors=[RunNotFoundError, StepNotFoundError])
def list_children(address: StepAddress, query: ListChildren) -> Answer[ChildPage]:
    """List the runs that do a step's work, by number: of a map one for each item, or for each batch of them.

    With a filter a page may hold fewer than there are, or none; `nextCursor` goes on.
    """
    from cascade_flow.api.children_answers import page  # noqa: PLC0415  (few workflows grow)
    from cascade_flow.operations.family_views import FamilyViews  # noqa: PLC0415

    wanted, views = query.status or (), FamilyViews(runtime())
    found = views.page(address.run_id, address.step_id, status=wanted, after=query.cursor, limit=query.limit)
    return ok(page(found))


@route(
    "GET /runs/{runId}/rerun",
    errors=[RunNotFoundError, RunNotRetryableError, StepNotFoundError, WorkflowNotFoundError, WorkflowRetiredError],
)
def plan_rerun(address: RunAddress, query: PlanRerun) -> Answer[RerunPlan]:
    """Say what a rerun from a step would keep and run again; or a resume, where no step is named."""
    from cascade_flow.operations.reruns import Reruns  # noqa: PLC0415  (few ask for that)

    reruns, step = Reruns(runtime()), query.from_step_id
    plan = reruns.plan_resume(address.run_id) if step is None else reruns.plan_rerun(address.run_id, step)
    return ok(representations.rerun_plan(plan))
