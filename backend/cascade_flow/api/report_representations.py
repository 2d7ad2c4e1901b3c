"""What answers about no single run look like: reports, workers, dead letters. None is larger than an answer may be.

What a report lists without a bound is cut where nobody reads on; its counts are of all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from cascade_flow.api.names import document
from cascade_flow.api.paging import PAGE_CHARACTERS
from cascade_flow.api.problems import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cascade_flow.api import report_replies as replies
    from cascade_flow.dead_letters import DeadLetter
    from cascade_flow.model import reports
    from cascade_flow.operations.analytics import Overview

MOST_OCCURRENCES = 100
"""Of one message, in a report about all."""
MOST_STEPS = 200
"""Of all that a range has, told one by one."""
_FRAME = 100
"""Characters that a list's item has beside its own."""


def error_analysis(report: reports.ErrorAnalysis) -> replies.ErrorAnalysis:
    """GET /analytics/error-analysis: with the newest occurrences of each message."""
    return document(_cut(report), {})


def summary(found: Overview) -> replies.Summary:
    """GET /analytics/summary: of steps, those on which most time was spent."""
    report, more = found.summary, cast("replies.MoreOfSummary", {})
    if found.steps is not None:
        more["steps"] = [document(step, {}) for step in found.steps[:MOST_STEPS]]
    if found.intervals is not None:
        more["intervals"] = [document(interval, {}) for interval in found.intervals]
    return document(report.model_copy(update={"error_analysis": _cut(report.error_analysis)}), more)


def error_page(page: reports.ErrorsPage, *, offset: int) -> replies.ErrorPage:
    """GET /analytics/errors: as many groups as were asked for and fit."""
    found: list[replies.ErrorGroup] = [document(group, {}) for group in page.errors]
    fitting = _fitting(found)
    told: replies.ErrorPage = {"errors": found[:fitting], "total": page.total}
    if fitting and offset + fitting < page.total:
        told["nextOffset"] = offset + fitting
    return told


def worker_page(report: reports.ActiveWorkers, *, after: str | None, limit: int) -> replies.WorkerPage:
    """GET /workers: by their ids, so that who comes or goes meanwhile moves nobody else."""
    ordered = sorted(report.workers, key=lambda worker: worker.worker_id)
    behind: list[replies.Worker] = [document(each, {}) for each in ordered if after is None or each.worker_id > after]
    fitting = _fitting(behind[:limit])
    more: replies.WorkersInPage = {"workers": behind[:fitting]}
    if fitting < len(behind):
        more["nextCursor"] = behind[fitting - 1]["workerId"]
    return document(report, more)


def dead_letters(letters: Iterable[DeadLetter], count: int) -> replies.DeadLetters:
    """GET /dead-letters: there may be more than SQS has counted yet."""
    found = [_dead_letter(letter) for letter in letters]
    return {"deadLetters": found, "approximateCount": max(count, len(found))}


def _dead_letter(letter: DeadLetter) -> replies.DeadLetter:
    told: replies.DeadLetter = {
        "messageId": letter.message_id,
        "sentAtUs": letter.sent_us,
        "receiveCount": letter.received,
        "body": shortened(letter.shown),
    }
    if (wake := letter.wake) is not None:
        told["runId"], told["branch"] = wake.run_id, wake.branch
        if wake.branch:
            told["stepId"], told["attemptNumber"] = wake.step, wake.attempt
    return told


def _cut(report: reports.ErrorAnalysis) -> reports.ErrorAnalysis:
    most = [
        error.model_copy(
            update={"occurrences": sorted(error.occurrences, key=lambda each: -each.timestamp_us)[:MOST_OCCURRENCES]}
        )
        for error in report.most_common_errors
    ]
    return report.model_copy(update={"most_common_errors": most})


def _fitting(items: Sequence[dict[str, Any]]) -> int:
    """How many of them an answer holds, one at least."""
    characters = 0
    for number, item in enumerate(items):
        characters += len(json.dumps(item)) + _FRAME
        if number and characters > PAGE_CHARACTERS:
            return number
    return len(items)
