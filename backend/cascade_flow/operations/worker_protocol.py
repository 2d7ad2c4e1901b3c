"""What a worker that is no part of this project's functions asks for: a due step, and to keep it while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from cascade_flow.errors import GoneError, RunNotFoundError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.model.ids import check_run_id, check_step_id
from cascade_flow.operations.checkpoints import HandedCheckpoint, handed_on
from cascade_flow.operations.outputs import ends_of_dependencies
from cascade_flow.operations.payloads import Handed
from cascade_flow.operations.queue import Queue
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps

_TRIES = 16


class Given(NamedTuple):
    """The run's input and the outputs of a step's dependencies (a skipped one's is neither text nor address), and the
    checkpoints of its attempts so far.
    """

    input: Handed
    outputs: Mapping[str, Handed]
    checkpoints: tuple[HandedCheckpoint, ...] = ()


class WorkerProtocol:
    """Claims and heartbeats of workers elsewhere."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue = Queue(runtime)
        self._steps = Steps(runtime)

    def claim(
        self, run_id: str, step_id: str, worker_id: str, *, slot: Slot, workflow_slug: str | None = None
    ) -> HeldAttempt | None:
        """Take the scheduled attempt of a step; None where there is none, it is not due yet, or another has it.

        Raises RunNotFoundError (also where the run is another workflow's), StepNotFoundError, InvalidIdError.
        """
        run = self._runtime.run(check_run_id(run_id))
        if workflow_slug not in (None, run.workflow_slug):
            raise RunNotFoundError(f"run {run_id!r} is one of workflow {run.workflow_slug!r}, not of {workflow_slug!r}")
        return self._steps.claim_step(run, check_step_id(step_id), worker_id, slot=slot)

    def claim_next(self, worker_id: str, *, slot: Slot, workflow_slug: str | None = None) -> HeldAttempt | None:
        """Take the first due step that can be won; None where there is none, or where others won every one tried.

        Raises WorkflowNotFoundError.
        """
        due = self._queue.scheduled(available_before_us=None, workflow_slug=workflow_slug, limit=_TRIES)
        if workflow_slug is not None and not due:
            self._runtime.registry.current(workflow_slug)
        for ref in due:
            with suppress(GoneError):  # a run that can't be carried on must not keep the others waiting
                if held := self.claim(ref.run_id, ref.step_id, worker_id, slot=slot):
                    return held
        return None

    def given(self, held: HeldAttempt) -> Given:
        """What a step that was just claimed is given, for a worker elsewhere."""
        ends = ends_of_dependencies(self._runtime, held.facts, held.branch, [*held.records])
        payloads, run_id = self._runtime.payloads, held.facts.run_id
        [input] = payloads.handed_on(run_id, {"": held.run.tail[0]}, "input").values()
        outputs = payloads.handed_on(run_id, ends, "output")
        return Given(input, outputs, handed_on(self._runtime, held.facts, held.branch))

    def heartbeat(
        self,
        run_id: str,
        step_id: str,
        worker_id: str,
        attempt_number: int,
        *,
        snapshot: ResourceSnapshot | None = None,
    ) -> HeldAttempt:
        """Prolong the lease of an attempt. Raises StaleAttemptError where this worker holds it no more."""
        run = self._runtime.run(check_run_id(run_id))
        held = self._steps.holding(run, check_step_id(step_id), worker_id, attempt_number)
        return self._steps.heartbeat(held, snapshot=snapshot)
