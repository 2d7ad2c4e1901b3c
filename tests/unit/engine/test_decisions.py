"""What each command makes of a branch, whole: every field of every event, and of the branch after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import RetryTier, StepError
from cascade_flow.engine.commands import (
    Cascade,
    Complete,
    Fail,
    KeepCheckpoint,
    Reclaim,
    Revive,
    SkipStep,
)
from cascade_flow.engine.decide import decide, last_seen_us
from cascade_flow.engine.state import (
    Birth,
    Branch,
    Commit,
    Facts,
    Family,
    Limit,
    Owed,
    Patience,
    Signal,
    Stop,
)
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    CheckpointRef,
    Event,
    StepCheckpoint,
    StepCheckpointFailed,
    StepFailed,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
)
from cascade_flow.model.workflows import EventDefinition, StepLimit
from unit.engine.facts import NOW_US, TIMING, facts_of, step
from unit.engine.held import (
    AGAIN,
    AT,
    AT_B,
    B_IS_DUE,
    BEGUN,
    CLAIMANT,
    ERROR,
    FACTS,
    FAIL,
    HEIRS,
    HELD,
    NOBODY,
    SKIP,
    USAGE,
    WAITING,
    completed,
    decided,
    of,
)


def test_a_step_completes_and_its_worker_goes_on() -> None:
    assert decided(Complete('"out"', 8, USAGE, CLAIMANT)) == Commit(
        HELD,
        replace(HELD, **AT_B | HEIRS | {"started_at_us": AT + 4, "last_us": AT + 3}),
        (*BEGUN, completed(AT, resource_usage=USAGE), of(StepScheduled, AT + 3, "b", 1, **B_IS_DUE)),
    )


def test_a_step_completes_and_the_next_one_waits() -> None:
    assert decided(Complete('"out"', 8)) == Commit(
        HELD,
        replace(HELD, **AT_B | {"status": "scheduled", "last_us": AT + 3}),
        (*BEGUN, completed(AT), of(StepScheduled, AT + 3, "b", 1, **B_IS_DUE)),
    )


@pytest.mark.parametrize(
    ("branch", "facts"),
    [(replace(HELD, halt="park"), FACTS), (HELD, replace(FACTS, stopping=True))],
    ids=["it was told to park", "the run stops"],
)
def test_a_step_completes_and_nothing_follows(branch: Branch, facts: Facts) -> None:
    after = replace(branch, **NOBODY | {"status": "parked", "last_us": AT, "due_us": None})
    assert decided(Complete('"out"', 8, None, CLAIMANT), branch, facts) == Commit(
        branch, after, (*BEGUN, completed(AT)), logged=True
    )


RAIN = {"skip_type": "primary", "reason": "rain", "metadata": {"by": "her"}, "duration_us": 8}


def test_a_step_skips_itself_and_its_worker_goes_on() -> None:
    after = AT_B | HEIRS | {"skipped": {"a": "a"}, "started_at_us": AT + 4, "last_us": AT + 3}
    events = (*BEGUN, of(StepSkipped, AT, **RAIN), of(StepScheduled, AT + 3, "b", 1, **B_IS_DUE))
    assert decided(SKIP) == Commit(HELD, replace(HELD, **after), events)


@pytest.mark.parametrize("attempt", [1, 7])
def test_a_step_is_skipped_that_nobody_has_begun(attempt: int) -> None:
    waiting = replace(WAITING, attempt=attempt, attempts_before=None)
    after = AT_B | {"skipped": {"a": "a"}, "last_us": AT + 3, "due_us": NOW_US + TIMING.grace_us}
    events = (of(StepSkipped, AT, attempt=attempt, **RAIN), of(StepScheduled, AT + 3, "b", 1, **B_IS_DUE))
    assert decided(replace(SKIP, claimant=None), waiting) == Commit(waiting, replace(waiting, **after), events)


def test_a_branch_begins_with_a_skip_in_cascade() -> None:
    branch = Branch("a", "skipping", "a", skipped={"a": "z"}, priority=4, last_us=AT - 66)
    skip = {"skip_type": "cascade", "reason": "skipped because z was skipped", "duration_us": 0, "cascaded_from": "z"}
    after = replace(branch, step="b", status="scheduled", available_at_us=NOW_US, last_us=AT + 3)
    events = (of(StepSkipped, AT, "a", 1, **skip), of(StepScheduled, AT + 3, "b", 1, **B_IS_DUE))
    assert decided(Cascade(), branch) == Commit(branch, after, events)


FAILED = {
    "error": ERROR,
    "error_fingerprints": compute_error_fingerprints(ERROR),
    "duration_us": 8,
    "resource_usage": USAGE,
}
SECOND, THIRD, LAST = ({"policy_index": policy, "attempt_in_policy": nth} for policy, nth in ((0, 2), (1, 1), (1, 2)))


def test_a_step_fails_and_is_tried_again() -> None:
    """It is the last try of the first policy: the delay is that policy's, the next try the other's."""
    due_us = NOW_US + 450_000
    failed = {"terminal": False, "failure_reason": "execution-error", "next_retry_at_us": due_us, **FAILED, **SECOND}
    again = {"next_attempt": 8, "error": ERROR, "max_retries": 3, "total_policies": 2, "policy_index": 0}
    plan = {"available_at_us": due_us, "reason": "retry", "retry_delay_ms": 450, "priority": 4, **THIRD}
    after = NOBODY | {"status": "scheduled", "attempt": 8, "available_at_us": due_us, "last_us": AT + 6}
    events = (
        of(StepFailed, AT, **failed),
        of(StepRetrying, AT + 3, **again),
        of(StepScheduled, AT + 6, attempt=8, **plan),
    )
    assert decided(FAIL) == Commit(HELD, replace(HELD, **after), (*BEGUN, *events), logged=True)


def test_what_is_tried_again_at_once_is_told_in_a_commit_of_its_own_too() -> None:
    commit = decided(FAIL, facts=facts_of(step("a", retry=[RetryTier(max_attempts=3, delay_ms=0)])))
    assert (commit.after.available_at_us, commit.logged) == (NOW_US, True)


@pytest.mark.parametrize("reason", ["execution-error", "timeout"])
def test_what_is_tried_again_says_why_it_failed(reason: Any) -> None:
    *_, failed, _, _ = decided(replace(FAIL, reason=reason)).events
    assert isinstance(failed, StepFailed)
    assert failed.failure_reason == reason


@pytest.mark.parametrize(
    ("tried", "retryable", "said", "reason", "place"),
    [
        (4, True, "execution-error", "exhausted-retries", LAST),
        (4, True, "timeout", "timeout", LAST),
        (4, False, "execution-error", "execution-error", LAST),
        (2, False, "step-removed", "step-removed", SECOND),
    ],
)
def test_a_step_fails_for_good(tried: int, retryable: bool, said: Any, reason: Any, place: dict[str, int]) -> None:
    held = replace(HELD, attempts_before=7 - tried)
    failed = of(StepFailed, AT, terminal=True, failure_reason=reason, **FAILED, **place)
    after = replace(held, **NOBODY | {"status": "failed", "last_us": AT, "due_us": None})
    stop = Stop("failed", 3, "a", ERROR, reason)
    command = replace(FAIL, reason=said, retryable=retryable)
    assert decided(command, held) == Commit(held, after, (*BEGUN, failed), logged=True, stop=stop)


@pytest.mark.parametrize(
    ("allowed", "reason"), [(1, "execution-error"), (2, "exhausted-retries"), (3, "exhausted-retries")]
)
def test_one_try_exhausts_nothing(allowed: int, reason: str) -> None:
    """The attempts of the run's earlier attempts are not among those that its policy counts."""
    facts = facts_of(step("a", retry=[RetryTier(max_attempts=allowed)]), run_attempt=3)
    commit = decided(FAIL, replace(HELD, attempts_before=7 - allowed), facts)
    failed = commit.events[-1]
    assert isinstance(failed, StepFailed)
    assert (failed.terminal, failed.failure_reason) == (True, reason)
    assert commit.stop == Stop("failed", 3, "a", ERROR, reason)


