"""An event in a run that goes on from another: it knows at its birth how many of its causes are over (§9, §13)."""

from __future__ import annotations

import pytest

from cascade_flow import clock
from clauses.stage import RUN, begun, done
from clauses.test_events import NO, WAIT_US, event, sent
from simulation import World, step


def copy_of(world: World, from_step: str, *causes: str) -> str:
    """A copy of a run that is over, whose event waits anew for what it depends on and is not kept."""
    begun(world, *map(step, causes), event("e", *causes, timeout_us=WAIT_US), step("b", "e", export_output=True))
    done(world, *causes)
    sent(world)
    world.settle(RUN)
    return str(world.backend.rerun_from(parent_run_id=RUN, from_step_id=from_step).run_id)


@pytest.mark.parametrize("causes", ["", "a", "ac", "acd"], ids=lambda causes: f"{len(causes)} kept")
def test_an_event_all_of_whose_causes_are_kept_waits_from_the_copys_birth(world: World, causes: str) -> None:
    """And goes on at once when it is sent: no sweep need come by."""
    copy = copy_of(world, "e", *causes)
    waiting = world.observer.runtime.ledger.branch(copy, "e")
    assert waiting is not None
    assert (waiting.status, waiting.arrived) == ("open", len(causes))
    assert waiting.patience is not None
    assert waiting.patience.until_us == waiting.due_us == pytest.approx(clock.now_us() + WAIT_US, abs=10_000)
    assert world.backend.send_event(copy, "e", NO).is_new
    after = world.observer.runtime.ledger.branch(copy, "e")
    assert after is not None
    assert (after.step, after.status) == ("b", "scheduled")
    world.settle(copy)
    assert world.check(copy).status == "completed"


@pytest.mark.parametrize(("causes", "from_step"), [("ac", "c"), ("acd", "d")])
def test_an_event_one_of_whose_causes_is_done_again_waits_from_its_end(
    world: World, causes: str, from_step: str
) -> None:
    copy = copy_of(world, from_step, *causes)
    before = world.observer.runtime.ledger.branch(copy, "e")
    assert before is not None
    assert (before.arrived, before.patience) == (len(causes) - 1, None)
    for wake in [wake for wake in world.mailbox.wakes if wake.run_id == copy]:
        world.deliver(wake)
    waiting = world.observer.runtime.ledger.branch(copy, "e")
    assert waiting is not None
    assert waiting.arrived == len(causes)
    assert waiting.patience is not None
    assert waiting.patience.until_us == waiting.due_us
