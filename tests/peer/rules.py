"""Where we differ from the peer on purpose, as rules: how each is recognised in a sequence, and why it is so.

Every rule is a row of docs/peer.md, by its name. A refusal says when our backend must refuse an operation that the peer
takes: it is judged by what the peer knew just before, and by nothing of ours, so a refusal too many is found like one
too few. What was refused is withheld from the peer, and both go on from the same events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cascade_flow import errors
from cascade_flow.errors import CascadeFlowError
from peer.operations import Operation
from peer.seen import RunSeen, Seen

MAKES_RUNS = frozenset(
    {
        *("initialize_run", "save_run_submitted", "save_workflow_start", "save_workflow_resumed"),
        *("save_workflow_input_validation", "save_step_scheduled", "save_step_start"),
        *("append_event", "copy_entire_run", "copy_workflow_events", "copy_step_events"),
    }
)
OF_NO_RUN = frozenset({"register_workflow", "create_workflow_version", "batch_append_events", "reclaim_stale_steps"})
REPORTS = frozenset(
    {
        *("save_step_heartbeat", "save_step_complete", "save_step_failed", "save_step_failed_and_schedule_retry"),
        *("save_step_skipped", "save_step_reclaimed", "save_step_checkpoint", "save_step_checkpoint_failed"),
    }
)
ENDS_RUNS = frozenset({"save_workflow_complete", "save_workflow_failed", "save_workflow_cancelled"})


@dataclass(frozen=True)
class Refusal:
    """Our backend refuses with this error what the peer takes, where it applies."""

    name: str
    why: str
    error: type[CascadeFlowError]
    applies: Callable[[Operation, Seen], bool]


def _unknown_run(operation: Operation, seen: Seen) -> bool:
    if operation.name in OF_NO_RUN:
        return False
    if operation.name == "cancel_run":
        return seen[operation.run_id].state is None
    if operation.name.startswith("copy_") and not seen[str(operation.place[1])].exists:
        return True
    return operation.name not in MAKES_RUNS and not seen[operation.run_id].exists


def _submitted_twice(operation: Operation, seen: Seen) -> bool:
    return operation.name == "save_run_submitted" and seen[operation.run_id].state is not None


def _copied_onto(operation: Operation, seen: Seen) -> bool:
    _, source, target = (*operation.place, "", "")[:3]
    return operation.name == "copy_entire_run" and (source == target or bool(seen[target].events))


def _cancelled_after_its_end(operation: Operation, seen: Seen) -> bool:
    return operation.name == "cancel_run" and seen[operation.run_id].ended


def _ended(operation: Operation, seen: Seen) -> bool:
    moves = {"save_workflow_start", "save_step_scheduled", "save_step_start", *ENDS_RUNS, *REPORTS}
    return operation.name in moves and seen[operation.run_id].ended


def _not_held(operation: Operation, seen: Seen) -> bool:
    if operation.name not in REPORTS:
        return False
    run, step_id = seen[operation.run_id], operation.step_id
    state = run.step(step_id)
    without_work = operation.name == "save_step_skipped" or bool(operation.told.get("terminal"))
    if without_work and (state is None or state.status == "pending"):
        return False
    if state is None:
        return True
    waits = without_work and state.status == "scheduled"
    holds = state.status == "running" and not run.given_up(step_id) and _is_whose(operation, state.claimed_by)
    return not (waits or holds) or state.attempt_number != operation.attempt


def _is_whose(operation: Operation, worker: str | None) -> bool:
    return operation.name != "save_step_heartbeat" or operation.place[3] == worker


REFUSALS: Sequence[Refusal] = (
    Refusal(
        "unknown-run",
        "an operation on a run that nobody made is a mistake; the peer answers as if it were there, or makes a folder",
        errors.RunNotFoundError,
        _unknown_run,
    ),
    Refusal("submitted-once", "a run has one submission", errors.ConflictError, _submitted_twice),
    Refusal(
        "copy-onto-nothing",
        "a copied run shows whole or not at all, so its id must be free; the peer mixes it with what is there",
        errors.ConflictError,
        _copied_onto,
    ),
    Refusal(
        "cancelled-once",
        "a run that has ended can't be cancelled; the peer adds another end",
        errors.RunNotCancellableError,
        _cancelled_after_its_end,
    ),
    Refusal(
        "terminal-is-final",
        "nothing but an explicit retry moves a run that has ended",
        errors.StaleAttemptError,
        _ended,
    ),
    Refusal(
        "fencing",
        "what a worker says of an attempt that it no longer holds changes nothing, and it is told so",
        errors.StaleAttemptError,
        _not_held,
    ),
)


def refusal_of(operation: Operation, seen: Seen) -> Refusal | None:
    """Why our backend must refuse this; None where it must not."""
    return next((refusal for refusal in REFUSALS if refusal.applies(operation, seen)), None)


def live(run: RunSeen) -> bool:
    """Whether a run was made and has not ended."""
    return run.exists and not run.ended
