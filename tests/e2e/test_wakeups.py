"""The queue is a hint: what is sent too often does nothing, what is lost is sent again."""

from __future__ import annotations

from cascade_flow import StepCompleted, StepScheduled, StepStarted, WorkflowStarted
from cascade_flow.wake import Wake
from e2e.stack import Stack
from e2e.waiting import until
from e2e.workflows.trials.graphs import WIDTH
from e2e.workflows.trials.meeting import Meeting

MANY = 30


def test_the_same_wake_up_many_times(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("walk", input=meeting.model_dump(mode="json"))
    wake = Wake(run_id, "before", "before", attempt=1)
    stack.wakeups.send(wake, times=MANY)
    until(lambda: meeting.visits("during"), otherwise=lambda: stack.told(run_id))
    stack.wakeups.send(Wake(run_id, "before", "during", attempt=1), times=MANY)
    stack.wakeups.send(Wake(run_id), times=MANY)
    stack.wakeups.all_taken()
    meeting.let_go("during")
    stack.finished(run_id)
    stack.wakeups.send(wake, times=MANY)
    stack.wakeups.all_taken()

    run = stack.finished(run_id)
    assert [run.count(kind) for kind in (WorkflowStarted, StepScheduled, StepStarted, StepCompleted)] == [1, 3, 3, 3]
    assert [len(meeting.visits(step)) for step in ("before", "during", "after")] == [1, 1, 1]


def test_wake_ups_that_make_no_sense(stack: Stack) -> None:
    run_id = stack.submit("linear", input={"number": 1})
    for wake in (Wake("no-such-run", "b", "s", 1), Wake(run_id, "no-such-branch", "s", 1), Wake("no-such-run")):
        stack.wakeups.send(wake)
    stack.wakeups.all_taken()
    assert stack.finished(run_id).count(StepStarted) == 3


def test_the_first_message_of_a_run_is_lost(stack: Stack) -> None:
    with stack.wakeups.unheard():
        run_id = stack.submit("linear", input={"number": 1})
        until(stack.wakeups.waiting)
        stack.wakeups.lose()
    assert stack.finished(run_id).count(StepStarted) == 3


def test_the_message_of_a_retry_is_lost_while_it_is_delayed(stack: Stack, meeting: Meeting) -> None:
    run_id = stack.submit("fork", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("trying"), otherwise=lambda: stack.told(run_id))
    with stack.wakeups.unheard():
        until(stack.wakeups.waiting, otherwise=lambda: stack.told(run_id))
        stack.wakeups.lose()
    meeting.let_go("staying")
    stack.finished(run_id)
    assert [visit.attempt for visit in meeting.visits("trying")] == [1, 2]


def test_most_messages_of_a_wide_run_are_lost(stack: Stack) -> None:
    run_id = stack.submit("wide", input={"number": 1})
    until(lambda: stack.wakeups.waiting() > WIDTH // 4, otherwise=lambda: stack.told(run_id))
    stack.wakeups.lose()
    assert stack.finished(run_id).count(StepCompleted) == WIDTH + 2
