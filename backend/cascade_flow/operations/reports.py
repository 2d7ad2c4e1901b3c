"""Reports of workers that are no part of the engine: they name run, step and attempt, and say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from cascade_flow.engine.commands import Command
from cascade_flow.engine.state import Run
from cascade_flow.model.events import LogEntry, ResourceSnapshot
from cascade_flow.model.ids import check_step_id
from cascade_flow.model.states import Claim
from cascade_flow.operations.kit import Kit
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.steps import Slot, Steps


class Reports:
    """What a worker outside of the engine may say."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._steps = Steps(kit)
        self._logs = Logs(kit)

    def claim(self, slug: str, run_id: str, step_id: str, worker_id: str, *, slot: Slot) -> Claim | None:
        """Take whatever attempt of the step is scheduled; raises RunNotFoundError, StepNotFoundError."""
        held = self._steps.claim_step(self._kit.run_of(slug, run_id), check_step_id(step_id), worker_id, slot=slot)
        return None if held is None else Claim(attempt_number=held.branch.attempt)

    def heartbeat(
        self, slug: str, run_id: str, step_id: str, worker_id: str, attempt: int, *, snapshot: ResourceSnapshot | None
    ) -> None:
        """Prolong a lease; raises StaleAttemptError."""
        held = self._steps.holding(self._kit.run_of(slug, run_id), check_step_id(step_id), worker_id, attempt)
        self._steps.heartbeat(held, snapshot=snapshot)

    def report(
        self, slug: str, run_id: str, step_id: str, attempt: int, command: Command, *, logs: Sequence[LogEntry] = ()
    ) -> None:
        """Commit what came of an attempt; raises StaleAttemptError."""
        run = self._kit.run_of(slug, run_id)
        held = self._steps.holding(run, check_step_id(step_id), None, attempt)
        self._store(run, step_id, logs)
        self._steps.report(held, command)

    def logs(self, slug: str, run_id: str, step_id: str, logs: Sequence[LogEntry]) -> None:
        """Store log lines; raises RunNotFoundError, StepNotFoundError."""
        run = self._kit.run_of(slug, run_id)
        self._store(run, self._kit.facts(run).graph.step(check_step_id(step_id)).id, logs)

    def _store(self, run: Run, step_id: str, logs: Sequence[LogEntry]) -> None:
        for attempt, lines in groupby(logs, key=lambda line: line.attempt_number):
            self._logs.store(run, step_id, attempt, [(line.timestamp_us, line.stream, line.message) for line in lines])
