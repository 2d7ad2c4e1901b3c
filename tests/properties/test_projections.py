"""What holds for every history, however strange: the fold is one, zombies change nothing, the wire loses nothing."""

from __future__ import annotations

import json
from functools import reduce

from hypothesis import given, settings, strategies as st

from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepCompleted,
    StepEvent,
    StepFailed,
    WorkflowEvent,
    dump_event,
    parse_event,
)
from cascade_flow.projection import (
    evolve_run,
    evolve_step,
    extract_attempt_metadata,
    project_run_state,
    project_step_record,
    project_step_state,
)
from strategies import (
    WORKFLOW_SLUG,
    events,
    hostile_run_histories,
    hostile_step_histories,
    run_histories,
    step_histories,
)

SOME_STEP_HISTORY = st.one_of(step_histories(), hostile_step_histories())
quick = settings(max_examples=60, deadline=None)


@quick
@given(events())
def test_an_event_survives_the_wire(event: Event) -> None:
    wire = dump_event(event)
    assert parse_event(wire) == event
    assert parse_event(json.dumps(wire)) == event


@quick
@given(SOME_STEP_HISTORY, st.data())
def test_a_stored_step_state_can_be_taken_up_anywhere(history: list[StepEvent], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(history)))
    stored = project_step_state(history[:cut], WORKFLOW_SLUG)
    assert reduce(evolve_step, history[cut:], stored) == project_step_state(history, WORKFLOW_SLUG)


@quick
@given(hostile_run_histories(), st.data())
def test_a_stored_run_state_can_be_taken_up_anywhere(history: list[WorkflowEvent], data: st.DataObject) -> None:
    submitted = data.draw(events([RunSubmitted]))
    whole = [submitted, *history]
    cut = data.draw(st.integers(1, len(whole)))
    stored = project_run_state(whole[:cut], WORKFLOW_SLUG)
    assert reduce(evolve_run, whole[cut:], stored) == project_run_state(whole, WORKFLOW_SLUG)


@quick
@given(SOME_STEP_HISTORY)
def test_a_zombie_changes_nothing_but_the_diary(history: list[StepEvent]) -> None:
    state = project_step_state(history, WORKFLOW_SLUG)
    for event in history:
        if isinstance(event, StepCompleted | StepFailed) and event.attempt_number < state.attempt_number:
            after = evolve_step(state, event)
            assert len(after.state_changes) == len(state.state_changes) + 1
            assert after.model_copy(update={"state_changes": state.state_changes}) == state


@quick
@given(SOME_STEP_HISTORY)
def test_states_are_states_of_the_wire(history: list[StepEvent]) -> None:
    state = project_step_state(history, WORKFLOW_SLUG)
    assert type(state).model_validate(state.to_wire()) == state
    record = project_step_record(history)
    assert type(record).model_validate(record.to_wire()) == record
    for attempt in extract_attempt_metadata(history):
        assert type(attempt).model_validate(attempt.to_wire()) == attempt


@quick
@given(run_histories())
def test_a_run_is_moved_by_its_own_events_only(history: list[Event]) -> None:
    workflow_events = [event for event in history if event.category == "workflow"]
    run = project_run_state(history, WORKFLOW_SLUG)
    assert run == project_run_state(workflow_events, WORKFLOW_SLUG)
    assert type(run).model_validate(run.to_wire()) == run
