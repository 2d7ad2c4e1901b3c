"""What is told to somebody who says again what is stored already."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.engine.caller import Draft, draft
from cascade_flow.engine.repeats import DECIDED, repeat_of
from cascade_flow.errors import StaleAttemptError
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepSkipped,
    WorkflowCancelled,
    WorkflowFailed,
)
from unit.engine.facts import told

TOO_LATE = StaleAttemptError("too late", now="completed", attempt_number=2)
DONE: dict[str, Any] = {
    "step_id": "s",
    "attempt_number": 2,
    "output": "1",
    "duration_us": 3,
    "export_output": True,
}
SKIPPED: dict[str, Any] = {
    "step_id": "s",
    "attempt_number": 2,
    "skip_type": "primary",
    "reason": "r",
    "duration_us": 3,
}
CANCELLED: dict[str, Any] = {"workflow_attempt_number": 1, "duration_us": 3, "completed_steps": 0}
STORED = [
    told(StepHeartbeat, 10, step_id="s", attempt_number=2, worker_id="w"),
    told(StepCompleted, 20, **DONE),
    told(WorkflowCancelled, 30, **CANCELLED),
]
SAID = draft(StepCompleted, **DONE)


def is_repeat(*said: Draft, stored: Any = STORED, besides: frozenset[str] = frozenset()) -> bool:
    answer = repeat_of(TOO_LATE, said, iter(stored), besides=besides)
    assert (answer is TOO_LATE) != bool(answer.facts.get("stored"))
    return answer is not TOO_LATE


def test_what_is_stored_is_said_to_be() -> None:
    answer = repeat_of(TOO_LATE, [SAID], STORED)
    assert str(answer).startswith("step 's' is completed already: this StepCompleted was stored when it was said first")
    assert answer.facts == {"stored": True, "now": "completed", "attempt_number": 2}


def test_what_is_stored_of_a_run_is_said_of_the_run() -> None:
    answer = repeat_of(StaleAttemptError("too late", now="cancelled"), [draft(WorkflowCancelled, **CANCELLED)], STORED)
    assert str(answer).startswith("the run is cancelled already: this WorkflowCancelled was stored")


@pytest.mark.parametrize(
    ("field", "other"),
    [("step_id", "t"), ("attempt_number", 1), ("output", "2"), ("duration_us", 4), ("export_output", False)],
)
def test_what_differs_in_any_field_is_no_repeat_unless_that_is_left_out(field: str, other: Any) -> None:
    said = draft(StepCompleted, **DONE | {field: other})
    assert not is_repeat(said)
    assert is_repeat(said, besides=frozenset({field}))


def test_all_that_is_said_must_be_stored() -> None:
    beat = draft(StepHeartbeat, step_id="s", attempt_number=2, worker_id="w")
    assert is_repeat(beat, SAID)
    assert not is_repeat(beat, SAID, stored=STORED[:1])
    assert not is_repeat(SAID, stored=[])


def test_who_says_nothing_repeats_nothing() -> None:
    assert not is_repeat()


def test_an_event_of_another_kind_is_no_repeat_whatever_it_says() -> None:
    same = frozenset({"skip_type", "reason", "output", "export_output"})
    assert not is_repeat(draft(StepSkipped, **SKIPPED), besides=same)


FAILED: dict[str, Any] = {
    "step_id": "s",
    "attempt_number": 2,
    "error": {"message": "no"},
    "error_fingerprints": compute_error_fingerprints(StepError(message="no")),
    "duration_us": 3,
    "terminal": True,
    "failure_reason": "timeout",
}


@pytest.mark.parametrize(
    ("kind", "stored", "field", "other", "is_decided"),
    [
        (StepCompleted, DONE, "export_output", False, True),
        (StepCompleted, DONE, "output", "2", False),
        (StepCompleted, DONE, "duration_us", 4, False),
        (StepFailed, FAILED, "terminal", False, True),
        (StepFailed, FAILED, "failure_reason", "exhausted-retries", True),
        (StepFailed, FAILED, "next_retry_at_us", 5, True),
        (StepFailed, FAILED, "policy_index", 1, True),
        (StepFailed, FAILED, "attempt_in_policy", 2, True),
        (StepFailed, FAILED, "error", {"message": "yes"}, False),
        (StepFailed, FAILED, "attempt_number", 3, False),
        (StepSkipped, SKIPPED, "skip_type", "cascade", True),
        (StepSkipped, SKIPPED, "cascaded_from", "a", True),
        (StepSkipped, SKIPPED, "reason", "other", False),
    ],
)
def test_what_the_engine_decides_of_a_report_makes_it_no_other(
    kind: Any, stored: dict[str, Any], field: str, other: Any, is_decided: bool
) -> None:
    said = draft(kind, **stored | {field: other})
    assert is_repeat(said, stored=[told(kind, 20, **stored)], besides=DECIDED) is is_decided


def test_of_much_that_was_said_the_first_is_named() -> None:
    beat = draft(StepHeartbeat, step_id="s", attempt_number=2, worker_id="w")
    assert "already: this StepHeartbeat was stored" in str(repeat_of(TOO_LATE, [beat, SAID], STORED))


def test_an_error_is_compared_as_it_is_stored() -> None:
    failed: dict[str, Any] = {"workflow_attempt_number": 1, "duration_us": 3, "completed_steps": 0}
    failed |= {"error": {"name": "ValueError", "message": "no"}, "failure_reason": "step-failed"}
    for message, is_said in (("no", True), ("yes", False)):
        said = draft(WorkflowFailed, **failed | {"error": {"name": "ValueError", "message": message}})
        assert is_repeat(said, stored=[told(WorkflowFailed, 20, **failed)]) is is_said


def test_numbers_are_compared_as_they_are_stored() -> None:
    """What comes over HTTP may be 3.0 where 3 is stored."""
    assert is_repeat(draft(StepCompleted, **DONE | {"duration_us": 3.0}))
