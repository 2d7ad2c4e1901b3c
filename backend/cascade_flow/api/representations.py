"""What answers look like: states, details and claims as JSON, in the words of `names`. What is asked is `shapes`.

Absent fields are left out; fields that a reader waits for (`output`, `error`) are null until they are known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast, get_args

from cascade_flow.api.names import document
from cascade_flow.api.paging import page
from cascade_flow.api.problems import shortened
from cascade_flow.api.shapes import cursor_of
from cascade_flow.api.waiting_answers import tell as tell_waiting
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.events import WorkflowCancelled, WorkflowCompleted, WorkflowFailed
from cascade_flow.model.states import RunStatus
from cascade_flow.operations.payloads import Handed
from cascade_flow.retry import attempts_allowed

if TYPE_CHECKING:
    from cascade_flow.api import replies, worker_replies
    from cascade_flow.dynamodb.listing import Count, Tally
    from cascade_flow.model.events import CheckpointRef
    from cascade_flow.model.states import LinkedRun, SubmittedRun
    from cascade_flow.operations.attempts import Attempt
    from cascade_flow.operations.batches import Piece, Refusal
    from cascade_flow.operations.checkpoints import HandedCheckpoint
    from cascade_flow.operations.details import RunDetails, StepDetails, StepFiles
    from cascade_flow.operations.reruns import Plan
    from cascade_flow.operations.runs import RunPart
    from cascade_flow.operations.steps import HeldAttempt
    from cascade_flow.operations.worker_outcomes import Outcome
    from cascade_flow.operations.worker_protocol import Given

Lend = Callable[[str], str]
"""Puts a text where anybody may read it for a while; answers its address."""
GIVEN_BYTES = 5_500_000
"""What a step is given in one answer, as it is sent: of a claim it must pass, since the step is claimed already."""
CHECKPOINTS_BYTES = 1_000_000
"""What of it may be checkpoints, of which there is no end: longer lists are lent."""


def submitted(run: SubmittedRun) -> replies.Submitted:
    """POST /runs."""
    return document(run, {})


def run_details(details: RunDetails) -> replies.RunDetails:
    """GET /runs/{runId}: what lies in the bucket stands as `inputUrl`, `outputUrl`."""
    return {
        "run": document(details.run, _input_of(details), without=["input"]),
        "versionId": details.version_id,
        **_output_of(details),
        **_more_of(details),
        "error": _failure(details.end) if isinstance(details.end, WorkflowFailed) else None,
    }


def run_part(part: RunPart, count: Count | None, tally: Tally | None = None) -> replies.RunPart:
    """GET /runs: `nextCursor` is what to ask for as `cursor` where there may be more."""
    told: replies.RunPart = {"runs": [run_in_brief(run) for run in part.runs]}
    if part.more:
        told["nextCursor"] = cursor_of(part.more)
    if count:
        told["total"], told["totalIsExact"] = count.number, count.is_exact
    if tally:
        told["byStatus"] = {status: tally.numbers.get(status, 0) for status in get_args(RunStatus)}
        told["byStatusIsExact"] = tally.is_exact
    return told


def run_in_brief(run: LinkedRun) -> replies.Run:
    """A run by itself, without its input."""
    return document(run, {}, without=["input"])


def step_page(steps: Sequence[StepDetails], *, after: int, limit: int) -> replies.StepPage:
    """GET /runs/{runId}/steps: a cursor is how many steps lie before it, which are always the same."""
    found, last = page(((number, _step(step)) for number, step in enumerate(steps, start=1) if number > after), limit)
    return {"steps": found, "nextCursor": str(last)} if last else {"steps": found}


def step_files(files: StepFiles) -> replies.StepFiles:
    """GET /runs/{runId}/steps/{stepId}: what lies in the bucket stands as `outputUrl`, `inputUrl` and `outputUrls`."""
    given_back = _output(files.output) if files.output else {}
    more = cast("replies.FilesOfStep", {**_of_graph(files.step), **given_back})
    more["attempts"] = [_attempt(attempt) for attempt in files.attempts]
    if files.input:
        more["input"] = _given(files.input, files.given)
    return document(files.step.state, more, without=["output", "runId", "workflowSlug"])


def gone_on(run: SubmittedRun, plan: Plan) -> replies.GoneOn:
    """POST /runs/{runId}/resume and /rerun."""
    return document(run, {"keeps": plan.keeps, "runsAgain": plan.runs_again})


def rerun_plan(plan: Plan) -> replies.RerunPlan:
    """GET /runs/{runId}/rerun."""
    return {"versionId": plan.version_id, "keeps": plan.keeps, "runsAgain": plan.runs_again}


def piece(done: Piece) -> replies.Piece:
    """POST /runs/cancel and /runs/retry: `nextCursor` is what to send as `cursor` to go on."""
    told: replies.Piece = {"count": done.done, "refused": [_refusal(each) for each in done.refused]}
    if done.more:
        told["nextCursor"] = cursor_of(done.more)
    return told


def claimed(held: HeldAttempt, given: Given, lend: Lend) -> worker_replies.Claimed:
    """POST /steps/claim: what lies in the bucket stands as `inputUrl`, and in `outputUrls`."""
    branch = held.branch
    timeout_ms = held.facts.graph.step(branch.step).timeout_ms
    return {
        "runId": held.run.run_id,
        "workflowSlug": held.run.workflow_slug,
        "stepId": branch.step,
        "attemptNumber": branch.attempt,
        "countedAttempt": branch.tried,
        "versionId": held.run.version_id,
        "firstRunId": held.first_run_id,
        **_given(given.input, given.outputs),
        "skipped": [step for step, output in given.outputs.items() if output == (None, None)],
        **_checkpoints(given.checkpoints, lend),
        "idempotencyKey": idempotency_key(held.run.workflow_slug, held.first_run_id, branch.step, None),
        "startedAtUs": held.started_us,
        **lease(held),
        "timeoutUs": timeout_ms and timeout_ms * 1_000,
    }


def lease(held: HeldAttempt) -> worker_replies.Lease:
    """POST /runs/{runId}/steps/{stepId}/heartbeat."""
    assert held.branch.lease_us is not None
    return {"leaseUntilUs": held.branch.lease_us, "leaseUs": held.facts.timing.lease_us}


def outcome(told: Outcome, given: Given | None, lend: Lend) -> worker_replies.StepOutcome:
    """POST /runs/{runId}/steps/{stepId}/complete, and the like; `next` is a claim."""
    answer: worker_replies.StepOutcome = {"status": told.status}
    if told.next_retry_at_us is not None:
        answer["nextRetryAtUs"] = told.next_retry_at_us
    if told.next is not None and given is not None:
        answer["next"] = claimed(told.next, given, lend)
    return answer


def _checkpoints(handed: Sequence[HandedCheckpoint], lend: Lend) -> worker_replies.Checkpoints:
    told = [_checkpoint(each) for each in handed]
    text = json.dumps(told, ensure_ascii=False)
    return (
        {"checkpoints": told}
        if _weight(text) <= CHECKPOINTS_BYTES
        else {"checkpoints": [], "checkpointsUrl": lend(text)}
    )


def _checkpoint(handed: HandedCheckpoint) -> worker_replies.KnownCheckpoint:
    number = handed.number
    place = number.place
    told: worker_replies.KnownCheckpoint = {
        "name": place.name,
        "sequence": place.sequence_number,
        "attemptNumber": number.attempt,
    }
    if number.parent is not None:
        told["parent"] = {"name": number.parent.name, "sequence": number.parent.sequence_number}
    if handed.address:
        told["dataUrl"] = handed.address
    elif number.stored is not None:
        told["data"] = _value(number.stored.data)
    return told


def _place(place: CheckpointRef) -> worker_replies.CheckpointPlace:
    return {"name": place.name, "sequence": place.sequence_number}


def _step(step: StepDetails) -> replies.StepOfRun:
    return document(step.state, _of_graph(step), without=["output", "runId", "workflowSlug"])


def _of_graph(step: StepDetails) -> replies.StepInBrief:
    definition, skipped = step.definition, step.skipped
    told: replies.StepInBrief = {
        "name": definition.name,
        "dependencies": definition.dependencies,
        "exportOutput": definition.export_output,
        "maxAttempts": attempts_allowed(definition.retry),
    }
    if definition.timeout_ms:
        told["timeoutUs"] = definition.timeout_ms * 1_000
    if definition.executor:
        told["executor"] = definition.executor
    tell_waiting(told, step)
    if skipped:
        told["skipReason"] = skipped.reason
        if skipped.cascaded_from:
            told["cascadedFrom"] = skipped.cascaded_from
    return told


def _attempt(attempt: Attempt) -> replies.AttemptOfStep:
    told: replies.AttemptOfStep = {
        "attemptNumber": attempt.number,
        "status": attempt.status,
        "workerId": attempt.worker_id,
        "startedAtUs": attempt.started_us,
    }
    if attempt.ended_us is not None and attempt.duration_us is not None:
        told["endedAtUs"], told["durationUs"] = attempt.ended_us, attempt.duration_us
    if attempt.usage:
        told["resourceUsage"] = document(attempt.usage, {})
    if attempt.error:
        told["error"] = document(attempt.error, {})
    if attempt.failure_reason:
        told["failureReason"] = attempt.failure_reason
    if attempt.next_retry_us is not None:
        told["nextRetryAtUs"] = attempt.next_retry_us
    if attempt.reason is not None:
        told["laterReason"] = attempt.reason
    if attempt.reclaimed_by:
        told["reclaimedBy"] = attempt.reclaimed_by
    return told


def _given(input: Handed, given: Mapping[str, Handed]) -> replies.StepInput:
    """The input, and the outputs as far as they fit beside it."""
    names = sum(3 * _weight(name) for name in given)
    room = GIVEN_BYTES - CHECKPOINTS_BYTES - names - _weight(_sent(input))
    return cast("replies.StepInput", {**_input(input), **_outputs(given, room)})


def _refusal(refusal: Refusal) -> replies.Refused:
    error = refusal.error
    return {"runId": refusal.run_id, "code": error.code, "detail": shortened(error.message)}


def _input_of(details: RunDetails) -> replies.Input:
    is_known = details.has_payloads and details.run.input is not None
    return _input(Handed(details.run.input, details.outside.get("input"))) if is_known else {}


def _more_of(details: RunDetails) -> replies.MoreOfRun:
    told: replies.MoreOfRun = {}
    if details.steps is not None:
        told["steps"] = [_step(step) for step in details.steps]
    if isinstance(details.end, WorkflowCancelled) and details.end.reason is not None:
        told["cancelReason"] = details.end.reason
    if details.undo_status is not None:
        told["undoStatus"] = details.undo_status
    return told


def _output_of(details: RunDetails) -> replies.Output:
    if isinstance(details.end, WorkflowCompleted) and details.has_payloads:
        return _output(Handed(details.end.output, details.outside.get("output")))
    return {"output": None}


def _input(handed: Handed) -> replies.Input:
    return {"inputUrl": handed.address} if handed.address else {"input": _value(handed.text)}


def _output(handed: Handed) -> replies.Output:
    return {"outputUrl": handed.address} if handed.address else {"output": _value(handed.text)}


def _outputs(handed: Mapping[str, Handed], room: int) -> replies.Outputs:
    """The outputs as far as they fit, the first ones first."""
    sizes = accumulate(_weight(_sent(each)) for each in handed.values())
    fitting = {name: handed[name] for name, size in zip(handed, sizes, strict=True) if size <= room}
    told: replies.Outputs = {"outputs": {step: _value(each.text) for step, each in fitting.items() if not each.address}}
    if elsewhere := {step: each.address for step, each in fitting.items() if each.address}:
        told["outputUrls"] = elsewhere
    if left_out := [name for name in handed if name not in fitting]:
        told["leftOut"] = left_out
    return told


def _sent(handed: Handed) -> str:
    return handed.address or handed.text or ""


def _weight(text: str) -> int:
    """What a text takes up in an answer, which is quoted once more on its way."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def _failure(end: WorkflowFailed) -> replies.RunError:
    more: replies.Failure = {}
    if end.failure_reason:
        more["failureReason"] = end.failure_reason
    if end.failed_step:
        more["failedStep"] = end.failed_step
    return document(end.error, more)


def _value(text: str | None) -> Any:
    """The value that a JSON text holds; what a caller's engine stored as text of another kind stays a text."""
    try:
        return None if text is None else json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return text


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
