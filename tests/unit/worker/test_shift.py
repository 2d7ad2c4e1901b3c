"""How a worker spends its time: what a step may take, whether another is begun, for how long it is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, RunSubmission, StepContext, Workflow, clock
from cascade_flow.operations.steps import Steps
from cascade_flow.records import replace
from cascade_flow.worker import means
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.loop import Pace, Worker, _Shift
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

WHOLE_MS = 20_000
PACE = Pace(heartbeat_ms=7_000, safety_ms=5_000)


class Shift:
    """A chain of two steps, and a worker whose time is what the first of them leaves."""

    def __init__(
        self,
        store: Store,
        *,
        timeout: float | None = None,
        timeouts: Sequence[float | None] = (),
        leaves_ms: int = WHOLE_MS,
        takes_us: int = 0,
    ) -> None:
        self.left_ms, self.leaves_ms, self.takes_us = WHOLE_MS, leaves_ms, takes_us
        self.given_ms: list[int] = []
        self.leases_us: list[int] = []
        self.mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self.mailbox, timing=TIMING)
        self.flow = Workflow("flow")
        self.declare(*(timeouts or (timeout, timeout)))
        self.backend.register_workflow(self.flow.registration())
        self.run_id = self.backend.submit_run(RunSubmission(workflow_slug="flow")).run_id

    def declare(self, of_first: float | None, of_second: float | None) -> None:
        @self.flow.step(timeout=of_first)
        def first(ctx: StepContext) -> int:
            self.note(ctx)
            self.left_ms = self.leaves_ms
            clock.pause_us(self.takes_us)
            return 1

        @self.flow.step(timeout=of_second)
        def second(ctx: StepContext, first: int) -> int:
            self.note(ctx)
            return first + 1

    def note(self, ctx: StepContext) -> None:
        self.given_ms.append(ctx.remaining_ms or 0)
        branch = self.backend.runtime.ledger.branch(self.run_id, "first")
        assert branch is not None
        self.leases_us.append((branch.lease_us or 0) - clock.now_us())

    def work(self) -> int:
        worker = Worker(self.backend.runtime, {"flow": self.flow}, worker_id="worker", pace=PACE)
        return worker.work(self.mailbox.wakes.pop(0), remaining_ms=lambda: self.left_ms)


def about(ms: float) -> Any:
    return pytest.approx(ms, abs=100)


@pytest.mark.parametrize(("timeout", "limit_ms"), [(None, WHOLE_MS - 5_000), (2.0, 2_000), (60.0, WHOLE_MS - 5_000)])
def test_a_step_may_take_what_is_left_but_for_the_time_to_report(
    dynamodb: Store, time: TickingClock, timeout: float | None, limit_ms: int
) -> None:
    shift = Shift(dynamodb, timeout=timeout, leaves_ms=0)
    shift.work()
    assert shift.given_ms == [about(limit_ms)]


def test_a_step_has_its_time_from_when_all_that_it_is_given_is_read(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: Any = Steps.inputs

    def slowly(*asked: Any) -> Any:
        clock.pause_us(3_000_000)
        return inputs(*asked)

    monkeypatch.setattr(Steps, "inputs", slowly)
    shift = Shift(dynamodb, leaves_ms=0)
    shift.work()
    assert shift.given_ms == [about(WHOLE_MS - 5_000)]


@pytest.mark.parametrize(
    ("timeout", "leaves_ms", "attempts"),
    [(None, 10_000, 2), (None, 9_999, 1), (2.0, 7_000, 2), (2.0, 6_999, 1)],
)
def test_another_step_is_begun_where_it_has_its_time(
    dynamodb: Store, time: TickingClock, timeout: float | None, leaves_ms: int, attempts: int
) -> None:
    shift = Shift(dynamodb, timeout=timeout, leaves_ms=leaves_ms)
    assert shift.work() == attempts
    branch = shift.backend.runtime.ledger.branch(shift.run_id, "first")
    assert branch is not None
    assert (branch.step, branch.status) == ("second", "ended" if attempts == 2 else "scheduled")


def test_what_another_goes_on_with_is_not_begun(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    report: Any = Steps.report
    monkeypatch.setattr(Steps, "report", lambda *said: replace(report(*said), lost=True))
    assert Shift(dynamodb).work() == 1


def test_what_is_begun_is_held_for_a_lease(dynamodb: Store, time: TickingClock) -> None:
    shift = Shift(dynamodb, takes_us=TIMING.lease_us // 2)
    shift.work()
    assert [us / 1_000 for us in shift.leases_us] == [about(TIMING.lease_us / 1_000)] * 2


def test_another_step_has_its_time_by_its_own_timeout(dynamodb: Store, time: TickingClock) -> None:
    shift = Shift(dynamodb, timeouts=(None, 60))
    assert shift.work() == 1
    assert shift.given_ms == [about(WHOLE_MS - 5_000)]


def test_who_has_no_time_left_to_report_gives_a_step_the_least_there_is() -> None:
    assert _Shift(lambda: 4_000, WHOLE_MS, 5_000).limit_ms(None) == 1


def test_who_reports_is_patient_for_what_is_left_but_for_a_last_try() -> None:
    with clock.use(clock.SteppingClock(1_000_000)):
        assert _Shift(lambda: 10_000, WHOLE_MS, 5_000).patience.until_us == 8_000_000


def test_it_beats_at_its_pace_until_its_time_is_over(
    dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []

    def noted(beat: Any, *, every_ms: int, stop_after_ms: int, **options: Any) -> Heartbeat:
        told.append((every_ms, stop_after_ms))
        return Heartbeat(beat, every_ms=every_ms, stop_after_ms=stop_after_ms, **options)

    monkeypatch.setattr(means, "Heartbeat", noted)
    Shift(dynamodb, leaves_ms=15_000).work()
    assert told == [(7_000, WHOLE_MS), (7_000, 15_000)]
