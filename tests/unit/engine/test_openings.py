"""How a run begins, begins again and ends, whole: every field of every event, of the run, and of its first branches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import StepError
from cascade_flow.engine.copies import branches, kept_steps, open_copy
from cascade_flow.engine.joins import open_join
from cascade_flow.engine.runs import Opening, Submission, completed, started_again, submit
from cascade_flow.engine.state import Birth, Branch, Commit, Owed, Run, Stop
from cascade_flow.engine.stop import terminal_event
from cascade_flow.graph import END
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepScheduled,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowInputValidation,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
)
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step, told

FACTS = facts_of(step("a"), run_attempt=1, priority=6)
"""The run's times are 0 modulo 3, as now is, and its branch's are 1."""
ORDER = Submission(
    "v2",
    available_at_us=NOW_US,
    has_input_schema=True,
    input="[1]",
    priority=6,
    timeout_us=500,
    idempotency_key="k",
    metadata={"m": 1},
    tags=("t",),
)
SAID: dict[str, Any] = {
    "version_id": "v2",
    "has_input_schema": True,
    "input": "[1]",
    "priority": 6,
    "timeout_us": 500,
    "idempotency_key": "k",
    "metadata": {"m": 1},
    "tags": ["t"],
}
NEW = Run(
    run_id="run",
    workflow_slug="flow",
    version_id="v2",
    status="pending",
    created_us=NOW_US,
    available_at_us=NOW_US,
    deadline_us=NOW_US + 500,
    expires_s=FACTS.expires_s,
    priority=6,
    tags=("t",),
    last_us=NOW_US,
    due_us=NOW_US,
)
GRACE_US = NOW_US + TIMING.grace_us


def validated(us: int, attempt: int = 1, *, has_schema: bool = True) -> Event:
    said = {"has_schema": has_schema, "success": True, "workflow_attempt_number": attempt}
    event: Event = told(WorkflowInputValidation, us, **said)
    return event


def started(us: int, attempt: int = 1, **said: Any) -> Event:
    known = {"version_id": "v2", "has_input_schema": True, "has_input": True, "workflow_attempt_number": attempt}
    event: Event = told(WorkflowStarted, us, **known | said)
    return event


def scheduled(us: int, step_id: str, reason: str = "initial") -> Event:
    said = {"attempt_number": 1, "available_at_us": NOW_US, "reason": reason, "priority": 6}
    event: Event = told(StepScheduled, us, step_id=step_id, **said)
    return event


def born(name: str, us: int, **known: Any) -> Birth:
    """A branch whose first step is scheduled, at this time."""
    branch = Branch(name, "scheduled", name, priority=6, available_at_us=NOW_US, last_us=us, due_us=GRACE_US)
    return Birth(replace(branch, **known), (scheduled(us, name),))


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


ENDED = replace(NEW, status="failed", started_at_us=NOW_US - 90, completed_at_us=NOW_US - 30, last_us=NOW_US - 30)
TAIL = ({"hasInputSchema": True, "input": "[1]"},)


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
    facts = replace(FACTS, run_attempt=2, started_at_us=started_us)
    at_us = max(NOW_US, started_us + 3)
    said = {"workflow_attempt_number": 2, "output": '{"a":[1]}', "duration_us": took_us, "total_steps": 1}
    assert completed(facts, {"a": [1]}, now_us=NOW_US, after_us=0) == told(WorkflowCompleted, at_us, **said)


ERROR = StepError(name="ValueError", message="no")
TIMED_OUT = StepError(name="RunTimeout", message="the run did not end before its deadline")
COUNTED = {"workflow_attempt_number": 2, "duration_us": 100, "completed_steps": 1}
CANCELLED = told(WorkflowCancelled, NOW_US, reason="enough", **COUNTED)


def failed(reason: str, error: StepError = ERROR, failed_step: str | None = "a") -> Event:
    said = {"error": error, "failed_step": failed_step, "failure_reason": reason}
    event: Event = told(WorkflowFailed, NOW_US, **said, **COUNTED)
    return event


@pytest.mark.parametrize(
    ("stop", "end"),
    [
        (Stop("cancelled", 2, reason="enough"), CANCELLED),
        (Stop("failed", 2, "a", ERROR, "exhausted-retries"), failed("step-failed")),
        (Stop("failed", 2, "a", ERROR, "timeout"), failed("step-failed")),
        (Stop("failed", 2, "a", ERROR, "worker-crash"), failed("worker-crash")),
        (Stop("timeout", 2), failed("timeout", TIMED_OUT, None)),
    ],
    ids=["cancelled", "a step has failed", "a step has timed out", "a worker has died", "the time is over"],
)
def test_a_run_is_stopped(stop: Stop, end: Event) -> None:
    run = run_of(run_attempt=2, stop=stop)
    assert terminal_event(FACTS, run, stop, [Branch("a", "ended", "a")], now_us=NOW_US) == end


def test_a_run_that_is_stopped_by_who_is_behind_took_no_time() -> None:
    run = run_of(started_at_us=NOW_US + 50, last_us=NOW_US + 60)
    end = terminal_event(FACTS, run, Stop("cancelled", 1), [], now_us=NOW_US)
    assert isinstance(end, WorkflowCancelled)
    assert (end.timestamp_us, end.duration_us) == (NOW_US + 63, 0)


JOINING = facts_of(step("a"), step("b"), step("j", "b", "a"), run_attempt=2, priority=6, started_at_us=NOW_US - 90)
A, B = (Branch(name, "ended", name, last_us=NOW_US + us) for name, us in (("a", 40), ("b", 20)))
JOIN = Branch("j", "open", "j", arrived=2, seq=3, due_us=NOW_US + 9)


def test_a_join_opens() -> None:
    at_us = NOW_US + 43
    ready = {"status": "scheduled", "run_attempt": 2, "priority": 6, "available_at_us": NOW_US, "last_us": at_us}
    commit = open_join(JOINING, JOIN, {"a": A, "b": B}, now_us=NOW_US)
    assert at_us % JOINING.graph.modulus == JOINING.graph.residue("j")
    events = (scheduled(at_us, "j", "dependency-satisfied"),)
    assert commit == Commit(JOIN, replace(JOIN, **ready), events, checks_run=True)


def test_a_join_gives_way_to_any_skip_unless_it_does_not() -> None:
    known = {"a": replace(A, skipped={"a": "z"}), "b": B}
    ready: dict[str, Any] = {"run_attempt": 2, "priority": 6, "last_us": NOW_US + 40}
    skipping = replace(JOIN, status="skipping", skipped={"j": "z"}, **ready)
    assert open_join(JOINING, JOIN, known, now_us=NOW_US) == Commit(JOIN, skipping, checks_run=True)
    stays = facts_of(step("a"), step("b"), step("j", "b", "a", skip_cascades=False))
    commit = open_join(stays, JOIN, known, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.status, commit.after.skipped) == ("scheduled", {})


PARENT = replace(ENDED, run_id="first", parent="older", origin_run_id="oldest")


@pytest.mark.parametrize(
    ("parent", "origin"), [(PARENT, "oldest"), (replace(PARENT, parent=None, origin_run_id=None), "first")]
)
def test_a_copy_opens_after_all_that_was_copied(parent: Run, origin: str) -> None:
    link = {"version_id": "v2", "original_run_id": "first", "resumed_steps": 2, "pending_steps": 1}
    opening = open_copy(FACTS, ORDER, parent, WorkflowResumed, link, now_us=NOW_US, after_us=NOW_US + 30)
    at_us = NOW_US + 33
    events = (
        told(RunSubmitted, at_us, available_at_us=NOW_US, **SAID),
        told(WorkflowResumed, at_us + 3, **link),
        validated(at_us + 6),
        started(at_us + 9),
    )
    run = replace(
        NEW,
        status="running",
        created_us=at_us,
        deadline_us=at_us + 500,
        started_at_us=at_us + 9,
        last_us=at_us + 9,
        parent="first",
        origin_run_id=origin,
        owed=0,
        due_us=GRACE_US,
    )
    assert opening == Opening(run, events)


SHAPE = facts_of(
    step("a"),
    step("b", "a"),
    step("c", "a"),
    step("d"),
    step("e", "d", skip_cascades=False),
    step("f", "d"),
    step("j", "b", "d"),
    step("k", "c", "e"),
    step("l", "k", "f"),
    priority=6,
)
"""Branches: a-b, c, d-e, f, and the joins j, k, l; the run's end waits for j and l."""
AFTER_US = NOW_US + 500


