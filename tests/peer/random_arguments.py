"""What can be said of runs that a caller drives: for each operation, the dice that choose its arguments.

The stage knows where runs and steps are thought to stand, so that most of what is said fits. Times of appended events
and log lines lie in the past and are their own, but for some that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from cascade_flow import (
    Checkpoint,
    CheckpointRef,
    Event,
    GitInfo,
    LogEntry,
    ResourceSnapshot,
    StepDefinition,
    StepError,
    WorkflowRegistration,
    WorkflowVersion,
)
from cascade_flow.fingerprints import compute_error_fingerprints
from contract.outside import USAGE
from simulation import BEGIN_US
from strategies import events

RUNS: Mapping[str, str] = {"bill-1": "billing", "bill-2": "billing", "bill-3": "billing", "rain-1": "weather"}
"""Run ids and the workflow of each."""
SPARE = "bill-3"
"""A run that nothing is said of until something was copied into it."""
STEPS = ("a", "b", "group/c")
WORKERS = ("ann", "bob")
TAGS = ("blue", "night")
FRAME = "E: m\n    at f (/home/u/app/src/x.js:{}:2)\n    at g (/a/node_modules/b/c.js:10:20)"
ERRORS = (
    StepError(message="no"),
    StepError(message="no", name="TypeError", stack=FRAME.format(1)),
    StepError(message="no", name="TypeError", stack=FRAME.format(2)),
)
THRESHOLD_US = 20_000_000

Said = tuple[tuple[Any, ...], dict[str, Any]]
"""What an operation is told: by position, and by name."""


@dataclass
class StepGuess:
    """Where a step is thought to stand."""

    status: str = "unknown"
    attempt: int = 1
    worker: str = "ann"


@dataclass
class RunGuess:
    """Where a run is thought to stand."""

    status: str = "unknown"
    attempt: int = 1
    steps: dict[str, StepGuess] = field(default_factory=lambda: {step_id: StepGuess() for step_id in STEPS})
    moments: list[int] = field(default_factory=list)


@dataclass
class Stage:
    """What a sequence is about at one moment, and the dice that choose what is said next."""

    draw: st.DrawFn
    now_us: int = BEGIN_US
    runs: dict[str, RunGuess] = field(default_factory=lambda: {run_id: RunGuess() for run_id in RUNS})
    run_id: str = "bill-1"
    step_id: str = "a"
    attempt: int = 1
    odd_us: int = 100

    @property
    def slug(self) -> str:
        return RUNS[self.run_id]

    @property
    def run(self) -> RunGuess:
        return self.runs[self.run_id]

    @property
    def step(self) -> StepGuess:
        return self.run.steps[self.step_id]

    @property
    def of_run(self) -> tuple[str, str]:
        return self.slug, self.run_id

    @property
    def of_step(self) -> tuple[str, str, str]:
        return self.slug, self.run_id, self.step_id

    def one(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def some(self, values: Sequence[Any]) -> list[Any]:
        return self.draw(st.lists(st.sampled_from(values), max_size=2, unique=True))

    def past_us(self) -> int:
        """A time that no other event has."""
        self.odd_us += 1
        ago_ms: int = self.one(1, 2, 5_000, 90_000)
        return self.now_us - ago_ms * 1_000 + self.odd_us

    def slot(self) -> Any:
        return self.one({}, {"slot_index": 1, "worker_concurrency": 2}, {"worker_concurrency": 4})

    def usage(self) -> Any:
        return self.one({}, {"resource_usage": USAGE})

    def worker(self) -> Any:
        return self.one(self.step.worker, self.step.worker, *WORKERS)

    def due_us(self) -> int:
        wait_us: int = self.one(0, 0, -3_000_000, 2_000_000)
        return self.now_us + wait_us

    def lines(self) -> list[LogEntry]:
        place: dict[str, Any] = {"workflow_slug": self.slug, "run_id": self.run_id, "step_id": self.step_id}
        return [
            LogEntry(**place, timestamp_us=self.past_us(), stream=stream, message="said", attempt_number=self.attempt)
            for stream in self.some(("stdout", "stderr"))
        ]


# -- what can be said --------------------------------------------------------------------------------------------------


def _submitted(d: Stage) -> Said:
    more = {"idempotency_key": "k", "metadata": {"n": 1}}
    options = d.one({}, {"input": '{"city":"Oslo"}', "timeout_us": 10**9}, more)
    told = {"version_id": "sha256:1", "available_at_us": d.due_us(), "priority": d.one(0, 5), "has_input_schema": False}
    return d.of_run, {**told, **options, "tags": d.one(None, d.some(TAGS))}


def _validated(d: Stage) -> Said:
    failed = {"success": False, "error": ERRORS[0]}
    return d.of_run, {"workflow_attempt_number": d.run.attempt, "has_schema": True, **d.one({"success": True}, failed)}


def _started(d: Stage) -> Said:
    told = {"version_id": d.one("sha256:1", "sha256:2"), "has_input_schema": False, "has_input": False}
    return d.of_run, {**told, "workflow_attempt_number": d.run.attempt}


def _run_failed(d: Stage) -> Said:
    told = {"workflow_attempt_number": d.run.attempt, "duration_us": d.one(5, 70), "completed_steps": 1}
    return (*d.of_run, d.one(*ERRORS)), {**told, "failure_reason": "step-failed", "failed_step": d.one(None, "a")}


def _retry_started(d: Stage) -> Said:
    told = {"workflow_attempt_number": d.run.attempt + 1, "previous_attempt_number": d.run.attempt}
    return d.of_run, {**told, "retried_steps": d.some(STEPS), "reason": d.one(None, "mended")}


def _scheduled(d: Stage) -> Said:
    told = {"available_at_us": d.due_us(), "reason": d.one("initial", "dependency-satisfied", "retry")}
    options = {"retry_delay_ms": d.one(None, 5), "priority": d.one(None, 0, 7)}
    return d.of_step, {**told, **options, "attempt_number": d.attempt}


def _failed(d: Stage) -> Said:
    terminal = d.one(True, False)
    told = {"duration_us": d.one(5, 70), "attempt_number": d.attempt, "terminal": terminal, **d.usage()}
    following = {"failure_reason": "execution-error", "next_retry_at_us": None if terminal else d.due_us()}
    return (*d.of_step, d.one(*ERRORS)), {**told, **following}


def _retried(d: Stage) -> Said:
    due_us = d.due_us()
    why = d.one("timeout", "execution-error")
    told = {"duration_us": d.one(5, 70), "attempt_number": d.attempt, "failure_reason": why}
    following = {"available_at_us": due_us, "next_retry_at_us": due_us, "next_attempt_number": d.attempt + 1}
    policy = d.one({}, {"max_retries": 3}, {"total_policies": 2, "policy_index": 1, "attempt_in_policy": 2})
    options = {"retry_delay_ms": 5, "priority": d.one(None, 7), **policy, **d.usage()}
    return (*d.of_step, d.one(*ERRORS)), {**told, **following, **options}


def _skipped(d: Stage) -> Said:
    why = d.one({"skip_type": "primary", "metadata": {"n": [1]}}, {"skip_type": "cascade", "cascaded_from": "b"})
    return d.of_step, {**why, "reason": "nothing to do", "duration_us": 5, "attempt_number": d.attempt}


def _reclaimed(d: Stage) -> Said:
    whose = {"original_worker_id": d.worker(), "reclaimed_by": "reaper", "attempt_number": d.attempt}
    times = {"last_heartbeat_us": d.now_us - 9_000, "stale_threshold_us": 8_000, "stale_duration_us": 9_000}
    return d.of_step, {**whose, **times}


def _checkpoint(d: Stage) -> Said:
    options = d.one({}, {"label": "l", "parent_checkpoint": CheckpointRef(name="file", sequence_number=0)})
    kept = Checkpoint(name="page", sequence_number=0, attempt_number=d.attempt, data="[1]", **options)
    return (*d.of_step, kept), {}


def _checkpoint_failed(d: Stage) -> Said:
    told = {"name": "page", "sequence_number": 1, "attempt_number": d.attempt, "error": d.one(*ERRORS)}
    return d.of_step, told


def _heartbeat(d: Stage) -> Said:
    snapshot = d.one({}, {"resource_snapshot": ResourceSnapshot(memory_bytes=1_000, cpu_time_us=5)})
    return (*d.of_step, d.worker(), d.attempt), {**d.slot(), **snapshot}


def _completed(d: Stage) -> Said:
    output = d.one(None, {"rows": 3, "unit": "°"}, "text", [1, 2.5])
    told = {"duration_us": d.one(5, 70), "attempt_number": d.attempt, "logs": d.lines(), **d.usage()}
    return (*d.of_step, output), {**told, "export_output": d.one(False, True)}


def _event(d: Stage) -> Event:
    """Any event with random words, but with the times, attempts and names of this stage."""
    event: Any = d.draw(events())
    time_us = d.one(*d.run.moments) if d.run.moments and d.one(False, False, True) else d.past_us()
    error = d.one(*ERRORS)
    place = {"timestamp_us": time_us, "event_id": str(time_us), "workflow_slug": d.slug, "run_id": d.run_id}
    step = {"step_id": d.step_id, "attempt_number": d.attempt, "worker_id": d.worker()}
    failure = {"error": error, "error_fingerprints": compute_error_fingerprints(error), "next_retry_at_us": d.due_us()}
    plan = {"available_at_us": d.due_us(), "priority": d.one(0, 3), "workflow_attempt_number": 1}
    loss = {"last_heartbeat_us": time_us - 5, "stale_threshold_us": 4, "stale_duration_us": 5}
    rest = {"original_worker_id": d.worker(), "duration_us": 9, "data": "[1]", "output": "{}"}
    said = {**place, **step, **failure, **plan, **loss, **rest}
    known = {name: value for name, value in said.items() if name in type(event).model_fields}
    return event.model_copy(update=known)  # type: ignore[no-any-return]


def _registered(d: Stage) -> Said:
    steps = [StepDefinition(id="a", name="A", dependencies=[]), StepDefinition(id="b", name="B", dependencies=["a"])]
    options = d.one({}, {"location": "x.py", "input_schema_json": {"type": "object"}})
    names: dict[str, Any] = {"slug": d.slug, "name": d.slug.title()}
    return (WorkflowRegistration(**names, steps=steps[: d.one(1, 2)], **options),), {}


def _version(d: Stage) -> Said:
    manifest: dict[str, Any] = {"step_manifest": ["a"], "total_steps": 1, "version_number": 1}
    options = d.one({}, {"git": GitInfo(commit="8f14e45", branch="main", dirty=False)})
    about = {"workflow_slug": d.slug, "version_id": d.one("sha256:1", "sha256:2"), "created_at": d.past_us()}
    return (WorkflowVersion(**about, **manifest, **options),), {}


def _copied(d: Stage) -> tuple[str, str, str]:
    others = [run_id for run_id, slug in RUNS.items() if slug == d.slug and run_id != d.run_id]
    return d.slug, d.run_id, d.one(SPARE if others else d.run_id, *others, d.run_id)


def _ended(**told: Any) -> Callable[[Stage], dict[str, Any]]:
    return lambda d: {"workflow_attempt_number": d.run.attempt, "duration_us": d.one(5, 70), **told}


SAYINGS: Mapping[str, Callable[[Stage], Said]] = {
    "register_workflow": _registered,
    "create_workflow_version": _version,
    "initialize_run": lambda d: (d.of_run, {}),
    "save_run_submitted": _submitted,
    "save_workflow_start": _started,
    "save_workflow_input_validation": _validated,
    "save_workflow_complete": lambda d: ((*d.of_run, {"a": 1}), _ended(total_steps=1)(d)),
    "save_workflow_failed": _run_failed,
    "save_workflow_cancelled": lambda d: (d.of_run, _ended(completed_steps=1, reason=d.one(None, "enough"))(d)),
    "save_workflow_resumed": lambda d: (
        d.of_run,
        {"version_id": "sha256:2", "original_run_id": "bill-1", "resumed_steps": 1, "pending_steps": 2},
    ),
    "save_workflow_retry_started": _retry_started,
    "cancel_run": lambda d: ((d.run_id, d.one(None, "not wanted")), {}),
    "save_step_scheduled": _scheduled,
    "save_step_start": lambda d: ((*d.of_step, d.one(*WORKERS)), {"dependencies": d.some(STEPS), **d.slot()}),
    "claim_scheduled_step": lambda d: ((*d.of_step, d.one(*WORKERS)), {"dependencies": d.some(STEPS), **d.slot()}),
    "save_step_heartbeat": _heartbeat,
    "save_step_complete": _completed,
    "save_step_failed": _failed,
    "save_step_failed_and_schedule_retry": _retried,
    "save_step_skipped": _skipped,
    "save_step_reclaimed": _reclaimed,
    "save_step_checkpoint": _checkpoint,
    "save_step_checkpoint_failed": _checkpoint_failed,
    "save_step_logs": lambda d: ((*d.of_step, d.lines()), {}),
    "append_event": lambda d: ((*d.of_run, _event(d)), {}),
    "batch_append_events": lambda d: (([_event(d) for _ in range(d.one(0, 1, 3))],), {}),
    "copy_entire_run": lambda d: (_copied(d), {}),
    "copy_workflow_events": lambda d: (_copied(d), {"exclude_terminal": d.one(True, False)}),
    "copy_step_events": lambda d: (_copied(d), {"include_step_ids": d.some(STEPS)}),
    "delete_step_events": lambda d: (d.of_run, {"step_ids": d.some(STEPS)}),
    "delete_workflow_terminal_events": lambda d: (d.of_run, {}),
    "reclaim_stale_steps": lambda d: ((d.one(THRESHOLD_US, THRESHOLD_US, 10**9), "reaper"), {}),
}
