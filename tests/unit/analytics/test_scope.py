"""Which events a question is about."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.analytics.digests import digest_of
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import DAY_US, Scope, own_events
from cascade_flow.model.events import RunSubmitted, WorkflowRerunFromStep, WorkflowResumed
from unit.analytics.happened import IDS, completed, run_completed

SUBMITTED = RunSubmitted(timestamp_us=50, **IDS, version_id="v", available_at_us=50, priority=0, has_input_schema=False)
RESUMED = WorkflowResumed(timestamp_us=51, **IDS, version_id="v", original_run_id="o", resumed_steps=1, pending_steps=1)
RERUN = WorkflowRerunFromStep(
    timestamp_us=51,
    **IDS,
    parent_run_id="o",
    rerun_from_step_id="s",
    rerun_step_ids=["s"],
    version_id="v",
    parent_version_id="v",
)


def test_without_a_range_it_is_the_last_day() -> None:
    scope = Scope.of(2 * DAY_US)
    assert scope.time_range.to_wire() == {"startUs": DAY_US, "endUs": 2 * DAY_US, "durationUs": DAY_US}


def test_both_ends_are_included() -> None:
    scope = Scope.of(100, start_us=10, end_us=20)
    assert [event.timestamp_us for event in scope.events([completed(us) for us in (9, 10, 20, 21)])] == [10, 20]


def test_zero_is_a_time() -> None:
    assert Scope.of(DAY_US * 9, start_us=0, end_us=0).time_range.duration_us == 0


def test_a_question_about_a_step_leaves_the_runs_events_out() -> None:
    past = Past.of(Scope.of(100, step_id="s"), [[completed(1), completed(2, step_id="t"), run_completed(3)]])
    assert ([event.timestamp_us for event in past.steps], past.runs) == ([1], [])


def test_a_question_about_a_workflow() -> None:
    past = Past.of(Scope.of(100, workflow_slug="w"), [[completed(1)], [completed(2, workflow_slug="x")]])
    assert [event.timestamp_us for event in past.steps] == [1]


def test_events_of_several_runs_come_in_order() -> None:
    past = Past.of(Scope.of(100), [[completed(2)], [completed(1, run_id="r2"), completed(3, run_id="r2")]])
    assert [event.timestamp_us for event in past.steps] == [1, 2, 3]


def test_an_unknown_option_is_refused() -> None:
    options: Any = {"workflow": "w"}
    with pytest.raises(TypeError, match="workflow"):
        Scope.of(100, **options)


@pytest.mark.parametrize("goes_on", [RESUMED, RERUN], ids=["resumed", "rerun"])
def test_what_was_copied_counts_where_it_happened(goes_on: Any) -> None:
    history = [completed(10, step_id="kept"), SUBMITTED, goes_on, completed(60)]
    assert [event.timestamp_us for event in own_events(history)] == [50, 51, 60]
    digest = digest_of("r", "w", history, listed_us=60, expires_s=1)
    assert [event.timestamp_us for event in digest.events()] == [60], "nor does it count in what is kept for reports"
    assert own_events([completed(10), SUBMITTED]) == [completed(10), SUBMITTED]
