"""What the answers of a diagnosis and a preflight look like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade_flow.engine.findings import Finding
from cascade_flow.operations.diagnoses import Diagnosis, DiagnosisPart
from cascade_flow.operations.preflight import Effect

if TYPE_CHECKING:
    from cascade_flow.api import diagnosis_replies as replies


def part(found: DiagnosisPart) -> replies.DiagnosisPart:
    """GET /diagnosis."""
    told: replies.DiagnosisPart = {
        "runs": [_of(diagnosis) for diagnosis in found.diagnoses],
        "engine": _findings(found.engine),
        "lookedAt": found.looked_at,
    }
    if found.more_us is not None:
        told["nextCursor"] = str(found.more_us)
    return told


def of_run(diagnosis: Diagnosis, engine: Sequence[Finding]) -> replies.RunDiagnosis:
    """GET /runs/{runId}/diagnosis."""
    return {**_of(diagnosis), "engine": _findings(engine)}


def effect(found: Effect) -> replies.PreflightPart:
    """POST /preflight."""
    told: replies.PreflightPart = {
        "unaffected": found.unaffected,
        "changed": found.changed,
        "broken": [
            {"runId": each.run_id, "workflowSlug": each.workflow_slug, "stepIds": [*each.steps]}
            for each in found.broken
        ],
    }
    if found.more_us is not None:
        told["nextCursor"] = str(found.more_us)
    return told


def _of(diagnosis: Diagnosis) -> replies.Diagnosis:
    told: replies.Diagnosis = {
        "runId": diagnosis.run_id,
        "isWell": diagnosis.is_well,
        "findings": _findings(diagnosis.findings),
    }
    if diagnosis.run is not None:
        told["workflowSlug"] = diagnosis.run.workflow_slug
    return told


def _findings(findings: Sequence[Finding]) -> list[replies.Finding]:
    return [_finding(finding) for finding in findings]


def _finding(finding: Finding) -> replies.Finding:
    told: replies.Finding = {"code": finding.code, "severity": finding.severity, "sentence": finding.sentence}
    if finding.cure:
        told["cure"] = finding.cure
    if finding.step_id is not None:
        told["stepId"] = finding.step_id
    if finding.until_us is not None:
        told["untilUs"] = finding.until_us
    return told
