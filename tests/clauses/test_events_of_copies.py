"""An event in a run that goes on from another: it knows at its birth how many of its causes are over (§9, §13)."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import EventClosedError, clock
from cascade_flow.engine.commands import SkipStep
from clauses.stage import DONE, RUN, begun, claimed, done, reported
from clauses.test_addresses import calls
from clauses.test_events import NO, WAIT_US, YES, event, sent
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


def kept_event(world: World, after: Any = None) -> str:
    """A copy of a run whose event is over, as it is in the copy: sent, or else skipped in time."""
    skip = {"timeout_us": WAIT_US, "on_timeout": "skip"}
    begun(world, event("e", **skip), step("b", "e", skip_cascades=False), step("c", "b", skip_cascades=False))
    if after is None:
        world.clock.pause_us(WAIT_US)
        world.sweep()
    else:
        sent(world)
        reported(world, claimed(world, "b", branch="e"), after)
    world.settle(RUN)
    return str(world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (DONE, {"state": "sent", "data": '{"ok":true}'}),
        (SkipStep("no need", 1), {"state": "sent", "data": '{"ok":true}'}),
        (None, {"state": "skipped"}),
    ],
    ids=["sent", "sent, and what follows it skipped", "skipped"],
)
@pytest.mark.parametrize("data", [YES, NO], ids=["as before", "otherwise"])
def test_who_sends_what_a_copy_has_kept_is_told_what_became_of_it(
    world: World, after: Any, told: dict[str, str], data: Any
) -> None:
    """Its branch holds no signal, for it was sent to another run."""
    copy = kept_event(world, after)
    with pytest.raises(EventClosedError) as refused:
        world.backend.send_event(copy, "e", data)
    assert refused.value.facts == {"run_id": copy, "event": "e", **told}


@pytest.mark.parametrize(("after", "state"), [(DONE, "sent"), (None, "timed-out")])
def test_an_address_of_what_a_copy_has_kept_says_so_too(world: World, after: Any, state: str) -> None:
    copy = kept_event(world, after)
    runtime = world.backend.runtime
    address = calls(world).address(runtime.facts(runtime.run(copy)), "e")
    with pytest.raises(EventClosedError) as refused:
        calls(world).asked(copy, address.rpartition("/")[2])
    assert refused.value.facts["state"] == state
