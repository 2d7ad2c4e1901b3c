"""What answers look like: states, details and claims as JSON, in the words of `names`. What is asked is `shapes`.

Absent fields are left out; fields that a reader waits for (`output`, `error`) are null until they are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cascade_flow.api.names import document
from cascade_flow.dynamodb.registry import Entry
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.events import Event, WorkflowCancelled, WorkflowCompleted, WorkflowFailed, dump_event
from cascade_flow.model.states import RunPage, RunState
from cascade_flow.operations.details import RunDetails, StepDetails, WorkflowDetails
from cascade_flow.operations.history import StepLine
from cascade_flow.operations.outputs import Inputs
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.retry import attempts_allowed

Json = dict[str, Any]
PAGE_CHARACTERS = 2_000_000


def run_details(details: RunDetails) -> Json:
    """GET /runs/{runId}."""
    end = details.end
    return {
        "run": run_state(details.run),
        "versionId": details.version_id,
        "steps": [_step(step) for step in details.steps],
        "output": _value(end.output) if isinstance(end, WorkflowCompleted) else None,
        "error": _failure(end) if isinstance(end, WorkflowFailed) else None,
        **({"cancelReason": end.reason} if isinstance(end, WorkflowCancelled) else {}),
    }


def run_page(page: RunPage) -> Json:
    """GET /runs. Inputs, which may be large, are left to GET /runs/{runId}."""
    return {"runs": [document(run.model_copy(update={"input": None})) for run in page.runs], "total": page.total}


def run_state(run: RunState) -> Json:
    """A run by itself; its input is a value, as all outputs are."""
    return {**document(run), **({} if run.input is None else {"input": _value(run.input)})}


def event_page(events: Sequence[Event], *, after_us: int, limit: int) -> Json:
    """GET /runs/{runId}/events: `nextUs` is what to ask for as `afterUs` where there are more."""
    later = (event for event in events if event.timestamp_us > after_us)
    return _page("events", ((event.timestamp_us, dump_event(event)) for event in later), limit)


def log_page(lines: Sequence[StepLine], *, after_us: int, limit: int) -> Json:
    """GET /runs/{runId}/logs: `nextUs` is what to ask for as `afterUs` where there are more."""
    later = (line for line in lines if line.timestamp_us > after_us)
    return _page("lines", ((line.timestamp_us, _line(line)) for line in later), limit)


def workflow(entry: Entry) -> Json:
    """A workflow in GET /workflows."""
    told = {"timeoutUs": entry.timeout_us, "retiredAtUs": entry.retired_us}
    known = {name: value for name, value in told.items() if value is not None}
    return {**document(entry.metadata), "versionId": entry.version_id, **known}


def workflow_details(details: WorkflowDetails) -> Json:
    """GET /workflows/{slug}: the steps are those of the current version."""
    return {
        **workflow(details.entry),
        "steps": [document(step) for step in details.steps],
        "versions": [document(version.model_copy(update={"steps": []})) for version in details.versions],
    }


def claimed(held: HeldAttempt, inputs: Inputs) -> Json:
    """POST /steps/claim."""
    branch = held.branch
    timeout_ms = held.facts.graph.step(branch.step).timeout_ms
    return {
        "runId": held.run.run_id,
        "workflowSlug": held.run.workflow_slug,
        "stepId": branch.step,
        "attemptNumber": branch.attempt,
        "input": _value(inputs.input),
        "outputs": {step: _value(text) for step, text in inputs.outputs.items()},
        "idempotencyKey": idempotency_key(held.run.workflow_slug, held.run.first_run_id, branch.step, None),
        "leaseUntilUs": branch.lease_us,
        "timeoutUs": timeout_ms and timeout_ms * 1_000,
    }


def _step(step: StepDetails) -> Json:
    definition, skipped = step.definition, step.skipped
    state = document(step.state)
    for known in ("output", "stepId", "runId", "workflowSlug"):
        state.pop(known, None)
    return {
        "stepId": definition.id,
        "name": definition.name,
        **state,
        "dependencies": definition.dependencies,
        "exportOutput": definition.export_output,
        "maxAttempts": attempts_allowed(definition.retry),
        **({"timeoutUs": definition.timeout_ms * 1_000} if definition.timeout_ms else {}),
        **({"skipReason": skipped.reason} if skipped else {}),
        **({"cascadedFrom": skipped.cascaded_from} if skipped and skipped.cascaded_from else {}),
    }


def _failure(end: WorkflowFailed) -> Json:
    failed = {"failureReason": end.failure_reason, "failedStep": end.failed_step}
    return {**end.error.to_wire(), **{name: value for name, value in failed.items() if value}}


def _line(line: StepLine) -> Json:
    return {
        "timestampUs": line.timestamp_us,
        "stepId": line.step_id,
        "attemptNumber": line.attempt_number,
        "stream": line.stream,
        "message": line.message,
    }


def _value(text: str | None) -> Any:
    """The value that a JSON text holds; what a caller's engine stored as text of another kind stays a text."""
    try:
        return None if text is None else json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return text


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _page(name: str, timed: Iterable[tuple[int, Json]], limit: int) -> Json:
    """As many as are asked for and fit in an answer; at least one."""
    found: list[Json] = []
    last_us = characters = 0
    for time_us, item in timed:
        characters += len(json.dumps(item))
        if found and (len(found) == limit or characters > PAGE_CHARACTERS):
            return {name: found, "nextUs": last_us}
        found.append(item)
        last_us = time_us
    return {name: found}
