"""The published peer computes the same reports as we do, from whatever happened.

Its pure functions answer for single reports; its filesystem backend for what only a backend of it knows: ranges and
filters, errors by fingerprint, the depth of the queue, workers. Where equals stand in a row (errors of one count) the
peer takes the order of its folders and we the order of time, so the order of equals is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from cascade_flow import analytics
from cascade_flow.analytics.depth import LiveRun, compute_queue_depth, compute_queue_depth_by_workflow
from cascade_flow.analytics.errors import compute_error_detail, compute_errors_page
from cascade_flow.analytics.past import Past
from cascade_flow.analytics.scope import Scope
from cascade_flow.analytics.workers import active_workers, compute_workers
from cascade_flow.fingerprints import GroupingStrategy, compose_fingerprint, compute_error_fingerprints
from cascade_flow.model.events import (
    Event,
    StepError,
    StepFailed,
    StepReclaimed,
    StepScheduled,
    dump_event,
)
from cascade_flow.projection import project_run_state, project_step_state
from peer.answers import without
from peer.oracle import shared_oracle
from peer.reports import assert_reports_agree, comparable, split
from strategies import START_US, run_histories

NAMES = {"weather": "Weather", "billing": "Billing"}
STRATEGIES: tuple[GroupingStrategy, ...] = ("exact", "normalized", "portable")
FRAME = "E: m\n    at f (/home/u/app/src/x.js:{}:2)\n    at g (/a/node_modules/b/c.js:10:20)"
ERRORS = [
    StepError(message="no"),
    StepError(message="no", name="TypeError"),
    StepError(message="no", name="TypeError", stack=FRAME.format(1)),
    StepError(message="no", name="TypeError", stack=FRAME.format(2)),
    StepError(message="never"),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**12) | st.floats(0, 1e12, allow_nan=False), max_size=130))
def test_percentiles(values: list[Any]) -> None:
    [answer] = shared_oracle().ask("calculatePercentiles", [[values]])
    assert comparable(analytics.calculate_percentiles(values).to_wire()) == comparable(answer.value)


def test_of_nothing_at_all() -> None:
    assert_reports_agree([[]])


# -- what only a backend of the peer knows -----------------------------------------------------------------------------


@st.composite
def runs_of_a_day(draw: st.DrawFn) -> list[Event]:
    """Some runs of two workflows, in order of time; their errors, workers and durations come again and again."""
    histories = draw(st.lists(run_histories(most_steps=3), min_size=1, max_size=4))
    found = [
        _placed(draw, event, number, draw(st.sampled_from(sorted(NAMES))) if at == 0 else "")
        for number, history in enumerate(histories)
        for at, event in enumerate(history)
    ]
    slugs = {event.run_id: event.workflow_slug for event in found if event.workflow_slug}
    told = [event.model_copy(update={"workflow_slug": slugs[event.run_id]}) for event in found]
    return sorted(told, key=lambda event: event.timestamp_us)


def _placed(draw: st.DrawFn, event: Event, number: int, slug: str) -> Event:
    """An event of the run of this number; no two runs share a microsecond."""
    time_us = event.timestamp_us * 10 + number - START_US * 9
    changes: dict[str, Any] = {"timestamp_us": time_us, "event_id": str(time_us), "run_id": f"run-{number}"}
    changes["workflow_slug"] = slug
    if hasattr(event, "duration_us"):
        changes["duration_us"] = draw(st.integers(0, 100))
    for field in ("worker_id", "original_worker_id"):
        if hasattr(event, field):
            changes[field] = draw(st.sampled_from(["ann", "bob"]))
    if isinstance(event, StepScheduled):
        changes["available_at_us"] = time_us + draw(st.integers(-5_000_000, 5_000_000))
    if isinstance(event, StepReclaimed):
        changes["last_heartbeat_us"] = time_us - draw(st.integers(0, 5_000_000))
        changes["stale_duration_us"] = draw(st.integers(0, 100))
    if isinstance(event, StepFailed):
        error = draw(st.sampled_from(ERRORS))
        changes |= {"error": error, "error_fingerprints": compute_error_fingerprints(error)}
    return event.model_copy(update=changes)


def ask_backend(history: Sequence[Event], now_us: int, *calls: Sequence[Any]) -> list[Any]:
    registrations = [["registerWorkflow", {"slug": slug, "name": name, "steps": []}] for slug, name in NAMES.items()]
    appends = [["appendEvent", event.workflow_slug, event.run_id, dump_event(event)] for event in history]
    answers = shared_oracle().ask_backend([(now_us, *call) for call in (*registrations, *appends, *calls)])
    assert not [answer.error for answer in answers if answer.refused]
    return [answer.value for answer in answers[-len(calls) :]]


def now_after(history: Sequence[Event], later_us: int = 1_000) -> int:
    """A time of whole milliseconds, which the peer's clock can be set to."""
    return (history[-1].timestamp_us + later_us) // 1_000 * 1_000


def live_runs(history: Sequence[Event]) -> list[LiveRun]:
    return [run for run_id in sorted({e.run_id for e in history}) for run in _live(history, run_id)]


