"""What the peer is told where an operation of ours does more than its own: just that more, so both go on from the same.

Whether the more is right is judged by what the peer knew just before; the answers of both are compared as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow import DynamoDBBackend, project_step_state
from peer.operations import Call, Operation, calls_of, to_wire
from peer.seen import ENDED, RunSeen, Seen, WireEvent


@dataclass(frozen=True)
class Translation:
    """Instead of the operation itself the peer gets `calls` (from our answer); `check` holds our answer to account."""

    name: str
    why: str
    calls: Callable[[Operation, Any, DynamoDBBackend], list[Call]]
    check: Callable[[Operation, Any, Seen], None]


# -- appended events: at a time of their own ---------------------------------------------------------------------------


def _appended(operation: Operation, stored: Any, _: DynamoDBBackend) -> list[Call]:
    return [["appendEvent", *operation.place[:2], to_wire(stored)]]


def _batch_appended(operation: Operation, stored: Any, _: DynamoDBBackend) -> list[Call]:
    return calls_of(Operation("batch_append_events", (stored,), at_us=operation.at_us))


def _is_moved_to_a_free_time(operation: Operation, stored: Any, seen: Seen) -> None:
    _are_moved([operation.place[2]], [stored], seen)


def _all_are_moved_to_free_times(operation: Operation, stored: Any, seen: Seen) -> None:
    _are_moved(operation.place[0], stored, seen)


def _are_moved(asked: Sequence[Any], stored: Sequence[Any], seen: Seen) -> None:
    taken = {run_id: {event["timestampUs"] for event in run.events} for run_id, run in seen.items()}
    for ours, theirs in zip(stored, asked, strict=True):
        time_us = _free_from(theirs.timestamp_us, taken[theirs.run_id])
        taken[theirs.run_id].add(time_us)
        assert ours == theirs.model_copy(update={"timestamp_us": time_us, "event_id": str(time_us)})


def _free_from(time_us: int, taken: Iterable[int]) -> int:
    while time_us in taken:
        time_us += 1
    return time_us


# -- reclaimed steps: scheduled again, those of ended runs left alone --------------------------------------------------


def _reclaimed(operation: Operation, references: Any, backend: DynamoDBBackend) -> list[Call]:
    """Both events as they were stored; that they are the right ones is the check's business."""
    runs = dict.fromkeys((ref.workflow_slug, ref.run_id) for ref in references)
    found = [event for place in runs for event in backend.load_events(*place, category="step")]
    return [
        ["appendEvent", event.workflow_slug, event.run_id, to_wire(event)]
        for event in found
        if event.type in ("StepReclaimed", "StepScheduled") and event.timestamp_us >= operation.at_us
    ]


def _takes_what_is_stale(operation: Operation, references: Any, seen: Seen) -> None:
    threshold_us, _ = operation.place
    ours = {(ref.run_id, ref.step_id, ref.attempt_number) for ref in references}
    assert ours == set(_stale(seen, operation.at_us - threshold_us)), "reclaimed"
    assert len(ours) == len(references)


def _stale(seen: Seen, before_us: int) -> Iterable[tuple[str, str, int]]:
    for run_id, run in seen.items():
        for step_id in run.by_step:
            state = run.step(step_id)
            if state is None or state.status != "running" or run.ended:
                continue
            if (state.last_heartbeat or state.start_time or 0) < before_us:
                yield run_id, step_id, state.attempt_number


