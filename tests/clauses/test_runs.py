"""A run's own item: submitted once, started once and on time, its roots made while it goes on (§6, §10)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    ConflictError,
    LogEntry,
    RunNotRetryableError,
    RunSubmission,
    RunSubmitted,
    WorkflowFailed,
    WorkflowNotFoundError,
    WorkflowRerunFromStep,
    WorkflowResumed,
    WorkflowStarted,
    clock,
)
from cascade_flow.dynamodb import keys, listing
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.engine.commands import Complete, SkipStep
from cascade_flow.engine.state import LONGEST_DELAY_US, Run, RunStatus
from cascade_flow.operations.reruns import Reruns
from cascade_flow.operations.runs import Runs, _content_of
from cascade_flow.wake import Wake
from clauses.stage import (
    AT_ONCE,
    FATAL,
    RUN,
    begun,
    branch_of,
    claimed,
    dies,
    done,
    dying,
    ended,
    found,
    reported,
    run_of,
    silent,
)
from contract.called import FLOW, Called
from faults.moments import pausing
from simulation import BEGIN_US, TIMING, TickingClock, World, step

ROOTS = [f"r{number:02d}" for number in range(AT_ONCE + 2)]
DELAY_US = 60_000_000
DAY_US = 86_400_000_000
A_SECOND_US = 1_000_000


def submitted(world: World, **options: object) -> None:
    """A run that is due a minute from now."""
    begun(world, step("a"), available_at=clock.now_us() + DELAY_US, **options)


def test_an_id_is_one_runs(world: World) -> None:
    begun(world, step("a"))
    claimed(world, "a")
    with pytest.raises(ConflictError, match="taken"):
        world.submit(run_id=RUN)
    assert branch_of(world, "a").status == "running"


def test_an_id_that_is_submitted_for_later_is_one_runs(world: World) -> None:
    submitted(world, priority=1)
    with pytest.raises(ConflictError, match="taken"):
        world.submit(run_id=RUN, available_at=clock.now_us() + DELAY_US, priority=2)
    assert run_of(world).priority == 1


def test_an_idempotency_key_is_one_runs_for_as_long_as_that_is_kept(world: World) -> None:
    world.register([step("a")])
    order = RunSubmission(workflow_slug="flow", idempotency_key="order-1")
    first = world.backend.submit_run(order)
    again = world.backend.submit_run(order)
    assert (again.run_id, again.is_new) == (first.run_id, False)
    world.clock.pause_us(world.observer.runtime.run(first.run_id).expires_s * 1_000_000 - clock.now_us() - 30_000_000)
    assert not world.backend.submit_run(order).is_new
    world.clock.pause_us(DAY_US)
    later = world.backend.submit_run(order)
    assert later.is_new, "the run is gone, and so is its key"


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ({}, "c2c21e73035a5f264da62e7236754a08"),
        ({"priority": 0, "tags": [], "metadata": {}}, "c2c21e73035a5f264da62e7236754a08"),
        (
            {"input": {"b": 1, "a": [None, 2.5]}, "priority": 3, "timeout": 5, "tags": ["t"], "metadata": {"m": 1}},
            "de32710feecebba3caa9b94a656d0813",
        ),
    ],
)
def test_what_a_key_stands_for_is_the_same_for_every_release(said: dict[str, Any], content: str) -> None:
    """One release has stored it, and another compares."""
    order = RunSubmission(workflow_slug="flow", **said)
    named = order.model_copy(update={"run_id": "r", "available_at": 7, "idempotency_key": "k"})
    assert (_content_of(order), _content_of(named)) == (content, content)


def test_an_early_message_does_not_begin_a_delayed_run(world: World) -> None:
    submitted(world)
    world.deliver(Wake(RUN))
    assert (run_of(world).status, found(world, "a")) == ("pending", None)
    world.clock.pause_us(DELAY_US)
    world.deliver(Wake(RUN))
    assert (run_of(world).status, branch_of(world, "a").status) == ("running", "scheduled")


def test_a_run_that_no_message_can_wait_for_is_left_to_the_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Wake] = []
    monkeypatch.setattr(world.mailbox, "send", sent.extend)
    for us in (LONGEST_DELAY_US, LONGEST_DELAY_US + A_SECOND_US):
        world.register([step("a")])
        world.submit(available_at=clock.now_us() + us)
    assert len(sent) == 1


def test_a_run_that_is_cancelled_meanwhile_does_not_start(world: World) -> None:
    submitted(world)
    world.clock.pause_us(DELAY_US)
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN))
    world.deliver(Wake(RUN), late)
    assert found(world, "a") is None
    assert world.check(RUN).status == "cancelled"


def test_a_run_starts_once(world: World) -> None:
    submitted(world)
    world.clock.pause_us(DELAY_US)
    late = pausing(world, "TransactWriteItems", lambda: world.deliver(Wake(RUN), world.observer))
    world.deliver(Wake(RUN), late)
    assert ended(world).count(WorkflowStarted) == 1


@pytest.mark.parametrize("then", ["running", "cancelled", "gone"])
def test_who_starts_a_run_second_is_given_it_as_it_is_by_then(world: World, then: str) -> None:
    submitted(world)
    world.clock.pause_us(DELAY_US)
    read, table = run_of(world), world.observer.runtime.ledger.table
    others: dict[str, Callable[[], object]] = {
        "running": lambda: Runs(world.observer.runtime).start(read),
        "cancelled": lambda: world.observer.cancel_run(RUN),
        "gone": lambda: table.delete(keys.run(RUN)),
    }
    now = Runs(pausing(world, "TransactWriteItems", others[then]).runtime).start(read)
    assert now == (read if then == "gone" else run_of(world))
    assert now.status == (read.status if then == "gone" else then)


def test_who_makes_roots_that_another_has_made_is_given_the_run_as_it_is_by_then(world: World) -> None:
    world.register([step(root) for root in ROOTS])
    dies(lambda: submit(world, dying(world, "TransactWriteItems", at=2)))
    owing = run_of(world)
    others = partial(Runs(world.observer.runtime).make_owed_roots, owing)
    now = Runs(pausing(world, "TransactWriteItems", others).runtime).make_owed_roots(owing)
    assert (now, now.owed) == (run_of(world), None)


def test_roots_that_are_owed_are_made_by_the_sweep(world: World) -> None:
    world.register([step(root) for root in ROOTS])
    dies(lambda: submit(world, dying(world, "TransactWriteItems", at=2)))
    assert run_of(world).owed == AT_ONCE
    silent(world)
    world.sweep()
    assert all(found(world, root) is not None for root in ROOTS)
    assert run_of(world).owed is None
    ended(world)


@pytest.mark.parametrize("gone", [False, True], ids=["stopped", "gone"])
def test_a_sweep_that_owes_roots_to_what_is_no_more_fails_at_nothing(world: World, gone: bool) -> None:
    world.register([step(root) for root in ROOTS])
    dies(lambda: submit(world, dying(world, "TransactWriteItems", at=2)))
    silent(world)
    table = world.observer.runtime.ledger.table
    others = partial(table.delete, keys.run(RUN)) if gone else partial(world.observer.cancel_run, RUN)
    done = world.sweep(pausing(world, "TransactWriteItems", others))
    assert "failed" not in done
    assert found(world, ROOTS[-1]) is None


def test_a_run_that_starts_later_says_what_it_was_given(world: World) -> None:
    submitted(world, input={"n": 1})
    world.clock.pause_us(DELAY_US)
    [start] = [event for event in ended(world).events if isinstance(event, WorkflowStarted)]
    assert start.has_input


def test_whose_runs_nobody_has_ever_had_is_not_listed(world: World) -> None:
    runs = Runs(world.backend.runtime)
    with pytest.raises(WorkflowNotFoundError):
        runs.found("nobody", listing.Filter(), limit=10)
    assert runs.found(None, listing.Filter(), limit=10).ids == [], "all that there are, are none"
    assert runs.found("nobody", listing.Filter(), limit=10, after=listing.Place(1, ())).ids == [], "the last were there"
    begun(world, step("a"))
    assert runs.found("flow", listing.Filter(), limit=10).ids == [RUN]
    assert runs.found("flow", listing.Filter(status=("failed",)), limit=10).ids == []


def test_runs_of_a_workflow_that_is_none_of_the_engines_are_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        Called.new(world.backend, f"run-{number}")
    runs = Runs(world.backend.runtime)
    assert runs.found(FLOW, listing.Filter(), limit=10).ids == ["run-1", "run-0"]
    assert [run.run_id for run in runs.part(None, listing.Filter(), limit=10).runs] == ["run-1", "run-0"]
    first = runs.part(FLOW, listing.Filter(), limit=1)
    assert first.more is not None
    behind = runs.part(FLOW, listing.Filter(), limit=10, after=first.more)
    assert ([run.run_id for run in behind.runs], behind.more) == (["run-0"], None)
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 1)
    found = runs.found(FLOW, listing.Filter(status=("failed",)), limit=10)
    assert (found.ids, found.more is None) == ([], False), "there may be some behind"


def test_an_offset_that_lies_too_deep_is_refused_and_not_shortened(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register([step("a")])
    names = [world.submit() for _ in range(8)][::-1]
    monkeypatch.setattr(listing, "MOST_COUNTED", 3)
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 1)
    runs = Runs(world.backend.runtime)
    assert runs.part("flow", listing.Filter(), limit=1, offset=2).runs[0].run_id == names[2]
    with pytest.raises(ArgumentInvalidError, match="too deep"):
        runs.part("flow", listing.Filter(), limit=1, offset=5)


def test_roots_that_are_owed_are_not_made_once_the_run_is_stopped(world: World) -> None:
    world.register([step(root) for root in ROOTS])
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN), at=2)
    submit(world, late)
    assert found(world, ROOTS[-1]) is None
    assert world.check(RUN).status == "cancelled"


def test_a_run_ends_at_its_deadline(world: World) -> None:
    begun(world, step("a"), timeout=DELAY_US)
    claimed(world, "a")
    world.clock.pause_us(DELAY_US)
    assert world.sweep()["runs timed out"] == 1
    assert world.check(RUN).status == "failed"


@pytest.mark.parametrize("said", [None, 7_000_000, 3 * TIMING.timeout_us])
@pytest.mark.parametrize("usual_us", [5_000_000, 2 * TIMING.timeout_us])
def test_a_runs_deadline_is_as_far_as_it_says_or_its_workflow_does(
    world: World, usual_us: int, said: int | None
) -> None:
    """Whatever a run has where neither says anything."""
    world.register([step("a")], timeout_us=usual_us)
    with clock.use(TickingClock(tick_us=0)):
        world.submit(run_id=RUN, timeout=said)
    run, lasts_us = run_of(world), said or usual_us
    assert run.deadline_us == run.available_at_us + lasts_us
    assert run.expires_s == (run.available_at_us + lasts_us + TIMING.retention_us) // 1_000_000


def test_all_of_a_run_expires_together(world: World) -> None:
    """Branches, commits, payloads and log chunks, whoever has written them and when."""
    begun(world, step("a"), step("b"), step("c", "a", "b", export_output=True), input={"text": text()})
    world.script = {"a": ["large"], "b": ["fail", "ok"], "c": ["large"]}
    world.clock.pause_us(1_000_000)
    world.settle(RUN)
    world.observer.save_step_logs("flow", RUN, "a", lines())
    kept = {item["sk"]["S"]: item["exp"]["N"] for item in items_of(world)}
    assert {key[:2] for key in kept} == {"B#", "E#", "L#", "P#"}
    assert len(set(kept.values())) == 1, kept
    assert int(kept[keys.RUN]) == run_of(world).expires_s


def text() -> str:
    return "".join(f"{number}, " for number in range(2_000))


def lines() -> list[LogEntry]:
    return [
        LogEntry(
            event_id="1",
            timestamp_us=clock.now_us(),
            workflow_slug="flow",
            run_id=RUN,
            step_id="a",
            attempt_number=1,
            stream="stdout",
            message="hello",
        )
    ]


def items_of(world: World, run_id: str = RUN) -> list[dict[str, dict[str, str]]]:
    """All of the run's items, as they go over the wire."""
    answer = world.store.another_client().query(
        TableName=world.store.table,
        KeyConditionExpression="pk = :run",
        ExpressionAttributeValues={":run": {"S": keys.run(run_id).pk}},
        ProjectionExpression="sk, exp",
    )
    return answer["Items"]  # type: ignore[return-value]


