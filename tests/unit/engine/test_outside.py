"""What becomes of an event when somebody looks: whole commits, decided without a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import (
    EventDefinition,
    StepCompleted,
    StepDefinition,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
)
from cascade_flow.engine.commands import Revive
from cascade_flow.engine.decide import decide
from cascade_flow.engine.joins import open_join, waits_outside
from cascade_flow.engine.outside import next_look_us, text_of
from cascade_flow.engine.state import Branch, Commit, Facts, Patience, Signal, Stop
from cascade_flow.model.events import StepError
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step

WAIT_US = 60_000_000
SOON_US = NOW_US + TIMING.grace_us
DEADLINE_US = NOW_US + 10 * WAIT_US
SIGNAL = Signal("mark", NOW_US - 5, "callback", '{"ok":true}')
OVER = {"a": Branch("a", "ended", "a", last_us=NOW_US - 10)}
EVENT = Branch("e", "open", "e", arrived=1, seq=3, due_us=NOW_US)


def facts(*after: StepDefinition, **declared: Any) -> Facts:
    event = step("e", "a", event=EventDefinition(timeout_us=WAIT_US, **declared))
    return facts_of(step("a"), event, *after, started_at_us=NOW_US - 100, deadline_us=DEADLINE_US, run_attempt=2)


def looked(facts: Facts, event: Branch) -> Commit | None:
    return open_join(facts, event, OVER, now_us=NOW_US)


def kinds(commit: Commit) -> list[type]:
    return [type(event) for event in commit.events]


def test_one_that_was_sent_is_begun_and_completed_and_its_branch_goes_on() -> None:
    known = replace(facts(step("b", "e")), priority=7)
    commit = looked(known, replace(EVENT, signal=SIGNAL, patience=Patience(NOW_US, 2)))
    assert commit is not None
    scheduled, started, completed, following = commit.events
    assert kinds(commit) == [StepScheduled, StepStarted, StepCompleted, StepScheduled]
    assert (scheduled.reason, scheduled.priority) == ("dependency-satisfied", 7)  # type: ignore[union-attr]
    assert (started.worker_id, started.dependencies) == ("event:callback", ["a"])  # type: ignore[union-attr]
    assert (completed.output, completed.duration_us) == ('{"ok":true}', 0)  # type: ignore[union-attr]
    times = [event.timestamp_us for event in commit.events]
    assert times == sorted(set(times))
    assert times[0] > NOW_US - 10
    assert commit == Commit(
        before=replace(EVENT, signal=SIGNAL, patience=Patience(NOW_US, 2)),
        after=replace(
            EVENT,
            status="scheduled",
            step="b",
            run_attempt=2,
            priority=7,
            available_at_us=following.available_at_us,  # type: ignore[union-attr]
            signal=SIGNAL.spent,
            last_us=int(times[-1]),
            due_us=SOON_US,
        ),
        events=(scheduled, started, completed, following),
        checks_run=True,
    )


@pytest.mark.parametrize(("attempt", "why"), [(1, "dependency-satisfied"), (2, "retry")])
def test_it_is_scheduled_as_any_step_is(attempt: int, why: str) -> None:
    commit = looked(facts(), replace(EVENT, attempt=attempt, signal=SIGNAL, patience=Patience(NOW_US, 2)))
    assert commit is not None
    scheduled, started, completed = commit.events
    assert isinstance(scheduled, StepScheduled)
    assert (scheduled.reason, scheduled.available_at_us) == (why, NOW_US)
    assert {each.attempt_number for each in (scheduled, started, completed)} == {attempt}  # type: ignore[union-attr]


def test_it_is_told_after_what_it_depends_on_whatever_the_clock_says() -> None:
    over = {"a": replace(OVER["a"], last_us=NOW_US + 1_000)}
    for heard in ({"signal": SIGNAL}, {"patience": Patience(NOW_US, 2)}):
        commit = open_join(facts(), replace(EVENT, **heard), over, now_us=NOW_US)  # type: ignore[arg-type]
        assert commit is not None
        assert min(event.timestamp_us for event in commit.events) > NOW_US + 1_000


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [("1", None, "1"), (None, None, "null"), ("1", "s3:there", "s3:there"), (None, "s3:there", "s3:there")],
)
def test_what_was_put_aside_stands_for_itself_by_its_place(text: str | None, place: str | None, said: str) -> None:
    assert text_of(Signal("mark", 1, "signal", text, place)) == said


@pytest.mark.parametrize(
    ("name", "status", "waits"), [("e", "open", True), ("e", "ended", False), ("j", "open", False)]
)
def test_only_an_event_that_is_not_over_waits_for_the_outside(name: str, status: Any, waits: bool) -> None:
    graph = facts(step("j", "a", "e")).graph
    assert waits_outside(graph, Branch(name, status, name)) is waits


def test_who_looks_first_notes_until_when_it_waits_in_this_attempt_of_the_run() -> None:
    until = Patience(NOW_US + WAIT_US, 2)
    noted = replace(EVENT, patience=until, due_us=until.until_us)
    assert looked(facts(), EVENT) == Commit(EVENT, noted)
    assert looked(facts(), replace(EVENT, patience=Patience(NOW_US - 1, 1))) == Commit(
        replace(EVENT, patience=Patience(NOW_US - 1, 1)), noted
    )
    assert looked(facts(), noted) is None


def test_its_time_is_counted_once_however_often_somebody_looks() -> None:
    noted = replace(EVENT, patience=Patience(NOW_US + WAIT_US - 9, 2), due_us=NOW_US + WAIT_US - 9)
    assert looked(facts(), noted) is None


@pytest.mark.parametrize(
    ("waits_for", "attempt", "reason"),
    [(("a",), 1, "dependency-satisfied"), ((), 1, "initial"), (("a",), 2, "retry"), ((), 2, "retry")],
)
def test_what_came_from_outside_says_why_it_was_waited_for(
    waits_for: tuple[str, ...], attempt: int, reason: str
) -> None:
    known = facts_of(step("a"), step("e", *waits_for, event=EventDefinition()))
    commit = looked(known, replace(EVENT, signal=SIGNAL, attempt=attempt))
    assert commit is not None
    [scheduled] = [event for event in commit.events if isinstance(event, StepScheduled)]
    assert (scheduled.reason, scheduled.attempt_number) == (reason, attempt)


def test_of_a_signal_that_was_heard_its_mark_is_left_and_no_word() -> None:
    assert replace(SIGNAL, place="there").spent == Signal("mark", NOW_US - 5, "callback")


def test_without_a_timeout_it_waits_as_long_as_its_run() -> None:
    known = facts_of(step("a"), step("e", "a", event=EventDefinition()), deadline_us=DEADLINE_US)
    assert looked(known, EVENT) == Commit(EVENT, replace(EVENT, due_us=DEADLINE_US))
    assert looked(known, replace(EVENT, due_us=DEADLINE_US)) is None


@pytest.mark.parametrize(
    ("on_timeout", "last", "why", "status"),
    [
        ("fail", StepFailed, {"failure_reason": "timeout", "terminal": True}, "failed"),
        ("skip", StepSkipped, {"reason": "nobody has sent 'e' in time"}, "ended"),
    ],
)
def test_when_its_time_is_over_it_fails_or_is_skipped(
    on_timeout: str, last: type, why: dict[str, Any], status: str
) -> None:
    late = replace(EVENT, patience=Patience(NOW_US, 2))
    commit = looked(facts(on_timeout=on_timeout), late)
    assert commit is not None
    assert kinds(commit) == [StepScheduled, last]
    assert (commit.before, commit.after.status, commit.after.patience) == (late, status, None)
    assert commit.checks_run
    error = StepError(name="EventTimeout", message="nobody has sent 'e' in time")
    stop = Stop("failed", 2, "e", error, "timeout") if on_timeout == "fail" else None
    assert commit.stop == stop
    told = {"duration_us": WAIT_US, **why}
    assert {name: getattr(commit.events[-1], name) for name in told} == told


def test_while_something_is_still_to_come_nothing_is_written() -> None:
    for branches in ({}, {"a": Branch("a", "running", "a")}):
        assert open_join(facts(), replace(EVENT, signal=SIGNAL), branches, now_us=NOW_US) is None


def test_a_skip_of_what_it_depends_on_wins_and_its_words_go() -> None:
    skipped = {"a": replace(OVER["a"], skipped={"a": "a"})}
    commit = open_join(facts(), replace(EVENT, signal=SIGNAL, patience=Patience(NOW_US, 2)), skipped, now_us=NOW_US)
    assert commit is not None
    assert (commit.after.status, commit.after.skipped, commit.after.signal) == ("skipping", {"e": "a"}, SIGNAL.spent)
    assert commit.after.patience is None


@pytest.mark.parametrize("status", ["open", "failed"])
def test_a_retry_of_the_run_lets_it_wait_again(status: Any) -> None:
    before = replace(EVENT, status=status, due_us=None, signal=SIGNAL if status == "open" else None)
    commit = decide(facts(), before, Revive(), now_us=NOW_US)
    assert (commit.after.status, commit.after.due_us, commit.after.run_attempt) == ("open", SOON_US, 2)
    assert (commit.after.signal, commit.after.attempt) == (before.signal, 1 if status == "open" else 2)
    assert (commit.events, commit.checks_run) == ((), True)


@pytest.mark.parametrize(
    ("run", "event", "is_full", "look_us"),
    [
        (run_of(status="pending", available_at_us=NOW_US + 9), EVENT, True, NOW_US + 9),
        (run_of(stop=Stop("cancelled", 1)), EVENT, True, run_of().deadline_us),
        (run_of(), replace(EVENT, patience=Patience(NOW_US + 5, 1)), True, NOW_US + 5),
        (run_of(), replace(EVENT, patience=Patience(NOW_US + 5, 9)), True, 0),
        (run_of(deadline_us=NOW_US), replace(EVENT, patience=Patience(NOW_US + 5, 1)), True, NOW_US + 5),
        (run_of(), EVENT, True, 0),
        (run_of(), EVENT, False, run_of().deadline_us),
    ],
)
def test_when_somebody_must_look_again(run: Any, event: Branch, is_full: bool, look_us: int) -> None:
    assert next_look_us(run, event, is_full=is_full) == look_us
