"""How a run begins, begins again and completes, whole; when it is due, must be over, and expires. Without a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine.runs import Opening, Submission, completed, latest_end_us, start, started_again, submit
from cascade_flow.engine.state import Limit, Run, Up
from cascade_flow.model.events import RunSubmitted, WorkflowCompleted, WorkflowRetryStarted, WorkflowStarted
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step, told
from unit.engine.openings import ENDED, FACTS, GRACE_US, NEW, ORDER, SAID, born, started, validated

SECOND = replace(FACTS, run_attempt=2)
HOUR_US = 3_600_000_000


def order(**said: int) -> Submission:
    return Submission("v1", **{"available_at_us": NOW_US, "has_input_schema": False, **said})


@pytest.mark.parametrize(("available_at_us", "status"), [(NOW_US, "running"), (NOW_US + 1, "pending")])
def test_what_is_due_now_starts_now(available_at_us: int, status: str) -> None:
    assert submit(SECOND, order(available_at_us=available_at_us), now_us=NOW_US).run.status == status


@pytest.mark.parametrize(("has_schema", "input"), [(True, None), (False, "{}")])
def test_a_run_says_at_its_start_whether_it_has_an_input_and_a_schema_of_it(
    has_schema: bool, input: str | None
) -> None:
    asked = Submission("v1", available_at_us=NOW_US, has_input_schema=has_schema, input=input)
    [begun] = [each for each in submit(SECOND, asked, now_us=NOW_US).events if isinstance(each, WorkflowStarted)]
    assert (begun.has_input_schema, begun.has_input) == (has_schema, input is not None)


def test_a_delayed_run_has_its_whole_time_from_when_it_is_due() -> None:
    due_us = NOW_US + HOUR_US
    run = submit(SECOND, order(available_at_us=due_us), now_us=NOW_US).run
    assert (run.due_us, run.deadline_us) == (due_us, due_us + TIMING.timeout_us)
    run = submit(SECOND, order(available_at_us=due_us, timeout_us=7), now_us=NOW_US).run
    assert run.deadline_us == due_us + 7


def again(run: Run, *, now_us: int = NOW_US) -> Run:
    return started_again(
        SECOND, replace(run, status="failed", tail=({"hasInputSchema": False},)), [], None, now_us=now_us
    ).run


def test_a_retried_run_has_as_much_time_as_it_had() -> None:
    delayed = replace(run_of(), available_at_us=NOW_US - 50, deadline_us=NOW_US + 950)
    once = again(delayed)
    assert once.deadline_us - (once.started_at_us or 0) == 1_000
    twice = again(once, now_us=NOW_US + HOUR_US)
    assert twice.deadline_us - (twice.started_at_us or 0) == 1_000
    said_late = again(replace(run_of(), available_at_us=NOW_US - 9_000, deadline_us=NOW_US + 800))
    assert said_late.deadline_us - (said_late.started_at_us or 0) == 1_000, "it was due when it was said"


def test_a_retried_run_is_over_well_before_it_expires() -> None:
    run = replace(run_of(), expires_s=(NOW_US + TIMING.retention_us // 90 + 5_000_000) // 1_000_000)
    assert latest_end_us(SECOND, run) == run.expires_s * 1_000_000 - TIMING.retention_us // 90
    assert again(run).deadline_us == latest_end_us(SECOND, run)


def test_a_run_is_tried_again_after_all_that_was_told_of_it_whatever_the_clock_says() -> None:
    run = replace(ENDED, last_us=NOW_US + HOUR_US, tail=TAIL)
    opening = started_again(SECOND, run, ["a"], None, now_us=NOW_US)
    assert min(event.timestamp_us for event in opening.events) > run.last_us
    assert opening.run.last_us == max(event.timestamp_us for event in opening.events)


def test_a_retried_run_has_the_place_that_was_got_for_it() -> None:
    run = replace(ENDED, place=1, tail=TAIL)
    assert started_again(replace(SECOND, place=0), run, [], None, now_us=NOW_US).run.place == 0


def test_a_child_that_is_tried_again_has_its_parents_time() -> None:
    facts = replace(SECOND, up=Up("parent", "m", "m", 0, True), deadline_us=NOW_US + 7)
    assert started_again(facts, replace(ENDED, tail=TAIL), [], None, now_us=NOW_US).run.deadline_us == NOW_US + 7


@pytest.mark.parametrize(("started_at_us", "made", "owed"), [(None, 5, 0), (NOW_US - 100, None, None), (NOW_US, 5, 5)])
def test_what_never_started_owes_its_roots(started_at_us: int | None, made: int | None, owed: int | None) -> None:
    tried = again(run_of(started_at_us=started_at_us, owed=made))
    assert (tried.owed, tried.reviving) == (owed, True)


@pytest.mark.parametrize("attempt", [2, 3])
def test_a_child_is_born_into_its_parents_attempt_and_has_its_parents_time(attempt: int) -> None:
    """Also where it might take less by itself: its parent is over no sooner."""
    up = Up("parent", "m", "m", 0, True)
    facts = replace(FACTS, run_attempt=attempt, up=up, deadline_us=NOW_US + HOUR_US)
    running = replace(NEW, status="running", run_attempt=attempt, up=up, deadline_us=NOW_US + HOUR_US)
    running = replace(running, started_at_us=NOW_US + 9, last_us=NOW_US + 9, due_us=NOW_US + HOUR_US)
    tried = {"workflow_attempt_number": attempt, "previous_attempt_number": attempt - 1, "retried_steps": []}
    events = (
        told(RunSubmitted, NOW_US, available_at_us=NOW_US, **SAID),
        validated(NOW_US + 3, attempt),
        told(WorkflowRetryStarted, NOW_US + 6, reason="its parent is tried again", **tried),
        started(NOW_US + 9, attempt),
    )
    births = (born("a", NOW_US + 10, run_attempt=attempt),)
    assert submit(facts, ORDER, now_us=NOW_US) == Opening(running, events, births)


@pytest.mark.parametrize(("place", "status"), [(None, "pending"), (0, "running")])
def test_a_run_of_a_limited_workflow_starts_with_its_place(place: int | None, status: str) -> None:
    """Who waits for one is due since it was said, however long before that it might have started."""
    known = {"limit": Limit("@flow#c7", 3), "place": place, "limit_keys": {"by": "c7"}}
    order = replace(ORDER, available_at_us=NOW_US - 9_000)
    opening = submit(replace(FACTS, **known), order, now_us=NOW_US)  # type: ignore[arg-type]
    assert {name: getattr(opening.run, name) for name in known} == known
    assert (opening.run.status, opening.run.due_us) == (status, NOW_US + (0 if place is None else 500))
    assert (len(opening.events), len(opening.births)) == ((1, 0) if place is None else (3, 1))


def test_a_run_starts_when_it_is_started_and_after_all_that_was_told_of_it() -> None:
    late_us = NOW_US + 6_000
    for run, at_us in ((NEW, late_us), (replace(NEW, last_us=late_us + 2), late_us + 3)):
        opening = start(FACTS, run, now_us=late_us, has_schema=False, has_input=True)
        assert opening.events == (
            validated(at_us, has_schema=False),
            started(at_us + 3, has_input_schema=False),
        )
        assert (opening.run.started_at_us, opening.run.last_us) == (at_us + 3, at_us + 3)
        [birth] = opening.births
        assert (birth.branch.available_at_us, birth.branch.last_us) == (late_us, at_us + 4)


def test_a_run_that_is_due_starts_with_its_submission() -> None:
    running = replace(NEW, status="running", started_at_us=NOW_US + 6, last_us=NOW_US + 6, due_us=NEW.deadline_us)
    events = (
        told(RunSubmitted, NOW_US, available_at_us=NOW_US, **SAID),
        validated(NOW_US + 3),
        started(NOW_US + 6),
    )
    assert submit(FACTS, ORDER, now_us=NOW_US) == Opening(running, events, (born("a", NOW_US + 7),))


def test_a_run_that_is_delayed_waits() -> None:
    due_us = NOW_US + 1_000
    waiting = replace(NEW, available_at_us=due_us, deadline_us=due_us + 500, due_us=due_us)
    events = (told(RunSubmitted, NOW_US, available_at_us=due_us, **SAID),)
    assert submit(FACTS, replace(ORDER, available_at_us=due_us), now_us=NOW_US) == Opening(waiting, events)


def test_what_is_left_out_is_nobodys_invention() -> None:
    order = Submission("v2", available_at_us=NOW_US, has_input_schema=False)
    opening = submit(FACTS, order, now_us=NOW_US)
    said = {"version_id": "v2", "available_at_us": NOW_US, "has_input_schema": False, "priority": 0}
    assert opening.events == (
        told(RunSubmitted, NOW_US, **said),
        validated(NOW_US + 3, has_schema=False),
        started(NOW_US + 6, has_input_schema=False, has_input=False),
    )
    assert (opening.run.priority, opening.run.tags) == (0, ())


def test_what_was_due_before_it_was_said_is_due_when_it_is_said() -> None:
    run = submit(FACTS, replace(ORDER, available_at_us=NOW_US - 9_000), now_us=NOW_US).run
    assert (run.available_at_us, run.deadline_us) == (NOW_US - 9_000, NOW_US + 500)


@pytest.mark.parametrize(("roots", "made", "owed"), [(21, 21, None), (22, 22, None), (23, 22, 22)])
def test_a_run_owes_the_roots_that_one_transaction_cannot_put(roots: int, made: int, owed: int | None) -> None:
    facts = facts_of(*(step(f"r{number:02d}") for number in range(roots)))
    opening = submit(facts, replace(ORDER, available_at_us=NOW_US), now_us=NOW_US)
    assert [birth.branch.name for birth in opening.births] == [f"r{number:02d}" for number in range(made)]
    assert opening.run.owed == owed
    assert opening.run.due_us == (opening.run.deadline_us if owed is None else GRACE_US)


TAIL = ({"hasInputSchema": True, "input": "[1]"}, {"hasInputSchema": False})


def test_an_ended_run_is_started_again() -> None:
    run = replace(ENDED, run_attempt=3, deadline_us=NOW_US + 410, tail=TAIL)
    again = replace(
        run,
        status="running",
        run_attempt=4,
        started_at_us=NOW_US + 3,
        deadline_us=NOW_US + 503,
        last_us=NOW_US + 3,
        reviving=True,
        due_us=GRACE_US,
    )
    said = {"previous_attempt_number": 3, "retried_steps": ["a", "b"], "reason": "mended"}
    events = (told(WorkflowRetryStarted, NOW_US, workflow_attempt_number=4, **said), started(NOW_US + 3, 4))
    facts = replace(FACTS, run_attempt=4)
    assert started_again(facts, run, ["a", "b"], "mended", now_us=NOW_US) == Opening(again, events)


def test_a_run_without_input_and_schema_is_started_again_without() -> None:
    run = replace(ENDED, tail=({"hasInputSchema": False},))
    [_, begun] = started_again(replace(FACTS, run_attempt=2), run, [], None, now_us=NOW_US).events
    assert begun == started(NOW_US + 3, 2, has_input_schema=False, has_input=False)


def test_a_run_that_was_tried_again_and_stopped_before_it_started_has_its_time() -> None:
    """Of such a run no start is known from which the time of its newest attempt could count."""
    run = replace(ENDED, run_attempt=2, started_at_us=None, tail=TAIL)
    assert started_again(replace(FACTS, run_attempt=3), run, [], None, now_us=NOW_US).run.deadline_us == NOW_US + 503


@pytest.mark.parametrize(("started_us", "took_us"), [(NOW_US - 90, 90), (NOW_US + 90, 0)])
def test_a_run_completes(started_us: int, took_us: int) -> None:
    """The clock of who ends it may be behind that of who started it."""
    facts = facts_of(step("a"), step("b", "a"), step("c", "b"), run_attempt=2, started_at_us=started_us)
    at_us = max(NOW_US, started_us + 3)
    said = {"workflow_attempt_number": 2, "output": '{"a":[1]}', "duration_us": took_us, "total_steps": 3}
    assert completed(facts, {"a": [1]}, now_us=NOW_US, after_us=0) == told(WorkflowCompleted, at_us, **said)
    nothing = completed(facts, {}, now_us=NOW_US, after_us=0)
    assert (nothing.output, nothing.total_steps) == ("{}", 3)
    assert completed(facts, {"b": 1, "a": 2}, now_us=NOW_US, after_us=0).output == '{"b":1,"a":2}'
