"""A fork: put in the parent's logged commit; what that can't hold is owed, and made before anything else (§6)."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from cascade_flow import StepCompleted, StepDefinition, clock
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.engine.advance import births_owed, owed_after
from cascade_flow.engine.commands import Reclaim, Revive, SkipStep
from cascade_flow.engine.decide import decide
from cascade_flow.engine.state import Birth, Branch, Owed
from cascade_flow.operations.history_copier import HistoryCopier
from cascade_flow.operations.steps import Steps
from cascade_flow.wake import Wake
from clauses.stage import (
    AT_ONCE,
    RUN,
    begun,
    branch_of,
    claimed,
    dies,
    dying,
    ended,
    found,
    going_on,
    is_refused,
    reported,
    run_of,
    silent,
)
from faults.moments import pausing
from simulation import World, step
from testbed.faults import Kind, refusal
from testbed.wire import Answer, Floor, Request, Send, wire_of

WIDTH = AT_ONCE + 2
HEADS = [f"p{number:02d}" for number in range(WIDTH)]
FORK = [step("a"), *(step(id, "a", skip_cascades=False) for id in ("a2", *HEADS))]
GIVING_WAY = [step("a"), *(step(id, "a") for id in ("a2", *HEADS))]
"""A skip of step a ends its branch, and all the others with it."""
LAST = HEADS[-1]
NOTHING_TO_DO = SkipStep("no need", 1)


def made(world: World) -> int:
    return sum(found(world, head) is not None for head in HEADS)


def owing(world: World, *, steps: list[StepDefinition] = FORK, chained: bool = False) -> None:
    """Step a is over, and its worker has died before it made the rest of the fork."""
    begun(world, *steps)
    held = claimed(world, "a")
    world.mailbox.wakes.clear()
    worker = dying(world, "TransactWriteItems", at=2)
    dies(lambda: reported(world, held, going_on() if chained else NOTHING_TO_DO, by=worker))
    assert made(world) < WIDTH
    assert branch_of(world, "a").owed == Owed(("a",), AT_ONCE)


def test_who_claims_makes_what_is_owed_before_any_user_code(world: World) -> None:
    owing(world)
    claimed(world, "a2", branch="a")
    assert made(world) == WIDTH
    assert branch_of(world, "a").owed is None


def test_who_claimed_and_died_leaves_the_debt_to_who_reports_next(world: World) -> None:
    owing(world)
    dies(lambda: claimed(world, "a2", branch="a", by=dying(world, "TransactWriteItems")))
    world.backend.save_step_complete("flow", RUN, "a2", "said by another", duration_us=1, attempt_number=1)
    assert made(world) == WIDTH


def test_a_claim_leaves_the_debt_where_it_is(world: World) -> None:
    owing(world)
    dies(lambda: claimed(world, "a2", branch="a", by=dying(world, "TransactWriteItems")))
    held = branch_of(world, "a")
    assert (held.status, held.owed) == ("running", Owed(("a",), AT_ONCE))


@pytest.mark.parametrize("command", [Reclaim("reaper", 1), Revive()], ids=["reclaim", "revival"])
def test_a_reclaim_and_a_revival_carry_the_debt_on(world: World, command: Reclaim | Revive) -> None:
    owing(world)
    dies(lambda: claimed(world, "a2", branch="a", by=dying(world, "TransactWriteItems")))
    facts, held = world.backend.runtime.facts(run_of(world)), branch_of(world, "a")
    commit = decide(facts, held, command, now_us=clock.now_us())
    assert commit.after.status == "scheduled"
    assert commit.after.owed == held.owed


def test_a_worker_that_dies_in_debt_is_reclaimed_and_its_forks_are_made(world: World) -> None:
    owing(world, chained=True)
    silent(world)
    assert {"debts paid": 1, "steps reclaimed": 1}.items() <= world.sweep().items()
    assert made(world) == WIDTH
    assert branch_of(world, "a").owed is None
    ended(world)


def test_the_sweep_makes_what_a_branch_owes_that_has_ended(world: World) -> None:
    owing(world, steps=GIVING_WAY)
    assert branch_of(world, "a").status == "ended"
    silent(world)
    assert world.sweep()["debts paid"] == 1
    assert made(world) == WIDTH
    ended(world)


def test_a_halted_parent_makes_nothing_further(world: World) -> None:
    owing(world)
    world.backend.cancel_run(RUN)
    facts = world.backend.runtime.facts(run_of(world))
    parent = branch_of(world, "a")
    assert (parent.halt, parent.owed) == ("stop", Owed(("a",), AT_ONCE))
    late = world.backend.runtime.ledger
    with pytest.raises(BranchRefused):
        late.make_owed(facts, unhalted(parent), *births_of(world, parent))
    assert found(world, LAST) is None


def test_a_halt_between_two_parts_of_a_fork_is_seen(world: World) -> None:
    begun(world, *FORK)
    held = claimed(world, "a")
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN), at=2)
    reported(world, held, NOTHING_TO_DO, by=late)
    assert made(world) == AT_ONCE
    ended(world, "cancelled")


def test_a_branch_that_is_there_is_never_put_anew(world: World) -> None:
    owing(world)
    parent = branch_of(world, "a")
    again = births_of(world, parent)
    silent(world)
    world.sweep()
    claimed(world, LAST)
    facts = world.backend.runtime.facts(run_of(world))
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.make_owed(facts, branch_of(world, "a"), *again)
    assert branch_of(world, LAST).status == "running"
    assert is_refused(world, LAST)


def unhalted(parent: Branch) -> Branch:
    """The parent as who had read it before the halt knows it."""
    return replace(parent, halt=None)


def births_of(world: World, parent: Branch) -> tuple[Branch, list[Birth]]:
    """What a parent looks like when all that it owes is made, and the branches that it owes."""
    facts = world.backend.runtime.facts(run_of(world))
    births = list(births_owed(facts, parent, now_us=clock.now_us()))
    return owed_after(facts.graph, parent, len(births)), births


def test_who_has_lost_its_claim_makes_nothing_and_has_nothing_to_do(world: World) -> None:
    owing(world)

    def others() -> None:
        silent(world)
        world.sweep(world.observer)

    late = pausing(world, "TransactWriteItems", others)
    assert Steps(late.runtime).claim(Wake(RUN, "a", "a2", 1), "late") is None
    parent = branch_of(world, "a")
    assert (parent.status, parent.attempt, parent.owed) == ("scheduled", 2, None)


def test_a_sweep_leaves_the_debt_to_a_worker_that_has_just_claimed(world: World) -> None:
    """It pays for itself before it begins; paid by another, it would lose what it holds."""
    owing(world)
    silent(world)
    late = pausing(world, "TransactWriteItems", lambda: world.sweep(world.observer))
    held = Steps(late.runtime).claim(Wake(RUN, "a", "a2", 1), "late")
    assert held is not None
    assert made(world) == WIDTH
    reported(world, held)
    ended(world)


def test_who_has_reported_and_lost_what_follows_has_nothing_more_to_do(world: World) -> None:
    """Its report stands, and its worker was to go on; but another has taken the next step from it meanwhile."""
    begun(world, *FORK)
    held = claimed(world, "a")

    def others() -> None:
        silent(world)
        world.sweep(world.observer)

    after = reported(world, held, going_on(), by=pausing(world, "TransactWriteItems", others, at=2))
    assert (after.branch.step, after.branch.status) == ("a2", "running")
    assert (after.lost, after.running) == (True, False)
    assert (branch_of(world, "a").step, branch_of(world, "a").attempt, made(world)) == ("a2", 2, WIDTH)
    ended(world)


def test_a_report_stands_where_the_table_is_too_busy_for_what_follows(world: World) -> None:
    begun(world, *FORK)
    held = claimed(world, "a")
    client, numbers = world.store.another_client(), count(1)

    def busy_after_the_first(request: Request, send: Send) -> Answer:
        later = request.operation == "TransactWriteItems" and next(numbers) > 1
        return refusal(Kind.THROTTLE, request) if later else send(request)

    wire_of(client).add(busy_after_the_first, floor=Floor.FAULT)
    after = reported(world, held, going_on(), by=world.another(client))
    assert (after.branch.step, after.lost, after.running) == ("a2", False, True)
    assert made(world) < WIDTH
    ended(world)


def test_each_part_of_a_fork_moves_its_parent(world: World) -> None:
    owing(world)
    parent = branch_of(world, "a")
    facts = world.backend.runtime.facts(run_of(world))
    after, births = births_of(world, parent)
    world.backend.runtime.ledger.make_owed(facts, parent, after, births)
    assert branch_of(world, "a").seq == parent.seq + 1
    with pytest.raises(BranchRefused):
        world.backend.runtime.ledger.make_owed(facts, parent, after, [])


def test_a_run_that_begins_with_many_steps_asks_for_no_history(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was copied to it."""
    world.register([step(f"s{number}") for number in range(2 * AT_ONCE)])
    monkeypatch.setattr(HistoryCopier, "branches", lambda *_: pytest.fail("it is read"))
    world.submit(run_id=RUN)
    assert len(world.observer.runtime.ledger.branches(RUN)) == 2 * AT_ONCE


def test_who_beats_while_it_makes_what_it_owes_and_reports_loses_nothing(world: World) -> None:
    """What follows its first commit was left undone, so its second report makes it; its heartbeat goes on meanwhile."""
    owing(world, chained=True)
    steps = Steps(world.backend.runtime)
    held = steps.holding(run_of(world), "a2", "worker-1", 1)
    beats = list[int]()

    def beat() -> None:
        now = steps.heartbeat(replace(held, branch=branch_of(world, "a")))
        beats.append(now.branch.heartbeat_us or 0)

    reported(world, held, by=pausing(world, "TransactWriteItems", beat, at=2))
    assert (made(world), len(beats), all(beats)) == (WIDTH, 1, True)
    assert ended(world).count(StepCompleted, "a2") == 1