def check_reclaimed(operation: Operation, before: RunSeen, added: Sequence[WireEvent]) -> None:
    """Each StepReclaimed says what the peer's would, and a StepScheduled of the next attempt, due now, follows it."""
    threshold_us, reclaimed_by = operation.place
    for event in (event for event in added if event["type"] == "StepReclaimed"):
        state = before.step(event["stepId"])
        assert state is not None
        seen_us = state.last_heartbeat or state.start_time or 0
        said = {"originalWorkerId": state.claimed_by or "unknown", "reclaimedBy": reclaimed_by}
        times = {"lastHeartbeatUs": seen_us, "staleDurationUs": operation.at_us - seen_us}
        assert event.items() >= {**said, **times, "staleThresholdUs": threshold_us}.items()
        [again] = [e for e in added if e["type"] == "StepScheduled" and e["stepId"] == event["stepId"]]
        due = {"availableAtUs": operation.at_us, "reason": "retry", "attemptNumber": event["attemptNumber"] + 1}
        assert again.items() >= due.items()
        assert again.get("priority") == state.priority


# -- what else is more -------------------------------------------------------------------------------------------------


def _stored_lines(operation: Operation, _: Any, __: DynamoDBBackend) -> list[Call]:
    return [["appendEvent", *operation.place[:2], to_wire(line)] for line in operation.place[3]]


def _registered(operation: Operation, _: Any, backend: DynamoDBBackend) -> list[Call]:
    """The version that the registration made, where it is new."""
    version = backend.get_current_workflow_version(operation.place[0].slug)
    return [*calls_of(operation), ["createWorkflowVersion", to_wire(version)]]


def _nothing(operation: Operation, answer: Any, seen: Seen) -> None:
    assert answer is None, operation


def _claimed(operation: Operation, claim: Any, backend: DynamoDBBackend) -> list[Call]:
    """Nothing where the run has ended: the peer would hand it out."""
    run = backend.get_run(operation.run_id)
    return [] if run is not None and run.status in ENDED else calls_of(operation)


def _is_none_of_an_ended_run(operation: Operation, claim: Any, seen: Seen) -> None:
    assert claim is None or not seen[operation.run_id].ended, operation


def _cancelled(operation: Operation, _: Any, backend: DynamoDBBackend) -> list[Call]:
    """With our number of completed steps, where one of them has been scheduled again since."""
    run = backend.get_run(operation.run_id)
    assert run is not None
    place = (run.workflow_slug, operation.run_id)
    ever = sum(record.status == "completed" for record in backend.load_run(*place) or ())
    steps = backend.load_step_events_for_projection(*place).values()
    still = sum(project_step_state(events, place[0]).status == "completed" for events in steps)
    [*_, told] = [to_wire(event) for event in backend.load_events(*place, types=["WorkflowCancelled"])]
    assert told["completedSteps"] == still, operation
    said = {name: told[name] for name in ("workflowAttemptNumber", "reason", "completedSteps") if name in told}
    ours: Call = ["saveWorkflowCancelled", *place, {**said, "duration": told["durationUs"]}]
    return calls_of(operation) if ever == still else [ours]


TRANSLATIONS: Mapping[str, Translation] = {
    "append_event": Translation(
        "unique-times",
        "times of a run's events are unique; the peer moves one on only where its own file's name is taken",
        _appended,
        _is_moved_to_a_free_time,
    ),
    "batch_append_events": Translation(
        "batch-append",
        "as unique-times; what was stored is answered, and after an error named; the peer answers nothing",
        _batch_appended,
        _all_are_moved_to_free_times,
    ),
    "reclaim_stale_steps": Translation(
        "reclaim-schedules",
        "a reclaimed step is scheduled again in the same write, and steps of ended runs are left alone",
        _reclaimed,
        _takes_what_is_stale,
    ),
    "claim_scheduled_step": Translation(
        "claim-answers",
        "nothing of a run that has ended can be claimed, and of a run that isn't there we say so",
        _claimed,
        _is_none_of_an_ended_run,
    ),
    "cancel_run": Translation(
        "completed-when-cancelled",
        "a step that has been scheduled again since it completed is not completed",
        _cancelled,
        _nothing,
    ),
    "save_step_logs": Translation("logs-are-stored", "the peer drops them", _stored_lines, _nothing),
    "register_workflow": Translation(
        "registration-makes-a-version", "a run names its version, so there is one", _registered, _nothing
    ),
}
