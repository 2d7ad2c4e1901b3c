"""What answers look like: states, details and claims as JSON, in the words of `names`. What is asked is `shapes`.

Absent fields are left out; fields that a reader waits for (`output`, `error`) are null until they are known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from cascade_flow.api.names import document
from cascade_flow.api.shapes import cursor_of
from cascade_flow.dynamodb.listing import Count
from cascade_flow.dynamodb.registry import Entry
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.events import WorkflowCancelled, WorkflowCompleted, WorkflowFailed, dump_event
from cascade_flow.model.states import RunState
from cascade_flow.operations.details import EventDetails, RunDetails, StepDetails, WorkflowDetails
from cascade_flow.operations.history import StepLine
from cascade_flow.operations.payloads import Handed
from cascade_flow.operations.runs import RunPart
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.operations.worker_protocol import Given
from cascade_flow.retry import attempts_allowed

Json = dict[str, Any]
PAGE_CHARACTERS = 2_000_000


def run_details(details: RunDetails) -> Json:
    """GET /runs/{runId}: what lies in the bucket stands as `inputUrl`, `outputUrl`."""
    end = details.end
    return {
        "run": {**run_in_brief(details.run), **_input(details)},
        "versionId": details.version_id,
        "steps": [_step(step) for step in details.steps],
        **_output(details),
        "error": _failure(end) if isinstance(end, WorkflowFailed) else None,
        **({"cancelReason": end.reason} if isinstance(end, WorkflowCancelled) else {}),
    }


def run_part(part: RunPart, count: Count | None) -> Json:
    """GET /runs: `nextCursor` is what to ask for as `cursor` where there may be more."""
    return {
        "runs": [run_in_brief(run) for run in part.runs],
        **({"nextCursor": cursor_of(part.more)} if part.more else {}),
        **({"total": count.number, "totalIsExact": count.is_exact} if count else {}),
    }


def run_in_brief(run: RunState) -> Json:
    """A run by itself, without its input."""
    return document(run.model_copy(update={"input": None}))


def event_page(events: Iterable[EventDetails], *, limit: int) -> Json:
    """GET /runs/{runId}/events: `nextUs` is what to ask for as `afterUs` where there are more."""
    return _page("events", ((told.event.timestamp_us, _event(told)) for told in events), limit)


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


def claimed(held: HeldAttempt, given: Given) -> Json:
    """POST /steps/claim: what lies in the bucket stands as `inputUrl`, and in `outputUrls`."""
    branch = held.branch
    elsewhere = {step: output.address for step, output in given.outputs.items() if output.address}
    timeout_ms = held.facts.graph.step(branch.step).timeout_ms
    return {
        "runId": held.run.run_id,
        "workflowSlug": held.run.workflow_slug,
        "stepId": branch.step,
        "attemptNumber": branch.attempt,
        **_named("input", given.input),
        "outputs": {step: _value(output.text) for step, output in given.outputs.items() if not output.address},
        **({"outputUrls": elsewhere} if elsewhere else {}),
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
        **({"executor": definition.executor} if definition.executor else {}),
        **({"skipReason": skipped.reason} if skipped else {}),
        **({"cascadedFrom": skipped.cascaded_from} if skipped and skipped.cascaded_from else {}),
    }


def _input(details: RunDetails) -> Json:
    is_known = details.has_payloads and details.run.input is not None
    return _named("input", Handed(details.run.input, details.outside.get("input"))) if is_known else {}


def _output(details: RunDetails) -> Json:
    if isinstance(details.end, WorkflowCompleted) and details.has_payloads:
        return _named("output", Handed(details.end.output, details.outside.get("output")))
    return {"output": None}


def _named(name: str, handed: Handed) -> Json:
    """The value under this name, or its address."""
    return {f"{name}Url": handed.address} if handed.address else {name: _value(handed.text)}


def _event(told: EventDetails) -> Json:
    """The contract's own document, but for texts in the bucket."""
    addresses = {f"{name}Url": address for name, address in told.outside.items()}
    return {**{n: v for n, v in dump_event(told.event).items() if n not in told.outside}, **addresses}


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
