"""What many submissions at once are answered, one by one: small enough, whatever is wrong with each of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cascade_flow.api.problems import problem
from cascade_flow.errors import CascadeFlowError

if TYPE_CHECKING:
    from cascade_flow.api.batch_replies import ManySubmitted, OneLeft, OneMade, OneRefused, ProblemOfOne
    from cascade_flow.operations.many_submissions import Outcome

LARGEST_PROBLEM_BYTES = 5_000
"""A thousand of these are an answer."""
LONGEST_DETAIL = 500


def many_submitted(outcomes: Iterable[Outcome]) -> ManySubmitted:
    """POST /runs/batch."""
    runs = [_one(outcome) for outcome in outcomes]
    found = Counter(run["outcome"] for run in runs)
    return {
        "runs": runs,
        "counts": {
            "submitted": found["submitted"],
            "known": found["known"],
            "refused": found["refused"],
            "left": found["left"],
        },
    }


def _one(outcome: Outcome) -> OneMade | OneRefused | OneLeft:
    if outcome is None:
        return {"outcome": "left"}
    if isinstance(outcome, CascadeFlowError):
        return {"outcome": "refused", "problem": problem_of_one(outcome)}
    return {"outcome": "submitted" if outcome.is_new else "known", "runId": outcome.run_id}


def problem_of_one(error: CascadeFlowError) -> ProblemOfOne:
    """What the error's problem document says, as much of it as fits."""
    whole = problem(error, request_id="of this request")
    told: ProblemOfOne = {"status": whole["status"], "code": whole["code"], "detail": whole["detail"][:LONGEST_DETAIL]}
    if "facts" in whole and _size(whole["facts"]) + _size(told) <= LARGEST_PROBLEM_BYTES:
        told["facts"] = whole["facts"]
    if "issues" in whole:
        told["issues"] = whole["issues"]
        while told["issues"] and _size(told) > LARGEST_PROBLEM_BYTES:
            told["issues"] = told["issues"][: len(told["issues"]) // 2]
    return told


def _size(told: object) -> int:
    """Bytes as they are sent: the answer's text is quoted once more on its way out."""
    return len(json.dumps(json.dumps(told, ensure_ascii=False), ensure_ascii=False).encode())
