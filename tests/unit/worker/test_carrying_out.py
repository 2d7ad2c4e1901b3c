"""What goes into an attempt that a worker carries out, and all that is told of it, whatever fails beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import Later, Retry, Skip, StepContext, Workflow, clock
from cascade_flow.authoring import Step
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.errors import BackendUnavailableError, PayloadTooLargeError, StaleAttemptError
from cascade_flow.model.events import ResourceSnapshot, StepCompleted, StepFailed, StepSkipped
from cascade_flow.operations.callbacks import Callbacks
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from cascade_flow.worker import loop
from cascade_flow.worker.interrupt import Interrupted
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.means import Means
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.runner import run_attempt
from simulation import TickingClock
from testbed.servers import Store
from unit.worker.place import LONGEST_MS, Place, once


def flow_of(function: Callable[..., Any], **options: Any) -> Workflow:
    flow = Workflow("flow")
    flow.step(**{"id": "work", "retry": Retry(max_attempts=1), **options})(function)
    return flow


@pytest.fixture
def place(dynamodb: Store, time: TickingClock) -> Callable[..., Place]:
    return lambda function, **options: Place(dynamodb, flow_of(function), **options)


Places = Callable[..., Place]


def test_what_is_run_is_what_the_means_say(place: Places) -> None:
    class Others(Means):
        def step(self, step: Step, held: HeldAttempt) -> Step:
            return replace(step, declared=replace(step.declared, function=lambda: f"{held.branch.step} of another"))

    at = place(lambda: "its own", means=Others())
    at.work()
    assert [told.output for told in at.told(StepCompleted)] == ['"work of another"']


@pytest.mark.parametrize("code", [{}, {"flow": flow_of(lambda: 1, id="other")}], ids=["no workflow", "no step"])
def test_a_step_that_the_code_has_no_more_fails_by_its_name_though_the_table_is_away_for_a_moment(
    place: Places, monkeypatch: pytest.MonkeyPatch, code: dict[str, Workflow]
) -> None:
    at = place(lambda: 1, workflows=code)
    monkeypatch.setattr(Steps, "report", once(BackendUnavailableError("away"), Steps.report))
    at.work()
    [told] = at.told(StepFailed)
    assert told.failure_reason == "step-removed"
    assert "no step 'work' of workflow 'flow'" in told.error.message


def test_what_a_step_prints_is_shown_by_its_process_too(place: Places, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        print("seen")

    place(work).work()
    assert capsys.readouterr().out == "seen\n"


def test_a_step_knows_its_run_and_which_attempt_it_is(dynamodb: Store, time: TickingClock) -> None:
    def work(ctx: StepContext) -> None:
        known.append((ctx.run_id, ctx.workflow_slug, ctx.step_id, ctx.attempt))
        if len(known) == 1:
            raise ValueError

    known = list[tuple[str, str, str, int]]()
    at = Place(dynamodb, flow_of(work, retry=Retry(max_attempts=2, delay=0)))
    at.work()
    assert known == [(at.run_id, "flow", "work", 1), (at.run_id, "flow", "work", 2)]


def test_what_undoes_a_step_is_carried_out_by_who_has_its_code(dynamodb: Store, time: TickingClock) -> None:
    def unbook() -> None:
        undone.append("book")

    def failing(book: int) -> None:
        raise ValueError

    flow, undone = Workflow("flow"), list[str]()
    flow.step(id="book")(lambda: 1)
    flow.undo("book", id="unbook")(unbook)
    flow.step(id="work", retry=Retry(max_attempts=1))(failing)
    Place(dynamodb, flow).work()
    assert undone == ["book"]


def test_an_attempt_that_its_heartbeat_finds_lost_is_stopped_and_nothing_is_told(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(ctx: StepContext) -> None:
        ctx.heartbeat()
        pytest.fail("it went on")

    at = place(work)
    monkeypatch.setattr(Steps, "heartbeat", once(StaleAttemptError("another has it"), Steps.heartbeat))
    assert at.work() == 1
    assert at.told(StepFailed) == []
    assert at.status == "running"


def test_it_beats_until_it_is_reported(place: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def reported(lease: Lease, command: Any) -> HeldAttempt:
        names.append({thread.name for thread in threading.enumerate()})
        return report(lease, command)

    names, report = list[set[str]](), Lease.report
    monkeypatch.setattr(Lease, "report", reported)
    place(lambda: 1).work()
    [at_work] = names
    assert "step-heartbeat" in at_work


def test_it_is_measured_by_the_meter_of_its_heartbeats(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter, beats = Meter(), list[Any]()
    snapshot, used = ResourceSnapshot(memory_bytes=7), meter.usage()

    class Measured(Means):
        def meter(self) -> Meter:
            return meter

    monkeypatch.setattr(meter, "snapshot", lambda: snapshot)
    monkeypatch.setattr(meter, "usage", lambda: used)
    monkeypatch.setattr(Lease, "beat", lambda _lease, seen: beats.append(seen))
    at = Place(dynamodb, flow_of(beating), means=Measured())
    at.work()
    assert beats == [snapshot]
    assert [told.resource_usage for told in at.told(StepCompleted)] == [used]


def beating(ctx: StepContext) -> None:
    ctx.heartbeat()


@pytest.mark.parametrize(("owner", "part"), [(Logs, "store"), (Steps, "heartbeat")])
def test_lines_and_heartbeats_that_are_lost_are_told_and_cost_nothing_else(
    place: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: Any, part: str
) -> None:
    def work(ctx: StepContext) -> None:
        print("at work")
        ctx.heartbeat()

    def fail(*_: Any, **__: Any) -> None:
        raise BackendUnavailableError(f"{part} is away")

    at = place(work)
    monkeypatch.setattr(owner, part, fail)
    at.work()
    assert at.status == "completed"
    told = [record.getMessage() for record in caplog.records if record.name == loop.__name__]
    assert told == [f"while the step ran: {part} is away"]


def test_a_failure_is_told_with_the_chance_that_its_retry_is_drawn_by(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        raise ValueError

    def reported(lease: Lease, command: Any) -> HeldAttempt:
        chances.append(command.chance)
        return report(lease, command)

    chances, report = list[float](), Lease.report
    monkeypatch.setattr(Lease, "report", reported)
    place(work).work()
    assert chances == [0.25]


def skipping() -> None:
    raise Skip("a long reason")


@pytest.mark.parametrize("work", [lambda: 1, skipping], ids=["output", "reason"])
def test_what_is_too_large_to_be_stored_is_the_steps_failure_with_its_time(
    place: Places, monkeypatch: pytest.MonkeyPatch, work: Callable[..., Any]
) -> None:
    spent_us = list[int]()

    def reported(lease: Lease, command: Any) -> HeldAttempt:
        spent_us.append(command.duration_us)
        return report(lease, command)

    at = place(work)
    report = once(PayloadTooLargeError("too large"), Lease.report)
    monkeypatch.setattr(Lease, "report", reported)
    at.work()
    [told] = at.told(StepFailed)
    assert (told.error.name, at.told(StepSkipped)) == ("PayloadTooLargeError", [])
    assert spent_us == [told.duration_us] * 2
    assert told.duration_us > 0


def test_an_interrupt_that_comes_beside_a_steps_code_is_told_too(
    place: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    at = place(lambda: 1)
    monkeypatch.setattr(loop, "command_of", once(Interrupted(), loop.command_of))
    at.work()
    [told] = at.told(StepFailed)
    assert (told.error.name, told.duration_us > 0) == ("Interrupted", True)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__.items() >= {"run_id": at.run_id, "step": "work", "attempt": 1}.items()


def test_an_address_is_made_for_the_run_and_the_event_that_is_asked_for(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(ctx: StepContext) -> str:
        return ctx.callback_url("paid")

    monkeypatch.setattr(Callbacks, "address", lambda _, facts, event: f"{facts.run_id} {event}")
    at = place(work)
    at.work()
    assert [told.output for told in at.told(StepCompleted)] == [f'"{at.run_id} paid"']


def test_a_checkpoint_is_tried_for_no_longer_than_its_step_may_take(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(ctx: StepContext) -> int:
        return ctx.checkpoint("half", lambda: 1)

    def reported(steps: Steps, held: HeldAttempt, command: Any, *more: Any) -> HeldAttempt:
        if isinstance(command, KeepCheckpoint):
            raise BackendUnavailableError
        return report(steps, held, command, *more)

    report = Steps.report
    monkeypatch.setattr(Steps, "report", reported)
    at, began_us = Place(dynamodb, flow_of(keep, timeout=7)), clock.now_us()
    at.work()
    assert len(at.told(StepFailed)) == 1
    assert clock.now_us() - began_us < 10_000_000


def test_lines_are_those_of_the_attempt_also_where_no_policy_counts_it(place: Places) -> None:
    def work(ctx: StepContext) -> None:
        ctx.log.info("attempt %d", ctx.attempt)
        if ctx.attempt == 1:
            raise Later(1)

    at = place(work)
    at.work()
    found = at.backend.load_step_logs("flow", at.run_id, "work") or []
    told = [(1, "INFO attempt 1"), (1, "later: not ready"), (2, "INFO attempt 2")]
    assert [(each.attempt_number, each.message) for each in found] == told


def test_a_checkpoint_is_stored_though_the_table_is_away_for_a_moment(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(ctx: StepContext) -> int:
        return ctx.checkpoint("half", lambda: 1)

    monkeypatch.setattr(Steps, "report", once(BackendUnavailableError(), Steps.report))
    at = place(keep)
    at.work()
    assert [told.output for told in at.told(StepCompleted)] == ["1"]


def noted_limits(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    def noted(*given: Any, timeout_ms: int | None, **more: Any) -> Any:
        limits_ms.append(timeout_ms)
        return run_attempt(*given, timeout_ms=timeout_ms, **more)

    limits_ms = list[int | None]()
    monkeypatch.setattr(loop, "run_attempt", noted)
    return limits_ms


def test_a_timeout_is_that_of_the_code_that_is_there(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits_ms = noted_limits(monkeypatch)
    Place(dynamodb, flow_of(beating, timeout=60), workflows={"flow": flow_of(beating, timeout=2)}).work()
    assert limits_ms == [2_000]


def test_a_batch_has_the_time_of_all_its_items_and_each_its_place_among_all(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, done = Workflow("flow"), dict[int, int]()

    @flow.step
    def numbers() -> list[int]:
        return [5, 6, 7, 8]

    @flow.map(over=numbers, batch=3, timeout=7)
    def each(number: int, index: int) -> None:
        done[index] = number

    limits_ms = noted_limits(monkeypatch)
    at = Place(dynamodb, flow)
    at.work()
    assert at.status == "completed"
    assert done == {0: 5, 1: 6, 2: 7, 3: 8}
    assert limits_ms == [LONGEST_MS - 5_000, 21_000, 21_000]


def test_a_sub_workflow_does_its_steps_as_any_run(dynamodb: Store, time: TickingClock) -> None:
    inner, flow = Workflow("inner"), Workflow("flow")
    inner.step(id="only", export=True)(lambda: 7)
    flow.run(inner, id="called")
    at = Place(dynamodb, flow)
    at.work()
    assert [told.output for told in at.told(StepCompleted)] == ['{"only":7}']
