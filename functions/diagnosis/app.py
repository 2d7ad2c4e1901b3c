"""Why runs stand where they stand, and what a deployment would do to those under way. Nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api import diagnosis_answers
from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.diagnosis_shapes import AskPreflight, ListDiagnoses
from cascade_flow.api.resources import runtime, settings
from cascade_flow.api.router import router
from cascade_flow.api.routes import route
from cascade_flow.api.shapes import RunAddress
from cascade_flow.errors import RunNotFoundError
from cascade_flow.operations.diagnoses import Diagnoses
from cascade_flow.operations.preflight import Preflight

if TYPE_CHECKING:
    from cascade_flow.api.diagnosis_replies import DiagnosisPart, PreflightPart, RunDiagnosis


def diagnoses() -> Diagnoses:
    """Reads what is judged upon; made anew for each request, since what is deployed may change."""
    known = settings()
    return Diagnoses(runtime(), concurrency=known.worker_concurrency, urgent_concurrency=known.urgent_concurrency)


@route("GET /diagnosis")
def list_diagnoses(query: ListDiagnoses) -> Answer[DiagnosisPart]:
    """Say which runs are late or stuck, and why: a piece of those that go on, what is late first."""
    return ok(diagnosis_answers.part(diagnoses().part(limit=query.limit, after_us=query.after_us)))


@route("GET /runs/{runId}/diagnosis", errors=[RunNotFoundError])
def get_diagnosis(address: RunAddress) -> Answer[RunDiagnosis]:
    """Say why a run stands where it stands, what it waits for, and what to do."""
    return ok(diagnosis_answers.of_run(*diagnoses().run(address.run_id)))


@route("POST /preflight")
def ask_preflight(body: AskPreflight) -> Answer[PreflightPart]:
    """Say what a deployment would do to the runs under way: a piece of them. Nothing is deployed."""
    effect = Preflight(runtime()).part(body.planned, limit=body.limit, after_us=body.after_us)
    return ok(diagnosis_answers.effect(effect))


handler = router(list_diagnoses, get_diagnosis, ask_preflight)
