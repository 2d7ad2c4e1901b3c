"""What each event changes of a state that is full, whole: the fields that it names, with their values, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.model.events import (
    ErrorFingerprints,
    Event,
    LogEntry,
    ResourceUsage,
    RunSubmitted,
    StepCheckpoint,
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
    make_event,
)
from cascade_flow.model.states import RunState, StateChange, StepState
from cascade_flow.model.wire import WireModel
from cascade_flow.projection import (
    changes_state,
    evolve_run,
    evolve_step,
    extract_attempt_metadata,
    project_run_state,
    project_step_record,
    version_id_of,
)

ERROR, OLD_ERROR = StepError(message="no"), StepError(message="never")
HASHES = ("name_hash", "message_hash", "stack_exact_hash", "stack_normalized_hash", "stack_portable_hash")
PRINTS = ErrorFingerprints(**dict.fromkeys(HASHES, "h"))


def usage(bytes: int) -> ResourceUsage:
    used = ("cpu_time_user_us", "cpu_time_system_us", "cpu_time_total_us")
    switches = ("voluntary_context_switches", "involuntary_context_switches")
    return ResourceUsage(peak_memory_bytes=bytes, **dict.fromkeys(used, 1), **dict.fromkeys(switches, 0))


def of(kind: Any, us: int = 90, attempt: int = 3, **said: Any) -> Any:
    fields = {"step_id": "s", "attempt_number": attempt, **said}
    return make_event(kind, timestamp_us=us, workflow_slug="w", run_id="r", **fields)


def run_event(kind: Any, us: int = 90, attempt: int = 2, **said: Any) -> Any:
    fields = {"workflow_attempt_number": attempt, **said}
    return make_event(kind, timestamp_us=us, workflow_slug="w", run_id="r", **fields)


DONE = {"duration_us": 7, "output": '"out"', "export_output": True, "resource_usage": usage(9)}
BROKEN = {
    "duration_us": 7,
    "error": ERROR,
    "error_fingerprints": PRINTS,
    "failure_reason": "timeout",
    "resource_usage": usage(9),
}
SILENCE = {"last_heartbeat_us": 2, "stale_threshold_us": 1, "stale_duration_us": 5}
TAKEN = {"original_worker_id": "bob", "reclaimed_by": "sweep", **SILENCE}
RAIN = {"reason": "rain", "duration_us": 7}
BY_ITSELF, WITH_ANOTHER = (
    {"skip_type": "primary", **RAIN},
    {"skip_type": "cascade", "cascaded_from": "z", **RAIN},
)
BEGUN = {"worker_id": "ann", "dependencies": ["b"]}
FULL = StepState(
    step_id="s",
    run_id="r",
    workflow_slug="w",
    status="running",
    available_at=11,
    schedule_reason="initial",
    priority=2,
    attempt_number=3,
    claimed_by="bob",
    last_heartbeat=12,
    scheduled_at=13,
    start_time=14,
    end_time=15,
    duration=16,
    dependencies=["a"],
    output='"old"',
    export_output=False,
    error=OLD_ERROR,
    terminal=True,
    next_retry_at=17,
    was_reclaimed=False,
    reclaimed_from="eve",
    reclaimed_by="her",
    resource_usage=usage(1),
    state_changes=[StateChange(status="running", timestamp=14, message="before")],
)
NO_ERROR = {"error": None, "terminal": None, "next_retry_at": None}


def changes(before: WireModel, after: WireModel) -> dict[str, Any]:
    """The fields that differ; of a diary what was added to it."""
    names = type(before).model_fields
    told = {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}
    if diary := told.pop("state_changes", None):
        known = before.state_changes  # type: ignore[attr-defined]
        assert diary[: len(known)] == known
        told["noted"] = [(change.status, change.timestamp, change.message) for change in diary[len(known) :]]
    return told


STEP_CHANGES: list[tuple[Event, dict[str, Any]]] = [
    (
        of(StepScheduled, attempt=4, available_at_us=99, reason="retry", priority=5),
        {
            "status": "scheduled",
            "available_at": 99,
            "schedule_reason": "retry",
            "priority": 5,
            "attempt_number": 4,
            "scheduled_at": 90,
            "claimed_by": None,
            "last_heartbeat": None,
            "start_time": None,
            "resource_usage": None,
            "noted": [("scheduled", 90, "attempt 4 scheduled: retry")],
        },
    ),
    (
        of(StepStarted, attempt=4, **BEGUN),
        {
            "start_time": 90,
            "dependencies": ["b"],
            "attempt_number": 4,
            "claimed_by": "ann",
            "resource_usage": None,
            "noted": [("running", 90, "attempt 4 begun by ann")],
        },
    ),
    (of(StepHeartbeat, worker_id="ann"), {"claimed_by": "ann", "last_heartbeat": 90}),
    *(
        (
            of(StepCompleted, attempt=attempt, **DONE),
            {
                "status": "completed",
                "end_time": 90,
                "duration": 7,
                "output": '"out"',
                "export_output": True,
                "resource_usage": usage(9),
                **NO_ERROR,
                "noted": [("completed", 90, f"attempt {attempt} completed")],
            },
        )
        for attempt in (3, 4)
    ),
    *(
        (
            of(StepFailed, attempt=attempt, terminal=True, **BROKEN),
            {
                "status": "failed",
                "end_time": 90,
                "duration": 7,
                "error": ERROR,
                "resource_usage": usage(9),
                "noted": [("failed", 90, f"attempt {attempt} failed for good (timeout): no")],
            },
        )
        for attempt in (3, 4)
    ),
    (
        of(StepFailed, terminal=False, next_retry_at_us=99, **BROKEN),
        {
            "error": ERROR,
            "terminal": False,
            "next_retry_at": 99,
            "resource_usage": usage(9),
            "noted": [("running", 90, "attempt 3 failed, another follows: no")],
        },
    ),
    *(
        (
            of(StepSkipped, **said),
            {"status": "skipped", "end_time": 90, "duration": 7, **NO_ERROR, "noted": [("skipped", 90, message)]},
        )
        for said, message in (
            (BY_ITSELF, "skipped: rain"),
            (WITH_ANOTHER, "skipped in cascade from z: rain"),
        )
    ),
    (
        of(StepReclaimed, **TAKEN),
        {
            "was_reclaimed": True,
            "reclaimed_from": "bob",
            "reclaimed_by": "sweep",
            "noted": [("scheduled", 90, "attempt 3 taken from bob by sweep")],
        },
    ),
    (
        of(StepCompleted, attempt=2, **DONE),
        {"noted": [("running", 90, "StepCompleted of attempt 2 ignored: the current one is 3")]},
    ),
    *(
        (
            of(StepFailed, attempt=2, terminal=terminal, **BROKEN),
            {"noted": [("running", 90, "StepFailed of attempt 2 ignored: the current one is 3")]},
        )
        for terminal in (True, False)
    ),
    (of(StepRetrying, next_attempt=4, error=ERROR), {}),
    (of(StepCheckpoint, name="n", sequence_number=0, data="1"), {}),
    (of(LogEntry, stream="stdout", message="m"), {}),
]


def named(each: Any) -> str:
    return each.type if hasattr(each, "type") else ""


@pytest.mark.parametrize(("event", "expected"), STEP_CHANGES, ids=named)
def test_what_an_event_changes_of_a_step(event: Any, expected: dict[str, Any]) -> None:
    assert changes(FULL, evolve_step(FULL, event)) == expected
    assert changes_state(event) == bool(expected)


def test_a_zombie_is_noted_under_the_status_that_it_does_not_change() -> None:
    over = FULL.model_copy(update={"status": "completed"})
    assert [each[0] for each in changes(over, evolve_step(over, of(StepCompleted, attempt=2, **DONE)))["noted"]] == [
        "completed"
    ]


RUN = RunState(
    run_id="r",
    workflow_slug="w",
    status="failed",
    available_at=11,
    priority=2,
    workflow_attempt_number=1,
    created_at=12,
    started_at=13,
    completed_at=14,
    timeout=15,
    idempotency_key="k",
    metadata={"m": 1},
    tags=["t"],
    input="[1]",
)
SUBMITTED = run_event(
    RunSubmitted, version_id="v0", available_at_us=91, priority=3, has_input_schema=False, input="[2]", timeout_us=92,
    idempotency_key="l", metadata={"n": 2}, tags=["u"],
)  # fmt: skip
STARTED = run_event(WorkflowStarted, version_id="v1", has_input_schema=False, has_input=True)
RUN_CHANGES: list[tuple[Event, dict[str, Any]]] = [
    (STARTED, {"status": "running", "started_at": 90}),
    (
        run_event(WorkflowCompleted, output="{}", duration_us=1, total_steps=1),
        {"status": "completed", "completed_at": 90},
    ),
    (
        run_event(WorkflowFailed, error=ERROR, duration_us=1, completed_steps=0, failure_reason="timeout"),
        {"completed_at": 90},
    ),
    (
        run_event(WorkflowCancelled, duration_us=1, completed_steps=0),
        {"status": "cancelled", "completed_at": 90},
    ),
    (
        run_event(WorkflowRetryStarted, previous_attempt_number=1, retried_steps=[]),
        {"status": "pending", "workflow_attempt_number": 2},
    ),
    (run_event(WorkflowResumed, version_id="v", original_run_id="q", resumed_steps=1, pending_steps=1), {}),
]


@pytest.mark.parametrize(("event", "expected"), RUN_CHANGES, ids=named)
def test_what_an_event_changes_of_a_run(event: Any, expected: dict[str, Any]) -> None:
    assert changes(RUN, evolve_run(RUN, event)) == expected
    assert changes_state(event) == bool(expected)


def test_a_run_fails() -> None:
    running = RUN.model_copy(update={"status": "running"})
    [failed] = [event for event, _ in RUN_CHANGES if event.type == "WorkflowFailed"]
    assert changes(running, evolve_run(running, failed)) == {"status": "failed", "completed_at": 90}


def test_a_submission_makes_a_run() -> None:
    assert changes_state(SUBMITTED)
    assert evolve_run(RUN, SUBMITTED) == RUN
    assert evolve_run(None, SUBMITTED) == RunState(
        run_id="r",
        workflow_slug="w",
        status="pending",
        available_at=91,
        priority=3,
        workflow_attempt_number=1,
        created_at=90,
        timeout=92,
        idempotency_key="l",
        metadata={"n": 2},
        tags=["u"],
        input="[2]",
    )


def test_the_first_submission_counts_wherever_it_stands_and_the_slug_that_is_asked_for() -> None:
    second = SUBMITTED.model_copy(update={"priority": 99, "timestamp_us": 95})
    state = project_run_state([STARTED, SUBMITTED, second], "other")
    assert (state.status, state.started_at, state.priority, state.created_at) == ("running", 90, 3, 90)
    assert state.workflow_slug == "other"


def test_the_first_start_says_the_version() -> None:
    again = STARTED.model_copy(update={"version_id": "v2"})
    assert version_id_of([SUBMITTED, STARTED, again]) == "v1"
    assert version_id_of([SUBMITTED]) == "unknown"


RECORDED: list[tuple[list[Event], dict[str, Any]]] = [
    (
        [],
        {"status": "running", "start_time": 50, "dependencies": ["b"], "noted": [("running", 50, "attempt 3 begun")]},
    ),
    (
        [of(StepCompleted, **DONE)],
        {"status": "completed", "output": '"out"', "noted": [("completed", 90, "attempt 3 completed")]},
    ),
    (
        [of(StepFailed, 80, terminal=False, **BROKEN), of(StepCompleted, attempt=4, **DONE)],
        {
            "status": "completed",
            "output": '"out"',
            "noted": [("failed", 80, "attempt 3 failed: no"), ("completed", 90, "attempt 4 completed")],
        },
    ),
    (
        [of(StepFailed, terminal=False, **BROKEN)],
        {"status": "failed", "error": ERROR, "noted": [("failed", 90, "attempt 3 failed: no")]},
    ),
    (
        [of(StepFailed, 80, terminal=True, **BROKEN), of(StepSkipped, **BY_ITSELF)],
        {
            "status": "skipped",
            "noted": [("failed", 80, "attempt 3 failed: no"), ("skipped", 90, "skipped: rain")],
        },
    ),
    *(
        (
            [of(StepSkipped, 60, **BY_ITSELF), of(kind, attempt=2, **said)],
            {
                "status": "skipped",
                "end_time": 60,
                "noted": [
                    ("skipped", 60, "skipped: rain"),
                    ("skipped", 90, f"{kind.__name__} of attempt 2 ignored: the current one is 3"),
                ],
            },
        )
        for kind, said in ((StepCompleted, DONE), (StepFailed, {"terminal": True, **BROKEN}))
    ),
]


@pytest.mark.parametrize(("events", "expected"), RECORDED)
def test_what_a_record_makes_of_events(events: list[Any], expected: dict[str, Any]) -> None:
    pending = project_step_record([of(StepScheduled, 40, available_at_us=1, reason="initial")])
    assert pending.to_wire() == {
        "stepId": "s", "runId": "r", "status": "pending", "dependencies": [], "stateChanges": []
    }  # fmt: skip
    begun = of(StepStarted, 50, **BEGUN)
    record = project_step_record([begun, *events])
    ends = {"end_time": 90, "duration": 7} if events else {}
    noted = [("running", 50, "attempt 3 begun"), *expected["noted"]] if events else expected["noted"]
    known = {"start_time": 50, "dependencies": ["b"], **ends, **expected, "noted": noted}
    assert changes(pending, record) == known


def test_each_attempt_is_told_whole() -> None:
    events = [
        of(LogEntry, 5, attempt=2, stream="stdout", message="before its start"),
        of(StepStarted, 10, attempt=2, **BEGUN),
        of(LogEntry, 11, attempt=2, stream="stdout", message="m"),
        of(StepStarted, 12, attempt=2, **BEGUN),
        of(LogEntry, 13, attempt=2, stream="stderr", message="m"),
        of(StepStarted, 14, attempt=1, **BEGUN),
        of(StepFailed, 20, attempt=2, terminal=False, **BROKEN),
        of(StepCompleted, 25, attempt=1, **DONE),
        of(StepFailed, 30, attempt=3, terminal=True, **BROKEN),
        of(StepStarted, 0, attempt=4, **BEGUN),
        of(StepCompleted, 8, attempt=4, **DONE),
    ]
    used = usage(9).to_wire()
    assert [attempt.to_wire() for attempt in extract_attempt_metadata(events)] == [
        {
            "attemptNumber": 1,
            "status": "completed",
            "startTime": 14,
            "endTime": 25,
            "duration": 11,
            "hasLogs": False,
            "logCount": 0,
            "resourceUsage": used,
        },
        {
            "attemptNumber": 2,
            "status": "failed",
            "startTime": 12,
            "endTime": 20,
            "duration": 8,
            "hasLogs": True,
            "logCount": 2,
            "resourceUsage": used,
        },
        {
            "attemptNumber": 4,
            "status": "completed",
            "startTime": 0,
            "endTime": 8,
            "hasLogs": False,
            "logCount": 0,
            "resourceUsage": used,
        },
    ]
