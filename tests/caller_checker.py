"""The checker's part for runs that callers drive: what is stored is the fold of what was told, and live is listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cascade_flow import Event, StepReclaimed, StepStarted, project_run_state, project_step_state
from cascade_flow.backend import Backend
from cascade_flow.dynamodb import caller_items, keys
from cascade_flow.engine.caller import CallerStep
from cascade_flow.engine.state import ENDED
from cascade_flow.operations.history import RunHistory


def check_told(backend: Backend, story: RunHistory, events: Sequence[Event]) -> None:
    """Assert what is promised of a caller-driven run at every moment."""
    _run_is_folded(backend, story)
    _steps_are_folded(backend, story)
    _is_listed(backend, story)


def stored_steps(backend: Backend, run_id: str) -> dict[str, CallerStep]:
    """The steps of a run as their items say."""
    found = [item for item in backend.runtime.ledger.table.query(keys.branches(run_id)) if item[keys.SORT] != keys.RUN]
    return {keys.branch_of(str(item[keys.SORT])): caller_items.to_caller_step(item) for item in found}


def _run_is_folded(backend: Backend, story: RunHistory) -> None:
    told = [event for event in story.events if event.category == "workflow"]
    if any(event.type == "RunSubmitted" for event in told):
        assert backend.get_run(story.run.run_id) == project_run_state(told, story.run.workflow_slug)
    else:
        assert backend.get_run(story.run.run_id) is None
        assert story.run.status == "reserved"
    assert story.run.last_us == max((event.timestamp_us for event in told), default=0)


def _steps_are_folded(backend: Backend, story: RunHistory) -> None:
    by_step: dict[str, list[Any]] = defaultdict(list)
    for event in story.events:
        if event.category == "step":
            by_step[event.step_id].append(event)
    stored = stored_steps(backend, story.run.run_id)
    assert stored.keys() == by_step.keys() == story.steps.keys()
    for step_id, told in by_step.items():
        folded = project_step_state(told, story.run.workflow_slug)
        assert stored[step_id].state == folded.model_copy(update={"output": None, "state_changes": []})
        assert stored[step_id].starts == sum(isinstance(event, StepStarted) for event in told)
        assert stored[step_id].last_us == told[-1].timestamp_us
        assert not (isinstance(told[-1], StepReclaimed) and not stored[step_id].given_up)


def _is_listed(backend: Backend, story: RunHistory) -> None:
    """What is live is in the index, and no entry comes later than the moment at which it can matter.

    A run that goes on again brings its live steps back after that, and says so until it is done.
    """
    table, run = backend.runtime.ledger.table, story.run
    item = table.get(keys.run(run.run_id))
    assert item is not None
    if run.status == "reserved":
        assert not {keys.DUE_SHARD, keys.RUNS_SHARD} & item.keys()
    else:
        shard = keys.done if run.status in ENDED else keys.call
        assert item[keys.DUE_SHARD] == shard(run.run_id)
        assert item[keys.RUNS_SHARD] == keys.runs(run.workflow_slug, run.run_id)
    for step_id, step in stored_steps(backend, run.run_id).items():
        entry = table.get(keys.branch(run.run_id, step_id)) or {}
        if step.live and run.status not in ENDED and not (run.reviving and keys.DUE_SHARD not in entry):
            assert entry[keys.DUE_SHARD] == keys.call(run.run_id), f"live, and not listed: {step}"
            seen_us = step.last_seen_us if step.state.status == "running" else step.state.available_at
            assert int(entry[keys.DUE_TIME]) <= int(seen_us or 0) + 1
        if not step.live:
            assert keys.DUE_SHARD not in entry, f"over, and listed: {step}"
