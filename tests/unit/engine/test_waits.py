"""A step that waits for its time: what is written, when somebody looks, and who need not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cascade_flow.engine import runs
from cascade_flow.engine.advance import birth
from cascade_flow.engine.commands import Complete, Revive, SkipStep
from cascade_flow.engine.decide import decide
from cascade_flow.engine.joins import open_join
from cascade_flow.engine.state import LONGEST_DELAY_US, Branch, Claimant, Owed
from cascade_flow.engine.waits import is_carried, is_far, look_us
from cascade_flow.model.events import StepScheduled
from unit.engine.facts import NOW_US, TIMING, facts_of, run_of, step

MINUTE_US, HOUR_MS = 60_000_000, 3_600_000
SOON = facts_of(step("a"), step("b", "a", delay_ms=60_000))
FAR = facts_of(step("a"), step("b", "a", delay_ms=HOUR_MS))
HELD = Branch("a", "running", "a", worker="w", lease_us=NOW_US + 10, last_us=NOW_US - 20, due_us=NOW_US + 7)
CLAIMANT = Claimant("w", NOW_US + 77)
DONE = Complete("1", 1, claimant=CLAIMANT)
WAITING = Branch("a", "scheduled", "a", available_at_us=NOW_US + MINUTE_US, last_us=NOW_US)


def test_nobody_starts_a_delayed_step_when_its_cause_is_there() -> None:
    after = decide(SOON, HELD, DONE, now_us=NOW_US).after
    assert (after.status, after.step, after.worker, after.lease_us) == ("scheduled", "b", None, None)
    assert after.available_at_us == NOW_US + MINUTE_US
    undelayed = decide(facts_of(step("a"), step("b", "a")), HELD, DONE, now_us=NOW_US).after
    assert (undelayed.status, undelayed.due_us) == ("running", HELD.due_us)


@pytest.mark.parametrize(
    ("facts", "due_us"),
    [(SOON, NOW_US + MINUTE_US + TIMING.grace_us), (FAR, NOW_US + HOUR_MS * 1_000 - LONGEST_DELAY_US)],
    ids=["a grace after the message that carries the wait", "as soon as a message can carry the rest"],
)
def test_a_delayed_step_is_looked_at(facts: object, due_us: int) -> None:
    assert decide(facts, HELD, DONE, now_us=NOW_US).after.due_us == due_us  # type: ignore[arg-type]


def test_a_delayed_step_says_when_it_starts_and_is_told_as_any_other() -> None:
    [*_, scheduled] = decide(SOON, HELD, DONE, now_us=NOW_US).events
    assert isinstance(scheduled, StepScheduled)
    told = (scheduled.available_at_us, scheduled.reason, scheduled.attempt_number, scheduled.retry_delay_ms)
    assert told == (NOW_US + MINUTE_US, "dependency-satisfied", 1, None)


def test_a_root_a_fork_and_a_join_wait_alike() -> None:
    delayed = {"delay_ms": 60_000}
    graph = (step("r", **delayed), step("a"), step("f", "a"), step("g", "a", **delayed), step("j", "f", "g", **delayed))
    facts, at_us = facts_of(*graph), NOW_US + MINUTE_US
    [root, *_] = runs.roots(facts, run_of(last_us=NOW_US - 5), now_us=NOW_US)
    forked = birth(facts, "g", origin=None, now_us=NOW_US, after_us=NOW_US - 5)
    over = {name: Branch(name, "ended", name, last_us=NOW_US - 5) for name in ("a", "g")}
    joined = open_join(facts, Branch("j", "open", "j"), {**over, "a": replace(over["a"], step="f")}, now_us=NOW_US)
    assert joined is not None
    for born in (root.branch, forked.branch, joined.after):
        assert (born.available_at_us, born.due_us) == (at_us, at_us + TIMING.grace_us), born.name


def test_what_is_owed_is_looked_for_soon_however_long_the_next_step_waits() -> None:
    """A commit makes 22 branches at the most."""
    forks = [step(f"f{number}", "a") for number in range(30)]
    facts = facts_of(step("a"), step("b", "a", delay_ms=HOUR_MS), *forks)
    after = decide(facts, HELD, DONE, now_us=NOW_US).after
    assert (after.step, after.owed, after.due_us) == ("b", Owed(("a",), 22), NOW_US + TIMING.grace_us)


def test_who_is_skipped_before_its_time_leaves_the_next_step_to_wait_its_own() -> None:
    facts = facts_of(step("a"), step("b", "a", delay_ms=60_000, skip_cascades=False))
    waiting = replace(HELD, status="scheduled", worker=None, lease_us=None)
    after = decide(facts, waiting, SkipStep("rain", 1), now_us=NOW_US).after
    assert (after.step, after.due_us) == ("b", NOW_US + MINUTE_US + TIMING.grace_us)


@pytest.mark.parametrize(
    ("wait_us", "carried"), [(LONGEST_DELAY_US, True), (LONGEST_DELAY_US + 1, False)], ids=["just", "not quite"]
)
def test_a_message_carries_a_quarter_of_an_hour(wait_us: int, carried: bool) -> None:
    waiting = replace(WAITING, available_at_us=NOW_US + wait_us)
    assert (is_carried(waiting), is_far(waiting, NOW_US)) == (carried, not carried)
    assert look_us(waiting, TIMING) == NOW_US + (wait_us + TIMING.grace_us if carried else 1)


def test_what_is_let_go_waits_on_and_is_looked_at_when_it_must() -> None:
    facts = replace(FAR, run_attempt=2, started_at_us=NOW_US - 3)
    halted = replace(WAITING, step="b", halt="stop", available_at_us=NOW_US + HOUR_MS * 1_000, last_us=NOW_US - 9)
    after = decide(facts, halted, Revive(), now_us=NOW_US).after
    assert (after.halt, after.available_at_us) == (None, halted.available_at_us)
    assert after.due_us == NOW_US + HOUR_MS * 1_000 - LONGEST_DELAY_US
    past = decide(facts, replace(halted, available_at_us=NOW_US - 5), Revive(), now_us=NOW_US).after
    assert past.due_us == NOW_US + TIMING.grace_us
    owing = decide(facts, replace(halted, owed=Owed(("a",))), Revive(), now_us=NOW_US).after
    assert owing.due_us == NOW_US + TIMING.grace_us


def test_what_failed_or_lost_its_worker_does_not_wait_again() -> None:
    facts = replace(SOON, run_attempt=2)
    failed = replace(HELD, status="failed", step="b", worker=None, lease_us=None, due_us=None)
    after = decide(facts, failed, Revive(), now_us=NOW_US).after
    assert (after.available_at_us, after.due_us) == (NOW_US, NOW_US + TIMING.grace_us)


def test_what_was_parked_counts_its_delay_from_when_it_goes_on() -> None:
    parked = replace(HELD, status="parked", halt="park", worker=None, lease_us=None, due_us=None)
    after = decide(replace(SOON, run_attempt=2), parked, Revive(), now_us=NOW_US).after
    assert (after.step, after.available_at_us) == ("b", NOW_US + MINUTE_US)
