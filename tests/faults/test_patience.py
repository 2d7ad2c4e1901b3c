"""A table that throttles for longer than the SDK waits: finished work is reported all the same, and not run again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, RunSubmission, StepContext, Workflow, clock
from cascade_flow.errors import ThrottledError
from cascade_flow.model.events import StepFailed, StepHeartbeat, StepReclaimed, StepStarted
from cascade_flow.offload import Bucket
from cascade_flow.operations import patience
from cascade_flow.operations.steps import Steps
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.loop import Pace, Worker
from checker import check_run
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.faults import Kind, faults, only
from testbed.requests import READS, SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Store

SHIFT_US = 900_000_000
EVERYTHING = READS | SINGLE_WRITES | TRANSACTIONS


class Outage:
    """From when it begins, these requests are throttled for so long."""

    def __init__(self, operations: set[str] | frozenset[str], seconds: int) -> None:
        self.plan = only(set(operations), self._kind)
        self._length_us = seconds * 1_000_000
        self._until_us = 0
        self.refused = 0

    def begin(self) -> None:
        self._until_us = clock.now_us() + self._length_us

    @property
    def is_over(self) -> bool:
        return clock.now_us() >= self._until_us

    def _kind(self, number: int, operation: str) -> Kind | None:
        if self._until_us and not self.is_over:
            self.refused += 1
            return Kind.THROTTLE
        return None


class World:
    """One run, its worker, and what was run how often."""

    def __init__(self, store: Store, flow: Workflow, **options: Any) -> None:
        self.mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self.mailbox, timing=TIMING, **options)
        self.backend.register_workflow(flow.registration())
        pace = Pace(heartbeat_ms=1)
        self.worker = Worker(self.backend.runtime, {flow.slug: flow}, worker_id="worker", pace=pace)
        self.run_id = self.backend.submit_run(RunSubmission(workflow_slug=flow.slug)).run_id
        self._ends_us = clock.now_us() + SHIFT_US

    def work(self) -> None:
        while self.mailbox.wakes:
            self.worker.work(self.mailbox.wakes.pop(0), remaining_ms=self._remaining_ms)

    def told(self, kind: type) -> list[Any]:
        return [event for event in check_run(self.backend, self.run_id).events if isinstance(event, kind)]

    def _remaining_ms(self) -> int:
        return (self._ends_us - clock.now_us()) // 1_000


@pytest.fixture
def ran() -> Counter[str]:
    return Counter()


def flow_of(ran: Counter[str], outage: Outage, output: object = "done") -> Workflow:
    """Two steps; the outage begins at the end of the second."""
    flow = Workflow("flow")

    @flow.step
    def first() -> int:
        ran["first"] += 1
        return 1

    @flow.step(export=True)
    def second(first: int) -> object:
        ran["second"] += 1
        outage.begin()
        return output

    return flow


@pytest.mark.parametrize("seconds", [2, 30, 120])
@pytest.mark.parametrize("operations", [TRANSACTIONS, EVERYTHING], ids=["transactions", "everything"])
def test_finished_work_is_reported_when_the_throttling_is_over(
    dynamodb: Store, time: TickingClock, ran: Counter[str], operations: set[str], seconds: int
) -> None:
    outage = Outage(operations, seconds)
    world = World(dynamodb, flow_of(ran, outage))
    with faults(outage.plan, dynamodb.client):
        world.work()
    assert outage.refused > 10, "longer than the SDK and the table's own loop go on"
    assert ran == {"first": 1, "second": 1}
    assert world.backend.get_run(world.run_id).status == "completed"
    assert [event.attempt_number for event in world.told(StepStarted)] == [1, 1]
    assert world.told(StepReclaimed) == []


def test_an_outage_that_outlasts_the_shift_ends_in_an_error_and_the_shift_ends_in_time(
    dynamodb: Store, time: TickingClock, ran: Counter[str]
) -> None:
    outage = Outage(TRANSACTIONS, 3_600)
    world = World(dynamodb, flow_of(ran, outage))
    with faults(outage.plan, dynamodb.client), pytest.raises(ThrottledError):
        world.work()
    assert 0 <= world._remaining_ms() < 10_000


def test_heartbeats_go_out_while_a_report_waits(
    dynamodb: Store, time: TickingClock, ran: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(TRANSACTIONS, 120)
    world = World(dynamodb, flow_of(ran, outage))
    beaten, real = threading.Semaphore(0), Lease.beat

    def beat(lease: Lease, *args: Any) -> None:
        real(lease, *args)
        beaten.release()

    class Waiting:
        """Time passes between two tries when a heartbeat has gone out."""

        now_us = staticmethod(clock.now_us)

        @staticmethod
        def pause_us(us: int) -> None:
            time.pause_us(us)
            assert beaten.acquire(timeout=20)

    monkeypatch.setattr(Lease, "beat", beat)
    monkeypatch.setattr(patience, "clock", Waiting)
    before_us = clock.now_us()
    with faults(outage.plan, dynamodb.client):
        world.work()
    late = [event for event in world.told(StepHeartbeat) if event.timestamp_us - before_us > 60_000_000]
    assert late, "the lease was prolonged at the end of two minutes too"
    assert world.told(StepReclaimed) == []
    assert ran["second"] == 1


def test_a_bucket_that_is_away_does_not_cost_the_work(dynamodb: Store, time: TickingClock, ran: Counter[str]) -> None:
    outage, bucket = Outage({"PutObject"}, 60), BucketClient()
    noise = [time.now_us() % (n + 7) * n for n in range(30_000)]
    world = World(dynamodb, flow_of(ran, outage, noise), bucket=Bucket("b", client=bucket))
    with faults(outage.plan, bucket):
        world.work()
    assert outage.refused > 10
    assert len(bucket.objects) == 2, "the step's output, and the run's"
    assert ran["second"] == 1
    assert world.told(StepReclaimed) == []


def test_a_claim_that_was_taken_waits_for_what_belongs_to_it(
    dynamodb: Store, time: TickingClock, ran: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(READS, 5)
    world = World(dynamodb, flow_of(ran, Outage(READS, 0)))
    real: Callable[..., Any] = Steps.take

    def take(*args: Any) -> Any:
        taken = real(*args)
        outage.begin()
        return taken

    monkeypatch.setattr(Steps, "take", take)
    world.mailbox.wakes[:] = [replace(wake, told="") for wake in world.mailbox.wakes]
    with faults(outage.plan, dynamodb.client):
        world.work()
    assert outage.refused > 0
    assert ran == {"first": 1, "second": 1}
    assert world.told(StepReclaimed) == []


def test_a_checkpoint_waits_no_longer_than_its_step_may_take(dynamodb: Store, time: TickingClock) -> None:
    outage, flow = Outage(SINGLE_WRITES, 600), Workflow("flow")

    @flow.step(timeout=60)
    def work(ctx: StepContext) -> int:
        outage.begin()
        return ctx.checkpoint("part", lambda: 1)

    world = World(dynamodb, flow)
    before_us = clock.now_us()
    with faults(outage.plan, dynamodb.client), pytest.raises(ThrottledError):
        world.work()
    waited_us = clock.now_us() - before_us
    assert 60_000_000 < waited_us < 90_000_000, "the checkpoint as long as the step, the next claim ten seconds"
    assert [event.error.name for event in world.told(StepFailed)] == ["ThrottledError"]
