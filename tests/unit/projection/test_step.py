"""The replay rules of a step's state: what each event changes of one that is full, and what several do together."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    Event,
    LogEntry,
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
)
from cascade_flow.model.states import StateChange, StepState
from cascade_flow.projection import changes_state, evolve_step, project_step_state
from unit.projection.told import (
    BEGUN,
    BROKEN,
    BY_ITSELF,
    DONE,
    ERROR,
    TAKEN,
    WITH_ANOTHER,
    changes,
    named,
    of,
    run_event,
    usage,
)

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
    error=StepError(message="never"),
    terminal=True,
    next_retry_at=17,
    was_reclaimed=False,
    reclaimed_from="eve",
    reclaimed_by="her",
    resource_usage=usage(1),
    state_changes=[StateChange(status="running", timestamp=14, message="before")],
)
NO_ERROR = {"error": None, "terminal": None, "next_retry_at": None}


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
            "reclaimed_from": "joe",
            "reclaimed_by": "sweep",
            "noted": [("scheduled", 90, "attempt 3 taken from joe by sweep")],
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


@pytest.mark.parametrize(("event", "expected"), STEP_CHANGES, ids=named)
def test_what_an_event_changes_of_a_step(event: Any, expected: dict[str, Any]) -> None:
    assert changes(FULL, evolve_step(FULL, event)) == expected
    assert changes_state(event) == bool(expected)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("next_retry_at_us", [99, None])
def test_whether_a_failure_is_for_good_is_said_by_nothing_else(terminal: bool, next_retry_at_us: int | None) -> None:
    state = evolve_step(None, of(StepFailed, terminal=terminal, next_retry_at_us=next_retry_at_us, **BROKEN))
    assert (state.status, state.terminal) == ("failed" if terminal else "pending", terminal)


def test_a_zombie_is_noted_under_the_status_that_it_does_not_change() -> None:
    over = FULL.model_copy(update={"status": "completed"})
    assert [each[0] for each in changes(over, evolve_step(over, of(StepCompleted, attempt=2, **DONE)))["noted"]] == [
        "completed"
    ]


SCHEDULED = of(StepScheduled, 1, 1, available_at_us=1, reason="initial")
STORY = [SCHEDULED, of(StepStarted, 2, 1, **BEGUN), of(StepHeartbeat, 3, 1, worker_id="ann")]


def test_scheduling_clears_what_the_last_attempt_left() -> None:
    failed = of(StepFailed, 4, 1, terminal=False, next_retry_at_us=14, **BROKEN)
    again = of(StepScheduled, 5, 2, available_at_us=14, reason="retry")
    state = project_step_state([*STORY, failed, again], "w")
    assert (state.claimed_by, state.last_heartbeat, state.start_time, state.resource_usage) == (None,) * 4
    assert (state.error, state.terminal, state.next_retry_at) == (ERROR, False, 14)


def test_a_reclaimed_step_runs_until_it_is_scheduled() -> None:
    state = project_step_state([*STORY, of(StepReclaimed, 9, 1, **TAKEN)], "w")
    assert (state.status, state.was_reclaimed) == ("running", True)


def test_a_step_begins_as_pending() -> None:
    state = evolve_step(None, of(LogEntry, 5, stream="stdout", message="m"))
    assert state == StepState(
        step_id="s",
        run_id="r",
        workflow_slug="w",
        status="pending",
        attempt_number=1,
        dependencies=[],
        state_changes=[],
    )


def test_the_state_belongs_to_the_workflow_that_is_named() -> None:
    assert project_step_state([SCHEDULED], "other").workflow_slug == "other"
    assert evolve_step(None, SCHEDULED).workflow_slug == "w"


def test_nothing_and_foreign_events_have_no_state() -> None:
    said = {"version_id": "v", "available_at_us": 1, "priority": 0, "has_input_schema": False}
    with pytest.raises(EventInvalidError, match="at least one event"):
        project_step_state([], "w")
    with pytest.raises(EventInvalidError, match="RunSubmitted"):
        project_step_state([run_event(RunSubmitted, **said)], "w")