@pytest.mark.parametrize(
    ("halt", "stopping"), [("park", False), (None, True)], ids=["it was told to park", "the run stops"]
)
def test_what_may_not_go_on_is_not_tried_again(halt: Any, stopping: bool) -> None:
    held, facts = replace(HELD, halt=halt), replace(FACTS, stopping=stopping)
    failed = decided(FAIL, held, facts).after
    assert (failed.status, failed.halt) == ("failed", halt)
    for released in (False, True):
        lost = decided(Reclaim("sweep", 1, released=released), held, facts)
        assert lost.after.status == "failed"
        assert lost.stop is not None
        assert lost.stop.error is not None
        assert lost.stop.error.message == "worker w fell silent in attempt 7, and its run is being stopped"


def reclaimed(seen_us: int, silent_us: int) -> Event:
    known = {"original_worker_id": "w", "reclaimed_by": "sweep", "stale_threshold_us": 66}
    return of(StepReclaimed, AT, last_heartbeat_us=seen_us, stale_duration_us=silent_us, **known)


def test_a_step_is_taken_from_who_fell_silent() -> None:
    plan = {"available_at_us": NOW_US, "reason": "retry", "retry_delay_ms": 0, "priority": 4, **THIRD}
    after = NOBODY | {"status": "scheduled", "attempt": 8, "available_at_us": NOW_US, "last_us": AT + 3}
    events = (*BEGUN, reclaimed(AT - 9, 8), of(StepScheduled, AT + 3, attempt=8, **plan))
    assert decided(Reclaim("sweep", 66)) == Commit(HELD, replace(HELD, **after), events)


