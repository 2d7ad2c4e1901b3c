"""Random sequences of operations on runs that a caller drives: some workflows, runs, steps and workers, time going on.

Most operations fit where their run and step are thought to stand, so that histories go far; every fourth is any
operation on any run and step, with any attempt: what comes too late, too early or twice. Moments are whole milliseconds
apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st

from peer.operations import Operation
from peer.questions import Asked, Question, questions_about
from peer.random_arguments import RUNS, SAYINGS, SPARE, STEPS, WORKERS, Stage, StepGuess

_LIVELY = ("bill-1", "bill-2", "rain-1")
_OPENINGS = (*[("save_run_submitted", "save_workflow_start")] * 6, ("save_run_submitted",), ("initialize_run",), ())


class Play(NamedTuple):
    """What is said and asked on the way, and what is asked at the end."""

    acts: Sequence[Operation | Asked]
    questions: Sequence[Question]


_UNDER_WAY = {
    "unknown": ["save_step_scheduled"] * 5 + ["save_step_start", "save_step_skipped"],
    "scheduled": ["claim_scheduled_step"] * 6 + ["save_step_start", "save_step_skipped", "save_step_failed"],
    "running": [
        *["save_step_complete", "save_step_failed_and_schedule_retry", "save_step_failed", "save_step_heartbeat"] * 2,
        *["save_step_checkpoint", "save_step_logs", "save_step_reclaimed", "reclaim_stale_steps", "save_step_skipped"],
    ],
    "lost": ["reclaim_stale_steps", "save_step_scheduled", "save_step_scheduled", "save_step_complete"],
    "over": ["save_step_scheduled", "save_workflow_complete", "save_workflow_failed", "cancel_run", "append_event"],
}
_AROUND = ["copy_entire_run", "copy_step_events", "copy_workflow_events", "delete_step_events", "register_workflow"]


def _fitting(d: Stage) -> Sequence[str]:
    if d.run.status in ("unknown", "pending"):
        first = {"unknown": "save_run_submitted", "pending": "save_workflow_start"}[d.run.status]
        return [first] * 6 + ["initialize_run", "append_event", "save_step_scheduled"]
    if d.run.status == "ended":
        return ["save_workflow_retry_started", "delete_workflow_terminal_events", "claim_scheduled_step", *_AROUND]
    return _UNDER_WAY[d.step.status] * 2 + ["append_event", "batch_append_events", *_AROUND]


EVERYTHING = questions_about(RUNS, STEPS, WORKERS)
_ASKED_EACH_TIME = (
    *(Question("load_events", (slug, run_id)) for run_id, slug in RUNS.items()),
    *(Question("get_run", (run_id,)) for run_id in RUNS),
    Question("get_analytics_summary"),
    Question("list_runs"),
    Question("list_scheduled_steps"),
)


# -- sequences ---------------------------------------------------------------------------------------------------------


@st.composite
def plays(draw: st.DrawFn, *, shortest: int = 12, longest: int = 40) -> Play:
    """What is said, each at its moment; between it, questions about what is true then."""
    stage = Stage(draw)
    opening = [_begun(stage, run_id, name) for run_id in _LIVELY for name in draw(st.sampled_from(_OPENINGS))]
    acts = [*opening, *(_next(stage) for _ in range(draw(st.integers(shortest, longest))))]
    return Play(acts, _ASKED_EACH_TIME + EVERYTHING[draw(st.integers(0, 3)) :: 4])


def _begun(d: Stage, run_id: str, name: str) -> Operation:
    d.now_us += 1_000
    d.run_id = run_id
    return _said(d, name)


def _next(d: Stage) -> Operation | Asked:
    d.now_us += d.one(1, 1, 3, 900, 11_000, 25_000) * 1_000
    d.run_id = d.one("bill-1", *_LIVELY, *([SPARE] if d.runs[SPARE].status != "unknown" else []))
    d.step_id = d.one("a", *STEPS)
    wild = d.one(False, False, False, True)
    d.attempt = d.one(1, 2, 3) if wild else d.step.attempt
    name = d.one(*SAYINGS, "ask") if wild else d.one(*_fitting(d), "ask")
    if name == "ask":
        return Asked(d.one(*EVERYTHING), d.now_us)
    return _said(d, name)


def _said(d: Stage, name: str) -> Operation:
    place, told = SAYINGS[name](d)
    _guess(d, name, place, told)
    return Operation(name, place, told, d.now_us)


def _guess(d: Stage, name: str, place: Sequence[Any], told: Mapping[str, Any]) -> None:
    """Where all is thought to stand after it, if it was taken."""
    d.run.moments.append(d.now_us)
    if name.startswith("copy_"):
        d.runs[place[2]] = deepcopy(d.run) if name == "copy_entire_run" else d.runs[place[2]]
    d.run.status = _RUN_AFTER.get(name, d.run.status)
    if name == "save_workflow_retry_started":
        d.run.attempt += 1
    if name == "delete_step_events":
        d.run.steps.update({step_id: StepGuess() for step_id in told["step_ids"]})
    if name == "save_step_failed_and_schedule_retry":
        d.run.steps[d.step_id] = StepGuess("scheduled", d.attempt + 1)
    elif name == "save_step_failed":
        d.step.status = "over" if told["terminal"] else "lost"
    elif name == "save_step_start":
        d.step.status = "running"
    elif name in _STEP_AFTER:
        d.run.steps[d.step_id] = StepGuess(_STEP_AFTER[name], d.attempt, d.step.worker)


_RUN_AFTER = {
    "save_run_submitted": "pending",
    "save_workflow_start": "running",
    "save_workflow_retry_started": "pending",
    "delete_workflow_terminal_events": "running",
    **dict.fromkeys(["save_workflow_complete", "save_workflow_failed", "save_workflow_cancelled"], "ended"),
    "cancel_run": "ended",
}
_STEP_AFTER = {
    "save_step_scheduled": "scheduled",
    "claim_scheduled_step": "running",
    "save_step_complete": "over",
    "save_step_skipped": "over",
    "save_step_reclaimed": "lost",
}
