"""All that callers can do to runs of their own, in any order: every answer is that of `model_of_caller_runs`.

Few runs with few steps, so that deeds collide: who claims, reports, schedules, ends, tries again, copies and deletes
does it to what others have just done. After each deed every history and every list is what the model tells, so a
refused deed has changed nothing. At the end every run is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cascade_flow import (
    Checkpoint,
    ConflictError,
    DynamoDBBackend,
    RunNotCancellableError,
    RunNotFoundError,
    RunSubmitted,
    StaleAttemptError,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepError,
    StepFailed,
    StepHeartbeat,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetryStarted,
    WorkflowStarted,
    clock,
    compute_error_fingerprints,
    project_step_record,
)
from cascade_flow.dynamodb.schema import create_table
from checker import check_run
from model_of_caller_runs import ENDED, SLUG, TERMINAL, CallerRun
from simulation import BEGIN_US, TIMING
from testbed.servers import MemoryServer, fresh_table

RUNS = ("r1", "r2", "r3")
STEPS = ("a", "b", "c")
ERROR = StepError(name="ValueError", message="no such order")
FINGERPRINTS = compute_error_fingerprints(ERROR)
PAUSE_US = 1_000
SECOND_US = 1_000_000

runs = st.sampled_from(("r1", "r1", "r1", "r2", "r2", "r3"))
others = st.sampled_from(RUNS)
steps = st.sampled_from(STEPS)
workers = st.sampled_from(("w1", "w1", "w2"))
offs = st.sampled_from((0, 0, 0, 0, 1, -1))
picks = st.integers(0, 8)
reports = st.sampled_from(("complete", "complete", "skip", "fail", "fail for good", "keep", "keep not"))
delays = st.sampled_from((0, 2 * SECOND_US))
sets_of_steps = st.sets(steps, min_size=1)
APPENDED = (StepScheduled, StepHeartbeat, StepFailed)
Draft = tuple[type[Any], dict[str, Any]]


@cache
def emulator() -> MemoryServer:
    server = MemoryServer()
    server.start()
    return server


class CallersBackend(RuleBasedStateMachine):
    """One backend, and the model of what it must answer."""

    def __init__(self) -> None:
        super().__init__()
        self.held = ExitStack()
        store = self.held.enter_context(fresh_table(emulator(), create_table))
        self.time = self.held.enter_context(clock.use(clock.SteppingClock(BEGIN_US)))
        self.backend: Any = DynamoDBBackend(store.table, client=store.client, timing=TIMING)
        self.runs = {run_id: CallerRun(run_id) for run_id in RUNS}
        self.touched: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.submit("r1", 0)
        self.start_or_end("r1", "start")
        for name in STEPS[:2]:
            self.schedule("r1", name, 0, 0, None)
        self.claim("r1", "a", "w1")
        self.fail_and_retry("r1", "a", 0, 0)
        self.claim("r1", "a", "w1")

    # -- runs -----------------------------------------------------------------------------------------------------

    @rule(run_id=runs)
    def reserve(self, run_id: str) -> None:
        self.backend.initialize_run(SLUG, run_id)
        self.run(run_id).exists = True

    @rule(run_id=runs, priority=st.sampled_from((0, 5)))
    def submit(self, run_id: str, priority: int) -> None:
        run = self.run(run_id)
        told = {"version_id": "v1", "available_at_us": self.now_us, "priority": priority, "has_input_schema": False}
        refusal = ConflictError if run.state is not None else None
        deed = lambda: self.backend.save_run_submitted(SLUG, run_id, **told)  # noqa: E731
        self.say(run, deed, (RunSubmitted, told), refusal=refusal, makes=True)

    @rule(run_id=runs, how=st.sampled_from(("start", "start", "complete", "fail", "cancel")))
    def start_or_end(self, run_id: str, how: str) -> None:
        run, backend = self.run(run_id), self.backend
        kind, deed, told = {
            "start": (
                WorkflowStarted,
                backend.save_workflow_start,
                {"version_id": "v1", "has_input_schema": False, "has_input": False},
            ),
            "complete": (WorkflowCompleted, self._complete_run, {"output": "1", "duration_us": 5, "total_steps": 1}),
            "fail": (
                WorkflowFailed,
                lambda slug, run_id, error, **rest: backend.save_workflow_failed(slug, run_id, error, **rest),
                {"error": ERROR, "duration_us": 5, "completed_steps": 0, "failure_reason": "step-failed"},
            ),
            "cancel": (WorkflowCancelled, backend.save_workflow_cancelled, {"duration_us": 5, "completed_steps": 0}),
        }[how]
        told = {**told, "workflow_attempt_number": 1}
        refusal = StaleAttemptError if run.ended else None
        self.say(run, lambda: deed(SLUG, run_id, **told), (kind, told), refusal=refusal, makes=how == "start")

    def _complete_run(self, slug: str, run_id: str, *, output: str, **told: Any) -> None:
        self.backend.save_workflow_complete(slug, run_id, int(output), **told)

    @rule(run_id=runs)
    def cancel(self, run_id: str) -> None:
        run = self.run(run_id)
        state = run.state
        deed = lambda: self.backend.cancel_run(run_id, "not wanted")  # noqa: E731
        if state is None:
            refused(RunNotFoundError, deed)
            return
        told = {
            "workflow_attempt_number": state.workflow_attempt_number or 1,
            "reason": "not wanted",
            "duration_us": self.now_us - int(state.created_at),
            "completed_steps": sum(step.status == "completed" for step in run.steps.values()),
        }
        self.say(run, deed, (WorkflowCancelled, told), refusal=RunNotCancellableError if run.ended else None)

    @rule(run_id=runs, attempt=st.integers(2, 3))
    def try_again(self, run_id: str, attempt: int) -> None:
        told = {"workflow_attempt_number": attempt, "previous_attempt_number": attempt - 1, "retried_steps": ["a"]}
        deed = lambda: self.backend.save_workflow_retry_started(SLUG, run_id, **told)  # noqa: E731
        self.say(self.run(run_id), deed, (WorkflowRetryStarted, told))

    @rule(run_id=runs)
    def go_on_from_another(self, run_id: str) -> None:
        told = {"version_id": "v1", "original_run_id": "r0", "resumed_steps": 1, "pending_steps": 2}
        deed = lambda: self.backend.save_workflow_resumed(SLUG, run_id, **told)  # noqa: E731
        self.say(self.run(run_id), deed, (WorkflowResumed, told), makes=True)

    # -- steps, as an engine tells of them ------------------------------------------------------------------------

    @rule(run_id=runs, name=steps, more=st.integers(0, 1), delay_us=delays, priority=st.sampled_from((None, 0, 3)))
    def schedule(self, run_id: str, name: str, more: int, delay_us: int, priority: int | None) -> None:
        run = self.run(run_id)
        told = {
            "available_at_us": self.now_us + delay_us,
            "reason": "initial",
            "attempt_number": run.attempt(name) + more,
            "priority": priority,
        }
        deed = lambda: self.backend.save_step_scheduled(SLUG, run_id, name, **told)  # noqa: E731
        self.say_of_step(run, name, deed, (StepScheduled, told), taken=not run.ended, makes=True)
        if delay_us:
            self.claim(run_id, name, "w1")

    @rule(run_id=runs, name=steps, worker=workers)
    def start_without_a_claim(self, run_id: str, name: str, worker: str) -> None:
        run = self.run(run_id)
        told = {"worker_id": worker, "dependencies": ["z"], "attempt_number": run.starts(name) + 1}
        deed = lambda: self.backend.save_step_start(SLUG, run_id, name, worker, dependencies=["z"])  # noqa: E731
        self.say_of_step(run, name, deed, (StepStarted, told), taken=not run.ended, makes=True)

    @rule(run_id=runs, name=steps, off=offs)
    def take_away(self, run_id: str, name: str, off: int) -> None:
        run = self.run(run_id)
        told = {
            "original_worker_id": "w1",
            "reclaimed_by": "w2",
            "last_heartbeat_us": 1,
            "stale_threshold_us": 1,
            "stale_duration_us": 2,
            "attempt_number": max(1, run.attempt(name) + off),
        }
        deed = lambda: self.backend.save_step_reclaimed(SLUG, run_id, name, **told)  # noqa: E731
        self.say_of_step(run, name, deed, (StepReclaimed, told), taken=run.holds(name, told["attempt_number"]))  # type: ignore[arg-type]

    @rule(run_id=runs, name=steps, off=offs, delay_us=delays)
    def fail_and_retry(self, run_id: str, name: str, off: int, delay_us: int) -> None:
        run = self.run(run_id)
        attempt, due_us = max(1, run.attempt(name) + off), self.now_us + delay_us
        failed = {**failure(attempt, terminal=False), "next_retry_at_us": due_us}
        retrying = {"attempt_number": attempt, "next_attempt": attempt + 1, "error": ERROR}
        again = {"available_at_us": due_us, "reason": "retry", "attempt_number": attempt + 1, "retry_delay_ms": 7}
        deed = lambda: self.backend.save_step_failed_and_schedule_retry(  # noqa: E731
            SLUG,
            run_id,
            name,
            ERROR,
            duration_us=5,
            attempt_number=attempt,
            next_retry_at_us=due_us,
            failure_reason="execution-error",
            available_at_us=due_us,
            next_attempt_number=attempt + 1,
            retry_delay_ms=7,
        )
        drafts = ((StepFailed, failed), (StepRetrying, retrying), (StepScheduled, again))
        self.say_of_step(run, name, deed, *drafts, taken=run.holds(name, attempt))

    # -- steps, as workers tell of them ---------------------------------------------------------------------------

    @rule(run_id=runs, name=steps, worker=workers)
    def claim(self, run_id: str, name: str, worker: str) -> None:
        run = self.run(run_id)
        deed = lambda: self.backend.claim_scheduled_step(SLUG, run_id, name, worker)  # noqa: E731
        if not run.exists:
            refused(RunNotFoundError, deed)
            return
        claim, attempt = deed(), run.attempt(name)
        assert (claim and claim.attempt_number) == (attempt if run.claimable(name, self.now_us) else None)
        if claim:
            told = {"step_id": name, "worker_id": worker, "dependencies": [], "attempt_number": attempt}
            run.tell(StepStarted, self.now_us, **told)

    @rule(run_id=runs, name=steps, off=offs, worker=workers)
    def beat(self, run_id: str, name: str, off: int, worker: str) -> None:
        run = self.run(run_id)
        attempt = max(1, run.attempt(name) + off)
        told = {"worker_id": worker, "attempt_number": attempt}
        deed = lambda: self.backend.save_step_heartbeat(SLUG, run_id, name, worker, attempt)  # noqa: E731
        self.say_of_step(run, name, deed, (StepHeartbeat, told), taken=run.holds(name, attempt, worker))

    @rule(pick=picks, off=offs, how=reports, worker=workers)
    def tell_of_a_running_step(self, pick: int, off: int, how: str, worker: str) -> None:
        for run_id, name in self.running(pick):
            self.beat(run_id, name, off, worker)
            self.report(run_id, name, off, how)

    @rule(pick=picks, how=reports)
    def tell_of_an_attempt_that_was_given_up(self, pick: int, how: str) -> None:
        for run_id, name in self.running(pick):
            self.report(run_id, name, 0, "fail")
            self.report(run_id, name, 0, how)

    @rule(pick=picks, how=reports, off=st.sampled_from((-1, 1)))
    def tell_of_an_attempt_that_is_not(self, pick: int, how: str, off: int) -> None:
        for run_id, name in self.running(pick):
            self.report(run_id, name, off, how)

    def running(self, pick: int) -> list[tuple[str, str]]:
        """One of the steps that are in somebody's hands, where there is one."""
        places = [(run_id, name) for run_id, run in self.runs.items() for name in run.steps]
        found = [(run_id, name) for run_id, name in places if self.runs[run_id].steps[name].status == "running"]
        return found[pick % len(found) :][:1] if found else []

    @rule(run_id=runs, name=steps, off=offs, how=reports)
    def report(self, run_id: str, name: str, off: int, how: str) -> None:
        run, backend = self.run(run_id), self.backend
        attempt = max(1, run.attempt(name) + off)
        where, held = (SLUG, run_id, name), run.holds(name, attempt)
        taken = run.holds_or_awaits(name, attempt) if how in ("skip", "fail for good") else held
        place = {"duration_us": 5, "attempt_number": attempt}
        part = {"name": "page", "sequence_number": 0, "attempt_number": attempt}
        terminal = how == "fail for good"
        skipped = {"skip_type": "primary", "reason": "idle", **place}
        words: dict[str, tuple[Callable[[], object], Draft]] = {
            "complete": (
                lambda: backend.save_step_complete(*where, 1, **place),
                (StepCompleted, {"output": "1", "export_output": False, **place}),
            ),
            "skip": (lambda: backend.save_step_skipped(*where, **skipped), (StepSkipped, skipped)),
            "fail": (
                lambda: backend.save_step_failed(
                    *where, ERROR, terminal=terminal, failure_reason="execution-error", **place
                ),
                (StepFailed, failure(attempt, terminal=terminal)),
            ),
            "keep": (
                lambda: backend.save_step_checkpoint(*where, Checkpoint(data="1", **part)),
                (StepCheckpoint, {"data": "1", **part}),
            ),
            "keep not": (
                lambda: backend.save_step_checkpoint_failed(*where, error=ERROR, **part),
                (StepCheckpointFailed, {"error": ERROR, **part}),
            ),
        }
        deed, said = words["fail" if terminal else how]
        self.say_of_step(run, name, deed, said, taken=taken)

    # -- histories ------------------------------------------------------------------------------------------------

    @rule(run_id=runs, name=steps, back_us=st.sampled_from((0, PAUSE_US, 5 * PAUSE_US)), how=st.sampled_from(APPENDED))
    def append(self, run_id: str, name: str, back_us: int, how: type[Any]) -> None:
        """Now, and in the past at a time that another event has."""
        run = self.run(run_id)
        told = {
            StepScheduled: {"available_at_us": self.now_us, "reason": "initial", "attempt_number": run.attempt(name)},
            StepHeartbeat: {"worker_id": "w2", "attempt_number": run.attempt(name)},
            StepFailed: failure(run.attempt(name), terminal=False),
        }[how]
        at_us = max((e.timestamp_us for e in run.events if e.timestamp_us <= self.now_us - back_us), default=BEGIN_US)
        event = how(timestamp_us=at_us, workflow_slug=SLUG, run_id=run_id, step_id=name, **told)
        stored = self.backend.batch_append_events([event, event])
        assert stored == [run.tell(how, at_us, step_id=name, **told) for _ in range(2)]

    @rule(source_id=runs, target_id=others, only=st.sampled_from(("all", "run", "run goes on")))
    def copy_a_run(self, source_id: str, target_id: str, only: str) -> None:
        source, target = self.run(source_id), self.run(target_id)
        goes_on = only == "run goes on"
        deed = lambda: (  # noqa: E731
            self.backend.copy_entire_run(SLUG, source_id, target_id)
            if only == "all"
            else self.backend.copy_workflow_events(SLUG, source_id, target_id, exclude_terminal=goes_on)
        )
        if not source.exists:
            refused(RunNotFoundError, deed)
        elif only == "all" and (target.spoken or source is target):
            refused(ConflictError, deed)
        else:
            deed()
            wanted = source.events if only == "all" else source.of_run
            target.take_over([event for event in wanted if not (goes_on and event.type in TERMINAL)])
            target.spoken |= only == "all"

    @rule(source_id=runs, target_id=others, names=sets_of_steps)
    def copy_steps(self, source_id: str, target_id: str, names: set[str]) -> None:
        source, target = self.run(source_id), self.run(target_id)
        deed = lambda: self.backend.copy_step_events(SLUG, source_id, target_id, include_step_ids=names)  # noqa: E731
        if source.exists:
            deed()
            target.take_over([event for name in sorted(names) for event in source.by_step.get(name, ())])
        else:
            refused(RunNotFoundError, deed)

    @rule(run_id=runs, names=st.none() | sets_of_steps)
    def forget(self, run_id: str, names: set[str] | None) -> None:
        """How the run ended, or all of some steps."""
        run = self.run(run_id)
        deed = lambda: (  # noqa: E731
            self.backend.delete_workflow_terminal_events(SLUG, run_id)
            if names is None
            else self.backend.delete_step_events(SLUG, run_id, step_ids=names)
        )
        self.say(run, deed)
        run.forget([e for e in run.of_run if e.type in TERMINAL and names is None])
        run.forget([event for name in names or () for event in run.by_step.get(name, ())])

    # -- time -----------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((1, 3, 20)), reaps=st.booleans(), threshold_s=st.sampled_from((2, 10)))
    def let_time_pass(self, seconds: int, reaps: bool, threshold_s: int) -> None:
        self.time.advance(seconds * SECOND_US)
        if reaps:
            self.reclaim(threshold_s * SECOND_US)

    def reclaim(self, threshold_us: int) -> None:
        """In which order is the backend's affair; times are given in it."""
        found = [(run, *found) for run in self.runs.values() for found in run.silent(threshold_us, self.now_us)]
        silent = {(run.run_id, name): seen_us for run, name, seen_us in found}
        taken = [(ref.run_id, ref.step_id) for ref in self.backend.reclaim_stale_steps(threshold_us, "reaper")]
        assert sorted(taken) == sorted(silent)
        for run_id, name in taken:
            run = self.run(run_id)
            step = run.steps[name]
            lost = {
                "original_worker_id": step.claimed_by or "unknown",
                "reclaimed_by": "reaper",
                "last_heartbeat_us": silent[run_id, name],
                "stale_threshold_us": threshold_us,
                "stale_duration_us": self.now_us - silent[run_id, name],
                "attempt_number": step.attempt_number,
            }
            again = {
                "available_at_us": self.now_us,
                "reason": "retry",
                "attempt_number": step.attempt_number + 1,
                "priority": step.priority,
            }
            for kind, told in ((StepReclaimed, lost), (StepScheduled, again)):
                run.tell(kind, self.now_us, step_id=name, **told)

    # -- what must be true after each deed ------------------------------------------------------------------------

    @invariant()
    def all_is_told(self) -> None:
        for run_id in sorted(self.touched):
            self.history_is_told(self.runs[run_id])
        self.touched.clear()
        self.queue_is_told()
        self.runs_are_listed()
        self.time.advance(PAUSE_US)

    def history_is_told(self, run: CallerRun) -> None:
        events = [event for event in self.backend.load_events(SLUG, run.run_id) if event.type != "LogEntry"]
        assert events == run.events, run.run_id
        assert self.backend.run_exists(SLUG, run.run_id) == run.exists
        assert self.backend.get_run(run.run_id) == run.state
        records = [project_step_record(events) for events in run.by_step.values()]
        assert self.backend.load_run(SLUG, run.run_id) == records
        failed = [(s.step_id, s.attempt_number) for s in run.steps.values() if s.status == "failed" and s.terminal]
        found = self.backend.get_failed_steps(SLUG, run.run_id)
        assert [(each.step_id, each.attempt_number) for each in found] == failed

    def queue_is_told(self) -> None:
        due = [
            (-(float("-inf") if step.priority is None else step.priority), step.available_at, run.run_id, name)
            for run in self.runs.values()
            for name, step in run.steps.items()
            if run.claimable(name, self.now_us)
        ]
        found = self.backend.list_scheduled_steps()
        ranks = [(-(float("-inf") if r.priority is None else r.priority), r.available_at_us) for r in found]
        assert ranks == sorted(ranks)
        told = [(*rank, ref.run_id, ref.step_id) for rank, ref in zip(ranks, found, strict=True)]
        assert sorted(told) == sorted(due)
        depth = self.backend.get_queue_depth()
        running = [run for run in self.runs.values() if run.status == "running"]
        statuses = [step.status for run in running for step in run.steps.values()]
        assert depth.running_runs == len(running)
        assert depth.pending_runs == sum(run.status == "pending" for run in self.runs.values())
        assert (depth.scheduled_steps, depth.running_steps) == (statuses.count("scheduled"), statuses.count("running"))

    def runs_are_listed(self) -> None:
        states = [run.state for run in self.runs.values() if run.state is not None]
        page = self.backend.list_runs()
        assert page.total == len(states)
        assert {state.run_id: state for state in page.runs} == {state.run_id: state for state in states}
        times = [state.created_at for state in page.runs]
        assert times == sorted(times, reverse=True)
        going = any(state.status not in ENDED for state in states)
        assert self.backend.list_active_workflows() == ([SLUG] if going else [])

    @rule(run_id=runs, name=steps)
    def ask_for_what_can_be_claimed(self, run_id: str, name: str) -> None:
        run = self.run(run_id)
        if run.exists:
            claimable = run.claimable(name, self.now_us)
            assert self.backend.is_step_claimable(SLUG, run_id, name) == claimable
        else:
            refused(RunNotFoundError, lambda: self.backend.is_step_claimable(SLUG, run_id, name))

    def teardown(self) -> None:
        try:
            for run in self.runs.values():
                self.history_is_told(run)
                if run.exists:
                    check_run(self.backend, run.run_id)
        finally:
            self.held.close()

    # -- hands ----------------------------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        return clock.now_us()

    def run(self, run_id: str) -> CallerRun:
        """A run that something is done to, and that is therefore looked at afterwards."""
        self.touched.add(run_id)
        return self.runs[run_id]

    def say_of_step(
        self, run: CallerRun, name: str, deed: Callable[[], object], *drafts: Draft, taken: bool, makes: bool = False
    ) -> None:
        """Words about a step; they are refused where they come too late."""
        mine = [(kind, {"step_id": name, **told}) for kind, told in drafts]
        self.say(run, deed, *mine, refusal=None if taken else StaleAttemptError, makes=makes)

    def say(
        self,
        run: CallerRun,
        deed: Callable[[], object],
        *drafts: Draft,
        refusal: type[Exception] | None = None,
        makes: bool = False,
    ) -> None:
        """Do it, and tell the model; what is refused the model isn't told, and `all_is_told` sees to it."""
        if not run.exists and not makes:
            refused(RunNotFoundError, deed)
        elif refusal:
            refused(refusal, deed)
        else:
            deed()
            for kind, told in drafts:
                run.tell(kind, self.now_us, **told)


def failure(attempt: int, *, terminal: bool) -> dict[str, Any]:
    """What StepFailed says."""
    return {
        "error": ERROR,
        "error_fingerprints": FINGERPRINTS,
        "duration_us": 5,
        "attempt_number": attempt,
        "terminal": terminal,
        "failure_reason": "execution-error",
    }


def refused(error: type[Exception], deed: Callable[[], object]) -> None:
    with pytest.raises(error):
        deed()


def explore(examples: int, steps: int, **options: Any) -> None:
    options |= {"max_examples": examples, "stateful_step_count": steps, "deadline": None}
    run_state_machine_as_test(CallersBackend, settings=settings(**options, suppress_health_check=list(HealthCheck)))


def test_whatever_callers_do_the_backend_answers_as_the_model_does() -> None:
    explore(examples=10, steps=20, derandomize=True)


@pytest.mark.slow
def test_whatever_callers_do_for_a_long_time() -> None:
    explore(examples=400, steps=60)
