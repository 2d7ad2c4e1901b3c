"""What a worker's hand on an attempt knows and says (`operations/steps`), to the last field."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import ConfigurationError, RetryTier, StaleAttemptError, StepLimit, ThrottledError, clock
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.engine.commands import SkipStep
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from clauses.stage import AGAIN, RUN, begun, branch_of, claimed, going_on, reported, run_of
from simulation import World, step

SOON = [RetryTier(delay_ms=0, jitter=0)]


def held(world: World, **now: Any) -> HeldAttempt:
    """Step `a`, in the hands of a worker, and with its branch as it is said to be."""
    begun(world, step("a"), step("b", "a"))
    hand = claimed(world, "a")
    return replace(hand, branch=replace(hand.branch, **now))


@pytest.mark.parametrize(("started_us", "last_us", "newest_us"), [(5, 9, 9), (9, 5, 9), (None, 7, 7)])
def test_an_attempt_began_no_later_than_its_branchs_newest_event(
    world: World, started_us: int | None, last_us: int, newest_us: int
) -> None:
    hand = held(world, started_at_us=started_us, last_us=last_us)
    assert hand.started_us == newest_us + hand.facts.graph.modulus


@pytest.mark.parametrize(
    ("now", "lost", "carries_on"),
    [
        ({}, False, True),
        ({"status": "scheduled"}, False, False),
        ({"halt": "stop"}, False, False),
        ({"halt": "park"}, False, True),
        ({}, True, False),
    ],
)
def test_a_worker_carries_on_with_what_runs_and_is_its_own_and_not_stopped(
    world: World, now: dict[str, Any], lost: bool, carries_on: bool
) -> None:
    assert replace(held(world, **now), lost=lost).running is carries_on


def test_what_was_reported_stands_and_is_lost_where_another_goes_on_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = held(world)

    def after(_: object, _facts: object, _commit: object, branch: Any, _told: object) -> None:
        raise BranchRefused(branch)

    monkeypatch.setattr(AfterCommit, "after", after)
    after_it = reported(world, hand, going_on())
    assert (after_it.lost, after_it.running) == (True, False)
    assert (branch_of(world, "a").step, branch_of(world, "a").status) == ("b", "running")


def test_what_was_reported_stands_where_what_follows_is_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = held(world)

    def after(*_: object) -> None:
        raise ThrottledError

    monkeypatch.setattr(AfterCommit, "after", after)
    after_it = reported(world, hand, going_on())
    assert (after_it.lost, after_it.running, after_it.branch.step) == (False, True, "b")


def test_nobody_skips_an_earlier_attempt_while_another_is_at_work(world: World) -> None:
    begun(world, step("a", retry=SOON))
    reported(world, claimed(world, "a"), AGAIN)
    claimed(world, "a", 2)
    steps = Steps(world.backend.runtime)
    with pytest.raises(StaleAttemptError):
        steps.report_without_work(run_of(world), "a", 1, SkipStep("no need", 0))
    assert (branch_of(world, "a").status, branch_of(world, "a").attempt) == ("running", 2)


@pytest.mark.parametrize(("delay_ms", "taken"), [(None, True), (60_000, False)])
def test_a_place_is_taken_ahead_for_what_may_start_at_once_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, delay_ms: int | None, taken: bool
) -> None:
    begun(world, step("a"), step("b", "a", limit=StepLimit(name="erp", at_most=1), delay_ms=delay_ms))
    hand, asked = claimed(world, "a"), list[str]()
    ahead = type(AfterCommit(world.backend.runtime).limits).place_ahead

    def noted(limits: Any, facts: Any, branch: Any, following: Any) -> Any:
        asked.append(following.id)
        return ahead(limits, facts, branch, following)

    monkeypatch.setattr(type(AfterCommit(world.backend.runtime).limits), "place_ahead", noted)
    reported(world, hand, going_on())
    assert asked == ["b"] * taken
    assert branch_of(world, "a").status == ("running" if taken else "scheduled")


def test_who_copies_what_lies_in_a_bucket_needs_that_bucket(world: World) -> None:
    payloads = Payloads(world.backend.runtime.ledger.table)
    with pytest.raises(ConfigurationError, match="name the bucket"):
        payloads.copy(RUN, "other", "s3:payloads/any", expires_s=clock.now_us() // 1_000_000)
