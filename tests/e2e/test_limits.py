"""Limits on the deployed stack: fifty runs under a limit of three, and calls that keep their pace; all of them end."""

from __future__ import annotations

from at_work import most_at_once, must_keep_limits, spans_of
from cascade_flow import StepStarted
from e2e.stack import Stack
from e2e.workflows.trials.limits import A_SECOND, AT_ONCE

RUNS = 50
CALLS = 15
SPACING_US = 1_000_000 // A_SECOND
A_CLAIM_US = 150_000
"""What the first may take from its turn to its start."""


def test_no_more_than_three_are_at_work_at_once(stack: Stack) -> None:
    run_ids = [stack.submit("crowded") for _ in range(RUNS)]
    checked = [stack.finished(run_id) for run_id in run_ids]
    must_keep_limits(checked)
    spans = [(begin, end) for run in checked for mark, begin, end in spans_of(run) if mark.step == "pass_the_gate"]
    assert len(spans) >= RUNS
    assert most_at_once(spans) == AT_ONCE, "they were fewer than there are places, or more"
    assert stack.client.run(run_ids[0])["output"] == {"leave": 2}


def test_calls_keep_their_pace(stack: Stack) -> None:
    """The first begins at once; no other sooner than so many turns after it, however late messages come."""
    run_ids = [stack.submit("paced") for _ in range(CALLS)]
    for run_id in run_ids:
        stack.finished(run_id)
    first, *others = sorted(event.timestamp_us for run_id in run_ids for event in stack.events(run_id, StepStarted))
    ahead = [first + turn * SPACING_US - at_us for turn, at_us in enumerate(others, start=1)]
    assert max(ahead) <= A_CLAIM_US, ahead
