"""Carries out one claimed step and reports what came of it: what `worker/loop` does, where only HTTP leads to the engine."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Event
from typing import Any

from cascade_flow import clock
from cascade_flow.authoring import Step, StepInputs, Workflow
from cascade_flow.client.asking import Json
from cascade_flow.engine.commands import Command, SkipStep
from cascade_flow.errors import PayloadTooLargeError, StaleAttemptError, TransientError
from cascade_flow.remote.lease import RemoteLease
from cascade_flow.worker.capture import Capture
from cascade_flow.worker.context import AttemptContext
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from cascade_flow.worker.resources import Meter
from cascade_flow.worker.runner import run_attempt
from cascade_flow.worker.verdicts import command_of, removed, unforeseen

_BEATS_IN_A_LEASE = 3
_log = logging.getLogger(__name__)


class RemoteAttempt:
    """One attempt, from its claim to its report. `give_back` may be called from another thread."""

    def __init__(self, lease: RemoteLease, workflows: Mapping[str, Workflow]) -> None:
        self._lease = lease
        self._workflows = workflows
        self._interrupt = Interrupt()
        self._given_back = Event()

    def give_back(self) -> None:
        """Stop the step's code, and let another worker have the attempt."""
        self._given_back.set()
        self._interrupt.fire(Cause.LOST)

    def carry_out(self) -> Json:
        """Run and report, with heartbeats until that is done: what the engine answers, `{status, next?}`.

        Whatever of ours fails meanwhile is told as the step's failure. Raises StaleAttemptError where the attempt is
        lost, TransientError where the API is away for longer than the lease.
        """
        started_us = clock.now_us()
        try:
            step = self._step()
            command = removed(self._lease.attempt.step_id, self._lease.claim["workflowSlug"]) if step is None else None
            return self._report(command) if step is None and command else self._worked(step)
        except (StaleAttemptError, TransientError):
            raise
        except (Exception, Interrupted) as error:  # noqa: BLE001  the last net: logged, and told
            _log.exception("step %r could not be carried out", self._lease.attempt.step_id)
            return self._lease.report(unforeseen(error, clock.now_us() - started_us))
