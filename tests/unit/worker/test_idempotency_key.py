"""The key of a step's effects: one for all attempts, retries, resumptions and reruns; others have others."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from cascade_flow import DynamoDBBackend, RunSubmission
from cascade_flow.authoring import Retry, StepContext, Workflow
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.events import CheckpointRef
from cascade_flow.worker.loop import Worker
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

LONGEST_MS = 900_000


class Shop:
    """A workflow whose steps note the keys of their effects, and one worker."""

    def __init__(self, store: Store, time: TickingClock) -> None:
        self.keys: dict[str, set[str]] = defaultdict(set)
        """The keys that each effect was asked for with."""
        self.asked: list[str] = []
        """The runs that paid, an entry for each attempt."""
        self.failing = False
        self._time = time
        self._mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self._mailbox, timing=TIMING)
        flow = self._declared()
        self.backend.register_workflow(flow.registration())
        self._worker = Worker(self.backend.runtime, {"shop": flow}, worker_id="clerk")

    def _declared(self) -> Workflow:
        flow = Workflow("shop")

        @flow.step
        def order(ctx: StepContext) -> None:
            self._effect("order", ctx)

        @flow.step(retry=Retry(max_attempts=2, delay=0))
        def pay(order: None, ctx: StepContext) -> None:
            self._effect("pay", ctx)
            self.asked.append(ctx.run_id)
            ctx.checkpoint("charge", lambda: self._charge(ctx, "charge"))
            for n in range(2):
                ctx.checkpoint("stamp", lambda n=n: self._effect(f"stamp {n}", ctx))  # type: ignore[misc]
            if self.failing:
                raise OSError("the card service is gone")

        return flow

    def _charge(self, ctx: StepContext, name: str) -> None:
        self._effect(name, ctx)
        ctx.checkpoint("tax", lambda: self._effect("tax", ctx))
        self._effect(name, ctx)

    def _effect(self, what: str, ctx: StepContext) -> None:
        self.keys[what].add(ctx.idempotency_key)

    def submit(self) -> str:
        run_id = self.backend.submit_run(RunSubmission(workflow_slug="shop")).run_id
        self.work()
        return run_id

    def work(self) -> None:
        while self._mailbox.wakes:
            self._time.pause_us(1_000_000)
            self._worker.work(self._mailbox.wakes.pop(0), remaining_ms=lambda: LONGEST_MS)

    def status(self, run_id: str) -> Any:
        state = self.backend.get_run(run_id)
        return state and state.status

    def then(self, run_id: str) -> str:
        self.work()
        return run_id


@pytest.fixture
def shop(dynamodb: Store, time: TickingClock) -> Shop:
    return Shop(dynamodb, time)


def test_attempts_retries_resumptions_and_reruns_have_one_key_for_each_effect(shop: Shop) -> None:
    shop.failing = True
    first = shop.submit()
    shop.backend.retry_run(first)
    shop.work()
    resumed = shop.then(shop.backend.resume_run(first).run_id)
    again = shop.then(shop.backend.resume_run(resumed).run_id)
    shop.failing = False
    rerun = shop.then(shop.backend.rerun_from(parent_run_id=again, from_step_id="pay", input={"other": 1}).run_id)
    whole = shop.then(shop.backend.rerun_from(parent_run_id=rerun, from_step_id="order").run_id)
    assert [shop.status(each) for each in (first, resumed, again, rerun, whole)] == ["failed"] * 3 + ["completed"] * 2
    assert shop.asked == [*[first] * 4, *[resumed] * 2, *[again] * 2, rerun, whole]
    assert all(len(keys) == 1 for keys in shop.keys.values())


def test_a_copy_that_goes_on_has_the_keys_of_its_source(shop: Shop) -> None:
    shop.failing = True
    first = shop.submit()
    shop.backend.copy_entire_run("shop", first, "copy")
    resumed = shop.then(shop.backend.resume_run("copy").run_id)
    assert shop.asked == [*[first] * 2, *[resumed] * 2]
    assert all(len(keys) == 1 for keys in shop.keys.values())


def test_every_effect_and_every_run_has_a_key_of_its_own(shop: Shop) -> None:
    shop.submit()
    mine = {key for keys in shop.keys.values() for key in keys}
    assert set(shop.keys) == {"order", "pay", "charge", "tax", "stamp 0", "stamp 1"}
    assert len(mine) == 6
    shop.submit()
    assert len({key for keys in shop.keys.values() for key in keys}) == 12
    assert all(str(UUID(key)) == key for key in mine)


def test_the_stand_in_has_keys_too() -> None:
    context = StepContext()
    key = context.idempotency_key
    inside = [context.checkpoint(name, lambda: context.idempotency_key) for name in ("charge", "charge", "refund")]
    assert len({key, *inside}) == 4
    assert context.idempotency_key == key == StepContext().idempotency_key
    assert StepContext().checkpoint("charge", lambda: context.idempotency_key) == inside[0]


def test_no_release_changes_a_key() -> None:
    """A run that is resumed after a deployment would pay again."""
    charge = CheckpointRef(name="charge", sequence_number=1)
    assert idempotency_key("shop", "run-1", "pay", None) == "23005c4e-7a9b-5ddf-b577-5539e9d142da"
    assert idempotency_key("shop", "run-1", "pay", charge) == "fcda568a-c1f2-5f61-9ec3-d6ef2e6bca58"
