"""What answers look like: states, details and claims as JSON under the wire's names. What is asked is `shapes`.

Absent fields are left out; fields that a reader waits for (`output`, `error`) are null until they are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cascade_flow.dynamodb.registry import Entry
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.events import Event, LogEntry, WorkflowCancelled, WorkflowCompleted, WorkflowFailed, dump_event
from cascade_flow.model.states import RunPage
from cascade_flow.operations.details import RunDetails, StepDetails, WorkflowDetails
from cascade_flow.operations.outputs import Inputs
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.retry import attempts_allowed

Json = dict[str, Any]
PAGE_CHARACTERS = 2_000_000


def run_details(details: RunDetails) -> Json:
    """GET /runs/{runId}."""
    end = details.end
    return {
        "run": details.run.to_wire(),
        "versionId": details.version_id,
        "steps": [_step(step) for step in details.steps],
        "output": json.loads(end.output) if isinstance(end, WorkflowCompleted) else None,
        "error": _failure(end) if isinstance(end, WorkflowFailed) else None,
        **({"cancelReason": end.reason} if isinstance(end, WorkflowCancelled) else {}),
    }


def run_page(page: RunPage) -> Json:
    """GET /runs. Inputs, which may be large, are left to GET /runs/{runId}."""
    return {"runs": [run.model_copy(update={"input": None}).to_wire() for run in page.runs], "total": page.total}


def event_page(events: Sequence[Event], *, after_us: int, limit: int) -> Json:
    """GET /runs/{runId}/events: `next` is what to ask for as `after` where there are more."""
    later = (event for event in events if event.timestamp_us > after_us)
    return _page("events", ((event.timestamp_us, dump_event(event)) for event in later), limit)


def log_page(lines: Sequence[LogEntry], *, after_us: int, limit: int) -> Json:
    """GET /runs/{runId}/logs: `next` is what to ask for as `after` where there are more."""
    later = (line for line in lines if line.timestamp_us > after_us)
    return _page("lines", ((line.timestamp_us, _line(line)) for line in later), limit)


def workflow(entry: Entry) -> Json:
    """A workflow in GET /workflows."""
    told = {"timeoutUs": entry.timeout_us, "retiredAtUs": entry.retired_us}
    known = {name: value for name, value in told.items() if value is not None}
    return {**entry.metadata.to_wire(), "versionId": entry.version_id, **known}


def workflow_details(details: WorkflowDetails) -> Json:
    """GET /workflows/{slug}: the steps are those of the current version."""
    return {
        **workflow(details.entry),
        "steps": [step.to_wire() for step in details.steps],
        "versions": [version.model_copy(update={"steps": []}).to_wire() for version in details.versions],
    }


def claimed(held: HeldAttempt, inputs: Inputs) -> Json:
    """POST /steps/claim."""
    branch = held.branch
    return {
        "runId": held.run.run_id,
        "workflowSlug": held.run.workflow_slug,
        "stepId": branch.step,
        "attemptNumber": branch.attempt,
        "input": _value(inputs.input),
        "outputs": {step: _value(text) for step, text in inputs.outputs.items()},
        "idempotencyKey": idempotency_key(held.run.workflow_slug, held.run.first_run_id, branch.step, None),
        "leaseUntilUs": branch.lease_us,
        "timeoutMs": held.facts.graph.step(branch.step).timeout_ms,
    }


def _step(step: StepDetails) -> Json:
    definition, skipped = step.definition, step.skipped
    state = step.state.to_wire()
    for known in ("output", "stepId", "runId", "workflowSlug"):
        state.pop(known, None)
    return {
        "id": definition.id,
        "name": definition.name,
        **state,
        "dependencies": definition.dependencies,
        "exportOutput": definition.export_output,
        "maxAttempts": attempts_allowed(definition.retry),
        **({"timeoutMs": definition.timeout_ms} if definition.timeout_ms else {}),
        **({"skipReason": skipped.reason} if skipped else {}),
        **({"cascadedFrom": skipped.cascaded_from} if skipped and skipped.cascaded_from else {}),
    }


def _failure(end: WorkflowFailed) -> Json:
    failed = {"failureReason": end.failure_reason, "failedStep": end.failed_step}
    return {**end.error.to_wire(), **{name: value for name, value in failed.items() if value}}


def _line(line: LogEntry) -> Json:
    return {
        "timestampUs": line.timestamp_us,
        "stepId": line.step_id,
        "attemptNumber": line.attempt_number,
        "stream": line.stream,
        "message": line.message,
    }


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _page(name: str, timed: Iterable[tuple[int, Json]], limit: int) -> Json:
    """As many as are asked for and fit in an answer; at least one."""
    found: list[Json] = []
    last_us = characters = 0
    for time_us, item in timed:
        characters += len(json.dumps(item))
        if found and (len(found) == limit or characters > PAGE_CHARACTERS):
            return {name: found, "next": last_us}
        found.append(item)
        last_us = time_us
    return {name: found}
