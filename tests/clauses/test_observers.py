"""Who observes the engine hears what happened in a run, each once, each claim, and each result that came too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import (
    ConflictError,
    DynamoDBBackend,
    LogEntry,
    RetryTier,
    StaleAttemptError,
    StepFailed,
    StepHeartbeat,
    StepScheduled,
    StepStarted,
    clock,
)
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.engine.commands import KeepCheckpoint, Postpone, Reclaim, SkipStep
from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.observer import Observer
from cascade_flow.operations.steps import Steps
from cascade_flow.wake import Wake
from clauses.families import failed, handed_out
from clauses.stage import AT_ONCE, DONE, FATAL, RUN, begun, claimed, done, ended, reported, silent
from contract.called import Called
from shapes import SHAPES, Shape
from simulation import TIMING, World, step

NOT_TOLD = LogEntry | StepHeartbeat | StepScheduled
"""What nobody counts: what is only written down, and what is still to happen."""
TWICE = [RetryTier(max_attempts=2, delay_ms=0, jitter=0)]


class Ear(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.claims: list[tuple[str, int]] = []
        self.overtaken_in: list[str] = []

    def committed(self, events: Sequence[Event]) -> None:
        self.events += events

    def claimed(self, facts: Facts, branch: Branch) -> None:
        self.claims.append((branch.step, branch.attempt))

    def overtaken(self, facts: Facts) -> None:
        self.overtaken_in.append(facts.run_id)


@pytest.fixture
def ear(world: World) -> Ear:
    """All that this world's backend tells."""
    ear = Ear()
    client: Any = world.store.client
    world.backend = DynamoDBBackend(world.store.table, client=client, queue=world.mailbox, timing=TIMING, observer=ear)
    return ear


def must_have_heard_all(world: World, ear: Ear, *run_ids: str) -> None:
    stored = [event for run_id in run_ids for event in world.observer.load_events("flow", run_id)]
    assert counted(ear.events) == counted(stored)


def counted(events: Sequence[Event]) -> Counter[tuple[str, float, str]]:
    return Counter((e.run_id, e.timestamp_us, e.type) for e in events if not isinstance(e, NOT_TOLD))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.in_bucket], ids=str)
def test_each_event_is_heard_once(world: World, ear: Ear, shape: Shape) -> None:
    world.script, world.chained = shape.script, shape.chained
    world.register(shape.steps)
    world.submit(run_id=RUN, **shape.submission)
    world.settle(RUN)
    must_have_heard_all(world, ear, RUN)
    assert Counter(ear.claims).keys() <= {
        (e.step_id, e.attempt_number) for e in ear.events if isinstance(e, StepStarted)
    }
    assert ear.overtaken_in == []


def test_what_stops_a_run_and_tries_it_again_is_heard(world: World, ear: Ear) -> None:
    begun(world, step("a"), step("b", "a"))
    world.backend.cancel_run(RUN)
    world.backend.retry_run(RUN)
    reported(world, claimed(world, "a"), FATAL)
    world.backend.retry_run(RUN)
    silent(world)
    world.clock.pause_us(TIMING.timeout_us)
    world.sweep()
    assert world.check(RUN).status == "failed"
    must_have_heard_all(world, ear, RUN)


def test_what_becomes_of_a_step_whose_children_have_failed_is_heard(world: World, ear: Ear) -> None:
    handed_out(world, ["a", "b"], retry=[RetryTier(max_attempts=1)])
    failed(world, 1)
    stored = world.observer.load_events("flow", RUN)
    assert StepFailed in {type(event) for event in stored}
    assert counted([event for event in ear.events if event.run_id == RUN]) == counted(stored)


def test_a_run_that_goes_on_from_another_is_heard_with_what_is_its_own(world: World, ear: Ear) -> None:
    begun(world, step("a"), step("b", "a"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    ear.events.clear()
    other = world.backend.resume_run(RUN).run_id
    assert [event.type for event in ear.events] == [
        "RunSubmitted",
        "WorkflowResumed",
        "WorkflowInputValidation",
        "WorkflowStarted",
    ]
    assert {event.run_id for event in ear.events} == {other}


def test_what_a_caller_tells_of_its_run_is_heard(world: World, ear: Ear) -> None:
    Called.new(world.backend).schedule("a")
    assert [event.type for event in ear.events] == ["RunSubmitted", "WorkflowStarted", "StepScheduled"]


def test_a_run_that_is_due_later_is_heard_when_it_begins(world: World, ear: Ear) -> None:
    begun(world, step("a"), available_at=clock.now_us() + 60_000_000)
    assert [event.type for event in ear.events] == ["RunSubmitted"]
    ended(world)
    must_have_heard_all(world, ear, RUN)


def test_joins_that_the_sweep_opens_are_heard(world: World, ear: Ear) -> None:
    begun(world, *(step(f"s{n}") for n in range(AT_ONCE)), step("j", *(f"s{n}" for n in range(AT_ONCE))))
    ended(world)
    must_have_heard_all(world, ear, RUN)


@pytest.mark.parametrize(
    "said",
    [DONE, FATAL, SkipStep("no need", 1), Postpone("not yet", 1, delay_us=1)],
    ids=["done", "failed", "skipped", "postponed"],
)
def test_a_result_that_came_too_late_is_heard(world: World, ear: Ear, said: Any) -> None:
    begun(world, step("a", retry=TWICE))
    zombie = claimed(world, "a")
    silent(world)
    world.sweep()
    with pytest.raises(StaleAttemptError):
        reported(world, zombie, said)
    assert ear.overtaken_in == [RUN]


def test_a_claim_is_heard_also_of_a_branch_that_another_moves_at_once(
    world: World, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, step("a"))
    monkeypatch.setattr(AfterCommit, "make_owed", Mock(side_effect=BranchRefused(None)))
    assert Steps(world.backend.runtime).claim(Wake(RUN, "a", "a", 1), "worker-1") is None
    assert ear.claims == [("a", 1)]


def test_what_is_no_result_overtakes_nobody(world: World, ear: Ear) -> None:
    begun(world, step("a", retry=TWICE))
    zombie = claimed(world, "a")
    silent(world)
    world.sweep()
    for late in (
        partial(reported, world, zombie, KeepCheckpoint("c", 0, "1")),
        partial(reported, world, zombie, Reclaim("reaper", 0)),
        partial(Steps(world.backend.runtime).heartbeat, zombie),
    ):
        with pytest.raises(StaleAttemptError):
            late()
    assert ear.overtaken_in == []
    assert ear.claims == [("a", 1)]


def test_a_run_that_is_there_already_is_not_told_again(world: World, ear: Ear) -> None:
    world.register([step("a")])
    given = {"run_id": RUN, "idempotency_key": "once"}
    assert world.submit(**given) == RUN
    told = counted(ear.events)
    world.submit(**given)
    with pytest.raises(ConflictError):
        world.submit(run_id=RUN)
    assert counted(ear.events) == told
