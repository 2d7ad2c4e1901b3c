"""What the answers of a diagnosis and a preflight hold, as types. Functions never import this module."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from cascade_flow.engine.findings import Severity


class Finding(TypedDict):
    """One thing that is true of a run or of the engine."""

    code: str
    """What it is, for programs."""
    severity: Severity
    """`well`; `waits`, as was asked for; `late`, but the engine mends it; `stuck` until a person does something."""
    sentence: str
    """What it is, for people."""
    cure: NotRequired[str]
    """What to do."""
    stepId: NotRequired[str]
    untilUs: NotRequired[int]
    """When it will have changed by itself."""


class Diagnosis(TypedDict):
    """Why a run stands where it stands, the worst first."""

    runId: str
    workflowSlug: NotRequired[str]
    """Absent where the run's item can't be read."""
    isWell: bool
    """Whether nothing is late, and nothing waits for a person."""
    findings: list[Finding]


class RunDiagnosis(Diagnosis):
    """The same, and what is wrong with the engine."""

    engine: list[Finding]


class DiagnosisPart(TypedDict):
    """Of some of the runs that go on those that are late or stuck."""

    runs: list[Diagnosis]
    engine: list[Finding]
    """What keeps all runs waiting."""
    lookedAt: int
    """How many runs were looked at."""
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there may be more."""


class BrokenRun(TypedDict):
    """A run that would fail with `step-removed`."""

    runId: str
    workflowSlug: str
    stepIds: list[str]
    """The steps that it has still to begin, and that the new code has no more."""


class PreflightPart(TypedDict):
    """What a deployment would do to some of the runs under way."""

    unaffected: int
    """Runs whose workflow stays as it is, or that have no step left to begin."""
    changed: int
    """Runs whose next steps get other code."""
    broken: list[BrokenRun]
    nextCursor: NotRequired[str]
    """What to ask for as `cursor`, where there may be more."""
