"""Carries out one claimed step, and reports what came of it: `worker/loop`, where only HTTP leads to the engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Event

from cascade_flow import clock
from cascade_flow.authoring import Step, StepInputs, Workflow
from cascade_flow.client.asking import Json
from cascade_flow.engine.commands import Command, Fail, SkipStep
from cascade_flow.errors import PayloadTooLargeError, StaleAttemptError, TransientError
from cascade_flow.model.ids import up_of
from cascade_flow.model.parts import StepError
from cascade_flow.remote.lease import RemoteLease
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.runner import run_attempt
from cascade_flow.worker.verdicts import command_of, removed, unforeseen

BEATS_IN_A_LEASE = 3
_TO_REPORT_MS = 30_000
"""For how long after its timeout an attempt is still believed to come to its report."""
_log = logging.getLogger(__name__)


class RemoteAttempt:
    """One attempt, from its claim to its report. `give_back` may be called from another thread."""

    def __init__(self, lease: RemoteLease, workflows: Mapping[str, Workflow]) -> None:
        self.lease = lease
        self._workflows = workflows
        self._interrupt = Interrupt()
        self._meter = Meter()
        self._given_back = Event()
        self.failure: StepError | None = None

    def give_back(self) -> None:
        """Stop the step's code, and let another worker have the attempt."""
        self._given_back.set()
        self._stop()

    def carry_out(self) -> Json:
        """Run and report, with heartbeats until that is done: what the engine answers, `{status, next?}`.

        Whatever of ours fails meanwhile is told as the step's failure. Raises StaleAttemptError where the attempt is
        lost, TransientError where the API is away for longer than the lease.
        """
        started_us = clock.now_us()
        try:
            with self.lease.watched(self._stop), self._beating() as beat:
                return self._reported(self._outcome(beat))
        except (StaleAttemptError, TransientError):
            raise
        except (Exception, Interrupted) as error:  # noqa: BLE001  the last net: logged, and told
            _log.exception("step %r could not be carried out", self.lease.attempt.step_id)
            return self.lease.report(unforeseen(error, clock.now_us() - started_us))

    def _beating(self) -> Heartbeat:
        """Code that no timeout stops loses its lease, and another worker has the step."""
        timeout_us = self.lease.claim["timeoutUs"]
        return Heartbeat(
            self.lease.beat,
            every_ms=self.lease.claim["leaseUs"] // 1_000 // BEATS_IN_A_LEASE,
            snapshot=self._meter.snapshot,
            on_lost=self._stop,
            stop_after_ms=None if timeout_us is None else timeout_us // 1_000 + _TO_REPORT_MS,
        )

    def _stop(self) -> None:
        self._interrupt.fire(Cause.LOST)

    def _outcome(self, beat: Heartbeat) -> Command | None:
        """What is to be reported; None where the attempt is another worker's, or is to be."""
        step = self._step()
        if step is None:
            return removed(self.lease.attempt.step_id, self.lease.claim["workflowSlug"])
        limit_ms, work = step.definition.timeout_ms, None
        children, up = step.definition.children, up_of(self.lease.attempt.run_id)
        if children is None or up is None:
            given = self._given(beat, limit_ms)
        else:
            from cascade_flow.worker.children import of_item  # noqa: PLC0415  (most runs are nobody's child)

            limit_ms = limit_ms and limit_ms * children.batch
            given, work = of_item(children, up[2], self._given(beat, limit_ms))
        capture = Capture(self.lease.log, echo=False, after_us=self.lease.started_us, on_exit=self.lease.exited)
        outcome = run_attempt(
            step,
            given,
            timeout_ms=limit_ms,
            interrupt=self._interrupt,
            capture=capture,
            meter=self._meter,
            work=work,
        )
        if capture.error is not None:
            _log.warning("lines of step %r are lost: %s", step.id, capture.error)
        return command_of(outcome, chance=0)

    def _step(self) -> Step | None:
        workflow = self._workflows.get(self.lease.claim["workflowSlug"])
        return None if workflow is None else workflow.definition().codes.get(self.lease.attempt.step_id)

    def _given(self, beat: Heartbeat, limit_ms: int | None) -> StepInputs:
        claim = self.lease.given()
        skipped = set(claim["skipped"])
        outputs = {step: None if step in skipped else _text(output) for step, output in claim["outputs"].items()}
        input_json = None if claim["input"] is None else _text(claim["input"])
        context, tried = self._context(beat, limit_ms), claim.get("countedAttempt")
        return StepInputs(input_json=input_json, outputs=outputs, context=context, tried=tried)

    def _context(self, beat: Heartbeat, limit_ms: int | None) -> AttemptContext:
        claim = self.lease.claim
        return AttemptContext(
            run_id=claim["runId"],
            workflow_slug=claim["workflowSlug"],
            step_id=claim["stepId"],
            attempt=claim["attemptNumber"],
            first_run_id=claim["firstRunId"],
            interrupt=self._interrupt,
            beat=beat.beat,
            store=self.lease,
            deadline_us=None if limit_ms is None else clock.now_us() + limit_ms * 1_000,
        )

    def _reported(self, command: Command | None) -> Json:
        if command is None and self._given_back.is_set():
            return self.lease.release()
        if command is None:
            why = "another worker has it by now, or its run was stopped" if self.lease.left_s else "its lease is over"
            raise StaleAttemptError(f"step {self.lease.attempt.step_id!r} was lost: {why}")
        self.failure = command.error if isinstance(command, Fail) else None
        try:
            return self.lease.report(command)
        except PayloadTooLargeError as error:
            if isinstance(command, SkipStep) and command.metadata:
                return self.lease.report(replace(command, metadata={"left out": str(error)}))
            return self.lease.report(unforeseen(error, getattr(command, "duration_us", 0)))


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