@pytest.mark.parametrize(("before", "place"), [(5, SECOND), (3, LAST)], ids=["some are left", "the last"])
def test_what_a_worker_gives_back_was_no_try(before: int, place: dict[str, int]) -> None:
    """The next attempt stands where this one stood, also where it was the last that the policy allows."""
    held = replace(HELD, attempts_before=before)
    plan = {"available_at_us": NOW_US, "reason": "retry", "retry_delay_ms": 0, "priority": 4, **place}
    after = NOBODY | {"status": "scheduled", "attempt": 8, "available_at_us": NOW_US, "last_us": AT + 3}
    commit = decided(Reclaim("sweep", 66, released=True), held)
    assert commit.events == (*BEGUN, reclaimed(AT - 9, 8), of(StepScheduled, AT + 3, attempt=8, **plan))
    assert (commit.before, commit.after) == (held, replace(held, **after, attempts_before=before + 1))


def test_the_last_try_fails_with_its_worker() -> None:
    held = replace(HELD, attempts_before=3)
    message = "worker w fell silent in attempt 7, the last that the step's retry policy allows"
    crash = StepError(name="WorkerCrash", message=message)
    failed = {"error": crash, "error_fingerprints": compute_error_fingerprints(crash), "duration_us": 8, **LAST}
    events = (reclaimed(AT - 9, 8), of(StepFailed, AT + 3, terminal=True, failure_reason="worker-crash", **failed))
    after = replace(held, **NOBODY | {"status": "failed", "last_us": AT + 3, "due_us": None})
    stop = Stop("failed", 3, "a", crash, "worker-crash")
    assert decided(Reclaim("sweep", 66), held) == Commit(held, after, (*BEGUN, *events), logged=True, stop=stop)


def test_nobody_was_silent_for_less_than_no_time() -> None:
    """The clock of who takes the step is behind the clock of who had it."""
    held = replace(HELD, attempts_before=3, heartbeat_us=AT + 90)
    [*_, taken, failed] = decided(Reclaim("sweep", 66), held).events
    assert isinstance(taken, StepReclaimed)
    assert isinstance(failed, StepFailed)
    assert (taken.last_heartbeat_us, taken.stale_duration_us, failed.duration_us) == (AT + 90, 0, 0)


