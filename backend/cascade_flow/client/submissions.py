"""Runs submitted, one or many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cascade_flow import clock
from cascade_flow.client.asking import AGAIN_US, FIRST_PAUSE_US, Asks, Json, part
from cascade_flow.portions import portions

MOST_AT_ONCE = 1_000
MOST_BYTES_AT_ONCE = 2_500_000
"""Half of what is taken: on its way the text is quoted once more, which may double it."""
_BUSY = 503


class SubmissionMethods(Asks):
    """How runs are made."""

    def submit(
        self,
        workflow_slug: str,
        *,
        input: Any = None,
        run_id: str | None = None,
        available_at_us: int | None = None,
        delay_s: float | None = None,
        priority: int | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Json:
        """Make a run: `{runId, isNew}`.

        Raises WorkflowNotFoundError, InputInvalidError, IdempotencyConflictError, ConflictError (the id is taken).
        """
        wish = wish_for_run(
            input=input,
            run_id=run_id,
            available_at_us=available_at_us,
            delay_s=delay_s,
            priority=priority,
            timeout_s=timeout_s,
            idempotency_key=idempotency_key,
            metadata=metadata,
            tags=tags,
        )
        return self._post(f"/workflows/{part(workflow_slug)}/runs", wish)

    def submit_many(self, workflow_slug: str, runs: Iterable[Mapping[str, Any]]) -> Iterator[Json]:
        """Make runs, as many as there are, a thousand at a time: what became of each, in their order.

        Each is what `submit` takes: `{"input": ..., "idempotency_key": ...}`. The answers are `{outcome, runId}`, of
        which the outcome is `submitted`, or `known` by its key; `{outcome: "refused", problem}`; or `{outcome: "left"}`
        where the service was busy for long and nothing was done. Those with a key may be sent again as a whole.
        """
        return self.submit_rows(workflow_slug, (wish_for_run(**run) for run in runs))

    def submit_rows(self, workflow_slug: str, rows: Iterable[Json]) -> Iterator[Json]:
        """The same, of runs in the words of the API: `{"input": ..., "idempotencyKey": ...}`."""
        said = ({name: value for name, value in row.items() if value is not None} for row in rows)
        for some in portions(said, size_of=_size, most_bytes=MOST_BYTES_AT_ONCE, most=MOST_AT_ONCE):
            yield from self._some(workflow_slug, some)

    def _some(self, workflow_slug: str, rows: Sequence[Json]) -> list[Json]:
        """What became of each; what is left, and what was refused for a while, is sent again for some seconds."""
        told = [_too_large(row) for row in rows]
        left = [n for n, known in enumerate(told) if known is None]
        until_us, pause_us = clock.now_us() + AGAIN_US, FIRST_PAUSE_US
        while left:
            for n, answer in zip(left, self._asked(workflow_slug, [rows[n] for n in left]), strict=True):
                told[n] = answer
            before, left = len(left), [n for n in left if _goes_again(rows[n], told[n] or {})]
            if len(left) < before:
                until_us, pause_us = clock.now_us() + AGAIN_US, FIRST_PAUSE_US
            elif clock.now_us() + pause_us > until_us:
                break
            if left:
                clock.pause_us(pause_us)
                pause_us *= 2
        return [answer for answer in told if answer is not None]

    def _asked(self, workflow_slug: str, rows: Sequence[Json]) -> list[Json]:
        wish = {"workflowSlug": workflow_slug, "runs": rows}
        answered: list[Json] = self._post("/runs/batch", wish, again=all("idempotencyKey" in row for row in rows))[
            "runs"
        ]
        return answered


def wish_for_run(
    *,
    input: Any = None,
    run_id: str | None = None,
    available_at_us: int | None = None,
    delay_s: float | None = None,
    priority: int | None = None,
    timeout_s: float | None = None,
    idempotency_key: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> Json:
    """A submission in the words of the API."""
    return {
        "input": input,
        "runId": run_id,
        "availableAtUs": available_at_us,
        "delayUs": _us(delay_s),
        "priority": priority,
        "timeoutUs": _us(timeout_s),
        "idempotencyKey": idempotency_key,
        "metadata": metadata,
        "tags": tags,
    }


def _goes_again(row: Json, answer: Json) -> bool:
    """Whether it may be sent again: nothing was done, or it would be known by its key."""
    if answer["outcome"] != "refused":
        return bool(answer["outcome"] == "left")
    return "idempotencyKey" in row and bool(answer["problem"]["status"] == _BUSY)


def _too_large(row: Json) -> Json | None:
    """The refusal of what no request would hold."""
    from cascade_flow.api import batch_answers, documents  # noqa: PLC0415  (for many only)
    from cascade_flow.errors import PayloadTooLargeError  # noqa: PLC0415

    try:
        documents.check_size(_size(row), called="this run")
    except PayloadTooLargeError as error:
        return {"outcome": "refused", "problem": batch_answers.problem_of_one(error)}
    return None


def _size(row: Json) -> int:
    return len(json.dumps(row, ensure_ascii=False, allow_nan=False).encode())


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
