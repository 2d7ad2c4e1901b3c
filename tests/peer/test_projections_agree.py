"""The published peer folds events to the same states as we do, in whatever order they come."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st

from cascade_flow.model.events import Event, StepEvent, WorkflowEvent, dump_event
from peer import assert_peer_accepts, assert_peer_projects_as_we_do
from peer.agreement import WireEvent, assert_run_projections_agree, assert_step_projections_agree
from strategies import (
    WORKFLOW_SLUG,
    hostile_run_histories,
    hostile_step_histories,
    run_histories,
    step_histories,
)


def dumped(history: list[StepEvent] | list[WorkflowEvent] | list[Event]) -> list[WireEvent]:
    return [dump_event(event) for event in history]


@settings(max_examples=100, deadline=None)
@given(step_histories())
def test_of_steps_as_they_go(history: list[StepEvent]) -> None:
    assert_step_projections_agree([dumped(history)], WORKFLOW_SLUG)


@settings(max_examples=100, deadline=None)
@given(st.lists(hostile_step_histories(), min_size=1, max_size=3))
def test_of_steps_as_they_never_should_go(histories: list[list[StepEvent]]) -> None:
    assert_step_projections_agree([dumped(history) for history in histories], WORKFLOW_SLUG)


@settings(max_examples=100, deadline=None)
@given(st.lists(hostile_run_histories(), min_size=1, max_size=3))
def test_of_runs_in_any_order(histories: list[list[WorkflowEvent]]) -> None:
    assert_run_projections_agree([dumped(history) for history in histories], WORKFLOW_SLUG)


@settings(max_examples=50, deadline=None)
@given(run_histories())
def test_of_whole_runs(history: list[Event]) -> None:
    assert_peer_accepts(dumped(history))
    assert_peer_projects_as_we_do(dumped(history), WORKFLOW_SLUG)


def test_of_nothing_at_all() -> None:
    assert_run_projections_agree([[]], WORKFLOW_SLUG)
    assert_step_projections_agree([[]], WORKFLOW_SLUG)