def submit(world: World, backend: object) -> None:
    backend.submit_run(RunSubmission(workflow_slug="flow", run_id=RUN))  # type: ignore[attr-defined]


def test_a_submission_that_is_refused_overwrites_no_input(world: World) -> None:
    begun(world, step("a"), input={"text": text()})
    with pytest.raises(ConflictError, match="taken"):
        world.submit(run_id=RUN, input={"text": text()[::-1]})
    run = world.backend.get_run(RUN)
    assert run is not None
    assert json.loads(run.input or "") == {"text": text()}


def test_all_of_a_copied_run_expires_together(world: World) -> None:
    """Also what it has taken from a run that expires sooner."""
    begun(world, step("a"), step("b", "a", export_output=True), input={"text": text()})
    world.script = {"a": ["large"], "b": ["large"]}
    world.settle(RUN)
    world.clock.pause_us(DAY_US)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="b").run_id
    world.settle(again)
    world.check(again)
    kept = {item["sk"]["S"]: item["exp"]["N"] for item in items_of(world, again)}
    assert {key[:2] for key in kept} == {"B#", "E#", "P#"}
    assert set(kept.values()) == {str(world.observer.runtime.run(again).expires_s)}
    assert world.observer.runtime.run(again).expires_s > run_of(world).expires_s