def waiting(name: str, arrived: int) -> Birth:
    return Birth(Branch(name, "open", name, arrived=arrived, priority=6, due_us=GRACE_US))


def at_rest(name: str, last: str, **skipped: str) -> Birth:
    return Birth(Branch(name, "ended", last, priority=6, skipped=skipped, last_us=AFTER_US))


def next_of(name: str) -> int:
    """The first time after what was copied that is this branch's."""
    modulus, residue = SHAPE.graph.modulus, SHAPE.graph.residue(name)
    return next(us for us in range(AFTER_US + 1, AFTER_US + 1 + modulus) if us % modulus == residue)


def begun(name: str, step_id: str, reason: str, **skipped: str) -> Birth:
    found = born(name, next_of(name), step=step_id, skipped=skipped)
    return replace(found, events=(scheduled(next_of(name), step_id, reason),))


def skipping(name: str, step_id: str, **skipped: str) -> Birth:
    branch = Branch(name, "skipping", step_id, priority=6, skipped=skipped, last_us=AFTER_US, due_us=GRACE_US)
    return Birth(branch)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({}, [begun("a", "a", "initial"), begun("d", "d", "initial")]),
        (
            {"a": None, "d": "d"},
            [
                waiting("j", 1),
                begun("a", "b", "dependency-satisfied"),
                begun("c", "c", "dependency-satisfied"),
                begun("d", "e", "dependency-satisfied", d="d"),
                skipping("f", "f", f="d"),
            ],
        ),
        (
            {"a": "a", "b": "a", "d": None, "e": None, "f": None},
            [
                at_rest("a", "b", a="a", b="a"),
                at_rest("d", "e"),
                at_rest("f", "f"),
                waiting("k", 1),
                waiting("l", 1),
                skipping("c", "c", c="a"),
                waiting("j", 2),
            ],
        ),
        (
            dict.fromkeys("abcdefjkl"),
            [
                at_rest("a", "b"),
                at_rest("c", "c"),
                at_rest("d", "e"),
                at_rest("f", "f"),
                at_rest("j", "j"),
                at_rest("k", "k"),
                at_rest("l", "l"),
                waiting(END, 2),
            ],
        ),
    ],
    ids=["nothing", "some roots", "joins that wait and one that is full", "everything"],
)
def test_the_branches_of_a_copy(kept: dict[str, str | None], expected: list[Birth]) -> None:
    """What waits comes first, what is live after it, and so do joins that are full."""
    assert branches(SHAPE, kept, now_us=NOW_US, after_us=AFTER_US) == expected


