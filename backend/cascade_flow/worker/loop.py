"""The worker: claim → run user code → report, and on along the branch while time remains.

A worker begins a step only if the step can end before the worker must: one with a timeout needs that long, one without
needs half of the time that the worker had when it began. What it can't begin it schedules, and hands over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cascade_flow import clock
from cascade_flow.authoring import Step, StepInputs, Workflow
from cascade_flow.engine.commands import Command, SkipStep
from cascade_flow.engine.state import Claimant
from cascade_flow.errors import CascadeFlowError, PayloadTooLargeError, StaleAttemptError, TransientError
from cascade_flow.operations.patience import Patience
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.records import dataclass, replace
from cascade_flow.wake import Wake
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from cascade_flow.worker.lease import Lease
from cascade_flow.worker.means import Means
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.runner import run_attempt
from cascade_flow.worker.verdicts import command_of, removed, unforeseen

_PATIENCE_TO_CLAIM_MS = 10_000
"""For how long a claim is tried: others may take the step meanwhile, and the sweep calls it out again."""
_LAST_WORDS_MS = 3_000
"""What is left when a report is tried for the last time: the table itself goes on for up to 2.6 s."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a worker spends its time, in milliseconds: between heartbeats, and what it leaves to report at the end."""

    heartbeat_ms: int = 20_000
    safety_ms: int = 5_000


