"""What tests say to the peer's backend in its own words, and how they ask it: calls a second apart, on one run."""

from __future__ import annotations

from typing import Any

from contract.called import FLOW
from peer.operations import Call
from peer.oracle import Answer, shared_oracle
from simulation import BEGIN_US

RUN = (FLOW, "run-1")
STEP = (*RUN, "a")
END = {"workflowAttemptNumber": 1, "duration": 5}
SUBMITTED: Call = [
    "saveRunSubmitted",
    *RUN,
    {"versionId": "sha256:1", "availableAt": BEGIN_US, "priority": 0, "hasInputSchema": False},
]
STARTED: Call = [
    "saveWorkflowStart",
    *RUN,
    {"versionId": "sha256:1", "workflowAttemptNumber": 1, "hasInputSchema": False, "hasInput": False},
]
SCHEDULED: Call = ["saveStepScheduled", *STEP, {"availableAt": BEGIN_US, "reason": "initial", "attemptNumber": 1}]
CLAIMED: Call = ["claimScheduledStep", *STEP, "worker-1", {"dependencies": []}]
COMPLETED: Call = ["saveStepComplete", *STEP, 1, {"duration": 5, "attemptNumber": 1}]
ENDED: Call = ["saveWorkflowComplete", *RUN, {}, {**END, "totalSteps": 1}]
UNDER_WAY = (SUBMITTED, STARTED, SCHEDULED)
STEPS = [{"id": "a", "name": "a", "dependencies": [], "exportOutput": False}]
REGISTERED: Call = ["registerWorkflow", {"slug": FLOW, "name": FLOW, "steps": STEPS}]
FAILURE: dict[str, Any] = {"duration": 5, "attemptNumber": 1, "terminal": True, "failureReason": "execution-error"}


def all_answers(*calls: Call) -> list[Answer]:
    """The peer's, a second apart."""
    return shared_oracle().ask_backend([[BEGIN_US + n * 1_000_000, *call] for n, call in enumerate(calls)])


def theirs(*calls: Call) -> Any:
    """What the peer answers to the last of these; it refuses none."""
    answers = all_answers(*calls)
    assert not [answer.error for answer in answers if answer.refused]
    return answers[-1].value


def types(events: list[Any]) -> list[str]:
    return [event["type"] for event in events]


def event(kind: str, at_us: int, **said: Any) -> dict[str, Any]:
    """One of the peer's."""
    place = {"workflowSlug": FLOW, "runId": "run-1", "timestampUs": at_us, "eventId": str(at_us)}
    return {**place, "category": "step", "stepId": "a", "type": kind, "attemptNumber": 1, **said}
