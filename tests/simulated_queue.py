"""The queue of a simulation: SQS as the product's own `SqsQueue` sees it, and a look at what each wake-up names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cascade_flow import DynamoDBBackend, StepScheduled, clock
from cascade_flow.engine.state import is_urgent
from cascade_flow.operations.history import Histories
from cascade_flow.seal import Seal
from cascade_flow.testing.memory.queue_client import QueueClient
from cascade_flow.wake import SqsQueue, Wake
from testbed.servers import Store


class Mailbox:
    """Keeps wake-ups until they are delivered. `client` is what breaks as SQS does (`testbed.faults`).

    A wake-up is a hint at something that is there: each one that is sent of a table that the mailbox knows is held
    against what is stored at that moment.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.wakes: list[Wake] = []
        self.client = QueueClient(self._arrive)
        self.seal = Seal(lambda: b"of a table")
        self._queue = SqsQueue("mailbox", client=self.client, seal=self.seal)
        self._observer: DynamoDBBackend | None = None
        self._untrue: list[Wake] = []
        if store is not None:
            self.observe(store)

    def observe(self, store: Store) -> None:
        """Hold what is sent against this table, from now on, past everybody's gates."""
        self._observer = self._observer or DynamoDBBackend(store.table, client=store.another_client())

    def send(self, wakes: Sequence[Wake]) -> None:
        self._untrue += [wake for wake in wakes if self._observer and not _is_true(self._observer, wake)]
        self.must_have_been_true()
        self._queue.send(wakes)

    def must_have_been_true(self) -> None:
        """Assert that whatever was sent has named what was there: who sends may outlive that this was said to it."""
        assert not self._untrue, f"a wake-up was sent before what it names was there: {self._untrue}"

    def _arrive(self, body: str, delay_s: int) -> None:
        self.wakes.append(replace(Wake.from_message(body), available_at_us=clock.now_us() + delay_s * 1_000_000))


def _is_true(observer: DynamoDBBackend, wake: Wake) -> bool:
    """Whether a wake-up names what is there, or was: who sends it may have been overtaken since."""
    ledger = observer.runtime.ledger
    if not wake.branch:
        run = ledger.run(wake.run_id)
        return run is not None and run.status not in ("reserved", "copying") and wake.urgent == is_urgent(run.priority)
    branch = ledger.branch(wake.run_id, wake.branch)
    if branch is None or branch.status == "open" or wake.urgent != is_urgent(branch.priority):
        return False
    if not wake.step or branch.step == wake.step:
        return branch.attempt >= wake.attempt and branch.pool is None
    return _was_scheduled(observer, wake)


def _was_scheduled(observer: DynamoDBBackend, wake: Wake) -> bool:
    story = Histories(observer.runtime).story(wake.run_id)
    assert story is not None
    marks = {(e.step_id, e.attempt_number) for e in story.events if isinstance(e, StepScheduled)}
    return (wake.step, wake.attempt) in marks
