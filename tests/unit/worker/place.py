"""A run of a workflow on a table of its own, and the worker that carries it on, in these tests' own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cascade_flow import DynamoDBBackend, RunSubmission, Workflow, clock
from cascade_flow.engine.state import Timing
from cascade_flow.records import replace
from cascade_flow.worker.loop import Worker
from cascade_flow.worker.means import Means
from checker import check_run
from simulated_queue import Mailbox
from simulation import TIMING
from testbed.servers import Store

LONGEST_MS = 900_000


class Place:
    """One run of one workflow, and the worker that carries it on, with the code of `workflows`."""

    def __init__(
        self,
        store: Store,
        flow: Workflow,
        *,
        workflows: Mapping[str, Workflow] | None = None,
        timing: Timing = TIMING,
        means: Means | None = None,
    ) -> None:
        self.mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self.mailbox, timing=timing)
        for each in (*flow.runs(), flow):
            self.backend.register_workflow(each.registration())
        runtime = replace(self.backend.runtime, chance=lambda: 0.25)
        code = {each.slug: each for each in (*flow.runs(), flow)} if workflows is None else workflows
        self.worker = Worker(runtime, code, worker_id="worker-7", means=means)
        self.run_id = self.backend.submit_run(RunSubmission(workflow_slug=flow.slug)).run_id

    def work(self, remaining_ms: int = LONGEST_MS) -> int:
        """Until nobody is to be woken; answers how many attempts that were."""
        attempts = 0
        while self.mailbox.wakes:
            clock.pause_us(1_000_000)
            attempts += self.worker.work(self.mailbox.wakes.pop(0), remaining_ms=lambda: remaining_ms)
        return attempts

    @property
    def status(self) -> str:
        state = self.backend.get_run(self.run_id)
        assert state is not None
        return state.status

    def told(self, kind: type) -> list[Any]:
        return [event for event in check_run(self.backend, self.run_id).events if isinstance(event, kind)]


def once(refusal: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    refusals = [refusal]

    def part(*args: Any, **options: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return real(*args, **options)

    return part
