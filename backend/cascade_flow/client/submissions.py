"""Runs submitted, one or many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from cascade_flow import clock
from cascade_flow.client.asking import AGAIN_US, FIRST_PAUSE_US, Asks, Json, part
from cascade_flow.portions import portions

MOST_AT_ONCE = 1_000
MOST_BYTES_AT_ONCE = 2_500_000
"""Half of what is taken: on its way the text is quoted once more, which may double it."""
_BUSY = 503


class RunOptions(TypedDict, total=False):
    """What may be said of a run that is submitted; None says nothing. Lengths of time are seconds."""

    input: Any
    run_id: str | None
    available_at_us: int | None
    delay_s: float | None
    priority: int | None
    timeout_s: float | None
    idempotency_key: str | None
    metadata: Mapping[str, Any] | None
    tags: Sequence[str] | None


class SubmissionMethods(Asks):
    """How runs are made."""

    def submit(self, workflow_slug: str, **options: Unpack[RunOptions]) -> Json:
        """Make a run, such as `submit("orders", input={"item": "tea"}, tags=["paid"])`: `{runId, isNew}`.

        Raises WorkflowNotFoundError, InputInvalidError, IdempotencyConflictError, ConflictError (the id is taken);
        TypeError for what is no option.
        """
        return self._post(f"/workflows/{part(workflow_slug)}/runs", wish_for_run(**options))

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


def wish_for_run(**options: Unpack[RunOptions]) -> Json:
    """A submission in the words of the API. Raises TypeError for what is no option."""
    if unknown := options.keys() - RunOptions.__annotations__.keys():
        known = ", ".join(RunOptions.__annotations__)
        raise TypeError(f"there is no option {sorted(unknown)[0]!r} of a run; there are: {known}")
    return {
        "input": options.get("input"),
        "runId": options.get("run_id"),
        "availableAtUs": options.get("available_at_us"),
        "delayUs": _us(options.get("delay_s")),
        "priority": options.get("priority"),
        "timeoutUs": _us(options.get("timeout_s")),
        "idempotencyKey": options.get("idempotency_key"),
        "metadata": options.get("metadata"),
        "tags": options.get("tags"),
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