@pytest.mark.parametrize(
    ("heartbeat_us", "told_us", "seen_us"),
    [(AT - 9, AT - 3, AT - 3), (AT - 9, AT - 12, AT - 9), (AT - 10, 0, AT - 9), (None, 0, AT - 30)],
    ids=["a line", "a beat after a line", "a beat between two times of the branch", "nothing since the start"],
)
def test_a_worker_is_silent_since_the_newest_that_it_told(heartbeat_us: int | None, told_us: int, seen_us: int) -> None:
    held = replace(HELD, attempts_before=3, heartbeat_us=heartbeat_us)
    *_, taken, failed = decide(FACTS, held, Reclaim("sweep", 66), now_us=NOW_US, told_us=told_us).events
    assert (taken, type(failed)) == (reclaimed(seen_us, NOW_US - seen_us), StepFailed)
    assert failed.model_dump()["duration_us"] == NOW_US - seen_us


@pytest.mark.parametrize("newest", ["heartbeat_us", "started_at_us", "last_us"])
def test_a_worker_was_last_heard_of_with_the_newest_that_it_said(newest: str) -> None:
    assert last_seen_us(replace(HELD, **{newest: NOW_US + 5})) == NOW_US + 5
    assert last_seen_us(replace(HELD, started_at_us=None, heartbeat_us=None)) == HELD.last_us
    assert last_seen_us(replace(HELD, available_at_us=NOW_US)) == HELD.heartbeat_us


NOTE: dict[str, Any] = {"name": "half", "sequence_number": 2}
PARENT = CheckpointRef(name="whole", sequence_number=1)


def test_a_checkpoint_is_kept() -> None:
    kept = of(StepCheckpoint, AT, data="[1]", label="l", parent_checkpoint=PARENT, **NOTE)
    after = replace(HELD, started_at_us=None, heartbeat_us=None, snapshot=None, last_us=AT)
    command = KeepCheckpoint("half", 2, data="[1]", label="l", parent=PARENT)
    assert decided(command) == Commit(HELD, after, (*BEGUN, kept))


def test_a_checkpoint_fails() -> None:
    failed = of(StepCheckpointFailed, AT, error=ERROR, parent_checkpoint=PARENT, **NOTE)
    after = replace(HELD, started_at_us=None, heartbeat_us=None, snapshot=None, last_us=AT)
    assert decided(KeepCheckpoint("half", 2, error=ERROR, parent=PARENT)) == Commit(HELD, after, (*BEGUN, failed))


FIRST = {"policy_index": 0, "attempt_in_policy": 1}
PLAN = {"available_at_us": NOW_US, "reason": "retry", "retry_delay_ms": 0, "priority": 4, **FIRST}


def test_what_lost_its_worker_with_the_run_is_scheduled_again() -> None:
    halted = replace(HELD, halt="stop")
    again = NOBODY | AGAIN | {"status": "scheduled", "attempt": 8, "attempts_before": 7}
    after = replace(halted, **again | {"available_at_us": NOW_US, "last_us": AT})
    events = (*BEGUN, of(StepScheduled, AT, attempt=8, **PLAN))
    assert decided(Revive(), halted) == Commit(halted, after, events, checks_run=True)


def test_what_was_done_before_the_runs_new_attempt_keeps_its_times() -> None:
    """And what is scheduled is later than that began, though a clock be behind; whichever attempt the branch was in."""
    halted, facts = replace(HELD, halt="stop", run_attempt=1), replace(FACTS, started_at_us=AT + 300)
    commit = decided(Revive(), halted, facts)
    assert commit.events == (*BEGUN, of(StepScheduled, AT + 303, attempt=8, **PLAN))
    assert (commit.after.run_attempt, commit.after.last_us) == (3, AT + 303)


