"""What no command changes of a branch, and where the branch stands that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import RetryTier
from cascade_flow.engine.commands import (
    Command,
    Complete,
    KeepCheckpoint,
    Postpone,
    Reclaim,
    Revive,
)
from cascade_flow.engine.state import (
    Commit,
    Family,
    Limit,
    Owed,
    Signal,
)
from cascade_flow.model.events import (
    StepStarted,
)
from unit.engine.facts import NOW_US, TIMING, facts_of, step
from unit.engine.held import (
    AGAIN,
    ALONG,
    AT,
    CLAIMANT,
    ERROR,
    FAIL,
    HELD,
    HOLDER,
    SKIP,
    USAGE,
    WAITING,
    decided,
    of,
)

KEPT: dict[str, Any] = {
    "arrived": 2,
    "looks": True,
    "signal": Signal("mark", 1, "api"),
    "skipped": {"y": "y"},
    "tail": ({"type": "told"}, {"type": "before"}),
}
"""What no command changes of a branch; and what changes only where it goes on to another step."""
KEPT_AT_A_STEP = KEPT | {
    "pool": "gpu",
    "limit": Limit("db", 1),
    "owed": Owed(("y",), 1),
    "family": Family(2, 2, 2, 1, 2, made=2),
}
NO_MORE = replace(FAIL, retryable=False)
POSTPONE = Postpone("no invoice", 5)
HALF = KeepCheckpoint("half", 2, data="[1]")
GIVES_BACK = Reclaim("sweep", 66, released=True)


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        *((command, KEPT_AT_A_STEP) for command in (FAIL, NO_MORE, POSTPONE, Reclaim("sweep", 66), GIVES_BACK)),
        *((command, KEPT_AT_A_STEP) for command in (HALF, Revive())),
        *((command, KEPT) for command in (Complete('"out"', 8), Complete('"out"', 8, claimant=CLAIMANT), SKIP)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_command_does_not_concern_stays(command: Command, kept: dict[str, Any]) -> None:
    held = replace(HELD, **kept)
    here, there = decided(command), decided(command, held)
    kept = kept | {"skipped": {**kept["skipped"], **here.after.skipped}}
    assert there == replace(here, before=held, after=replace(here.after, **kept))


def test_a_parked_step_is_revived_unchanged() -> None:
    kept = {name: value for name, value in KEPT_AT_A_STEP.items() if name != "owed"}
    halted = replace(WAITING, halt="stop", turn_us=NOW_US + 900, **kept)
    due_us = NOW_US + 500 + TIMING.grace_us
    after = replace(halted, **AGAIN | {"due_us": due_us})
    assert decided(Revive(), halted) == Commit(halted, after, checks_run=True)


FARTHER = facts_of(
    step("z", retry=[RetryTier(max_attempts=9)]),
    ALONG[0].model_copy(update={"dependencies": ["z"]}),
    ALONG[1],
    run_attempt=3,
    priority=6,
)


@pytest.mark.parametrize(
    "command",
    [
        Complete('"out"', 8, USAGE, CLAIMANT),
        SKIP,
        FAIL,
        replace(FAIL, retryable=False),
        Postpone("no invoice", 5),
        Reclaim("sweep", 66),
        KeepCheckpoint("half", 2, data="[1]"),
        KeepCheckpoint("half", 2, error=ERROR),
        Revive(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_branch_speaks_of_the_step_where_it_stands(command: Command) -> None:
    """However far that is from where it began; and is judged by what that step declares."""
    held = replace(HELD, name="z")
    here, there = decided(command), decided(command, held, FARTHER)
    begun = of(StepStarted, AT - 30, dependencies=["z"], **HOLDER)
    assert there == replace(here, before=held, after=replace(here.after, name="z"), events=(begun, *here.events[1:]))


@pytest.mark.parametrize("command", [Reclaim("sweep", 66), FAIL], ids=["its worker is gone", "it fails"])
def test_the_last_try_of_a_step_is_lost_where_its_branch_stands(command: Command) -> None:
    held = replace(HELD, attempts_before=3)
    here, there = decided(command, held), decided(command, replace(held, name="z"), FARTHER)
    assert here.after.status == "failed"
    assert (there.events[1:], there.stop) == (here.events[1:], here.stop)