class Worker:
    """Works on what wake-ups name. `workflows` are those whose code this process has, by slug."""

    def __init__(
        self,
        runtime: Runtime,
        workflows: Mapping[str, Workflow],
        *,
        worker_id: str,
        pace: Pace | None = None,
        means: Means | None = None,
    ) -> None:
        self._runtime = runtime
        self._workflows = workflows
        self._worker_id = worker_id
        self._pace = pace or Pace()
        self._means = means or Means()
        self._steps = Steps(runtime)

    def work(self, wake: Wake, *, remaining_ms: Callable[[], int]) -> int:
        """Do what a wake-up asks for; answers how many attempts were run. `remaining_ms` is the time that is left."""
        if not wake.step:
            self._attend(wake)
            return 0
        shift = _Shift(remaining_ms, remaining_ms(), self._pace.safety_ms)
        held = self._claimed(wake)
        attempts = 0
        while held is not None and held.running:
            held = self._attempt(held, shift)
            attempts += 1
        return attempts

    def _attend(self, wake: Wake) -> None:
        from cascade_flow.operations.sweep import Sweep  # noqa: PLC0415  (most wake-ups name a step)

        Sweep(self._runtime, name=self._worker_id).attend(wake.run_id, wake.branch)

    def _claimed(self, wake: Wake) -> HeldAttempt | None:
        """What is claimed is held already: the lease is the time to read what belongs to it."""
        branch = Patience.of_ms(_PATIENCE_TO_CLAIM_MS).ask(lambda: self._steps.take(wake, self._worker_id))
        patience = Patience.of_ms(self._runtime.timing.lease_us // 1_000)
        return patience.ask(lambda: self._steps.held_by(wake.run_id, branch, wake))

    def _attempt(self, held: HeldAttempt, shift: _Shift) -> HeldAttempt | None:
        lease, after = Lease(self._runtime, self._steps, held, shift.patience), None
        try:
            after = self._carry_out(lease, shift)
        except StaleAttemptError as error:
            _log.warning("%s", error, extra=_place(held))
        if after is None:
            self._steps.let_place_go(lease.held)
        return after

    def _carry_out(self, lease: Lease, shift: _Shift) -> HeldAttempt | None:
        """Run and report, with heartbeats until that is done. Whatever of ours fails meanwhile is told as the step's
        failure: it would only fail again with the next worker, and nobody would know why. But for a backend that is
        away for longer than there is time: then the message comes again.
        """
        started_us = clock.now_us()
        try:
            step = self._step(lease.held)
            if step is None:
                return self._report(lease, removed(lease.held.branch.step, lease.held.facts.workflow_slug))
            step = self._means.step(step, lease.held)
            interrupt, meter = self._means.interrupt(), self._means.meter()
            with self._beating(lease, shift, interrupt, meter) as beat:
                command = self._run(step, lease, shift, interrupt, meter, beat)
                return None if command is None else self._report(lease, command)
        except (StaleAttemptError, TransientError):
            raise
        except (Exception, Interrupted) as error:  # noqa: BLE001  the last net: logged, and told
            _log.exception("step %r could not be carried out", lease.held.branch.step, extra=_place(lease.held))
            return lease.report(unforeseen(error, clock.now_us() - started_us)) if lease.is_held else lease.held

    def _step(self, held: HeldAttempt) -> Step | None:
        workflow = self._workflows.get(held.facts.workflow_slug)
        return None if workflow is None else workflow.definition().codes.get(held.branch.step)

    def _beating(self, lease: Lease, shift: _Shift, interrupt: Interrupt, meter: Meter) -> Heartbeat:
        return self._means.heartbeat(
            lease.beat,
            every_ms=self._pace.heartbeat_ms,
            snapshot=meter.snapshot,
            on_lost=lambda: interrupt.fire(Cause.LOST),
            stop_after_ms=shift.remaining_ms(),
        )

    def _run(
        self, step: Step, lease: Lease, shift: _Shift, interrupt: Interrupt, meter: Meter, beat: Heartbeat
    ) -> Command | None:
        children = self._means.children(lease.held)
        if children is None:
            return self._call(step, lease, shift, interrupt, meter, beat)
        from cascade_flow.worker.children import Parent  # noqa: PLC0415  (few workflows have such steps)

        parent, claimant = Parent(self._runtime, lease.held, children), self._next_claimant(lease.held, shift)
        call = partial(self._call, step, lease, shift, interrupt, meter, beat)
        return shift.patience.ask(lambda: parent.command(claimant, call))

    def _call(
        self, step: Step, lease: Lease, shift: _Shift, interrupt: Interrupt, meter: Meter, beat: Heartbeat
    ) -> Command | None:
        """Run the step's own code."""
        inputs = shift.patience.ask(lambda: self._steps.inputs(lease.held))
        limit_ms = shift.limit_ms(_timeout_ms(step, lease.held))
        capture = self._means.capture(lease.log, after_us=lease.held.started_us, on_exit=lease.exited)
        context = _context(self._runtime, lease, interrupt, beat, limit_ms)
        tried = lease.held.branch.tried
        given = StepInputs(input_json=inputs.input, outputs=inputs.outputs, context=context, tried=tried)
        work = None
        if (up := lease.held.facts.up) is not None and up.is_item:
            from cascade_flow.operations.item_inputs import declared_of  # noqa: PLC0415  (most are nobody's child)
            from cascade_flow.worker.children import of_item  # noqa: PLC0415

            given, work = of_item(declared_of(self._runtime, lease.held.run), up.number, given)
        lease.patience = Patience.of_ms(limit_ms)
        outcome = run_attempt(
            step, given, timeout_ms=limit_ms, interrupt=interrupt, capture=capture, meter=meter, work=work
        )
        lease.patience = shift.patience
        _tell_errors(lease.held, capture.error, beat.error)
        claimant = self._next_claimant(lease.held, shift)
        return command_of(outcome, chance=self._runtime.chance(), claimant=claimant)

    def _next_claimant(self, held: HeldAttempt, shift: _Shift) -> Claimant | None:
        """This worker, if it has the time for the branch's next step."""
        following = held.facts.graph.next_in_branch(held.branch.step)
        if following is None or not shift.allows(held.facts.graph.step(following).timeout_ms):
            return None
        return Claimant(self._worker_id, clock.now_us() + self._runtime.timing.lease_us)

    def _report(self, lease: Lease, command: Command) -> HeldAttempt:
        try:
            return lease.report(command)
        except PayloadTooLargeError as error:
            if isinstance(command, SkipStep) and command.metadata:
                return lease.report(replace(command, metadata={"left out": str(error)}))
            return lease.report(unforeseen(error, getattr(command, "duration_us", 0)))


def _timeout_ms(step: Step, held: HeldAttempt) -> int | None:
    """How long an attempt may take; where children do the work, the run's graph knows for whom that holds."""
    if step.definition.children is None:
        return step.definition.timeout_ms
    return held.facts.graph.step(held.branch.step).timeout_ms


@dataclass(frozen=True)
class _Shift:
    """A worker's time: what is left, what there was at first, and what must be left over (all milliseconds)."""

    remaining_ms: Callable[[], int]
    whole_ms: int
    safety_ms: int

    @property
    def patience(self) -> Patience:
        """For as long as there is time to report."""
        return Patience.of_ms(self.remaining_ms() - _LAST_WORDS_MS)

    def limit_ms(self, timeout_ms: int | None) -> int:
        """How long a step may take now."""
        left_ms = max(1, self.remaining_ms() - self.safety_ms)
        return left_ms if timeout_ms is None else min(timeout_ms, left_ms)

    def allows(self, timeout_ms: int | None) -> bool:
        """Whether one more step may be begun."""
        needed_ms = self.whole_ms // 2 if timeout_ms is None else timeout_ms + self.safety_ms
        return self.remaining_ms() >= needed_ms


def _context(runtime: Runtime, lease: Lease, interrupt: Interrupt, beat: Heartbeat, limit_ms: int) -> AttemptContext:
    facts, branch = lease.held.facts, lease.held.branch

    def address(event: str) -> str:
        from cascade_flow.operations.callbacks import Callbacks  # noqa: PLC0415  (few steps ask for one)

        return Callbacks(runtime).address(facts, event)

    return AttemptContext(
        run_id=facts.run_id,
        workflow_slug=facts.workflow_slug,
        step_id=branch.step,
        attempt=branch.attempt,
        first_run_id=lease.held.first_run_id,
        interrupt=interrupt,
        beat=beat.beat,
        store=lease,
        deadline_us=clock.now_us() + limit_ms * 1_000,
        address=address,
    )


def _place(held: HeldAttempt) -> dict[str, Any]:
    """Where a line of the log belongs."""
    return {"run_id": held.facts.run_id, "step": held.branch.step, "attempt": held.branch.attempt}


def _tell_errors(held: HeldAttempt, *errors: Exception | None) -> None:
    for error in errors:
        if error is not None and not isinstance(error, StaleAttemptError):
            expected = isinstance(error, CascadeFlowError)
            told = None if expected else error
            _log.warning("while the step ran: %s", error, exc_info=told, extra=_place(held))
