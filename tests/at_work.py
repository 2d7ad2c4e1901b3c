"""How many attempts of limited steps were at work at once, by the events' times: never more than their limit allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cascade_flow import (
    Event,
    StepCompleted,
    StepFailed,
    StepReclaimed,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)
from cascade_flow.engine.limits import limit_of
from cascade_flow.engine.state import Limit
from checker import Checked
from oracle import Mark

_ENDS = (StepCompleted, StepFailed, StepSkipped, StepReclaimed)
_RUN_ENDS = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
Span = tuple[int, int]


def most_at_once(spans: Iterable[Span]) -> int:
    """The largest number of these times, from and to, that have a moment in common; one may begin as another ends."""
    moments = sorted(moment for begin, end in spans for moment in ((begin, 1), (end, -1)))
    at_once, most = 0, 0
    for _, change in moments:
        at_once += change
        most = max(most, at_once)
    return most


def must_keep_limits(runs: Sequence[Checked], signs_us: Mapping[Mark, Sequence[int]] | None = None) -> None:
    """Assert that no limit had more at work than it allows. Who was silent for a lease and a grace is not counted from
    then on: its place was others' to take, though its word may still count.
    """
    spans: dict[Limit, list[Span]] = defaultdict(list)
    for checked in runs:
        for mark, begin_us, end_us in spans_of(checked):
            limit = limit_of(checked.facts.graph.step(mark.step), checked.facts.limit_keys)
            if limit is not None:
                until_us = _heard_of_until(checked, begin_us, (signs_us or {}).get(mark, ()))
                spans[limit].append((begin_us, min(end_us, until_us)))
    for limit, of_limit in spans.items():
        assert most_at_once(of_limit) <= limit.at_most, f"more than {limit.at_most} of {limit.id} at once: {of_limit}"


def _heard_of_until(checked: Checked, begin_us: int, signs_us: Sequence[int]) -> int:
    patience_us = checked.facts.timing.lease_us + checked.facts.timing.grace_us
    until_us = begin_us + patience_us
    for sign_us in signs_us:
        if sign_us <= until_us:
            until_us = max(until_us, sign_us + patience_us)
    return until_us


def spans_of(checked: Checked) -> Iterator[tuple[Mark, int, int]]:
    """Each attempt that was begun, from when to when: to its end, or its run's."""
    events, run_id = checked.story.events, checked.story.run.run_id
    for number, event in enumerate(events):
        if isinstance(event, StepStarted) and event.timestamp_us >= checked.story.run.created_us:
            end = next((each for each in events[number:] if _ends(each, event)), events[-1])
            yield Mark(run_id, event.step_id, event.attempt_number), event.timestamp_us, end.timestamp_us


def _ends(event: Event, started: StepStarted) -> bool:
    if isinstance(event, WorkflowCancelled | WorkflowFailed):
        return True
    return isinstance(event, _ENDS) and (event.step_id, event.attempt_number) == (
        started.step_id,
        started.attempt_number,
    )


def must_be_one_by_one(runs: Sequence[Checked], at_most: int) -> None:
    """Assert that no more runs went on at once than their workflow allows; what a person asks for (a retry, a run that
    goes on from another) does not wait.
    """
    spans: list[Span] = []
    for checked in runs:
        begun = [event.timestamp_us for event in checked.story.events if isinstance(event, WorkflowStarted)]
        ends = [event.timestamp_us for event in checked.story.events if isinstance(event, _RUN_ENDS)]
        if begun and checked.story.run.parent is None:
            spans.append((begun[0], ends[0] if ends else begun[0]))
    assert most_at_once(spans) <= at_most, f"more than {at_most} runs at once: {spans}"
