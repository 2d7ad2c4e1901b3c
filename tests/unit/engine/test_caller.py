"""How the state of a step and of a run is folded that callers tell, where the words come out of order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import StepError
from cascade_flow.engine.caller import (
    CallerStep,
    Known,
    advance_step,
    draft,
    fold_run,
    fold_step,
    placed,
    redraft,
    reserved,
    spoken_of,
)
from cascade_flow.engine.state import LATEST_US
from cascade_flow.errors import EventInvalidError
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    RunSubmitted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepScheduled,
    StepStarted,
    WorkflowCompleted,
    WorkflowRetryStarted,
)
from unit.engine.facts import NOW_US, told

ERROR = StepError(message="no")
RUN = reserved("flow", "run", now_us=NOW_US, longest_us=10, retention_us=20_000_000)


def of_step(kind: Any, us: int, attempt: int = 1, **fields: Any) -> Any:
    return told(kind, us, step_id="s", attempt_number=attempt, **fields)


def scheduled(us: int, attempt: int = 1) -> StepScheduled:
    event: StepScheduled = of_step(StepScheduled, us, attempt, available_at_us=us, reason="initial")
    return event


def started(us: int, attempt: int = 1) -> StepStarted:
    event: StepStarted = of_step(StepStarted, us, attempt, worker_id="w", dependencies=[])
    return event


def failed(us: int, attempt: int) -> StepFailed:
    said = {"error": ERROR, "error_fingerprints": compute_error_fingerprints(ERROR), "failure_reason": "timeout"}
    event: StepFailed = of_step(StepFailed, us, attempt, duration_us=1, terminal=False, **said)
    return event


def reclaimed(us: int, attempt: int) -> StepReclaimed:
    silence = {"last_heartbeat_us": us, "stale_threshold_us": 1, "stale_duration_us": 1}
    event: StepReclaimed = of_step(StepReclaimed, us, attempt, original_worker_id="w", reclaimed_by="r", **silence)
    return event


def folded(*events: StepEvent) -> CallerStep:
    step = fold_step(events)
    assert step is not None
    return step


@pytest.mark.parametrize("gives_up", [failed, reclaimed])
@pytest.mark.parametrize(("attempt", "given_up"), [(1, False), (2, True), (3, True)])
def test_an_attempt_is_given_up_with_its_own_end_or_a_later_ones(gives_up: Any, attempt: int, given_up: bool) -> None:
    step = folded(scheduled(1), started(2), scheduled(3, 2), started(4, 2), gives_up(5, attempt))
    assert step.given_up is given_up


@pytest.mark.parametrize("gives_up", [failed, reclaimed])
def test_an_attempt_of_which_nothing_else_was_told_is_given_up_with_its_end(gives_up: Any) -> None:
    assert folded(gives_up(5, 1)).given_up


def test_a_start_of_which_nothing_was_told_before_counts() -> None:
    assert (folded(started(5)).starts, folded(scheduled(4)).starts) == (1, 0)


def test_what_is_given_up_stays_so_until_it_is_scheduled_begun_or_over() -> None:
    step = folded(scheduled(1), started(2), failed(3, 1))
    beat = of_step(StepHeartbeat, 4, worker_id="w")
    assert advance_step(step, beat).given_up
    assert advance_step(step, beat).state == advance_step(replace(step, given_up=False), beat).state
    assert not advance_step(step, scheduled(4, 2)).given_up
    again = advance_step(advance_step(step, scheduled(4, 2)), failed(5, 2))
    assert advance_step(again, failed(6, 1)).given_up, "what an earlier attempt says changes nothing"
    assert not advance_step(step, started(4)).given_up


def test_starts_are_counted_and_the_fence_rises_with_every_word() -> None:
    step = folded(scheduled(5), started(7), started(9, 2))
    assert (step.starts, step.seq, step.last_us) == (2, 7, 9)
    again = fold_step([scheduled(5), started(7)], step)
    assert again is not None
    assert (again.starts, again.seq) == (1, 8)


def test_a_run_of_a_callers_is_among_the_live_by_its_birth_and_among_the_done_by_its_end() -> None:
    submission = {"version_id": "v", "available_at_us": 3, "has_input_schema": False, "priority": 0}
    events = [told(RunSubmitted, 4, **submission)]
    live = fold_run(RUN, events)
    assert (live.status, live.created_us, live.due_us, live.reviving, live.last_us) == ("pending", 4, 4, False, 4)
    ended = {"workflow_attempt_number": 1, "output": "{}", "duration_us": 1, "total_steps": 1}
    events.append(told(WorkflowCompleted, 9, **ended))
    done = fold_run(live, events)
    assert (done.status, done.completed_at_us, done.due_us, done.reviving) == ("completed", 9, 9, False)
    retry = {"workflow_attempt_number": 2, "previous_attempt_number": 1, "retried_steps": []}
    events.append(told(WorkflowRetryStarted, 11, **retry))
    again = fold_run(done, events)
    assert (again.run_attempt, again.due_us, again.reviving) == (2, 4, True)


def test_events_that_are_told_together_have_times_of_their_own() -> None:
    known = Known("flow", "run", replace(RUN, last_us=NOW_US + 5))
    said = {"step_id": "s", "attempt_number": 1, "available_at_us": 1, "reason": "initial"}
    soon, fixed = draft(StepScheduled, **said), redraft(scheduled(NOW_US + 7))
    taken = frozenset({NOW_US + 8, NOW_US + 9})
    events = placed(known, [soon, replace(fixed, at_us=NOW_US + 6), soon], now_us=NOW_US, taken=taken)
    assert [event.timestamp_us - NOW_US for event in events] == [6, 7, 10]


def test_what_is_told_of_before_makes_nothing_earlier_that_follows_it() -> None:
    """By a clock that is behind what is stored."""
    known = Known("flow", "run", replace(RUN, last_us=NOW_US + 5))
    said = {"step_id": "s", "attempt_number": 1, "available_at_us": 1, "reason": "initial"}
    soon = draft(StepScheduled, **said)
    events = placed(known, [soon, redraft(scheduled(NOW_US + 2)), soon], now_us=NOW_US, taken=frozenset())
    assert [event.timestamp_us - NOW_US for event in events] == [6, 2, 7]


@pytest.mark.parametrize(("us", "is_taken"), [(-1, False), (0, True), (LATEST_US, True), (LATEST_US + 1, False)])
def test_a_time_that_no_key_holds_is_refused(us: int, is_taken: bool) -> None:
    event = scheduled(1).model_copy(update={"timestamp_us": us})
    if is_taken:
        assert redraft(event).at_us == us
        return
    with pytest.raises(EventInvalidError, match="no time"):
        redraft(event)


def test_an_id_of_which_something_was_said_is_no_copys() -> None:
    assert spoken_of(RUN).seq == RUN.seq + 1
    assert spoken_of(spoken_of(RUN)).seq == RUN.seq + 1


def test_a_reserved_run_expires_after_the_longest_that_it_may_take() -> None:
    assert (RUN.deadline_us, RUN.expires_s) == (NOW_US + 10, NOW_US // 1_000_000 + 20)
