"""A step that isn't ready: the whole commit, when it comes again, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import LogEntry, RetryTier, StepError, StepFailed, StepHeartbeat, StepScheduled, StepStarted
from cascade_flow.engine.commands import Complete, Fail, Postpone, Reclaim, Revive
from cascade_flow.engine.decide import decide
from cascade_flow.engine.state import LATEST_US, Branch, Commit, Facts, Stop
from cascade_flow.engine.waits import line_of, reason_in
from cascade_flow.fingerprints import compute_error_fingerprints
from unit.engine.facts import NOW_US, facts_of, step
from unit.engine.held import AT, HELD as CLAIMED, HOLDER, of

SECOND_US, MINUTE_US = 1_000_000, 60_000_000
TIERS = [RetryTier(max_attempts=2, jitter=0), RetryTier(max_attempts=2, delay_ms=7_000)]
POLLED = facts_of(step("a", retry=TIERS, poll_every_ms=30_000, give_up_after_ms=600_000), step("b", "a"))
FREE = facts_of(step("a", retry=TIERS), step("b", "a"))
HELD = replace(
    CLAIMED,
    attempts_before=4,
    run_attempt=1,
    available_at_us=NOW_US - 66,
    snapshot=None,
    origin_us=None,
    due_us=NOW_US + 40,
    tail=(),
)
NOT_READY = Postpone("no invoice", 5, delay_us=MINUTE_US)
RELEASED: dict[str, Any] = {
    "started_at_us": None,
    "worker": None,
    "lease_us": None,
    "heartbeat_us": None,
    "slot_index": None,
    "worker_concurrency": None,
}
BEGUN = (of(StepStarted, AT - 30, dependencies=[], **HOLDER), of(StepHeartbeat, AT - 9, **HOLDER))


def test_it_comes_again_as_its_next_attempt_which_no_policy_counts() -> None:
    """One ride: the start as claimed, the line that says why, the schedule. Its place in the index is left alone."""
    due_us = NOW_US + MINUTE_US
    line = of(LogEntry, AT, stream="stdout", message="later: no invoice")
    plan = {"available_at_us": due_us, "reason": "retry", "retry_delay_ms": 60_000, "priority": 4}
    scheduled = of(StepScheduled, AT + 3, attempt=8, policy_index=1, attempt_in_policy=1, **plan)
    changed: dict[str, Any] = {
        **RELEASED,
        "status": "scheduled",
        "attempt": 8,
        "attempts_before": 5,
        "laters": 1,
        "later_since_us": HELD.available_at_us,
        "available_at_us": due_us,
        "last_us": AT + 3,
    }
    after = replace(HELD, **changed)
    assert decide(FREE, HELD, NOT_READY, now_us=NOW_US) == Commit(HELD, after, (*BEGUN, line, scheduled))


def again_us(facts: Facts, command: Postpone, branch: Branch = HELD) -> int | None:
    return decide(facts, branch, command, now_us=NOW_US).after.available_at_us


@pytest.mark.parametrize(
    ("facts", "command", "expected_us"),
    [
        (POLLED, Postpone("", 1), 30 * SECOND_US),
        (POLLED, Postpone("", 1, delay_us=MINUTE_US), MINUTE_US),
        (POLLED, Postpone("", 1, at_us=NOW_US + 2 * MINUTE_US), 2 * MINUTE_US),
        (POLLED, Postpone("", 1, delay_us=60 * MINUTE_US), 10 * MINUTE_US - 66),
        (FREE, Postpone("", 1, delay_us=60 * MINUTE_US), 60 * MINUTE_US),
        (FREE, Postpone("", 1, at_us=NOW_US - MINUTE_US), SECOND_US),
        (FREE, Postpone("", 1, delay_us=1), SECOND_US),
        (FREE, Postpone("", 1), SECOND_US),
        (FREE, Postpone("", 1, at_us=10**17), LATEST_US - NOW_US),
    ],
    ids=["as declared", "its own", "an instant", "its patience's end", "far", "past", "at once", "nothing", "never"],
)
def test_when_it_comes_again(facts: Facts, command: Postpone, expected_us: int) -> None:
    assert again_us(facts, command) == NOW_US + expected_us


def test_it_comes_again_as_the_step_where_its_branch_stands_declares() -> None:
    facts = facts_of(step("z"), step("a", "z", poll_every_ms=30_000))
    assert again_us(facts, Postpone("", 1), replace(HELD, name="z")) == NOW_US + 30 * SECOND_US


@pytest.mark.parametrize(("laters", "since_us"), [(None, HELD.available_at_us), (3, NOW_US - 5 * MINUTE_US)])
def test_the_first_that_was_not_ready_begins_the_count(laters: int | None, since_us: int) -> None:
    held = replace(HELD, laters=laters, later_since_us=since_us if laters else None)
    after = decide(POLLED, held, NOT_READY, now_us=NOW_US).after
    assert (after.laters, after.later_since_us) == ((laters or 0) + 1, since_us)


@pytest.mark.parametrize("stopping", [True, False])
@pytest.mark.parametrize(
    ("ago_us", "status"), [(10 * MINUTE_US - 1, "scheduled"), (10 * MINUTE_US, "failed")], ids=["once more", "no more"]
)
def test_its_patience_has_an_end(ago_us: int, status: str, stopping: bool) -> None:
    held, facts = replace(HELD, laters=3, later_since_us=NOW_US - ago_us), replace(POLLED, stopping=stopping)
    assert decide(facts, held, NOT_READY, now_us=NOW_US).after.status == status


def test_who_was_never_ready_fails_for_good_and_says_how_long_it_was_asked() -> None:
    held = replace(HELD, laters=3, later_since_us=NOW_US - 10 * MINUTE_US)
    error = StepError(name="GaveUp", message="step 'a' was not ready after 0:10:00: no invoice")
    failed = of(
        StepFailed,
        AT,
        error=error,
        error_fingerprints=compute_error_fingerprints(error),
        duration_us=5,
        terminal=True,
        failure_reason="timeout",
        policy_index=1,
        attempt_in_policy=1,
    )
    after = replace(held, **RELEASED, status="failed", available_at_us=None, last_us=AT, due_us=None)
    stop = Stop("failed", 1, "a", error, "timeout")
    found = decide(POLLED, held, NOT_READY, now_us=NOW_US)
    assert found == Commit(held, after, (*BEGUN, failed), logged=True, stop=stop)


def test_who_gives_up_without_a_reason_says_that_there_was_none() -> None:
    held = replace(HELD, laters=3, later_since_us=NOW_US - 10 * MINUTE_US)
    stop = decide(POLLED, held, Postpone("", 5), now_us=NOW_US).stop
    assert stop is not None
    assert stop.error is not None
    assert stop.error.message == "step 'a' was not ready after 0:10:00: it did not say why"


def test_a_checkpoint_before_it_does_not_hide_when_it_was_due() -> None:
    """A commit takes the start into the tail: the branch has it no more."""
    held = replace(HELD, started_at_us=None, heartbeat_us=None)
    after = decide(POLLED, held, NOT_READY, now_us=NOW_US).after
    assert (after.status, after.later_since_us) == ("scheduled", HELD.available_at_us)


@pytest.mark.parametrize("stopping", [True, False])
def test_who_may_finish_while_the_run_fails_waits_for_the_stop(stopping: bool) -> None:
    """It is no failure of its own: the halt stays, and a retry of the run lets it come again."""
    held, facts = replace(HELD, halt="park"), replace(FREE, stopping=stopping)
    commit = decide(facts, held, NOT_READY, now_us=NOW_US)
    assert (commit.after.status, commit.after.halt, commit.stop) == ("scheduled", "park", None)


def test_a_failure_and_a_death_between_do_not_end_its_patience_and_are_counted() -> None:
    """How often it has just said so begins anew. What its worker gives back is not counted."""
    held = replace(HELD, laters=3, later_since_us=NOW_US - MINUTE_US)
    failure = Fail(StepError(name="ValueError", message="no"), "execution-error", 1)
    for command, tries in ((failure, 1), (Reclaim("sweep", 1), 1), (Reclaim("sweep", 1, released=True), 0)):
        after = decide(POLLED, held, command, now_us=NOW_US).after
        assert (after.laters, after.later_since_us, after.tried) == (None, NOW_US - MINUTE_US, HELD.tried + tries)


@pytest.mark.parametrize("status", ["failed", "scheduled"])
def test_a_retry_of_the_run_is_as_patient_as_the_first(status: Any) -> None:
    facts = replace(POLLED, run_attempt=2)
    halted = replace(HELD, **RELEASED, status=status, halt="stop", laters=3, later_since_us=NOW_US - 9 * MINUTE_US)
    after = decide(facts, halted, Revive(), now_us=NOW_US).after
    assert (after.laters, after.later_since_us) == (None, None)


def test_the_next_step_begins_its_own_count() -> None:
    held = replace(HELD, laters=3, later_since_us=NOW_US - MINUTE_US)
    after = decide(POLLED, held, Complete("1", 1), now_us=NOW_US).after
    assert (after.step, after.laters, after.later_since_us, after.attempts_before) == ("b", None, None, None)


@pytest.mark.parametrize("reason", ["no invoice", "", "a: b", "later: x"])
def test_the_line_says_why(reason: str) -> None:
    assert reason_in(line_of(reason)) == reason
    assert line_of(reason) == (f"later: {reason}" if reason else "later")


@pytest.mark.parametrize("line", ["later on", "late: x", "", "sooner: or later", "laters: 3"])
def test_other_lines_are_none_of_it(line: str) -> None:
    assert reason_in(line) is None
