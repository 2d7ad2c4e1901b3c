"""An attempt in the hands of this process: its fence, shared by the heartbeat's thread and the step's own.

Every write needs the fence as the last one left it, so they take turns. What is refused for a while is said again
while there is time, and heartbeats go out between the tries.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cascade_flow import clock
from cascade_flow.engine.commands import Command, Fail
from cascade_flow.model.events import ResourceSnapshot, StepError
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import replace
from cascade_flow.worker.log_buffer import LogLine
from cascade_flow.worker.telling import Telling

if TYPE_CHECKING:
    from cascade_flow.operations.checkpoints import CheckpointNumber


class Lease(Telling):
    """The held attempt, and what its worker tells of it while it runs. StaleAttemptError: it is held no more."""

    def __init__(self, runtime: Runtime, steps: Steps, held: HeldAttempt, patience: Patience) -> None:
        super().__init__()
        self.held = held
        self.patience = patience
        self._begun = held.branch
        self._runtime = runtime
        self._steps = steps
        self._turn = threading.Lock()

    def beat(self, snapshot: ResourceSnapshot | None = None) -> None:
        if self._is_copy():
            return
        with self._turn:
            if self.is_held:
                self.held = self._steps.heartbeat(self.held, snapshot=snapshot)

    def report(self, command: Command) -> HeldAttempt:
        self._require_original(self.held.branch.step)
        references = self.patience.ask(lambda: self._steps.put_aside(self.held, command))
        return self.patience.ask(lambda: self._told(command, references))

    def _told(self, command: Command, references: Mapping[str, str]) -> HeldAttempt:
        with self._turn:
            self.held = self._steps.report(self.held, command, references)
            return self.held

    @property
    def is_held(self) -> bool:
        """Whether the attempt is this one still: a report may have ended it, and begun the next."""
        branch, begun = self.held.branch, self._begun
        return self.held.running and (branch.step, branch.attempt) == (begun.step, begun.attempt)

    def log(self, lines: Sequence[LogLine]) -> None:
        from cascade_flow.operations.logs import Logs  # noqa: PLC0415  (of a step that says something)

        if self._is_copy():
            return
        with self._turn:
            self.held = replace(self.held, told_us=lines[-1].timestamp_us)
        branch = self.held.branch
        chunk = [(line.timestamp_us, line.stream, line.message) for line in lines]
        Logs(self._runtime).store(self.held.run, branch.step, branch.attempt, chunk)

    def exited(self, words: str) -> None:
        """Report that the user's code is ending this process, while there is one: a crash, but with a cause."""
        duration_us = max(0, clock.now_us() - self.held.started_us)
        error = StepError(name="WorkerExit", message=words)
        self.report(Fail(error, "worker-crash", duration_us, chance=self._runtime.chance()))

    def recorded(self) -> Iterable[CheckpointNumber]:
        from cascade_flow.operations.checkpoints import recorded  # noqa: PLC0415  (of a second attempt alone)

        return self.patience.ask(lambda: [*recorded(self._runtime, self.held.facts, self.held.branch.step)])
