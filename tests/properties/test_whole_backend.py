"""All that can be done to runs which the engine drives, in any order: every answer is that of `model_of_engine_runs`.

Workers claim, report, fall silent and come back as zombies; runs are submitted, cancelled, tried again, gone on from;
time passes, sweeps and reapers come by. After each deed the run's history is what the model tells, and so is every
list; a refused deed has changed nothing. At the end all runs are driven to their ends and checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cascade_flow import (
    Checkpoint,
    ConflictError,
    DynamoDBBackend,
    EngineDrivenError,
    IdempotencyConflictError,
    InvalidIdError,
    LogEntry,
    RetryTier,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotRetryableError,
    RunSubmission,
    StaleAttemptError,
    StepDefinition,
    StepError,
    StepNotFoundError,
    StepReclaimed,
    WorkflowNotFoundError,
    WorkflowRegistration,
    clock,
    project_run_state,
    project_step_state,
)
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations.sweep import Sweep
from checker import check_run
from model_of_engine_runs import ENDED, LEASE_S, RETRY_S, Graph, ModelRun, Part, ranked
from reported import check_reports
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import MemoryServer, fresh_table

GRAPHS: Mapping[str, Graph] = {
    "line": {"a": Part(tries=2), "b": Part(("a",)), "c": Part(("b",), tries=3, gives_way=False)},
    "diamond": {"a": Part(), "b": Part(("a",), tries=2), "c": Part(("a",)), "d": Part(("b", "c"))},
    "mesh": {
        "a": Part(tries=2),
        "b": Part(),
        "g/c": Part(("a", "b"), gives_way=False),
        "d": Part(("a",)),
        "e": Part(("d", "g/c"), tries=2),
        "f": Part(("b",)),
    },
}
REPORTS = ("beat", "beat for another", "complete with logs", "skip", "fail", "fail for good", "keep", "keep not", "log")
ACTS = ("take", "take", "take", "take", "grasp", "complete", "complete", "complete", *REPORTS)
QUESTIONS = ("runs", "due", "claimable", "depth", "workers", "ends", "reports", "reports", "what is refused")
MOST_RUNS = 6
WORKERS = ("w1", "w2", "w3")
ERROR = StepError(name="ValueError", message="no such order")
SECOND_US = 1_000_000
JUMPS = (1, 2, RETRY_S + 1, LEASE_S + 1, 4 * LEASE_S + 1)

seeds = st.integers(0, 2**32 - 1)
indices = st.integers(0, 63)
slugs = st.sampled_from(sorted(GRAPHS))
PAGES: Mapping[str, st.SearchStrategy[Any]] = {
    "slug": st.none() | slugs,
    "status": st.sampled_from([None, ["running"], ["completed", "failed"], ["cancelled", "pending"]]),
    "tags": st.sampled_from([None, ["red"], ["red", "blue"]]),
    "limit": st.none() | st.integers(0, 3),
    "offset": st.integers(0, 2),
}
RANGES: Mapping[str, st.SearchStrategy[Any]] = {
    "ago_s": st.integers(0, 60),
    "workflow_slug": slugs,
    "step_id": st.sampled_from(["a", "b", "g/c"]),
}


@cache
def emulator() -> MemoryServer:
    server = MemoryServer()
    server.start()
    return server


class WholeBackend(RuleBasedStateMachine):
    """One backend, and the model of what it must answer."""

    def __init__(self) -> None:
        super().__init__()
        self.held = ExitStack()
        store = self.held.enter_context(fresh_table(emulator(), create_table))
        self.time = self.held.enter_context(clock.use(TickingClock()))
        self.mailbox = Mailbox(store)
        self.backend = DynamoDBBackend(store.table, client=store.client, queue=self.mailbox, timing=TIMING)
        self.now_s = 0
        self.runs: list[ModelRun] = []
        self.claims: list[tuple[ModelRun, str, int, str]] = []
        self.versions: dict[str, list[str]] = {}
        self.current: dict[str, str] = {}
        self.keys: dict[str, tuple[str, object]] = {}
        self.touched: set[str] = set()
        self.lines = 0
        self.unlisted = False

    # -- the registry ---------------------------------------------------------------------------------------------

    @initialize(slug=slugs)
    def begin(self, slug: str) -> None:
        for known in GRAPHS:
            self.register(known, "Step")
        self.submit(slug, 0, 0, (), None, None)

    def register(self, slug: str, name: str) -> None:
        steps = [definition(id, part, name) for id, part in GRAPHS[slug].items()]
        self.backend.register_workflow(WorkflowRegistration(slug=slug, name=slug.title(), steps=steps))
        known = self.versions.setdefault(slug, [])
        if name not in known:
            known.append(name)
        self.current[slug] = name
        versions = self.backend.list_workflow_versions(slug)
        assert [(v.version_number, v.steps[0].name) for v in versions] == list(enumerate(known, start=1))
        assert self.backend.get_workflow_steps(slug) == steps
        assert [each.slug for each in self.backend.list_workflow_metadata()] == sorted(self.versions)

    # -- runs -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.runs) < 4)
    @rule(
        slug=slugs,
        priority=st.sampled_from([0, 0, 5, -5]),
        delay_s=st.sampled_from([0, 0, 0, 5]),
        tags=st.sampled_from([(), ("red",), ("red", "blue")]),
        timeout_s=st.sampled_from([None, None, 30]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        name=st.sampled_from([None, None, "Step", "Stage"]),
    )
    def submit(
        self,
        slug: str,
        priority: int,
        delay_s: int,
        tags: tuple[str, ...],
        timeout_s: int | None,
        key: str | None,
        name: str | None = None,
    ) -> None:
        if name is not None:
            self.register(slug, name)
        content = (slug, priority, tags, timeout_s)
        wish = RunSubmission(
            workflow_slug=slug,
            priority=priority,
            available_at=clock.now_us() + delay_s * SECOND_US if delay_s else None,
            tags=list(tags) or None,
            timeout=timeout_s and timeout_s * SECOND_US,
            idempotency_key=key,
        )
        if key in self.keys and self.keys[key][1] != content:
            refused(IdempotencyConflictError, lambda: self.backend.submit_run(wish))
        else:
            submitted = self.backend.submit_run(wish)
            assert submitted.is_new == (key not in self.keys)
            if not submitted.is_new:
                assert submitted.run_id == self.keys[str(key)][0]
                return
            given = {} if timeout_s is None else {"timeout_s": timeout_s}
            self.add(
                ModelRun(submitted.run_id, slug, GRAPHS[slug], priority, tags, starts_s=self.now_s + delay_s, **given)
            )
            if key:
                self.keys[key] = submitted.run_id, content

    @precondition(lambda self: self.runs)
    @rule(at=indices, step=indices, how=st.sampled_from(["cancel", "try again", "resume", "rerun"]))
    def move_a_run(self, at: int, step: int, how: str) -> None:
        self.unlisted = True
        if how == "rerun":
            self.rerun(at, step)
        else:
            {"cancel": self.cancel, "try again": self.try_again, "resume": self.resume}[how](at)

    def take_an_id_again(self, at: int) -> None:
        run = self.run(at)
        wish = RunSubmission(workflow_slug=run.slug, run_id=run.run_id)
        refused(ConflictError, lambda: self.backend.submit_run(wish))

    def cancel(self, at: int) -> None:
        run = self.run(at)
        if run.status in ENDED:
            refused(RunNotCancellableError, lambda: self.backend.cancel_run(run.run_id))
        else:
            self.backend.cancel_run(run.run_id, "not wanted")
            run.cancel(self.now_s)

    def try_again(self, at: int) -> None:
        run = self.run(at)
        if run.status in ("failed", "cancelled"):
            assert self.backend.retry_run(run.run_id).status == "running"
            run.retry(self.now_s)
        else:
            refused(RunNotRetryableError, lambda: self.backend.retry_run(run.run_id))

    def resume(self, at: int) -> None:
        run = self.run(at)
        kept = run.kept()
        if run.status not in ("failed", "cancelled") or len(kept) == len(run.graph):
            refused(RunNotRetryableError, lambda: self.backend.resume_run(run.run_id))
        elif len(self.runs) < MOST_RUNS:
            new = self.backend.resume_run(run.run_id)
            self.add(run.heir(new.run_id, "WorkflowResumed", kept, self.now_s))

    def rerun(self, at: int, step: int) -> None:
        run = self.run(at)
        name = pick(list(run.graph), step)
        if len(self.runs) >= MOST_RUNS:
            return
        new = self.backend.rerun_from(parent_run_id=run.run_id, from_step_id=name)
        self.add(run.heir(new.run_id, "WorkflowRerunFromStep", run.kept(again=name), self.now_s))

    # -- workers --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.runs)
    @rule(seed=seeds, most=st.integers(4, 12))
    def work(self, seed: int, most: int) -> None:
        """Workers take what is there, and say what came of it; zombies report as well."""
        dice = Random(seed)
        for _ in range(most):
            act, at, worker = dice.choice(ACTS), min(dice.randrange(64), dice.randrange(64)), dice.choice(WORKERS)
            if act == "take":
                self.take_what_is_due(at, worker)
            elif act == "grasp":
                self.claim(self.run(at // 8), pick(list(self.run(at // 8).graph), at), worker)
            elif self.claims:
                self.report(at, act, worker)
            self.messages_are_delivered()

    def take_what_is_due(self, at: int, worker: str) -> None:
        if due := ranked(self.runs, self.now_s):
            run_id, name, _, _ = pick(due, at)
            self.claim(self.named(run_id), name, worker)

    def report(self, at: int, what: str, worker: str) -> None:
        """By those who hold an attempt, and by zombies."""
        match what:
            case "beat" | "beat for another":
                self.beat(at, worker if what == "beat for another" else None)
            case "complete" | "complete with logs":
                self.complete(at, logs=what == "complete with logs")
            case "skip":
                self.skip(at)
            case "fail" | "fail for good":
                self.fail(at, terminal=what == "fail for good")
            case "keep" | "keep not":
                self.keep_a_part(at, failed=what == "keep not")
            case "log":
                self.log(at)

    def beat(self, at: int, worker: str | None) -> None:
        run, name, attempt, holder = self.claimed(at)
        worker = worker or holder
        deed = lambda: self.backend.save_step_heartbeat(run.slug, run.run_id, name, worker, attempt)  # noqa: E731
        if self.taken(run.steps[name].is_held(attempt, worker), deed):
            run.beat(name, self.now_s)

    def complete(self, at: int, logs: bool) -> None:
        run, name, attempt, _ = self.claimed(at)
        lines = [self.line(run, name, attempt)] if logs else []
        deed = lambda: self.backend.save_step_complete(  # noqa: E731
            run.slug, run.run_id, name, {"of": name}, duration_us=5, attempt_number=attempt, logs=lines
        )
        if self.taken(run.steps[name].is_held(attempt), deed):
            for line in lines:
                run.log(name, attempt, line.message)
            run.get_over(name, "completed", self.now_s)

    def skip(self, at: int) -> None:
        run, name, attempt, _ = self.claimed(at)
        deed = lambda: self.backend.save_step_skipped(  # noqa: E731
            run.slug, run.run_id, name, skip_type="primary", reason="idle", duration_us=5, attempt_number=attempt
        )
        if self.taken(run.steps[name].is_held(attempt), deed):
            run.get_over(name, "skipped", self.now_s)

    def fail(self, at: int, terminal: bool) -> None:
        run, name, attempt, _ = self.claimed(at)
        told: dict[str, Any] = {"terminal": terminal, "failure_reason": "execution-error"}
        deed = lambda: self.backend.save_step_failed(  # noqa: E731
            run.slug, run.run_id, name, ERROR, duration_us=5, attempt_number=attempt, **told
        )
        if self.taken(run.steps[name].is_held(attempt), deed):
            run.fail(name, self.now_s, terminal=terminal)

    def keep_a_part(self, at: int, failed: bool) -> None:
        run, name, attempt, _ = self.claimed(at)
        where, part = (
            (run.slug, run.run_id, name),
            {"name": "page", "sequence_number": 0, "attempt_number": attempt},
        )
        kept = Checkpoint(data="1", **part)
        deed = lambda: (  # noqa: E731
            self.backend.save_step_checkpoint_failed(*where, error=ERROR, **part)
            if failed
            else self.backend.save_step_checkpoint(*where, kept)
        )
        if self.taken(run.steps[name].is_held(attempt), deed):
            run.keep(name, "StepCheckpointFailed" if failed else "StepCheckpoint", self.now_s)

    def log(self, at: int) -> None:
        run, name, attempt, _ = self.claimed(at)
        line = self.line(run, name, attempt)
        self.backend.save_step_logs(run.slug, run.run_id, name, [line])
        run.log(name, attempt, line.message)

    # -- what is refused ------------------------------------------------------------------------------------------

    def be_refused(self, at: int) -> None:
        self.do_what_the_engine_does(at, at)
        self.ask_for_what_is_not_there(at)
        self.take_an_id_again(at)

    def do_what_the_engine_does(self, at: int, step: int) -> None:
        run = self.run(at)
        name, backend, where = pick(list(run.graph), step), self.backend, (run.slug, run.run_id)
        words: list[Callable[[], object]] = [
            lambda: backend.initialize_run(*where),
            lambda: backend.save_step_scheduled(*where, name, available_at_us=1, reason="initial", attempt_number=1),
            lambda: backend.save_step_start(*where, name, "w1", dependencies=[]),
            lambda: backend.save_workflow_cancelled(
                *where, workflow_attempt_number=1, duration_us=1, completed_steps=0
            ),
            lambda: backend.delete_step_events(*where, step_ids=[name]),
            lambda: backend.delete_workflow_terminal_events(*where),
            lambda: backend.append_event(
                *where,
                StepReclaimed(
                    timestamp_us=clock.now_us(),
                    workflow_slug=run.slug,
                    run_id=run.run_id,
                    step_id=name,
                    original_worker_id="w1",
                    reclaimed_by="w2",
                    last_heartbeat_us=1,
                    stale_threshold_us=1,
                    stale_duration_us=1,
                    attempt_number=1,
                ),
            ),
        ]
        refused(EngineDrivenError, pick(words, step))

    def ask_for_what_is_not_there(self, at: int) -> None:
        run, backend = self.run(at), self.backend
        refused(StepNotFoundError, lambda: backend.claim_scheduled_step(run.slug, run.run_id, "nowhere", "w1"))
        refused(RunNotFoundError, lambda: backend.claim_scheduled_step("other", run.run_id, "a", "w1"))
        refused(RunNotFoundError, lambda: backend.cancel_run("nobody"))
        refused(WorkflowNotFoundError, lambda: backend.submit_run(RunSubmission(workflow_slug="nowhere")))
        refused(InvalidIdError, lambda: backend.is_step_claimable(run.slug, "a#b", "a"))
        refused(StepNotFoundError, lambda: backend.rerun_from(parent_run_id=run.run_id, from_step_id="nowhere"))
        assert backend.load_events("other", run.run_id) == []
        assert backend.load_step_logs("other", run.run_id, "a") is None

    # -- time -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.runs)
    @rule(seconds=st.sampled_from(JUMPS), looks=st.sampled_from(["nobody", "sweep", "reaper"]), seed=seeds)
    def let_time_pass(self, seconds: int, looks: str, seed: int) -> None:
        self.wait(seconds)
        self.messages_are_delivered()
        if looks == "sweep":
            self.sweep()
        elif looks == "reaper":
            self.reclaim(pick((1, 5, LEASE_S), seconds))
        self.work(seed, 4)

    def wait(self, seconds: int) -> None:
        self.time.pause_us(seconds * SECOND_US)
        self.now_s += seconds

    def sweep(self) -> None:
        self.unlisted = True
        silent = {run.run_id: list(run.lapsed(self.now_s)) for run in self.runs}
        before = {run.run_id: run.status for run in self.runs}
        Sweep(self.backend.runtime, name="sweep").sweep(until_us=clock.now_us() + 10**12)
        for run in self.runs:
            late = before[run.run_id] == "running" and self.now_s >= run.deadline_s
            if run.stop is not None:
                self.carry_on_as_seen(run)
                continue
            self.take_away(run, silent[run.run_id], sure=not late)
            if late and run.status == "running":
                run.carry_on(self.now_s) if run.stop else run.time_out(self.now_s)

    def reclaim(self, threshold_s: int) -> None:
        self.unlisted = True
        silent = {run.run_id: list(run.silent(threshold_s, self.now_s)) for run in self.runs}
        taken = self.backend.reclaim_stale_steps(threshold_s * SECOND_US, "reaper")
        found = [pair for run in self.runs for pair in self.take_away(run, silent[run.run_id])]
        assert Counter((ref.run_id, ref.step_id) for ref in taken) == Counter(found)

    def take_away(self, run: ModelRun, silent: list[str], *, sure: bool = True) -> Iterator[tuple[str, str]]:
        """Follow what became of silent steps; where one of them fails the run, which came first is the backend's."""
        reclaims = [e for e in self.events(run) if isinstance(e, StepReclaimed)] if silent else []
        lost = [e.step_id for e in reclaims if e.step_id in silent and run.steps[e.step_id].attempt == e.attempt_number]
        crashing = [name for name in silent if run.crashes(name)]
        if sure and not crashing:
            assert sorted(lost) == sorted(silent)
        assert not (sure and crashing) or set(lost) & set(crashing)
        for name in lost:
            run.reclaim(name, self.now_s)
        return ((run.run_id, name) for name in lost)

    def carry_on_as_seen(self, run: ModelRun) -> None:
        """A stop is carried on by the first sweep after the last lease; at a deadline it may take one more."""
        state = self.backend.get_run(run.run_id)
        assert state is not None
        held = [s for s in run.steps.values() if s.status == "running" and not s.halted and s.lease_s > self.now_s]
        assert held or state.status in ENDED
        if state.status in ENDED:
            run.carry_on(self.now_s)

    # -- what must be true after each deed ------------------------------------------------------------------------

    @invariant()
    def messages_are_delivered(self) -> None:
        """What needs no worker is done at once: cascading skips, and starts whose time has come."""
        while ready := [w for w in self.mailbox.wakes if not w.step and w.available_at_us <= clock.now_us()]:
            self.mailbox.wakes.remove(ready[0])
            Sweep(self.backend.runtime, name="worker").attend(ready[0].run_id, ready[0].branch)
        self.mailbox.wakes = [wake for wake in self.mailbox.wakes if not wake.step]
        for run in self.runs:
            if run.status == "pending" and run.starts_s <= self.now_s:
                run.start(self.now_s) if self.now_s < run.deadline_s else run.time_out(self.now_s)
                self.touched.add(run.run_id)
        self.histories_are_told()
        if self.unlisted:
            self.list_what_is_due()

    def histories_are_told(self) -> None:
        for run in self.runs:
            if run.run_id in self.touched:
                self.history_is_told(run)
        self.touched.clear()

    def history_is_told(self, run: ModelRun) -> None:
        events = [event for event in self.events(run) if event.type != "LogEntry"]
        assert [e.type for e in events if e.category == "workflow"] == run.told, (run, events)
        state = self.backend.get_run(run.run_id)
        assert state == project_run_state([e for e in events if e.category == "workflow"], run.slug)
        assert state is not None
        assert (state.status, state.workflow_attempt_number) == (run.status, run.attempt)
        for name, step in run.steps.items():
            mine = [e for e in events if e.category == "step" and e.step_id == name]
            assert [(e.type, e.attempt_number) for e in mine] == step.told, name
            if mine:
                state = project_step_state(mine, run.slug)
                assert (state.status, state.attempt_number) == (step.status, step.attempt), name
                assert step.status != "running" or state.claimed_by == step.worker
        if any(s.status == "failed" for s in run.steps.values()):
            self.failures_are_told(run)
        self.logs_are_told(run)

    def failures_are_told(self, run: ModelRun) -> None:
        failed = self.backend.get_failed_steps(run.slug, run.run_id)
        assert {each.step_id for each in failed} == {name for name, s in run.steps.items() if s.status == "failed"}

    def logs_are_told(self, run: ModelRun) -> None:
        for name in {name for name, _, _ in run.lines}:
            lines = self.backend.load_step_logs(run.slug, run.run_id, name) or []
            told = [(attempt, message) for step, attempt, message in run.lines if step == name]
            assert [(line.attempt_number, line.message) for line in lines] == told

    def list_what_is_due(self) -> None:
        self.unlisted = False
        due = self.backend.list_scheduled_steps()
        found = [(ref.run_id, ref.step_id, ref.attempt_number, ref.priority) for ref in due]
        assert Counter(found) == Counter(ranked(self.runs, self.now_s))
        ranks = [(-(ref.priority or 0), ref.available_at_us or 0) for ref in due]
        assert ranks == sorted(ranks)

    @rule(question=st.sampled_from(QUESTIONS), at=indices, data=st.data())
    def ask(self, question: str, at: int, data: Any) -> None:
        match question:
            case "runs":
                self.list_runs(**data.draw(st.fixed_dictionaries(PAGES)))
            case "due":
                self.list_what_is_due()
            case "claimable":
                self.ask_for_what_can_be_claimed(at)
            case "depth":
                self.depth_is_right()
            case "workers":
                self.workers_are_right()
            case "ends":
                self.ends_are_counted()
            case "reports":
                self.reports_are_told(**data.draw(st.fixed_dictionaries({}, optional=RANGES)))
            case "what is refused":
                self.be_refused(at)

    def list_runs(
        self, slug: str | None, status: list[str] | None, tags: list[str] | None, limit: int | None, offset: int
    ) -> None:
        page = self.backend.list_runs(workflow_slug=slug, status=status, tags=tags, limit=limit, offset=offset)
        wanted = [
            run
            for run in reversed(self.runs)
            if slug in (None, run.slug) and (not status or run.status in status) and set(tags or ()) <= set(run.tags)
        ]
        end = None if limit is None else offset + limit
        assert [run.run_id for run in page.runs] == [run.run_id for run in wanted[offset:end]]
        assert page.total == len(wanted)
        for state, run in zip(page.runs, wanted[offset:end], strict=True):
            assert (state.status, state.workflow_attempt_number) == (run.status, run.attempt)
            assert (state.priority, tuple(state.tags or ())) == (run.priority, run.tags)
            assert self.backend.get_run(run.run_id) == state
        for known in GRAPHS:
            assert self.backend.list_run_ids(known) == [r.run_id for r in reversed(self.runs) if r.slug == known]

    def ends_are_counted(self) -> None:
        rate, told = self.backend.get_success_rate(), Counter(type for run in self.runs for type in run.told)
        ends = tuple(told[f"Workflow{end}"] for end in ("Completed", "Failed", "Cancelled"))
        assert (rate.successful_runs, rate.failed_runs, rate.cancelled_runs) == ends
        own = Counter(type for run in self.runs for step in run.steps.values() for type, _ in step.own)
        assert (rate.successful_steps, rate.skipped_steps) == (own["StepCompleted"], own["StepSkipped"])
        assert rate.failed_steps == own["StepFailed"] - own["StepRetrying"]
        errors = self.backend.get_error_analysis()
        assert errors.total_failures == own["StepFailed"]

    def reports_are_told(self, ago_s: int = 86_400, **options: Any) -> None:
        """What is kept of runs that have ended makes the same numbers as all events of all runs."""
        options |= {"start_us": clock.now_us() - ago_s * SECOND_US, "end_us": clock.now_us()}
        for _ in ("some of it read for the first time", "from what is kept"):
            check_reports(self.backend, [self.events(run) for run in self.runs], **options)

    def ask_for_what_can_be_claimed(self, at: int) -> None:
        run = self.run(at)
        for name in run.graph:
            claimable = run.status == "running" and run.stop is None and run.is_claimable(name, self.now_s)
            assert self.backend.is_step_claimable(run.slug, run.run_id, name) == claimable, name
        assert self.backend.list_active_workflows() == sorted({r.slug for r in self.runs if r.status not in ENDED})

    def depth_is_right(self) -> None:
        """A stop that waits for somebody takes scheduled steps out one by one: then only the runs are counted."""
        depth = self.backend.get_queue_depth()
        assert depth.pending_runs == sum(run.status == "pending" for run in self.runs)
        assert depth.running_runs == sum(run.status == "running" for run in self.runs)
        if not any(run.stop for run in self.runs):
            steps = Counter(s.status for run in self.runs if run.status == "running" for s in run.steps.values())
            assert (depth.scheduled_steps, depth.running_steps) == (steps["scheduled"], steps["running"])

    def workers_are_right(self) -> None:
        live = [step for run in self.runs if run.status == "running" for step in run.steps.values()]
        running = Counter(step.worker for step in live if step.status == "running")
        ends = [(step, attempt) for step in live for type, attempt in step.own if type == "StepCompleted"]
        done = Counter(step.starts[attempt] for step, attempt in ends)
        known = {worker for step in live for worker in step.starts.values()}
        found = self.backend.get_active_workers(include_inactive=True).workers
        told = {w.worker_id: (w.currently_running_steps, w.total_steps_processed) for w in found}
        assert told == {worker: (running[worker], done[worker]) for worker in known}

    def teardown(self) -> None:
        """Everything still comes to an end, with the sweep alone and one willing worker."""
        try:
            for _ in range(60):
                if all(run.status in ENDED for run in self.runs):
                    break
                self.wait(LEASE_S + 1)
                self.sweep()
                self.messages_are_delivered()
                for run_id, name, _, _ in ranked(self.runs, self.now_s):
                    self.finish(self.named(run_id), name)
            assert all(run.status in ENDED for run in self.runs), "a run does not come to its end"
            self.reports_are_told()
            for run in self.runs:
                self.history_is_told(run)
                assert check_run(self.backend, run.run_id).status == run.status
        finally:
            self.held.close()

    # -- hands ----------------------------------------------------------------------------------------------------

    def finish(self, run: ModelRun, name: str) -> None:
        if self.claim(run, name, "w9") is not None:
            self.complete(0, logs=False)
            self.messages_are_delivered()

    def claim(self, run: ModelRun, name: str, worker: str) -> int | None:
        self.touched.add(run.run_id)
        claim = self.backend.claim_scheduled_step(run.slug, run.run_id, name, worker)
        live = run.status == "running" and run.stop is None
        attempt = run.claim(name, worker, self.now_s) if live else None
        assert (claim and claim.attempt_number) == attempt
        if attempt is not None:
            self.claims.append((run, name, attempt, worker))
        return attempt

    def taken(self, held: bool, deed: Callable[[], object]) -> bool:
        """Whether a report must be taken; one that comes too late is refused."""
        if held:
            deed()
        else:
            refused(StaleAttemptError, deed)
        return held

    def add(self, run: ModelRun) -> None:
        self.runs.append(run)
        self.touched.add(run.run_id)

    def run(self, at: int) -> ModelRun:
        """A run, the newest ones first."""
        run = self.runs[-1 - at % len(self.runs)]
        self.touched.add(run.run_id)
        return run

    def claimed(self, at: int) -> tuple[ModelRun, str, int, str]:
        """What a worker once claimed, and may hold no more: the newest claims first."""
        claim = self.claims[-1 - at % len(self.claims)]
        self.touched.add(claim[0].run_id)
        return claim

    def named(self, run_id: str) -> ModelRun:
        return next(run for run in self.runs if run.run_id == run_id)

    def events(self, run: ModelRun) -> list[Any]:
        return list[Any](self.backend.load_events(run.slug, run.run_id))

    def line(self, run: ModelRun, name: str, attempt: int) -> LogEntry:
        self.lines += 1
        place = {"workflow_slug": run.slug, "run_id": run.run_id, "step_id": name, "attempt_number": attempt}
        return LogEntry(timestamp_us=clock.now_us(), stream="stdout", message=str(self.lines), **place)


def definition(id: str, part: Part, name: str) -> StepDefinition:
    retry = [RetryTier(max_attempts=part.tries, delay_ms=RETRY_S * 1_000, backoff=1, jitter=0)]
    return StepDefinition(
        id=id, name=name, dependencies=list(part.waits_for), retry=retry, skip_cascades=part.gives_way
    )


def pick(values: Any, at: int) -> Any:
    return values[at % len(values)]


def refused(error: type[Exception], deed: Callable[[], object]) -> None:
    with pytest.raises(error):
        deed()


def explore(examples: int, steps: int, **options: Any) -> None:
    options |= {"max_examples": examples, "stateful_step_count": steps, "deadline": None}
    run_state_machine_as_test(WholeBackend, settings=settings(**options, suppress_health_check=list(HealthCheck)))


def test_whatever_is_done_the_backend_answers_as_the_model_does() -> None:
    explore(examples=15, steps=20)


@pytest.mark.slow
def test_whatever_is_done_for_a_long_time() -> None:
    explore(examples=400, steps=80)