def _live(history: Sequence[Event], run_id: str) -> list[LiveRun]:
    steps, runs = split([event for event in history if event.run_id == run_id])
    state = project_run_state(runs, runs[0].workflow_slug)
    status: Any = state.status
    if status not in ("pending", "running"):
        return []
    by_step = {event.step_id: [e for e in steps if e.step_id == event.step_id] for event in steps}
    states = [project_step_state(events, state.workflow_slug) for events in by_step.values()]
    under_way = states if status == "running" else []
    scheduled = tuple(s.available_at for s in under_way if s.status == "scheduled" and s.available_at is not None)
    running = sum(s.status == "running" for s in under_way)
    return [LiveRun(state.workflow_slug, status, state.created_at, scheduled, running)]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_of_a_range_of_some_runs(data: st.DataObject) -> None:
    history = data.draw(runs_of_a_day())
    times = st.sampled_from([event.timestamp_us for event in history])
    options: dict[str, Any] = {
        "start_us": data.draw(st.none() | times),
        "end_us": data.draw(st.none() | times),
        "workflow_slug": data.draw(st.none() | st.sampled_from([*NAMES, "unknown"])),
        "step_id": data.draw(st.none() | st.sampled_from(["step-0", "step-1"])),
        "run_ids": data.draw(st.none() | st.just(["run-0", "run-2"])),
    }
    names = {"start_us": "startUs", "end_us": "endUs", "workflow_slug": "workflowSlug", "step_id": "stepId"}
    asked = {{**names, "run_ids": "runIds"}[name]: value for name, value in options.items() if value is not None}
    now_us = now_after(history)
    [theirs] = ask_backend(history, now_us, ["getAnalyticsSummary", asked])
    wanted = [event for event in history if options["run_ids"] is None or event.run_id in options["run_ids"]]
    depth = compute_queue_depth(live_runs(history), workflow_slug=options["workflow_slug"])
    ours = Past.of(Scope.of(now_us, **options), [wanted]).summary(depth).to_wire()
    for error in [*ours["errorAnalysis"]["mostCommonErrors"], *theirs["errorAnalysis"]["mostCommonErrors"]]:
        del error["failureReason"]
    assert comparable(ours) == comparable(theirs)


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_of_errors_by_fingerprint(strategy: GroupingStrategy, data: st.DataObject) -> None:
    history = data.draw(runs_of_a_day())
    steps, _ = split(history)
    limit, offset = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    fingerprints = [compose_fingerprint(compute_error_fingerprints(error), strategy) for error in ERRORS]
    details = [["getErrorDetail", key, strategy, {"limit": limit, "offset": offset}] for key in fingerprints]
    page, *found = ask_backend(history, now_after(history), ["getErrorsList", {"groupingStrategy": strategy}], *details)
    ours = compute_errors_page(steps, strategy, limit=50, offset=0).to_wire()
    assert [group["count"] for group in ours["errors"]] == [group["count"] for group in page["errors"]]
    samples = () if strategy == "exact" else ("sampleStack",)
    assert comparable(without(ours, *samples)) == comparable(without(page, *samples))
    for key, theirs in zip(fingerprints, found, strict=True):
        assert compute_error_detail(steps, key, strategy, limit=limit, offset=offset).to_wire() == theirs


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_of_what_is_live(data: st.DataObject) -> None:
    history = data.draw(runs_of_a_day())
    live = live_runs(history)
    whole, weather, each = ask_backend(
        history,
        now_after(history),
        ["getQueueDepth"],
        ["getQueueDepth", {"workflowSlug": "weather"}],
        ["getQueueDepthByWorkflow"],
    )
    assert compute_queue_depth(live).to_wire() == whole
    assert compute_queue_depth(live, workflow_slug="weather").to_wire() == weather
    assert comparable([d.to_wire() for d in compute_queue_depth_by_workflow(live, NAMES)]) == comparable(each)


@pytest.mark.parametrize("everybody", [True, False])
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_of_workers(everybody: bool, data: st.DataObject) -> None:
    """Of several runs, what the peer says of a worker's last sign and slots depends on the order of its folders."""
    history = data.draw(runs_of_a_day())
    steps, runs = split(history)
    now_us = now_after(history, data.draw(st.integers(0, 60_000_000)))
    states = [project_run_state([e for e in runs if e.run_id == run_id], "") for run_id in {e.run_id for e in runs}]
    running = {state.run_id for state in states if state.status == "running"}
    workers = compute_workers([event for event in steps if event.run_id in running])
    start_us = max((worker.last_seen_us for worker in workers), default=0) if everybody else 0
    options = {"includeInactive": everybody, "timeRange": {"startUs": start_us, "endUs": now_us}}
    theirs, ann = ask_backend(history, now_us, ["getActiveWorkers", options], ["getWorkerById", "ann"])
    ours = active_workers(workers, now_us=now_us, include_inactive=everybody, start_us=start_us, end_us=now_us)
    by_id = next((worker.to_wire() for worker in workers if worker.worker_id == "ann"), None)
    unsure = ("lastSeenUs", "workerConcurrency") if len(running) > 1 else ()
    assert comparable(without(by_id, *unsure)) == comparable(without(ann, *unsure))
    if not unsure:
        assert comparable(ours.to_wire()) == comparable(theirs)
