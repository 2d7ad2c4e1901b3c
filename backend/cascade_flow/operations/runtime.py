"""What every use case works with, and the facts of a run as its decisions need them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any, Self

from cascade_flow.aws.opening import open_client
from cascade_flow.dead_letters import DeadLetters, NoDeadLetters
from cascade_flow.dynamodb import shards
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.run_ledger import RunLedger
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.state import Facts, Run, Timing
from cascade_flow.errors import CascadeFlowError, RequestError, RunNotFoundError
from cascade_flow.graph import Graph, body_of, undo_graph
from cascade_flow.model.events import Event
from cascade_flow.model.ids import CHILD_MARK, check_run_id
from cascade_flow.offload import Bucket
from cascade_flow.operations.observer import Observer
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.registry import Registry
from cascade_flow.records import dataclass, replace
from cascade_flow.wake import NoQueue, Queue


@dataclass(frozen=True)
class Runtime:
    """The ledger, the registry, the payloads, the queue and what that gave up; how long things may take, and who hears
    of them; under which address the outside may call, if it may. `kept_inputs` are those of parents, by run: their
    children ask for them again and again.
    """

    ledger: Ledger
    registry: Registry
    payloads: Payloads
    queue: Queue = field(default_factory=NoQueue)
    timing: Timing = field(default_factory=Timing)
    chance: Callable[[], float] = random.random
    observer: Observer = field(default_factory=Observer)
    dead_letters: DeadLetters = field(default_factory=NoDeadLetters)
    callbacks_url: str | None = None
    kept_inputs: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(
        cls,
        table_name: str,
        *,
        client: Any = None,
        bucket: str | Bucket | None = None,
        queue: Queue | None = None,
        timing: Timing | None = None,
        observer: Observer | None = None,
    ) -> Self:
        """All of it, on one table. Raises ConfigurationError where nothing says the region."""
        table = Table(client or open_client("dynamodb"), table_name, first=shards.remember)
        payloads = Payloads(table, Bucket(bucket) if isinstance(bucket, str) else bucket)
        opened = cls(Ledger(table), Registry(table), payloads, queue or NoQueue(), timing or Timing())
        return replace(opened, observer=observer or opened.observer)

    @property
    def run_ledger(self) -> RunLedger:
        """Where the run's own item is written."""
        return RunLedger(self.ledger.table)

    def run(self, run_id: str) -> Run:
        """Raises RunNotFoundError."""
        run = self.ledger.run(run_id)
        if run is None:
            raise no_run(run_id)
        return run

    def submitted(self, run_id: str) -> Run:
        """Raises InvalidIdError; and RunNotFoundError, also where the id is only reserved."""
        run = self.run(check_run_id(run_id))
        if run.status == "reserved":
            raise RunNotFoundError(f"the id {run_id!r} is reserved, and no run was submitted under it yet")
        return run

    def nobodys_child(self, run: Run, error: type[CascadeFlowError]) -> None:
        """Raises the error where a run does a part of another's work: what it asks for is asked for that."""
        if run.up is not None:
            raise error(
                f"run {run.run_id!r} does a part of the work of step {run.up.step!r} of run {run.up.run_id!r}, and is "
                "stopped, and tried again, with it: ask that of its parent",
                run_id=run.run_id,
                parent_run_id=run.up.run_id,
                status=run.status,
            )

    def run_of(self, workflow_slug: str, run_id: str) -> Run:
        """Raises InvalidIdError; and RunNotFoundError, also where the run is another workflow's."""
        run = self.run(check_run_id(run_id))
        if run.workflow_slug != workflow_slug:
            whose = f"that run belongs to {run.workflow_slug!r}"
            raise RunNotFoundError(f"workflow {workflow_slug!r} has no run {run_id!r}; {whose}")
        return run

    def tell(self, facts: Facts, events: Sequence[Event]) -> None:
        """Let the observer hear what was committed to a run."""
        hear = self.observer.undoing if facts.undoes else self.observer.committed
        hear(events)

    def graph_of(self, run: Run) -> Graph:
        """The graph that a run follows: its version's; of a map's child that of the map's step; of one that undoes
        another the undos', in their order.

        Raises VersionNotFoundError.
        """
        graph = self.registry.graph(run.workflow_slug, run.version_id)
        if run.undoing is not None:
            return undo_graph(graph, run.undoing.steps)
        return graph if run.up is None or not run.up.is_item else body_of(graph, run.up.step)

    def facts(self, run: Run) -> Facts:
        """Raises VersionNotFoundError where the run's pinned version is gone; RequestError where a caller drives it."""
        if run.driver == "caller":
            raise RequestError(
                f"run {run.run_id!r} is driven by its caller, so the engine does nothing for it: say what happens with "
                "the save_* operations"
            )
        return Facts(
            run_id=run.run_id,
            workflow_slug=run.workflow_slug,
            graph=self.graph_of(run),
            expires_s=run.expires_s,
            timing=self.timing,
            priority=run.priority,
            run_attempt=run.run_attempt,
            started_at_us=run.started_at_us or run.created_us,
            limit_keys=run.limit_keys,
            limit=run.limit,
            place=run.place,
            deadline_us=run.deadline_us,
            undoes=run.undoing is not None,
            up=run.up,
        )


def no_run(run_id: str) -> RunNotFoundError:
    """That there is no such run, and why that may be."""
    may_be = "it has not begun yet, or was" if CHILD_MARK in run_id else "it may have been"
    return RunNotFoundError(f"there is no run {run_id!r}; {may_be} deleted after its retention")
