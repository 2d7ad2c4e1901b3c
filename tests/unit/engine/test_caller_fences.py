"""What a writer must hold to say something of a run that callers drive; and what is stored of what it says, whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.engine.caller import (
    CallerStep,
    Draft,
    Known,
    advance_run,
    advance_step,
    draft,
    fold_run,
    must_go_on,
    must_hold,
    must_hold_or_await,
    placed,
    redraft,
    reserved,
    spoken_of,
)
from cascade_flow.engine.state import ENDED, LATEST_US, Run
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import (
    RunSubmitted,
    StepCompleted,
    StepHeartbeat,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from cascade_flow.model.states import StepState
from unit.engine.facts import NOW_US, told

RESERVED = reserved("flow", "run", now_us=NOW_US, longest_us=10_000_000, retention_us=20_000_000)
STATE = StepState(
    step_id="s",
    run_id="run",
    workflow_slug="flow",
    status="running",
    attempt_number=2,
    claimed_by="w",
    dependencies=[],
    state_changes=[],
)
HELD = CallerStep(STATE, starts=2, last_us=30, seq=7)
RUN = replace(RESERVED, status="running", last_us=20)
KNOWN = Known("flow", "run", RUN, HELD)


def standing(status: Any, attempt: int = 2, *, given_up: bool = False) -> CallerStep:
    state = STATE.model_copy(update={"status": status, "attempt_number": attempt})
    return replace(HELD, state=state, given_up=given_up)


def test_who_holds_an_attempt_may_speak_of_it() -> None:
    assert must_hold(KNOWN, 2) == must_hold(KNOWN, 2, worker="w") == STATE
    must_hold_or_await(KNOWN, 2)


@pytest.mark.parametrize(
    ("step", "attempt", "worker", "said"),
    [
        (None, 2, None, "attempt 2 is held by nobody: the step was never scheduled"),
        (HELD, 1, None, "attempt 1 of step 's' is no longer held: the step is running, attempt 2 of w."),
        (HELD, 3, None, "attempt 3 of step 's' is no longer held: the step is running, attempt 2 of w."),
        (HELD, 2, "thief", "attempt 2 of step 's' is no longer held: the step is running, attempt 2 of w."),
        (standing("running", given_up=True), 2, "w", "the step is running, attempt 2 of w, which was given up."),
        (standing("scheduled"), 2, None, "the step is scheduled, attempt 2 of w."),
        (standing("completed"), 2, None, "the step is completed, attempt 2 of w."),
    ],
)
def test_who_holds_nothing_is_told_so(step: CallerStep | None, attempt: int, worker: str | None, said: str) -> None:
    with pytest.raises(StaleAttemptError) as refused:
        must_hold(replace(KNOWN, step=step), attempt, worker=worker)
    assert said in str(refused.value)
    told_state = None if step is None else step.state.attempt_number
    assert refused.value.facts.get("attempt_number") == told_state
    assert refused.value.facts["now"] == ("pending" if step is None else step.state.status)


@pytest.mark.parametrize(
    ("step", "attempt", "may"),
    [
        (None, 1, True),
        (None, 5, True),
        (standing("pending", 1), 1, True),
        (standing("scheduled"), 2, True),
        (standing("scheduled"), 1, False),
        (standing("scheduled"), 3, False),
        (HELD, 2, True),
        (HELD, 1, False),
        *((standing(over), 2, False) for over in ("completed", "failed", "skipped")),
    ],
)
def test_what_nobody_has_begun_may_be_given_up(step: CallerStep | None, attempt: int, may: bool) -> None:
    known = replace(KNOWN, step=step)
    if may:
        must_hold_or_await(known, attempt)
        return
    with pytest.raises(StaleAttemptError):
        must_hold_or_await(known, attempt)


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize("step", [None, HELD, standing("scheduled")], ids=["of no step", "held", "scheduled"])
def test_nobody_speaks_of_a_run_that_has_ended(status: Any, step: CallerStep | None) -> None:
    known = Known("flow", "run", replace(RUN, status=status), step)
    for fence in (must_go_on, lambda known: must_hold(known, 2), lambda known: must_hold_or_await(known, 2)):
        with pytest.raises(StaleAttemptError, match=f"run 'run' has {status} already") as refused:
            fence(known)
        assert refused.value.facts["now"] == status


@pytest.mark.parametrize("run", [None, RESERVED, RUN, replace(RUN, status="pending")])
def test_a_run_that_has_not_ended_goes_on(run: Run | None) -> None:
    must_go_on(Known("flow", "run", run))


@pytest.mark.parametrize(
    ("known", "newest_us"),
    [
        (Known("flow", "run", None), 0),
        (Known("flow", "run", RUN), 20),
        (KNOWN, 30),
        (replace(KNOWN, run=replace(RUN, last_us=40)), 40),
        (replace(KNOWN, steps={"t": replace(HELD, last_us=50)}), 50),
        (replace(KNOWN, run=None, step=None, steps={"t": replace(HELD, last_us=9)}), 9),
    ],
)
def test_the_newest_time_that_is_known(known: Known, newest_us: int) -> None:
    assert known.last_us == newest_us


def test_what_is_known_of_a_step() -> None:
    other = replace(HELD, starts=9)
    known = replace(KNOWN, steps={"s": other, "t": other})
    assert (known.known("s"), known.known("t"), known.known("u")) == (HELD, other, None)
    assert replace(known, step=None).known("s") == other


@pytest.mark.parametrize(
    ("said", "seen_us"),
    [({}, 0), ({"start_time": 5}, 5), ({"start_time": 5, "last_heartbeat": 8.5}, 9), ({"last_heartbeat": 3}, 3)],
)
def test_when_a_worker_was_last_heard_of(said: dict[str, Any], seen_us: int) -> None:
    assert replace(HELD, state=STATE.model_copy(update=said)).last_seen_us == seen_us


def test_a_step_begins_with_nothing() -> None:
    assert CallerStep(STATE) == CallerStep(STATE, starts=0, given_up=False, last_us=0, seq=0)


@pytest.mark.parametrize(
    ("status", "is_live"),
    [("pending", False), ("scheduled", True), ("running", True), ("completed", False), ("failed", False)],
)
def test_a_step_lives_while_somebody_works_on_it_or_should(status: Any, is_live: bool) -> None:
    """Also when nobody holds it: what was given up is to be taken again."""
    assert standing(status).live is standing(status, given_up=True).live is is_live


def test_a_step_is_stored_without_output_and_diary() -> None:
    over = told(
        StepCompleted, 40, step_id="s", attempt_number=2, output='"out"', duration_us=3, export_output=True
    )  # fmt: skip
    state = STATE.model_copy(
        update={"status": "completed", "end_time": 40, "duration": 3, "export_output": True, "output": None}
    )
    assert advance_step(HELD, over) == CallerStep(state, starts=2, given_up=False, last_us=40, seq=8)


def test_a_step_begins_with_its_time_as_its_fence() -> None:
    """So that one that is deleted and told anew is not taken for the one that was there."""
    beat = told(StepHeartbeat, 40, step_id="s", attempt_number=1, worker_id="w")
    step = advance_step(None, beat)
    assert (step.seq, step.last_us, step.starts, step.given_up) == (40, 40, 0, False)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (StepCompleted, {"output": "1", "duration_us": 1, "export_output": False}),
        (StepSkipped, {"skip_type": "primary", "reason": "rain", "duration_us": 1}),
    ],
)
def test_what_is_over_is_given_up_by_nobody(kind: Any, said: dict[str, Any]) -> None:
    lost = standing("running", given_up=True)
    assert not advance_step(lost, told(kind, 40, step_id="s", attempt_number=2, **said)).given_up


SUBMITTED = told(
    RunSubmitted, 50, version_id="v1", available_at_us=60.5, has_input_schema=False, priority=3, tags=["t"]
)  # fmt: skip


def test_a_submission_is_taken_over_whole() -> None:
    assert advance_run(RESERVED, SUBMITTED) == replace(
        RESERVED,
        version_id="v1",
        status="pending",
        created_us=50,
        available_at_us=61,
        priority=3,
        tags=("t",),
        last_us=50,
        due_us=50,
        seq=2,
    )


@pytest.mark.parametrize(("at_us", "held_us"), [(10.0**20, LATEST_US), (-(10.0**20), -LATEST_US)])
def test_a_run_is_available_within_the_times_that_an_index_holds(at_us: float, held_us: int) -> None:
    event = SUBMITTED.model_copy(update={"available_at_us": at_us})
    assert advance_run(RESERVED, event).available_at_us == held_us


def test_what_is_told_before_the_submission_moves_only_the_fence() -> None:
    begun = told(
        WorkflowStarted, 70, version_id="v", workflow_attempt_number=1, has_input_schema=False, has_input=False
    )  # fmt: skip
    assert advance_run(RESERVED, begun) == replace(RESERVED, last_us=70, seq=2)


STORY: list[tuple[Any, int, dict[str, Any], dict[str, Any]]] = [
    (
        WorkflowStarted,
        70,
        {"version_id": "v2", "has_input_schema": False, "has_input": False, "workflow_attempt_number": 1},
        {"status": "running", "started_at_us": 70},
    ),
    (
        WorkflowCancelled,
        80,
        {"workflow_attempt_number": 1, "duration_us": 1, "completed_steps": 0},
        {"status": "cancelled", "completed_at_us": 80, "due_us": 80},
    ),
    (
        WorkflowRetryStarted,
        90,
        {"workflow_attempt_number": 2, "previous_attempt_number": 1, "retried_steps": []},
        {"status": "pending", "run_attempt": 2, "due_us": 50, "reviving": True},
    ),
    (
        WorkflowStarted,
        95,
        {"version_id": "v2", "has_input_schema": False, "has_input": False, "workflow_attempt_number": 2},
        {"status": "running", "started_at_us": 95},
    ),
    (
        WorkflowResumed,
        97,
        {"version_id": "v2", "original_run_id": "q", "resumed_steps": 1, "pending_steps": 1},
        {},
    ),
    (
        WorkflowCompleted,
        99,
        {"workflow_attempt_number": 2, "output": "{}", "duration_us": 1, "total_steps": 1},
        {"status": "completed", "completed_at_us": 99, "due_us": 99, "reviving": False},
    ),
]
"""What is told of a run one after the other, and what each of it changes."""


def test_a_run_is_begun_ended_and_tried_again() -> None:
    """Its place is among the live by its birth, and among the done by its end; folded anew it is what it became."""
    run, events = advance_run(RESERVED, SUBMITTED), [SUBMITTED]
    for kind, us, said, changes in STORY:
        events.append(told(kind, us, **said))
        after = advance_run(run, events[-1])
        assert after == replace(run, **{"last_us": us, "seq": run.seq + 1, **changes})
        assert fold_run(run, events) == after
        run = after


def test_a_run_without_a_submission_is_what_it_was() -> None:
    begun = told(WorkflowCancelled, 70, workflow_attempt_number=1, duration_us=1, completed_steps=0)
    assert fold_run(RESERVED, [begun]) == replace(RESERVED, last_us=70, seq=2)
    assert fold_run(replace(RESERVED, last_us=70), []) == replace(RESERVED, last_us=0, seq=2)


def test_what_is_taken_back_of_a_run_was_never_told() -> None:
    done = replace(
        RUN, status="completed", run_attempt=2, started_at_us=70, completed_at_us=99, due_us=99, version_id="v2"
    )
    submitted = advance_run(RESERVED, SUBMITTED)
    assert fold_run(done, [SUBMITTED]) == replace(submitted, seq=done.seq + 1, reviving=True)


def test_of_two_submissions_the_first_counts() -> None:
    again = told(RunSubmitted, 55, version_id="v2", available_at_us=90, has_input_schema=False, priority=4, tags=["u"])
    assert fold_run(RESERVED, [SUBMITTED, again]) == replace(advance_run(RESERVED, SUBMITTED), last_us=55)


def test_an_event_is_told_again_with_all_that_it_says_at_its_own_time() -> None:
    beat = told(StepHeartbeat, 7.5, step_id="s", attempt_number=2, worker_id="w", slot_index=1)
    said = {"step_id": "s", "attempt_number": 2, "worker_id": "w", "slot_index": 1}
    unsaid = {"worker_concurrency": None, "resource_snapshot": None}
    again = redraft(beat)
    assert again == Draft(StepHeartbeat, {**said, **unsaid}, 8)
    assert placed(KNOWN, [again], now_us=99, taken=frozenset()) == (told(StepHeartbeat, 8, **said),)


def test_what_is_told_now_is_later_than_all_that_is_known() -> None:
    beat = draft(StepHeartbeat, step_id="s", attempt_number=2, worker_id="w")
    for now_us, times in ((5, [31, 32]), (30, [31, 32]), (40, [40, 41])):
        events = placed(KNOWN, [beat, beat], now_us=now_us, taken=frozenset())
        assert [event.timestamp_us for event in events] == times
        assert {(event.workflow_slug, event.run_id) for event in events} == {("flow", "run")}


def test_what_is_told_now_is_later_than_what_is_told_with_it() -> None:
    beat = draft(StepHeartbeat, step_id="s", attempt_number=2, worker_id="w")
    events = placed(KNOWN, [replace(beat, at_us=50), beat, replace(beat, at_us=40)], now_us=5, taken=frozenset({51}))
    assert [event.timestamp_us for event in events] == [50, 52, 40]


def test_a_reserved_id_is_nothing_else() -> None:
    taken = reserved("flow", "run", now_us=NOW_US, longest_us=10_000_000, retention_us=20_000_000)
    assert taken == Run(
        run_id="run",
        workflow_slug="flow",
        version_id="unknown",
        status="reserved",
        created_us=NOW_US,
        available_at_us=NOW_US,
        deadline_us=NOW_US + 10_000_000,
        expires_s=NOW_US // 1_000_000 + 30,
        driver="caller",
        seq=1,
    )
    assert spoken_of(RESERVED) == replace(RESERVED, seq=2)
    assert spoken_of(RUN) == replace(RUN, seq=2)
    assert spoken_of(replace(RUN, seq=5)).seq == 5
