"""A run's steps, and what can be done with runs: tried again, gone on from, cancelled and retried by the filter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cascade_flow.client.asking import Asks, Json, part, place


class RunMethods(Asks):
    """What is asked of runs under way and over."""

    def steps(self, run_id: str) -> list[Json]:
        """A run's steps, in declared order. Raises RunNotFoundError."""
        return [step for page in self._pages(f"/runs/{part(run_id)}/steps", {}) for step in page["steps"]]

    def step(self, run_id: str, step_id: str, *, payloads: bool = True) -> Json:
        """A step with its input, its output and every attempt; quicker without the payloads.

        Raises RunNotFoundError, StepNotFoundError, PayloadLostError.
        """
        path = f"/runs/{part(run_id)}/steps/{place(step_id)}"
        found = self._filled(self._get(path, None if payloads else {"payloads": "false"}), ("output",), json.loads)
        return {**found, "input": self._given(found["input"])} if "input" in found else found

    def children(self, run_id: str, step_id: str, *, status: Sequence[str] = (), most: int | None = None) -> list[Json]:
        """The runs that do a step's work, by number: of a map one for each item, or for each batch of them; only those
        in one of these states, and so many `most` of all.

        Raises RunNotFoundError, StepNotFoundError.
        """
        found: list[Json] = []
        wish: dict[str, Any] = {"status": ",".join(status)} if status else {}
        for page in self._pages(f"/runs/{part(run_id)}/children/{place(step_id)}", wish):
            found += page["children"]
            if most is not None and len(found) >= most:
                break
        return found[:most]

    def retry(self, run_id: str, reason: str | None = None) -> Json:
        """Try a failed or cancelled run again; the answer is its state.

        Raises RunNotFoundError, RunNotRetryableError.
        """
        state: Json = self._post(f"/runs/{part(run_id)}/retry", {"reason": reason})["run"]
        return state

    def resume(self, run_id: str) -> Json:
        """A new run that keeps what a failed or cancelled one has completed: `{runId, isNew, keeps, runsAgain}`.

        Raises RunNotFoundError, RunNotRetryableError, WorkflowRetiredError.
        """
        return self._post(f"/runs/{part(run_id)}/resume", {})

    def rerun(self, run_id: str, from_step_id: str, *, input: Any = None) -> Json:
        """A new run in which a step and all that depend on it run again: `{runId, isNew, keeps, runsAgain}`.

        Raises RunNotFoundError, StepNotFoundError, WorkflowRetiredError, InputInvalidError.
        """
        return self._post(f"/runs/{part(run_id)}/rerun", {"fromStepId": from_step_id, "input": input})

    def send(self, run_id: str, event: str, data: Any = None, *, idempotency_key: str | None = None) -> Json:
        """Tell a run that something has happened that it waits for, or will: `{runId, event, isNew}`.

        The first counts; the same again, with the same key if there is one, is known. Raises RunNotFoundError,
        EventNotFoundError, EventClosedError, InputInvalidError.
        """
        wish = {"data": data, "idempotencyKey": idempotency_key}
        return self._post(f"/runs/{part(run_id)}/events/{place(event)}", wish, again=True)

    def rerun_preview(self, run_id: str, from_step_id: str | None = None) -> Json:
        """What a rerun or a resumption would do: `{versionId, keeps, runsAgain}`. Raises as they."""
        return self._get(f"/runs/{part(run_id)}/rerun", {"fromStepId": from_step_id})

    def cancel_many(self, **filters: Any) -> Iterator[Json]:
        """Cancel the runs that a filter passes, piece by piece: each `{count, refused, nextCursor?}`.

        The filter is that of `runs`: workflow_slug, status, tags, created_after_us, created_before_us. Also: `reason`,
        `limit` (runs in a piece) and `cursor`.
        """
        return self._pieces("/runs/cancel", **filters)

    def retry_many(self, **filters: Any) -> Iterator[Json]:
        """Try the runs again that a filter passes, as `cancel_many`."""
        return self._pieces("/runs/retry", **filters)

    def _pieces(
        self,
        path: str,
        *,
        workflow_slug: str | None = None,
        status: Sequence[str] = (),
        tags: Sequence[str] = (),
        created_after_us: int | None = None,
        created_before_us: int | None = None,
        reason: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Iterator[Json]:
        wish = {
            "workflowSlug": workflow_slug,
            "status": list(status) or None,
            "tags": list(tags) or None,
            "createdAfterUs": created_after_us,
            "createdBeforeUs": created_before_us,
            "reason": reason,
            "limit": limit,
        }
        piece = self._post(path, {**wish, "cursor": cursor})
        yield piece
        while "nextCursor" in piece:
            piece = self._post(path, {**wish, "cursor": piece["nextCursor"]})
            yield piece
