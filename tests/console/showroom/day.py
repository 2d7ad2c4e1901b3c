"""A day of the shop, lived through in seconds: runs come in, are worked at, fail and are tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random
from typing import Any

from cascade_flow import DynamoDBBackend, RunSubmission, clock
from cascade_flow.api import resources
from cascade_flow.authoring import discover
from cascade_flow.authoring.notes import notes_of
from cascade_flow.dead_letters import DeadLetter
from cascade_flow.dynamodb import schema
from cascade_flow.model.workflows import GitInfo, StepDefinition, WorkflowNotes, WorkflowRegistration
from cascade_flow.operations.pulse import Pulse
from cascade_flow.operations.sweep import Sweep
from cascade_flow.testing.memory.queue_client import QueueClient
from cascade_flow.wake import SqsQueue, Wake
from cascade_flow.worker.loop import Pace, Worker
from testbed.servers import MemoryServer, Store

HOUR_US = 3_600_000_000
CUSTOMERS = ("Mila Novak", "Jonas Weber", "Café Lumen", "Ada Rossi", "Noor Haddad", "Piet de Vries", "Zoë Martin")
ITEMS = ("tea", "coffee", "cocoa", "honey", "cups", "kettle")
HANDS = 4
"""How many workers take turns."""


@dataclass
class Letters:
    """Messages that nobody could take, until somebody sends them again."""

    lying: list[DeadLetter] = field(default_factory=list)

    def count(self) -> int:
        return len(self.lying)

    def look(self, limit: int) -> list[DeadLetter]:
        return self.lying[:limit]

    def send_again(self, limit: int, until_us: int) -> int:
        sent, self.lying = self.lying[:limit], self.lying[limit:]
        return len(sent)


class Shop:
    """The engine around a table in this process, and who works for it."""

    def __init__(self, seed: int = 9) -> None:
        self.dice = Random(seed)
        self._waiting: list[tuple[int, int, str]] = []
        self._sent = 0
        server = MemoryServer()
        self.store = Store(server, "shop")
        schema.create_table(server.dynamodb(), "shop")
        queue = SqsQueue("shop", client=QueueClient(self._arrive))
        self.backend = DynamoDBBackend("shop", client=server.dynamodb(), queue=queue)
        self.letters = Letters()
        self.runtime = replace(self.backend.runtime, dead_letters=self.letters)
        self._workflows = discover("console.showroom.shop")
        self._pulse, self._sweep = Pulse(), Sweep(self.backend.runtime, name="reaper")
        pace = Pace(heartbeat_ms=5_000, safety_ms=1_000)
        self._workers = [
            Worker(self.backend.runtime, self._workflows, worker_id=f"worker-{self.dice.randbytes(4).hex()}", pace=pace)
            for _ in range(HANDS)
        ]

    def deploy(self) -> None:
        """What the code declares, after an earlier version of the orders."""
        declared = {slug: workflow.registration(git=_git("3f1c9a07d2")) for slug, workflow in self._workflows.items()}
        notes, registry = notes_of(self._workflows), self.backend.runtime.registry
        registry.deploy([_before(declared["orders"])], {"orders": _noted_before(notes["orders"])})
        clock.pause_us(HOUR_US)
        registry.deploy(list(declared.values()), notes)

    def submit(self, slug: str, input: Any = None, **wish: Any) -> str:
        """What becomes of a run is diced by its id: each day is like the other."""
        run_id = self.dice.randbytes(8).hex()
        return self.backend.submit_run(RunSubmission(workflow_slug=slug, run_id=run_id, input=input, **wish)).run_id

    def order(self, number: int) -> str:
        dice = self.dice
        lines = [{"item": item, "pieces": dice.randint(1, 5)} for item in dice.sample(ITEMS, dice.randint(1, 3))]
        order = {"customer": dice.choice(CUSTOMERS), "lines": lines, "express": dice.random() < 0.2}
        tags = ["web" if dice.random() < 0.8 else "phone", *(["express"] if order["express"] else [])]
        return self.submit("orders", order, tags=tags, idempotency_key=f"basket-{number}")

    def work(self, until_us: int) -> None:
        """Work at all that is due until then; the time goes on to there."""
        while self._waiting and self._waiting[0][0] < until_us:
            due_us, _, body = heappop(self._waiting)
            self._wait_until(due_us)
            worker = self.dice.choice(self._workers)
            worker.work(Wake.from_message(body), remaining_ms=lambda: 600_000)
        self._wait_until(until_us)

    def sweep(self) -> None:
        begun_us = clock.now_us()
        self._sweep.sweep(until_us=begun_us + 1_000_000_000)
        self._pulse.beat(self.backend.runtime, begun_us)

    def _arrive(self, body: str, delay_s: int) -> None:
        self._sent += 1
        heappush(self._waiting, (clock.now_us() + delay_s * 1_000_000, self._sent, body))

    def _wait_until(self, us: int) -> None:
        clock.pause_us(max(0, us - clock.now_us()))


def _git(commit: str) -> GitInfo:
    return GitInfo(commit=commit, branch="main", dirty=False)


def _before(orders: WorkflowRegistration) -> WorkflowRegistration:
    steps = [_as_before(step) for step in orders.steps if step.id != "notify"]
    return orders.model_copy(update={"steps": steps, "version_id": f"sha256:{'b1' * 32}", "git": _git("9c41e77b05")})


def _noted_before(notes: WorkflowNotes) -> WorkflowNotes:
    charge = notes.steps["charge"].model_copy(update={"code": "another"})
    return notes.model_copy(update={"steps": {**notes.steps, "charge": charge}})


def _as_before(step: StepDefinition) -> StepDefinition:
    return step.model_copy(update={"timeout_ms": 30_000}) if step.id == "charge" else step


@contextmanager
def a_day(orders: int = 160) -> Iterator[Shop]:
    """A shop whose functions answer, a day after it was opened."""
    logging.getLogger("cascade_flow").setLevel(logging.CRITICAL)
    now_us = clock.SystemClock().now_us()
    with clock.use(clock.SteppingClock(now_us - 25 * HOUR_US)):
        shop = Shop()
        shop.deploy()
        _live(shop, orders, now_us)
    with resources.use(shop.runtime):
        yield shop


def _live(shop: Shop, orders: int, now_us: int) -> None:
    start_us = now_us - 24 * HOUR_US
    reports = [(start_us + number * HOUR_US, "sales-report") for number in range(1, 24)]
    baskets = [(start_us + round(24 * HOUR_US * shop.dice.betavariate(2.2, 1.6)), "orders") for _ in range(orders)]
    for number, (us, slug) in enumerate(sorted([*reports, *baskets])):
        shop.work(us)
        if number % 10 == 0:
            shop.sweep()
        if slug == "orders":
            shop.order(number)
        else:
            shop.submit(slug, {"day": "yesterday", "full": number % 3 == 0}, tags=["hourly"])
    shop.work(now_us - 40_000_000)
    for number in range(3):
        shop.order(1_000_000 + number)
    shop.work(now_us - 38_000_000)
    shop.sweep()