def awaited(**known: Any) -> tuple[Facts, Branch]:
    """A run with an event, tried for the third time; and the event's branch as it failed."""
    facts = facts_of(step("e", event=EventDefinition()), step("b", "e"), run_attempt=3, started_at_us=AT + 300)
    patience = Patience(NOW_US - 5, 2)
    failed = Branch("e", "failed", "e", run_attempt=2, patience=patience, priority=4, last_us=AT - 66)
    return facts, replace(failed, arrived=1, signal=Signal("mark", NOW_US - 3, "api"), **known)


def test_an_event_that_nobody_sent_is_waited_for_again() -> None:
    facts, failed = awaited()
    after = replace(failed, status="open", attempt=2, patience=None, last_us=AT + 300, **AGAIN)
    assert decided(Revive(), failed, facts) == Commit(failed, after, checks_run=True)


def test_a_step_that_failed_after_an_event_is_tried_again_and_not_waited_for() -> None:
    facts, failed = awaited(step="b")
    commit = decided(Revive(), failed, facts)
    assert (commit.after.status, commit.after.step, commit.after.attempt) == ("scheduled", "b", 2)
    assert [type(event) for event in commit.events] == [StepScheduled]


@pytest.mark.parametrize(("status", "attempt"), [("scheduled", 7), ("running", 8)])
def test_who_is_to_collect_what_children_gave_collects_it_in_the_runs_next_attempt(status: Any, attempt: int) -> None:
    """None of them is released again."""
    halted = replace(WAITING, status=status, halt="stop", family=Family(2, 2, 2, 1, 2, made=2))
    after = decided(Revive(), halted).after
    assert (after.status, after.attempt, after.family) == ("scheduled", attempt, halted.family)


def test_who_has_ended_and_owes_goes_on_owing() -> None:
    """What it told and where it arrived, it told and arrived at once."""
    ended = replace(HELD, **NOBODY, status="ended", halt="stop", owed=Owed(("a",), 1))
    facts = facts_of(step("a"), step("c"), step("j", "a", "c"), run_attempt=3)
    assert decided(Revive(), ended, facts) == Commit(ended, replace(ended, **AGAIN), checks_run=True)


def test_what_failed_is_scheduled_again() -> None:
    failed = replace(HELD, **NOBODY | {"status": "failed", "due_us": None})
    again = AGAIN | {"status": "scheduled", "attempt": 8, "attempts_before": 7}
    after = replace(failed, **again | {"available_at_us": NOW_US, "last_us": AT})
    events = (of(StepScheduled, AT, attempt=8, **PLAN),)
    assert decided(Revive(), failed) == Commit(failed, after, events, checks_run=True)


def test_what_was_parked_goes_on() -> None:
    parked = replace(HELD, **NOBODY | {"status": "parked", "halt": "park", "due_us": None})
    after = replace(parked, **AT_B | AGAIN | {"status": "scheduled", "last_us": AT})
    events = (of(StepScheduled, AT, "b", 1, **B_IS_DUE),)
    assert decided(Revive(), parked) == Commit(parked, after, events, checks_run=True)


def test_what_was_halted_while_it_waited_is_let_go() -> None:
    """It waits as it did, and nobody need look before; but nothing of it comes before the run's new attempt."""
    halted, facts = replace(WAITING, halt="stop"), replace(FACTS, started_at_us=NOW_US + 300)
    due_us = (WAITING.available_at_us or 0) + TIMING.grace_us
    after = replace(halted, **AGAIN | {"last_us": NOW_US + 300, "due_us": due_us})
    assert decided(Revive(), halted, facts) == Commit(halted, after, checks_run=True)


GIVING_WAY = facts_of(
    step("a"),
    step("b", "a"),
    step("f", "a"),
    step("g", "b"),
    step("h", "b", skip_cascades=False),
    step("j", "a", "b"),
    run_attempt=3,
    priority=6,
)
"""`b` goes on `a`'s branch and `g` after it; `f` and `h` are forked; `j` joins two steps of one branch."""


