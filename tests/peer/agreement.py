"""What it means that the published peer agrees with us: it accepts our events, and it folds them to the same states.

Messages are never compared: each project words its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import parse_event
from cascade_flow.projection import (
    current_attempt_number,
    extract_attempt_metadata,
    extract_logs,
    project_run_state,
    project_step_record,
    project_step_state,
    version_id_of,
)
from peer.oracle import Answer, Question, shared_oracle

WireEvent = Mapping[str, Any]
History = Sequence[WireEvent]
Projection = Callable[[list[Any], str], Any]

REFUSED = "refused"


def assert_peer_accepts(events: Sequence[WireEvent]) -> None:
    """Every one of these wire events passes the peer's own schema."""
    answers = shared_oracle().ask("parse", [[event] for event in events])
    refused = [(answer.error, event) for event, answer in zip(events, answers, strict=True) if answer.refused]
    assert not refused, f"the peer refuses {len(refused)} of {len(events)} events; the first: {refused[0]}"


def assert_peer_projects_as_we_do(events: Sequence[WireEvent], workflow_slug: str) -> None:
    """The peer's projections of one run's events (all of them, in order) equal ours: the run and each of its steps."""
    run = [event for event in events if event["category"] == "workflow"]
    steps = dict.fromkeys(event["stepId"] for event in events if event["category"] == "step")
    assert_run_projections_agree([run] if run else [], workflow_slug)
    assert_step_projections_agree(
        [[event for event in events if event.get("stepId") == step] for step in steps], workflow_slug
    )


def assert_run_projections_agree(histories: Sequence[History], workflow_slug: str) -> None:
    """For each history (workflow events of one run), all projections of runs equal the peer's."""
    _assert_agreed(OUR_RUN_PROJECTIONS, histories, workflow_slug)


def assert_step_projections_agree(histories: Sequence[History], workflow_slug: str) -> None:
    """For each history (events of one step), all projections of steps equal the peer's."""
    _assert_agreed(OUR_STEP_PROJECTIONS, histories, workflow_slug)


def _assert_agreed(
    projections: Mapping[Question, Projection], histories: Sequence[History], workflow_slug: str
) -> None:
    parsed = [[parse_event(event) for event in history] for history in histories]
    for question, project in projections.items():
        answers = shared_oracle().ask(question, [[history, workflow_slug] for history in histories])
        for history, events, answer in zip(histories, parsed, answers, strict=True):
            ours = _without_messages(_ours(project, events, workflow_slug))
            assert ours == _theirs(answer), f"{question} of {json.dumps(history)}"


def _ours(project: Projection, events: list[Any], workflow_slug: str) -> Any:
    try:
        return project(events, workflow_slug)
    except EventInvalidError:
        return REFUSED


def _theirs(answer: Answer) -> Any:
    return REFUSED if answer.refused else _without_messages(answer.value)


def _without_messages(value: Any) -> Any:
    if not isinstance(value, dict) or "stateChanges" not in value:
        return value
    entries = [{"status": entry["status"], "timestamp": entry["timestamp"]} for entry in value["stateChanges"]]
    return {**value, "stateChanges": entries}


def _log_lines(events: list[Any], _workflow_slug: str) -> list[dict[str, Any]]:
    """In the peer's shape of log lines outside of events, which is smaller."""
    return [
        {"timestamp": e.timestamp_us, "stream": e.stream, "message": e.message, "attemptNumber": e.attempt_number}
        for e in extract_logs(events)
    ]


OUR_RUN_PROJECTIONS: Mapping[Question, Projection] = {
    "runState": lambda events, slug: project_run_state(events, slug).to_wire(),
    "versionId": lambda events, slug: version_id_of(events),
}

OUR_STEP_PROJECTIONS: Mapping[Question, Projection] = {
    "stepState": lambda events, slug: project_step_state(events, slug).to_wire(),
    "stepRecord": lambda events, slug: project_step_record(events).to_wire(),
    "attempts": lambda events, slug: [attempt.to_wire() for attempt in extract_attempt_metadata(events)],
    "logs": _log_lines,
    "currentAttemptNumber": lambda events, slug: current_attempt_number(events),
}
