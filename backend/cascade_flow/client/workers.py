"""The worker protocol from Python: claims, and what a worker says of the attempts that it holds.

Each names the attempt, is fenced, and may be said again: it is answered the same. StaleAttemptError: the attempt is
held no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from cascade_flow.client.asking import Asks, Json, part, place


class Attempt(NamedTuple):
    """An attempt of a step, and the worker that holds it."""

    run_id: str
    step_id: str
    worker_id: str
    attempt_number: int

    @classmethod
    def of(cls, claim: Mapping[str, Any], worker_id: str) -> Attempt:
        """The attempt that a claim has given."""
        return cls(claim["runId"], claim["stepId"], worker_id, claim["attemptNumber"])


class WorkerMethods(Asks):
    """What workers ask."""

    def claim(
        self,
        worker_id: str,
        *,
        pool: str | None = None,
        workflow_slug: str | None = None,
        run_id: str | None = None,
        step_id: str | None = None,
        wait_ms: int | None = None,
        slot_index: int | None = None,
        worker_concurrency: int | None = None,
    ) -> Json | None:
        """A due step with all that it needs, or None where none came within `wait_ms`; what lies in S3 stays there.

        Raises WorkflowNotFoundError; RunNotFoundError, StepNotFoundError where one step is named.
        """
        wish = {
            "workerId": worker_id,
            "pool": pool,
            "workflowSlug": workflow_slug,
            "runId": run_id,
            "stepId": step_id,
            "waitMs": wait_ms,
            "slotIndex": slot_index,
            "workerConcurrency": worker_concurrency,
        }
        return self._post("/steps/claim", wish) or None

    def heartbeat(self, attempt: Attempt, *, resource_snapshot: Json | None = None) -> Json:
        """Prolong the lease: `{leaseUntilUs}`."""
        return self._say(attempt, "heartbeat", resourceSnapshot=resource_snapshot)

    def write_logs(self, attempt: Attempt, lines: Iterable[Json]) -> None:
        """Store lines, each `{message, stream?, timestampUs?}`; the same lines again change nothing."""
        self._say(attempt, "logs", lines=list(lines))

    def checkpoint(
        self,
        attempt: Attempt,
        name: str,
        sequence: int = 0,
        data: Any = None,
        *,
        error: Json | None = None,
        label: str | None = None,
        parent: Json | None = None,
    ) -> None:
        """Store what a part of the work has given, or the error that it failed with. Raises PayloadTooLargeError."""
        told = {"name": name, "sequence": sequence, "data": data, "error": error, "label": label, "parent": parent}
        self._say(attempt, "checkpoint", **told)

    def complete(self, attempt: Attempt, output: Any = None, *, claim_next: bool = False, **measures: Any) -> Json:
        """The step returned: `{status, next?}`. With `claim_next` the branch's next step is claimed in one, if that is
        for the same workers. Raises PayloadTooLargeError.
        """
        return self._say(attempt, "complete", output=output, claimNext=claim_next or None, **measures)

    def fail(
        self, attempt: Attempt, error: Json, *, retryable: bool = True, reason: str | None = None, **measures: Any
    ) -> Json:
        """The step failed: `{status, nextRetryAtUs?}`. Its policy decides on a retry, unless it is not `retryable`."""
        return self._say(attempt, "fail", error=error, retryable=retryable, reason=reason, **measures)

    def skip(self, attempt: Attempt, reason: str, *, metadata: Json | None = None, **measures: Any) -> Json:
        """There is nothing to do: `{status}`."""
        return self._say(attempt, "skip", reason=reason, metadata=metadata, **measures)

    def later(
        self,
        attempt: Attempt,
        reason: str | None = None,
        *,
        delay_us: int | None = None,
        available_at_us: int | None = None,
        **measures: Any,
    ) -> Json:
        """The step isn't ready, and comes again later: `{status, nextRetryAtUs?}`. No attempt of its retry policy is
        used; without a time it comes as its `poll` says.
        """
        when = {"delayUs": delay_us, "availableAtUs": available_at_us}
        return self._say(attempt, "later", reason=reason, **when, **measures)

    def release(self, attempt: Attempt) -> Json:
        """Give the attempt up: the step is for another worker at once. `{status}`."""
        return self._say(attempt, "release")

    def given(self, claim: Mapping[str, Any]) -> Json:
        """A claim with its texts in S3, and with the outputs that it left out. Raises PayloadLostError."""
        whole = self._filled(self._given(claim), ("checkpoints",), json.loads)
        left_out = {step: self._output(claim["runId"], step) for step in claim.get("leftOut", ())}
        kept = [self._filled(each, ("data",), json.loads) for each in whole.get("checkpoints", ())]
        return {**whole, "outputs": {**whole["outputs"], **left_out}, "checkpoints": kept}

    def _output(self, run_id: str, step_id: str) -> Any:
        found = self._get(f"/runs/{part(run_id)}/steps/{place(step_id)}")
        return self._filled(found, ("output",), json.loads)["output"]

    def _say(self, attempt: Attempt, what: str, **told: Any) -> Json:
        path = f"/runs/{part(attempt.run_id)}/steps/{place(attempt.step_id)}/{what}"
        named = {"workerId": attempt.worker_id, "attemptNumber": attempt.attempt_number}
        return self._post(path, {**named, **told}, again=True)