def test_a_skip_runs_along_its_branch_and_out_of_it() -> None:
    """All that gives way is over in one commit, which makes the forks and counts once for each step that arrives."""
    held = replace(HELD, attempt=1, attempts_before=None)
    commit = decided(SkipStep("rain", 8), held, GIVING_WAY)
    skips = [(event.step_id, event.timestamp_us) for event in commit.events if isinstance(event, StepSkipped)]
    modulus = GIVING_WAY.graph.modulus
    assert [step_id for step_id, _ in skips] == ["a", "b", "g"]
    last_us = skips[-1][1]
    assert commit.after == replace(
        held,
        **NOBODY | {"status": "ended", "step": "g", "skipped": dict.fromkeys("abg", "a")},
        last_us=last_us,
        due_us=None,
    )
    assert (commit.raises, commit.logged) == (("j", "j", "$"), True)
    born: dict[str, Any] = {"run_attempt": 3, "priority": 6, "due_us": NOW_US + TIMING.grace_us}
    fork, scheduled = commit.births
    assert fork == Birth(Branch("f", "skipping", "f", skipped={"f": "a"}, last_us=last_us, **born))
    at_us = scheduled.branch.last_us
    assert last_us < at_us <= last_us + modulus
    assert at_us % modulus == GIVING_WAY.graph.residue("h")
    assert scheduled == Birth(
        Branch("h", "scheduled", "h", available_at_us=NOW_US, last_us=at_us, **born),
        (of(StepScheduled, at_us, "h", 1, available_at_us=NOW_US, reason="dependency-satisfied", priority=6),),
    )


WIDE = facts_of(step("a"), *(step(f"s{number:02d}", "a") for number in range(40)))


def test_a_fork_that_is_wide_owes_what_one_transaction_cannot_put() -> None:
    commit = decided(Complete('"out"', 8), HELD, WIDE)
    assert [birth.branch.name for birth in commit.births] == [f"s{number:02d}" for number in range(1, 23)]
    assert (commit.after.owed, commit.after.step) == (Owed(("a",), 22), "s00")
    assert (commit.raises, commit.logged) == ((), True)
    assert commit.after.due_us == HELD.due_us


def test_what_is_owed_is_looked_for_soon_though_the_next_step_waits() -> None:
    """And only the look is brought forward, never the step."""
    facts = facts_of(step("a"), step("s00", "a", delay_ms=3_600_000), *(step(f"s{n:02d}", "a") for n in range(1, 40)))
    after = decided(Complete('"out"', 8), HELD, facts).after
    soon_us = NOW_US + TIMING.grace_us
    assert (after.status, after.owed, after.due_us) == ("scheduled", Owed(("a",), 22), soon_us)
    assert after.available_at_us == NOW_US + 3_600_000_000
    late = replace(HELD, due_us=NOW_US + 100 * TIMING.grace_us)
    assert decided(Complete('"out"', 8), late, WIDE).after.due_us == soon_us


def test_what_is_owed_by_who_goes_on_is_found_with_its_lease() -> None:
    held = replace(HELD, due_us=NOW_US + 100 * TIMING.grace_us)
    after = decided(Complete('"out"', 8, claimant=CLAIMANT), held, WIDE).after
    assert (after.status, after.owed, after.due_us) == ("running", Owed(("a",), 22), held.due_us)


def test_only_what_forks_owes() -> None:
    commit = decided(SkipStep("rain", 8), HELD, WIDE)
    assert (commit.after.step, commit.after.owed) == ("s00", Owed(("a",), 22))
    assert (commit.after.status, commit.after.due_us) == ("ended", HELD.due_us), "a sweep finds what it owes"


def test_who_arrives_at_a_join_says_so_in_a_commit_of_its_own() -> None:
    facts = facts_of(step("a"), step("b"), step("j", "a", "b"))
    commit = decided(Complete('"out"', 8), HELD, facts)
    assert (commit.raises, commit.logged, commit.births) == (("j",), True, ())
    assert (commit.after.status, commit.after.due_us) == ("ended", None)


