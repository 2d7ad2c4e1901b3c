"""The hands that tests of children share: a map and its items, who hands out, packs and fails; what is there then."""

from __future__ import annotations

import json
from typing import Any

from cascade_flow import ChildrenDefinition, RetryTier, StepDefinition
from cascade_flow.engine.commands import Complete, KeepCheckpoint
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.steps import HeldAttempt
from checker import check_run
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, ended, reported
from simulation import World, step

ITEMS = ["a", "b", "c", "d", "e", "f"]
ONCE = [RetryTier(max_attempts=1)]
AHEAD_US = 1_000_000
"""By how much one clock may be ahead of another."""


def mapped(**declared: Any) -> list[StepDefinition]:
    """A step, a map over what it gives, and what follows."""
    options = {name: declared.pop(name) for name in ("retry", "timeout_ms", "executor", "limit") if name in declared}
    over = ChildrenDefinition(kind="map", over="lines", **declared)
    return [step("lines"), step("pack", "lines", children=over, **options), step("total", "pack", export_output=True)]


def handed_out(world: World, items: Any = ITEMS, **declared: Any) -> None:
    """A run whose map has handed its items out."""
    begun(world, *mapped(**declared), input={"order": 7})
    reported(world, claimed(world, "lines"), Complete(json.dumps(items), 1))
    expanded(world)


def expanded(world: World, attempt: int = 1) -> HeldAttempt:
    held = claimed(world, "pack", attempt, branch="lines")
    return reported(world, held, world.act(held, "worker-1"))


def child(number: int) -> str:
    return f"{RUN}~pack~{number}"


def child_run(world: World, number: int) -> Run:
    return world.observer.runtime.run(child(number))


def there(world: World, most: int = 20) -> dict[int, str]:
    """The children that there are, with their states."""
    found = {number: world.observer.runtime.ledger.run(child(number)) for number in range(most)}
    return {number: run.status for number, run in found.items() if run is not None}


def whole(world: World, status: str = "completed") -> None:
    """The run has come to this end, and its children to theirs before it; each keeps every promise."""
    end = ended(world, status)
    for number, state in there(world).items():
        checked = check_run(world.observer, child(number))
        assert state in ENDED
        assert max(event.timestamp_us for event in checked.story.events) < max(e.timestamp_us for e in end.events)


def taken(world: World, number: int, attempt: int = 1, *, worker: str = "worker-1") -> HeldAttempt:
    return claimed(world, "pack", attempt, run_id=child(number), worker=worker)


def packed(world: World, *numbers: int, attempt: int = 1) -> None:
    """These items are done."""
    for number in numbers:
        reported(world, taken(world, number, attempt), Complete(json.dumps(number), 1))


def failed(world: World, number: int, attempt: int = 1) -> None:
    reported(world, taken(world, number, attempt), FATAL)


def pack_of(world: World) -> Any:
    return branch_of(world, "lines")


def results(world: World) -> Any:
    """What the map has given."""
    return next(
        json.loads(event.output)
        for event in world.observer.load_events("flow", RUN)
        if event.type == "StepCompleted" and event.step_id == "pack"
    )


def look(world: World, by: Any = None, **options: Any) -> bool:
    return AfterCommit((by or world.backend).runtime).children.look(RUN, "lines", **options)


def revived(world: World) -> None:
    """Whoever is called out to children that begin again lets their branches go on."""
    for wake in [wake for wake in world.mailbox.wakes if not wake.step]:
        world.deliver(wake)


def stored(world: World, held: HeldAttempt, *places: int) -> HeldAttempt:
    """The results of these items of a batch are stored."""
    for place in places:
        held = reported(world, held, KeepCheckpoint("item", place, data=f'"{held.facts.run_id}/{place}"'))
    return held
