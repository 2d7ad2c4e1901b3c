"""Wake-ups are hints: sent after what they name is there, and lost without loss (protocol.md §3, §8)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cascade_flow import DynamoDBBackend, RunSubmission, clock
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.wake import SqsQueue, Wake
from clauses.stage import AT_ONCE, RUN, begun, branch_of, claimed, ended, reported, run_of
from shapes import NESTED, Shape, chain, diamond, wide
from simulated_queue import Mailbox
from simulation import BEGIN_US, TIMING, World, step

LATER_US = 5_000_000
SHAPES = (
    Shape("chain", chain(2)),
    Shape("diamond", diamond()),
    Shape("retry", diamond(), script={"b": ["fail", "ok"]}),
    Shape("skips", NESTED, script={"c": ["skip"]}),
    Shape("owed forks", wide(4)),
    Shape("owed roots", [step(f"r{number}") for number in range(AT_ONCE + 2)]),
    Shape("delayed", chain(1), submission={"available_at": BEGIN_US + LATER_US}),
)


class Strict(Mailbox):
    """A queue whose reader is quicker than anybody: what a wake-up names must be there when it is sent."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store)
        self._world = world

    def send(self, wakes: Sequence[Wake]) -> None:
        for wake in wakes:
            self._must_be_there(self._world, wake)
        super().send(wakes)

    def _must_be_there(self, world: World, wake: Wake) -> None:
        ledger = world.observer.runtime.ledger
        assert ledger.run(wake.run_id) is not None, f"{wake} names a run that is not there yet"
        if wake.branch:
            branch = ledger.branch(wake.run_id, wake.branch)
            assert branch is not None, f"{wake} names a branch that is not there yet"
            assert branch.status in ("scheduled", "skipping"), f"{wake} finds nobody in need of a worker: {branch}"
            assert wake.step in ("", branch.step), f"{wake} names a step that {branch} has not come to"
            assert wake.attempt in (0, branch.attempt), f"{wake} names an attempt that {branch} has not come to"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_wake_up_is_sent_when_what_it_names_is_there(world: World, shape: Shape) -> None:
    mailbox = Strict(world)
    strict = World(world.store, shape.script, chained=False, clock=world.clock, mailbox=mailbox)
    strict.register(shape.steps)
    strict.submit(run_id=RUN, **shape.submission)
    strict.settle(RUN)
    assert world.check(RUN).status == "completed"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_who_waits_for_a_worker_is_told_without_a_sweep(world: World, shape: Shape) -> None:
    world.script = shape.script
    world.register(shape.steps)
    world.submit(run_id=RUN, **shape.submission)
    while world.mailbox.wakes:
        wake = world.mailbox.wakes.pop(0)
        world.clock.pause_us(max(0, wake.available_at_us - clock.now_us()))
        world.deliver(wake)
    assert world.check(RUN).status == "completed"


class Noting(Mailbox):
    """Knows all that was ever sent."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store)
        self.sent: list[Wake] = []

    def send(self, wakes: Sequence[Wake]) -> None:
        self.sent += wakes
        super().send(wakes)


@pytest.mark.parametrize("lost", [False, True], ids=["delivered", "lost"])
@pytest.mark.parametrize(("priority", "urgent"), [(1, True), (0, False), (-1, False)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_who_is_woken_for_an_urgent_run_is_told_so(
    world: World, shape: Shape, priority: int, urgent: bool, lost: bool
) -> None:
    """By whomever: the mailbox holds each against its run."""
    mailbox = Noting(world)
    noting = World(world.store, shape.script, chained=False, clock=world.clock, mailbox=mailbox)
    noting.register(shape.steps)
    noting.submit(run_id=RUN, priority=priority, **shape.submission)
    if lost:
        mailbox.wakes.clear()
    noting.settle(RUN)
    assert {wake.urgent for wake in mailbox.sent} == {urgent}


@dataclass
class Refusing:
    """SQS that takes no message, or not all."""

    answer: dict[str, Any] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if self.answer is None:
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "no"}}, "SendMessageBatch")
        return self.answer


def on_sqs(world: World, sqs: Refusing) -> DynamoDBBackend:
    queue = SqsQueue("https://queue", client=sqs)
    return DynamoDBBackend(world.store.table, client=world.store.another_client(), queue=queue, timing=TIMING)


@pytest.mark.parametrize("answer", [None, {"Failed": [{"Id": "0", "Code": "InternalError"}]}], ids=["all", "some"])
def test_a_queue_that_refuses_undoes_nothing(
    world: World, answer: dict[str, Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    backend = on_sqs(world, Refusing(answer))
    world.register(diamond())
    with caplog.at_level(logging.WARNING):
        backend.submit_run(RunSubmission(workflow_slug="flow", run_id=RUN))
        reported(world, claimed(world, "a", by=backend), by=backend)
    assert "the sweep will send them again" in caplog.text
    assert branch_of(world, "c").status == "scheduled"
    ended(world)


def test_what_is_due_beyond_the_queues_longest_delay_is_not_sent(world: World) -> None:
    sqs = Refusing({})
    begun(world, step("a"))
    now_us = clock.now_us()
    near, far = (Wake(RUN, "a", "a", 1, now_us + us) for us in (LONGEST_DELAY_US - 1_000_000, LONGEST_DELAY_US * 2))
    SqsQueue("https://queue", client=sqs).send([near, far])
    [request] = sqs.asked
    [entry] = request["Entries"]
    assert (entry["MessageBody"], entry["DelaySeconds"]) == (near.to_message(), 899)


def test_a_message_is_never_early_by_a_fraction_of_a_second(world: World) -> None:
    sqs = Refusing({})
    begun(world, step("a"))
    SqsQueue("https://queue", client=sqs).send([Wake(RUN, "a", "a", 1, clock.now_us() + 1_500_000)])
    assert sqs.asked[0]["Entries"][0]["DelaySeconds"] == 2


def test_many_wake_ups_are_sent_in_batches_that_sqs_takes(world: World) -> None:
    sqs = Refusing({})
    SqsQueue("https://queue", client=sqs).send([Wake(RUN, f"b{number}") for number in range(25)])
    sent = [entry["MessageBody"] for request in sqs.asked for entry in request["Entries"]]
    assert [len(request["Entries"]) for request in sqs.asked] == [10, 10, 5]
    assert len(set(sent)) == 25


def test_a_lost_start_is_made_up_for_by_the_sweep(world: World) -> None:
    begun(world, step("a"), available_at=clock.now_us() + LATER_US)
    world.mailbox.wakes.clear()
    ended(world)
    assert run_of(world).started_at_us is not None