SOON_US = NOW_US + TIMING.grace_us


@pytest.mark.parametrize(
    ("left", "pool", "due_us"),
    [("gpu", "gpu", NOW_US + 20), ("gpu", "tpu", NOW_US + 20), ("gpu", None, SOON_US), (None, "gpu", NOW_US + 20)],
)
def test_who_leaves_a_pool_for_lambda_is_looked_at_after_a_grace(
    left: str | None, pool: str | None, due_us: int
) -> None:
    facts, held = facts_of(step("a", executor=left), step("b", "a", executor=pool)), replace(HELD, pool=left)
    after = decided(Complete('"out"', 8), held, facts).after
    assert (after.pool, after.due_us, after.status) == (pool, due_us, "scheduled")


@pytest.mark.parametrize(
    ("works_for", "next_one", "status"),
    [
        *(("gpu", "gpu", "running"), ("tpu", "gpu", "scheduled"), (None, "gpu", "scheduled")),
        *(("gpu", None, "scheduled"), (None, None, "running")),
    ],
)
def test_a_worker_goes_on_with_what_is_its_pools(works_for: str | None, next_one: str | None, status: str) -> None:
    facts = facts_of(step("a", executor="gpu"), step("b", "a", executor=next_one))
    command = Complete('"out"', 8, claimant=replace(CLAIMANT, pool=works_for))
    assert decided(command, replace(HELD, pool="gpu"), facts).after.status == status


@pytest.mark.parametrize(
    ("per_us", "got", "status", "place"),
    [
        *((None, 0, "running", 0), (None, 3, "running", 3), (None, None, "scheduled", None)),
        *((60_000_000, 0, "running", None), (60_000_000, None, "scheduled", None)),
    ],
    ids=["a place", "another place", "no place", "a turn", "no turn"],
)
def test_a_worker_goes_on_where_it_has_got_what_is_limited(
    per_us: int | None, got: int | None, status: str, place: int | None
) -> None:
    """And holds a place from then on; a turn is had, and nothing is held."""
    limit = StepLimit(name="db", at_most=5, per_ms=per_us and per_us // 1_000)
    command = Complete('"out"', 8, claimant=replace(CLAIMANT, place=got))
    after = decided(command, HELD, facts_of(step("a"), step("b", "a", limit=limit))).after
    assert (after.status, after.limit, after.place) == (status, Limit("db", 5, per_us), place)


def test_what_is_free_takes_no_place_of_who_has_one() -> None:
    after = decided(Complete('"out"', 8, claimant=replace(CLAIMANT, place=2))).after
    assert (after.status, after.limit, after.place) == ("running", None, None)


def test_what_follows_is_due_now_also_where_a_line_was_told_by_a_clock_that_is_ahead() -> None:
    commit = decide(FACTS, HELD, Complete('"out"', 8), now_us=NOW_US, told_us=AT + 60)
    assert [event.timestamp_us for event in commit.events[2:]] == [AT + 63, AT + 66]
    assert (commit.after.available_at_us, commit.after.last_us) == (NOW_US, AT + 66)


def test_what_ends_belongs_to_no_pool() -> None:
    held = replace(HELD, pool="gpu", limit=Limit("db", 1), place=0)
    commit = decided(Complete('"out"', 8), held, facts_of(step("a", executor="gpu")))
    gone = {"status": "ended", "pool": None, "limit": None, "place": None, "last_us": AT, "due_us": None}
    assert commit == Commit(held, replace(held, **NOBODY | gone), (*BEGUN, completed(AT, export_output=False)))


def test_a_failure_may_be_tried_again_and_waits_in_the_middle_where_nobody_says() -> None:
    assert Fail(ERROR, "timeout", 1) == Fail(ERROR, "timeout", 1, retryable=True, chance=0.5, resource_usage=None)
