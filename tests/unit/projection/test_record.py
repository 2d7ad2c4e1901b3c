"""The older, smaller view of a step: what several events make of it."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.errors import EventInvalidError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepCompleted,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.projection import project_step_record
from unit.projection.told import BEGUN, BROKEN, BY_ITSELF, DONE, ERROR, changes, of, run_event

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


def test_a_record_keeps_the_error_at_a_start_and_takes_its_dependencies() -> None:
    events = [
        of(StepStarted, 2, 1, **BEGUN),
        of(StepFailed, 3, 1, terminal=False, **BROKEN),
        of(StepStarted, 5, 2, worker_id="ann", dependencies=["c"]),
    ]
    record = project_step_record(events)
    assert (record.status, record.error, record.start_time, record.end_time) == ("running", ERROR, 5, 3)
    assert record.dependencies == ["c"]


def test_a_record_knows_zombies_by_their_starts_only() -> None:
    first, again = of(StepStarted, 1, 1, **BEGUN), of(StepScheduled, 2, 2, available_at_us=2, reason="retry")
    assert project_step_record([first, again, of(StepCompleted, 3, 1, **DONE)]).status == "completed"
    second = of(StepStarted, 2, 2, **BEGUN)
    zombied = project_step_record([first, second, of(StepCompleted, 3, 1, **DONE)])
    assert (zombied.status, zombied.output, len(zombied.state_changes)) == ("running", None, 3)


def test_a_record_goes_by_the_last_start_whatever_its_number() -> None:
    events = [
        of(StepStarted, 10, attempt=4, **BEGUN),
        of(StepStarted, 20, attempt=3, **BEGUN),
        of(StepCompleted, **DONE),
    ]
    record = project_step_record(events)
    assert (record.status, record.start_time, record.end_time) == ("completed", 20, 90)


def test_only_an_end_makes_a_zombie() -> None:
    begun, late = of(StepStarted, 10, attempt=4, **BEGUN), {"attempt": 3, "available_at_us": 30, "reason": "retry"}
    record = project_step_record([begun, of(StepScheduled, 20, **late)])
    assert [change.status for change in record.state_changes] == ["running"]


def test_what_was_never_begun_is_its_first_attempts() -> None:
    assert project_step_record([of(StepCompleted, 3, 1, **DONE)]).status == "completed"


def test_nothing_and_foreign_events_have_no_record() -> None:
    said = {"version_id": "v", "available_at_us": 1, "priority": 0, "has_input_schema": False}
    for events in ([], [run_event(RunSubmitted, **said)]):
        with pytest.raises(EventInvalidError, match="needs events of the step"):
            project_step_record(events)
