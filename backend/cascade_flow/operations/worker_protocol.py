"""What a worker that is no part of this project's functions asks for: a due step, and to keep it while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb.codec import Record
from cascade_flow.engine.state import Branch
from cascade_flow.errors import GoneError, RunNotFoundError, WrongPoolError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.model.ids import check_pool, check_run_id, check_step_id
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.outputs import ends_of_dependencies
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.payloads import Handed
from cascade_flow.operations.queue import Queue
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps

if TYPE_CHECKING:
    from cascade_flow.operations.checkpoints import HandedCheckpoint

_TRIES = 16
_PATIENCE_MS = 5_000
"""For how long what belongs to a claimed step is asked for: the claim's function lives for 29 s, and may wait 20."""
_FIRST_PAUSE_US = 500_000
_LONGEST_PAUSE_US = 2_000_000
"""Between two looks of one that waits: who has waited for long waits a little longer, for a quarter of the requests."""


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
        self,
        run_id: str,
        step_id: str,
        worker_id: str,
        *,
        slot: Slot,
        workflow_slug: str | None = None,
        pool: str | None = None,
    ) -> HeldAttempt | None:
        """Take the scheduled attempt of a step; None where there is none, it is not due yet, or another has it.

        Raises RunNotFoundError (also where the run is another workflow's), StepNotFoundError, WrongPoolError,
        InvalidIdError.
        """
        run = self._runtime.run(check_run_id(run_id))
        if workflow_slug not in (None, run.workflow_slug):
            raise RunNotFoundError(f"run {run_id!r} is one of workflow {run.workflow_slug!r}, not of {workflow_slug!r}")
        _check_executor(self._runtime.facts(run).graph.step(check_step_id(step_id)), pool)
        return self._held(run.run_id, self._steps.take_step(run, step_id, worker_id, slot))

    def claim_next(
        self,
        worker_id: str,
        *,
        slot: Slot,
        workflow_slug: str | None = None,
        pool: str | None = None,
        wait_us: int = 0,
    ) -> HeldAttempt | None:
        """Take the first step that can be won of those that wait for a pool, or for none; None where there is none
        before so much time has passed, or where others won every one tried.

        Raises WorkflowNotFoundError, InvalidIdError.
        """
        until_us, looks = clock.now_us() + wait_us, 0
        while (held := self._claim_any(worker_id, slot, workflow_slug, pool)) is None:
            if looks == 0 and workflow_slug is not None:
                self._runtime.registry.current(workflow_slug)
            left_us = until_us - clock.now_us()
            if left_us <= 0:
                return None
            clock.pause_us(min(_pause_us(looks), left_us))
            looks += 1
        return held

    def _claim_any(self, worker_id: str, slot: Slot, workflow_slug: str | None, pool: str | None) -> HeldAttempt | None:
        found = self._queue.claimable(None if pool is None else check_pool(pool), workflow_slug=workflow_slug)
        for live in islice(found, _TRIES):
            with suppress(GoneError):  # a run that can't be carried on must not keep the others waiting
                if self._runtime.facts(live.run).graph.step(live.branch.step).children is not None:
                    continue  # who hands items out is one of Lambda's workers
                taken = self._steps.take_branch(live.run.run_id, live.branch, worker_id, slot, lines_up=False)
                if held := self._held(live.run.run_id, taken):
                    return held
        return None

    def _held(self, run_id: str, branch: Branch | None) -> HeldAttempt | None:
        """What is taken is this worker's already: a table that is busy meanwhile must not cost it the attempt."""
        return Patience.of_ms(_PATIENCE_MS).ask(lambda: self._steps.held_by(run_id, branch))

    def given(self, held: HeldAttempt) -> Given:
        """What a step that was just claimed is given, for a worker elsewhere."""
        return Patience.of_ms(_PATIENCE_MS).ask(lambda: self._given(held))

    def _given(self, held: HeldAttempt) -> Given:
        if held.facts.up is not None and held.facts.up.is_item:
            from cascade_flow.operations.item_inputs import handed_to_item  # noqa: PLC0415  (most steps are no map's)

            return Given(*handed_to_item(self._runtime, held.run), self._checkpoints(held))
        payloads = self._runtime.payloads
        [input] = payloads.handed_on(held.facts.run_id, {"": held.run.tail[0]}, "input").values()
        outputs = payloads.handed_on(*self._ends(held), "output")
        return Given(input, outputs, self._checkpoints(held))

    def _ends(self, held: HeldAttempt) -> tuple[str, Mapping[str, Record]]:
        """How that ended whose outputs a step is given, and the run that they belong to."""
        if (undoing := held.run.undoing) is not None:
            from cascade_flow.operations.undone import end_undone  # noqa: PLC0415  (few runs undo another)

            return undoing.run_id, end_undone(self._runtime, held.run, undoing, held.branch.step)
        return held.facts.run_id, ends_of_dependencies(self._runtime, held.facts, held.branch, [*held.records])

    def lend(self, text: str) -> str:
        """Put a text that belongs to a claimed step where anybody may read it for a while; answers its address."""
        return Patience.of_ms(_PATIENCE_MS).ask(lambda: self._runtime.payloads.lend(text))

    def _checkpoints(self, held: HeldAttempt) -> tuple[HandedCheckpoint, ...]:
        """What earlier attempts have stored."""
        if held.branch.attempt == 1:
            return ()
        from cascade_flow.operations.checkpoints import handed_on  # noqa: PLC0415  (most attempts are the first)

        return handed_on(self._runtime, held.facts, held.branch.step)

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


def _check_executor(step: StepDefinition, pool: str | None) -> None:
    """Raises WrongPoolError where the step is not this pool's, or none that has code to be called."""
    if step.children is not None:
        raise WrongPoolError(
            f"step {step.id!r} hands its work out, which Lambda's workers do: claim the steps of its children",
            step_id=step.id,
            pool=None,
        )
    if step.executor == pool:
        return
    whose = "no pool's" if step.executor is None else f"pool {step.executor!r}'s"
    cure = "claim it without a pool" if step.executor is None else f"claim it with pool {step.executor!r}"
    asked = "without a pool" if pool is None else f"for pool {pool!r}"
    raise WrongPoolError(
        f"step {step.id!r} is {whose}, and was claimed {asked}: {cure}", step_id=step.id, pool=step.executor
    )


def _pause_us(looks: int) -> int:
    return min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US + looks * _FIRST_PAUSE_US // 2)
