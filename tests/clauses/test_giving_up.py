"""Who is overtaken again and again gives up after some times, and says so: nothing is said to be done that is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import ConflictError, StepError, StepRetrying, WorkflowRegistration, clock
from cascade_flow.dynamodb import schedules
from cascade_flow.dynamodb.caller_ledger import CallerLedger, Moved, TimesTaken
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.run_ledger import RunLedger
from cascade_flow.engine.state import Stop
from cascade_flow.model.workflows import ScheduleDefinition
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.caller import Caller
from cascade_flow.operations.copies import Copies
from cascade_flow.operations.history import Histories
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.stops import Stops
from cascade_flow.records import replace
from clauses.stage import RUN, begun, claimed, reported, run_of
from clauses.test_events import ROOT
from contract.called import Called
from simulation import World, step


def overtaken(error: Exception) -> Callable[..., Any]:
    """What somebody asks for whom others are always too quick."""

    def asked(*_: Any, **options: Any) -> Any:
        raise error

    return asked


def cancels(world: World) -> None:
    world.backend.cancel_run(RUN)


def reports(world: World) -> None:
    reported(world, claimed(world, "a"))


def stops(world: World) -> None:
    run = run_of(world)
    RunLedger(world.backend.runtime.ledger.table).intend(run, Stop("cancelled", 1), due_us=clock.now_us())
    AfterCommit(world.backend.runtime).stops.carry_on(RUN)


def appends(world: World) -> None:
    at: dict[str, Any] = {"workflow_slug": "flow", "run_id": RUN, "step_id": "a", "attempt_number": 1}
    told = StepRetrying(timestamp_us=clock.now_us(), **at, next_attempt=2, error=StepError(message="no"))
    world.backend.append_event("flow", RUN, told)


def speaks(world: World) -> None:
    Called(world.backend, "told").schedule("a")


def forgets(world: World) -> None:
    called = Called(world.backend, "told")
    world.backend.delete_workflow_terminal_events(called.slug, called.run_id)


@pytest.mark.parametrize(
    ("act", "owner", "asks", "error"),
    [
        (cancels, RunLedger, "intend", RunRefused(None)),
        (reports, Ledger, "write", RunRefused(None)),
        (stops, Stops, "_round", RunRefused(None)),
        (appends, CallerLedger, "append_foreign", TimesTaken([])),
        (speaks, Caller, "write", Moved()),
        (forgets, Copies, "_forget_ends", Moved()),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_who_is_always_overtaken_gives_up(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[World], None], owner: Any, asks: str, error: Exception
) -> None:
    begun(world, step("a"))
    Called.new(world.backend, "told")
    monkeypatch.setattr(owner, asks, overtaken(error))
    with pytest.raises(ConflictError):
        act(world)


def test_a_run_that_moves_faster_than_it_can_be_read_is_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"))
    monkeypatch.setattr(Histories, "_driven_by_engine", lambda *_: None)
    with pytest.raises(ConflictError, match="faster than it can be read"):
        world.backend.load_events("flow", RUN)


def test_a_schedule_that_always_moves_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nightly = ScheduleDefinition(name="s", cron="0 3 * * *")
    flow = WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")], schedules=[nightly])
    world.backend.register_workflow(flow)
    monkeypatch.setattr(schedules, "move", lambda *_: False)
    with pytest.raises(ConflictError):
        world.backend.schedules.pause("flow", "s")


def test_an_event_for_a_run_whose_branches_others_make_is_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, *ROOT)
    owing = replace(run_of(world), parent="before", owed=0)
    monkeypatch.setattr(Runtime, "submitted", lambda *_: owing)
    monkeypatch.setattr(AfterCommit, "make_owed_roots", overtaken(RunRefused(None)))
    with pytest.raises(ConflictError):
        world.backend.send_event(RUN, "e", None)