def test_a_skip_that_was_copied_goes_on_along_its_branch() -> None:
    facts = facts_of(step("a"), step("b", "a"), step("c", "b"), priority=6)
    [copied] = branches(facts, {"a": "a"}, now_us=NOW_US, after_us=AFTER_US)
    assert copied == skipping("a", "b", a="a", b="a")


def test_one_end_is_no_join() -> None:
    facts = facts_of(step("a"), step("b", "a"))
    [copied] = branches(facts, {"a": None, "b": None}, now_us=NOW_US, after_us=AFTER_US)
    assert (copied.branch.name, copied.branch.status) == ("a", "ended")


@pytest.mark.parametrize(
    ("over", "again", "kept"),
    [
        ("abcdefjkl", None, "abcdefjkl"),
        ("abcdefjkl", "e", "abcdfj"),
        ("abcdefjkl", "a", "def"),
        ("bcj", None, ""),
        ("abj", None, "ab"),
    ],
)
def test_what_is_kept_of_what_is_over(over: str, again: str | None, kept: str) -> None:
    assert set(kept_steps(SHAPE.graph, dict.fromkeys(over), again=again)) == set(kept)


def test_what_is_kept_says_where_its_skip_began() -> None:
    over: dict[str, str | None] = {"a": "a", "b": "a", "d": None}
    assert kept_steps(SHAPE.graph, over) == over


@pytest.mark.parametrize(
    ("known", "is_live"),
    [
        ({"status": "scheduled"}, True),
        ({"status": "running"}, True),
        ({"status": "skipping"}, True),
        ({"status": "ended"}, False),
        ({"status": "ended", "owed": Owed(("a",))}, True),
        ({"status": "running", "halt": "park"}, True),
        ({"status": "running", "halt": "stop"}, False),
        ({"status": "ended", "owed": Owed(("a",)), "halt": "stop"}, False),
        ({"status": "open"}, False),
        ({"status": "parked"}, False),
        ({"status": "failed"}, False),
    ],
)
def test_who_is_live(known: dict[str, Any], is_live: bool) -> None:
    assert replace(A, **known).live is is_live
