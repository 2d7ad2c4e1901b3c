"""What a step's events tell people of its attempts."""

from cascade_flow.model.events import LogEntry, StepCompleted, StepFailed, StepReclaimed, StepScheduled, StepStarted
from cascade_flow.operations.attempts import Attempt, attempts_in
from cascade_flow.operations.details import _postponed
from cascade_flow.projection import project_step_state
from unit.projection.told import BEGUN, BROKEN, DONE, ERROR, TAKEN, of, usage

FIRST = of(StepScheduled, 1, attempt=1, available_at_us=1, reason="initial")


def begun(us: int, attempt: int) -> StepStarted:
    started: StepStarted = of(StepStarted, us, attempt, **BEGUN)
    return started


def said(us: int, attempt: int, message: str) -> LogEntry:
    line: LogEntry = of(LogEntry, us, attempt, stream="stdout", message=message)
    return line


def test_an_attempt_begins_and_ends_as_its_events_say() -> None:
    failed = of(StepFailed, 20, 1, terminal=False, next_retry_at_us=30, **BROKEN)
    history = [FIRST, begun(10, 1), failed, begun(30, 2), of(StepReclaimed, 40, 2, **TAKEN), begun(50, 3)]
    first, second, third = attempts_in([*history, of(StepCompleted, 60, 3, **DONE)])
    assert first == Attempt(1, "failed", "ann", 10, 20, usage(9), ERROR, "timeout", next_retry_us=30)
    assert second == Attempt(2, "reclaimed", "ann", 30, 40, reclaimed_by="sweep")
    assert third == Attempt(3, "completed", "ann", 50, 60, usage(9))
    assert [each.duration_us for each in (first, second, third)] == [10, 10, 10]


def test_attempts_come_by_their_numbers_in_whatever_order_they_began() -> None:
    done = of(StepCompleted, 30, 2, **DONE)
    assert [(each.number, each.status) for each in attempts_in([begun(10, 2), begun(20, 1), done])] == [
        (1, "running"),
        (2, "completed"),
    ]


def test_one_that_has_not_ended_runs_and_has_no_duration() -> None:
    [running] = attempts_in([FIRST, begun(10, 1)])
    assert (running.status, running.ended_us, running.duration_us) == ("running", None, None)


def test_a_line_hides_no_end_that_follows_it() -> None:
    [attempt] = attempts_in(
        [FIRST, begun(10, 1), said(20, 1, "later: is what a step may say too"), of(StepCompleted, 21, 1, **DONE)]
    )
    assert (attempt.status, attempt.ended_us) == ("completed", 21)


def test_who_was_not_ready_is_postponed_until_the_next_is_due() -> None:
    again = of(StepScheduled, 21, 2, available_at_us=90, reason="retry")
    [attempt] = attempts_in([FIRST, begun(10, 1), said(20, 1, "later: no ship yet"), again])
    assert attempt == Attempt(1, "postponed", "ann", 10, 20, next_retry_us=90, reason="no ship yet")


def test_only_the_next_attempts_schedule_tells_that_one_was_postponed() -> None:
    line = said(20, 1, "later: no ship yet")
    for other in (of(StepScheduled, 21, 3, available_at_us=90, reason="retry"), FIRST):
        [attempt] = attempts_in([FIRST, begun(10, 1), line, other])
        assert attempt.status == "running"


def test_a_line_that_others_follow_postpones_nothing() -> None:
    again = of(StepScheduled, 31, 2, available_at_us=90, reason="retry")
    said_so = [FIRST, begun(10, 1), said(20, 1, "later: no ship yet")]
    [attempt] = attempts_in([*said_so, of(StepReclaimed, 30, 1, **TAKEN), again])
    assert attempt == Attempt(1, "reclaimed", "ann", 10, 30, reclaimed_by="sweep")


def test_a_line_that_says_no_reason_postpones_nothing() -> None:
    again = of(StepScheduled, 21, 2, available_at_us=90, reason="retry")
    [attempt] = attempts_in([FIRST, begun(10, 1), said(20, 1, "the ship is late"), again])
    assert attempt == Attempt(1, "running", "ann", 10)


def test_of_ends_and_waits_without_a_start_nothing_is_known() -> None:
    again = of(StepScheduled, 21, 2, available_at_us=90, reason="retry")
    assert attempts_in([FIRST, said(20, 1, "later: no ship yet"), again, of(StepCompleted, 30, 2, **DONE)]) == []


def test_why_a_step_is_not_ready_is_told_until_it_is_tried_again() -> None:
    again = of(StepScheduled, 21, 2, available_at_us=90, reason="retry")
    waits = [FIRST, begun(10, 1), said(20, 1, "later: no ship yet"), again]
    for history, why in ((waits, "no ship yet"), ([*waits, begun(90, 2)], None)):
        assert _postponed(project_step_state(history, "w"), history) == (1, why)
    assert _postponed(project_step_state(waits[:2], "w"), waits[:2]) is None
