"""What a refusal tells besides its words: of what, of whose run, and what that is by then."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    ConflictError,
    EventClosedError,
    GraphInvalidError,
    IdempotencyConflictError,
    InputInvalidError,
    RunLimit,
    RunNotCancellableError,
    RunNotRetryableError,
    RunSubmission,
    StepStarted,
    WorkflowRegistration,
    WorkflowRetiredError,
    clock,
)
from cascade_flow.dynamodb import listing
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.registry import get_workflow
from cascade_flow.engine.state import LATEST_US
from cascade_flow.errors import CascadeFlowError, IssuesError
from cascade_flow.model.workflows import ScheduleDefinition
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.run_places import RunPlaces
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.signals import Signals
from clauses.families import child, handed_out
from clauses.stage import DONE, FATAL, RUN, begun, branch_of, claimed, dies, done, dying, ended, reported, run_of
from clauses.test_events import HOUR_US, NO, WAIT_US, YES, chain, event, sent
from clauses.test_undo import BOOKED, failed, undo_run
from contract.called import Called
from faults.moments import pausing
from simulation import World, step

DAY_US = 24 * HOUR_US


def refused(error: type[CascadeFlowError], act: Callable[[], object]) -> dict[str, Any]:
    """The facts of this refusal."""
    with pytest.raises(error) as caught:
        act()
    assert type(caught.value) is error
    return caught.value.facts


def paths(error: type[IssuesError], act: Callable[[], object]) -> list[str]:
    """The places at which something is wrong."""
    with pytest.raises(error) as caught:
        act()
    return [issue.path for issue in caught.value.issues]


# -- events -----------------------------------------------------------------------------------------------------------


def test_who_is_second_is_told_what_the_first_has_said_and_when(world: World) -> None:
    begun(world, *chain())
    sent(world, YES)
    signal = branch_of(world, "e").signal
    assert signal is not None
    facts = {"run_id": RUN, "event": "e", "state": "sent", "data": '{"ok":true}', "sent_at_us": signal.at_us}
    world.clock.pause_us(HOUR_US)
    assert refused(EventClosedError, lambda: sent(world, NO)) == facts


def test_who_is_late_is_told_of_which_event(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US), step("x"))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    claimed(world, "x")
    world.sweep()
    facts = {"run_id": RUN, "event": "e", "state": "timed-out"}
    assert refused(EventClosedError, lambda: sent(world)) == facts


def test_of_an_event_whose_run_has_ended_the_end_is_told(world: World) -> None:
    begun(world, *chain())
    world.backend.cancel_run(RUN)
    assert refused(EventClosedError, lambda: sent(world)) == {"run_id": RUN, "status": "cancelled"}


def owing(world: World) -> str:
    """A run that goes on from another, and owes its branches, since whoever has made it died."""
    begun(world, *chain())
    world.backend.cancel_run(RUN)
    dies(lambda: dying(world, "TransactWriteItems").resume_run(RUN))
    [new] = [run.run_id for run in world.observer.list_runs().runs if run.run_id != RUN]
    return new


def test_what_stands_in_the_way_of_a_runs_branches_is_told_with_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = owing(world)

    def send() -> object:
        return world.backend.send_event(new, "e", YES)

    with monkeypatch.context() as patch:
        patch.setattr(AfterCommit, "make_owed_roots", lambda *_: None)
        assert refused(ConflictError, send) == {"run_id": new}
    dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(new))
    assert refused(ConflictError, send) == {"run_id": new}


def test_a_step_tells_which_way_its_event_came(world: World) -> None:
    begun(world, event("e"))
    Signals(world.backend.runtime).send(RUN, "e", YES, via="callback")
    [start] = [each for each in ended(world).events if isinstance(each, StepStarted)]
    assert start.worker_id == "event:callback"


# -- runs -------------------------------------------------------------------------------------------------------------


def test_an_id_or_a_key_that_stands_for_another_run_names_it(world: World) -> None:
    begun(world, step("a"), idempotency_key="k")
    assert refused(ConflictError, lambda: world.submit(run_id=RUN)) == {"run_id": RUN}
    again = {"idempotency_key": "k", "priority": 7}
    assert refused(IdempotencyConflictError, lambda: world.submit(**again)) == {"run_id": RUN}


def test_who_submits_again_what_is_no_input_any_more_is_given_the_run_that_it_named(world: World) -> None:
    wish: dict[str, Any] = {"run_id": RUN, "idempotency_key": "k", "input": 1}
    begun(world, step("a"), **{name: value for name, value in wish.items() if name != "run_id"})
    world.register([step("a")], input_schema_json={"type": "string"})
    again = world.backend.submit_run(RunSubmission(workflow_slug="flow", **wish))
    assert (again.run_id, again.is_new) == (RUN, False)
    with pytest.raises(InputInvalidError):
        world.backend.submit_run(RunSubmission(workflow_slug="flow", **{**wish, "run_id": "other"}))


@pytest.mark.parametrize(
    ("path", "said"), [("timeout", {"timeout": 366 * DAY_US + 1}), ("availableAt", {"available_at": LATEST_US + 1})]
)
def test_a_time_beyond_all_bounds_is_named_and_the_last_one_is_taken(
    world: World, path: str, said: dict[str, int]
) -> None:
    world.register([step("a")])
    assert paths(InputInvalidError, lambda: world.submit(**said)) == [path]
    [(name, beyond_us)] = said.items()
    assert world.submit(**{name: beyond_us - 1})


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_what_is_over_is_not_cancelled_and_its_end_is_told(world: World, status: str) -> None:
    begun(world, step("a"))
    if status == "cancelled":
        world.backend.cancel_run(RUN)
    else:
        reported(world, claimed(world, "a"), DONE if status == "completed" else FATAL)
    facts = {"run_id": RUN, "status": status}
    assert refused(RunNotCancellableError, lambda: world.backend.cancel_run(RUN)) == facts


def test_who_asks_for_a_child_is_told_of_its_parent(world: World) -> None:
    handed_out(world, ["x"])
    asked = child(0)
    facts = {"run_id": asked, "parent_run_id": RUN, "status": "running"}
    assert refused(RunNotCancellableError, lambda: world.backend.cancel_run(asked)) == facts
    for act in (world.backend.retry_run, world.backend.resume_run, partial(rerun, world, "pack")):
        assert refused(RunNotRetryableError, partial(act, asked)) == facts


def test_who_asks_for_what_undoes_a_run_is_told_of_that(world: World) -> None:
    failed(world, *BOOKED)
    undoing = undo_run(world).run_id
    runs, facts = Runs(world.backend.runtime), {"run_id": undoing, "status": "running"}
    assert refused(RunNotCancellableError, lambda: runs.cancel(undoing, None, undos=False)) == facts
    for status in ("running", "failed"):
        for act in (world.backend.resume_run, partial(rerun, world, "un-a")):
            assert refused(RunNotRetryableError, partial(act, undoing)) == {"run_id": undoing, "status": status}
        if status == "running":
            reported(world, claimed(world, "un-b", run_id=undoing), FATAL)


def rerun(world: World, step_id: str, run_id: str) -> object:
    return world.backend.rerun_from(parent_run_id=run_id, from_step_id=step_id)


@pytest.mark.parametrize("act", ["retry_run", "resume_run"])
def test_what_goes_on_is_neither_tried_again_nor_gone_on_from(world: World, act: str) -> None:
    begun(world, step("a"))
    facts = {"run_id": RUN, "status": "running"}
    assert refused(RunNotRetryableError, lambda: getattr(world.backend, act)(RUN)) == facts
    done(world, "a")
    facts = {"run_id": RUN, "status": "completed"}
    assert refused(RunNotRetryableError, lambda: getattr(world.backend, act)(RUN)) == facts


def test_of_a_run_that_is_over_by_the_code_of_now_its_end_is_told(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    world.register([step("a")])
    facts = {"run_id": RUN, "status": "cancelled"}
    assert refused(RunNotRetryableError, lambda: world.backend.resume_run(RUN)) == facts


def test_of_a_run_that_somebody_else_tries_again_its_id_is_told(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    late = pausing(world, "TransactWriteItems", lambda: world.observer.retry_run(RUN))
    assert refused(ConflictError, lambda: late.retry_run(RUN)) == {"run_id": RUN}


def test_a_run_that_expires_soon_can_not_be_retried(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    world.clock.pause_us(run_of(world).expires_s * 1_000_000 - clock.now_us() - 1_000_000)
    facts = {"run_id": RUN, "status": "cancelled"}
    assert refused(RunNotRetryableError, lambda: world.backend.retry_run(RUN)) == facts


def test_of_a_run_whose_caller_tries_it_again_its_end_is_told(world: World) -> None:
    run = Called.new(world.backend)
    run.give_up()
    facts = {"run_id": run.run_id, "status": "failed"}
    assert refused(RunNotRetryableError, lambda: world.backend.retry_run(run.run_id)) == facts


def test_where_others_are_quicker_each_time_it_is_told_of_what(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), step("b", "a"))
    reported(world, claimed(world, "a"))
    held = claimed(world, "b", branch="a")
    monkeypatch.setattr(Ledger, "write", Mock(side_effect=BranchRefused(held.branch)))
    assert refused(ConflictError, lambda: reported(world, held)) == {"run_id": RUN, "step_id": "b"}
    monkeypatch.setattr(Runs, "_intend", lambda *_: False)
    assert refused(ConflictError, lambda: world.backend.cancel_run(RUN)) == {"run_id": RUN}


def test_who_finds_neither_a_place_nor_who_has_it_is_told_the_run_that_it_meant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunPlaces, "free_place", lambda *_: None)
    world.register([step("a")], run_limit=RunLimit(at_most=1, skips=True))
    assert refused(ConflictError, lambda: world.submit(run_id=RUN)) == {"run_id": RUN}


# -- workflows --------------------------------------------------------------------------------------------------------


def test_of_what_is_retired_it_is_told_since_when(world: World) -> None:
    registry = world.backend.runtime.registry
    registry.deploy([WorkflowRegistration(slug="flow", name="Its name", steps=[step("a")])])
    registry.deploy([])
    entry = get_workflow(world.observer.runtime.ledger.table, "flow")
    assert entry is not None
    world.clock.pause_us(HOUR_US)
    facts = {"workflow_slug": "flow", "retired_at_us": entry.retired_us}
    assert refused(WorkflowRetiredError, world.submit) == facts


def test_each_step_that_begins_too_late_is_named(world: World) -> None:
    late = [step("a", delay_ms=5_000), step("b", delay_ms=6_000), step("c", delay_ms=4_000)]
    with pytest.raises(GraphInvalidError) as caught:
        world.register(late, timeout_us=5_000_000)
    assert [issue.path for issue in caught.value.issues] == ["steps", "steps"]
    assert [issue.message.split(":")[0] for issue in caught.value.issues] == ["step 'a'", "step 'b'"]


def test_the_argument_that_is_wrong_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nightly = ScheduleDefinition(name="s", cron="0 3 * * *")
    world.register(chain(), schedules=[nightly])
    world.submit(run_id=RUN)
    assert paths(ArgumentInvalidError, lambda: sent(world, key="")) == ["key"]
    assert paths(
        ArgumentInvalidError, lambda: world.register([step("a")], slug="other", input_schema_json={"type": "nothing"})
    ) == ["input_schema_json.type"]
    for range_us in ({"from_us": -1, "until_us": 0}, {"from_us": 0, "until_us": clock.now_us() + HOUR_US}):
        assert paths(ArgumentInvalidError, partial(world.backend.schedules.backfill, "flow", "s", **range_us)) == [
            "until_us"
        ]
    world.submit()
    monkeypatch.setattr(listing, "MOST_COUNTED", 1)
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 1)
    runs = Runs(world.backend.runtime)
    assert paths(ArgumentInvalidError, lambda: runs.part("flow", listing.Filter(), limit=1, offset=2)) == ["offset"]