def test_a_delayed_run_expires_as_long_after_its_time_as_any_other(world: World) -> None:
    due_us = clock.now_us() + DAY_US
    begun(world, step("a"), available_at=due_us, timeout=3_000_000)
    assert run_of(world).deadline_us == due_us + 3_000_000
    assert run_of(world).expires_s == (due_us + 3_000_000 + TIMING.retention_us) // 1_000_000


LATER = {"available_at": BEGIN_US + 60_000_000}


@pytest.mark.parametrize("options", [{}, LATER, {"timeout": 60_000_000, "tags": ["t"], "priority": 3}])
def test_a_run_is_stored_whole_when_it_is_submitted(world: World, options: dict[str, Any]) -> None:
    begun(world, step("a"), **options)
    run = run_of(world)
    due_us = max(run.created_us, run.available_at_us)
    deadline_us = due_us + options.get("timeout", TIMING.timeout_us)
    waits, available_us = options == LATER, int(options.get("available_at", run.available_at_us))
    tags, priority = tuple(options.get("tags", ())), options.get("priority", 0)
    assert replace(run, tail=()) == Run(
        run_id=RUN,
        workflow_slug="flow",
        version_id=run.version_id,
        created_us=run.created_us,
        status="pending" if waits else "running",
        available_at_us=available_us,
        deadline_us=deadline_us,
        started_at_us=None if waits else run.started_at_us,
        due_us=due_us if waits else deadline_us,
        tags=tags,
        priority=priority,
        last_us=run.tail[-1]["timestampUs"],
        expires_s=run.expires_s,
    )
    kinds = ["RunSubmitted", "WorkflowInputValidation", "WorkflowStarted"]
    assert [record["type"] for record in run.tail] == kinds[: 1 if waits else 3]
    assert run.expires_s == pytest.approx((deadline_us + TIMING.retention_us) // 1_000_000, abs=1)


ENDS: dict[str, Callable[[World], object]] = {
    "completed": lambda world: done(world, "a", "b"),
    "failed": lambda world: reported(world, claimed(world, "a"), FATAL),
    "cancelled": lambda world: world.backend.cancel_run(RUN),
}


@pytest.mark.parametrize("status", ENDS)
def test_an_end_changes_of_a_run_what_it_says_and_nothing_else(world: World, status: RunStatus) -> None:
    begun(world, step("a"), step("b"))
    before = run_of(world)
    ENDS[status](world)
    after = run_of(world)
    ended_us = int(ended(world, status).events[-1].timestamp_us)
    over = replace(before, status=status, completed_at_us=ended_us, due_us=ended_us, last_us=ended_us, seq=after.seq)
    assert after == over
    assert after.seq > before.seq


def test_a_retry_changes_of_a_run_what_it_says_and_nothing_else(world: World) -> None:
    begun(world, step("a"), step("b"))
    world.clock.pause_us(1_000_000)
    world.backend.cancel_run(RUN)
    before = run_of(world)
    world.backend.retry_run(RUN)
    after = run_of(world)
    [begun_us] = [
        int(event.timestamp_us)
        for event in world.check(RUN).events
        if isinstance(event, WorkflowStarted) and event.workflow_attempt_number == 2
    ]
    deadline_us = begun_us + before.deadline_us - before.created_us
    again = replace(before, status="running", run_attempt=2, started_at_us=begun_us, deadline_us=deadline_us)
    assert after == replace(again, due_us=deadline_us, last_us=begun_us, seq=after.seq)
    assert after.seq > before.seq


SAID = {"tags": ["t"], "priority": 3, "metadata": {"who": "me"}, "input": {"order": 1}}


@pytest.mark.parametrize("own_us", [None, 50_000_000])
@pytest.mark.parametrize("usual_us", [None, 70_000_000, 2 * TIMING.timeout_us])
@pytest.mark.parametrize("again", ["resumed", "rerun"])
def test_a_run_that_goes_on_from_another_is_stored_whole(
    world: World, again: str, usual_us: int | None, own_us: int | None
) -> None:
    world.register([step("a"), step("b", "a")], timeout_us=usual_us)
    world.submit(run_id=RUN, timeout=own_us, **SAID)
    done(world, "a")
    world.backend.cancel_run(RUN)
    mother = run_of(world)
    world.clock.pause_us(10_000_000)
    backend = world.backend
    made = backend.resume_run(RUN) if again == "resumed" else backend.rerun_from(parent_run_id=RUN, from_step_id="b")
    run = world.observer.runtime.run(made.run_id)
    given_us = own_us or usual_us or TIMING.timeout_us
    assert run.deadline_us == pytest.approx(run.created_us + given_us, abs=1_000)
    assert run.expires_s == (run.available_at_us + given_us + TIMING.retention_us) // 1_000_000
    assert run.available_at_us >= mother.created_us + 10_000_000
    times = {name: getattr(run, name) for name in ("created_us", "available_at_us", "deadline_us", "started_at_us")}
    assert replace(run, tail=()) == Run(
        run_id=made.run_id,
        workflow_slug="flow",
        version_id=mother.version_id,
        status="running",
        **{"tags": ("t",), "priority": 3, "parent": RUN, "origin_run_id": RUN, "due_us": run.deadline_us, **times},
        expires_s=run.expires_s,
        last_us=run.tail[-1]["timestampUs"],
        seq=run.seq,
    )
    state = world.observer.get_run(made.run_id)
    assert state is not None
    assert (state.metadata, state.timeout, json.loads(state.input or "")) == ({"who": "me"}, own_us, {"order": 1})


@pytest.mark.parametrize("input", [0, "", [], {}, False])
def test_an_input_that_is_nothing_much_replaces_the_parents_too(world: World, input: Any) -> None:
    begun(world, step("a"), input={"order": 1})
    made = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a", input=input)
    state = world.observer.get_run(made.run_id)
    assert state is not None
    assert json.loads(state.input or "") == input


def test_what_a_resumed_run_keeps_is_counted(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    made = world.backend.resume_run(RUN)
    [event] = [e for e in world.observer.load_events("flow", made.run_id) if isinstance(e, WorkflowResumed)]
    assert (event.original_run_id, event.resumed_steps, event.pending_steps) == (RUN, 1, 2)


def test_a_run_that_is_over_by_the_code_of_now_is_not_resumed(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    world.register([step("a")])
    with pytest.raises(RunNotRetryableError, match="all steps of run 'run' are over"):
        world.backend.resume_run(RUN)


def test_a_plan_says_what_stays_and_what_runs_again(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b"), step("d", "a"))
    done(world, "a", "d")
    world.backend.cancel_run(RUN)
    plan = Reruns(world.observer.runtime).plan_resume(RUN)
    assert (plan.keeps, plan.runs_again) == (["a", "d"], ["b", "c"])


def test_a_run_that_goes_on_from_one_without_tags_has_none(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    world.backend.cancel_run(RUN)
    submitted = [
        next(event for event in world.observer.load_events("flow", run_id) if isinstance(event, RunSubmitted))
        for run_id in (RUN, world.backend.resume_run(RUN).run_id)
    ]
    assert [event.tags for event in submitted] == [None, None]


def test_a_rerun_names_all_that_runs_again_and_both_versions(world: World) -> None:
    begun(world, step("a"), step("b", "a"), step("c", "b"), step("d", "a"))
    ended(world)
    world.register([step("a"), step("b", "a"), step("c", "b"), step("d", "a"), step("e", "c")])
    made = world.backend.rerun_from(parent_run_id=RUN, from_step_id="b")
    [event] = [e for e in world.observer.load_events("flow", made.run_id) if isinstance(e, WorkflowRerunFromStep)]
    assert (event.parent_run_id, event.rerun_from_step_id, event.rerun_step_ids) == (RUN, "b", ["b", "c", "e"])
    versions = [version.version_id for version in world.observer.list_workflow_versions("flow")]
    assert [event.parent_version_id, event.version_id] == versions


def test_what_a_rerun_keeps_is_told_in_the_declared_order(world: World) -> None:
    begun(world, step("b", "a"), step("a"), step("c", "b"))
    ended(world)
    assert Reruns(world.backend.runtime).plan_rerun(RUN, "c").keeps == ["b", "a"]


def test_a_rerun_is_later_than_what_it_keeps_though_the_clock_is_set_back(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    ended(world)
    with clock.use(TickingClock()):
        made = world.backend.rerun_from(parent_run_id=RUN, from_step_id="b").run_id
    kept_us = max(e.timestamp_us for e in world.check(made).events if getattr(e, "step_id", "") == "a")
    assert kept_us < world.observer.runtime.run(made).created_us


def test_runs_are_listed_newest_first_in_whatever_order_they_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register([step("a")])
    ids = [world.submit(run_id=f"run-{number}") for number in range(3)]
    runs: Any = Ledger.runs
    monkeypatch.setattr(Ledger, "runs", lambda *asked: sorted(runs(*asked), key=lambda run: run.run_id != "run-1"))
    assert [run.run_id for run in world.backend.list_runs().runs] == ids[::-1]


def test_what_a_run_gives_may_be_more_than_can_be_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it fails, and says why."""
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGEST_ITEM_BYTES", 2_000)
    world.register([step(name, export_output=True) for name in ("a", "b", "c")])
    world.submit(run_id=RUN)
    for name in ("a", "b", "c"):
        reported(world, claimed(world, name), Complete(json.dumps(secrets.token_hex(700)), 1))
    [failed] = [event for event in ended(world, "failed").events if isinstance(event, WorkflowFailed)]
    assert failed.error is not None
    assert failed.error.name == "PayloadTooLargeError"


def test_a_skip_that_is_carried_on_may_end_in_more_than_can_be_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGEST_ITEM_BYTES", 2_000)
    exported = [step(name, export_output=True) for name in ("p", "q")]
    begun(world, *exported, step("a", "p", "q"), step("b", "a"), step("c", "a"), step("j", "b", "c"))
    for name in ("p", "q"):
        reported(world, claimed(world, name), Complete(json.dumps(secrets.token_hex(1_100)), 1))
    reported(world, claimed(world, "a"), SkipStep("no need", 1))
    assert run_of(world).status == "running"
    [failed] = [event for event in ended(world, "failed").events if isinstance(event, WorkflowFailed)]
    assert failed.error is not None
    assert failed.error.name == "PayloadTooLargeError"
