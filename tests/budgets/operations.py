"""What every operation of the contract may cost: the table. How it is counted is `counting`'s, the moments `moments`'.

A budget is what the design promises, or what the operation cost when it was written down; from 8 units on there is room
for one more, since ids and times of another length may carry an item across a border. So the table is a ratchet:
whoever makes an operation dearer has to say so here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from budgets.figures import Budget
from budgets.measures import ERROR, SUBMISSION
from budgets.moments import (
    OUTPUT,
    SUBMITTED,
    Hand,
    alone,
    arriving,
    busy,
    busy_and_asked,
    called,
    failed,
    forking,
    held,
    long,
    nothing,
    offloaded,
    registered,
    silent,
    submitted,
    told,
    told_due,
    told_failed,
    told_held,
    told_long,
    told_silent,
    told_with_target,
    with_versions,
)
from cascade_flow import (
    Checkpoint,
    DynamoDBBackend,
    RunSubmission,
    StepScheduled,
    WorkflowRegistration,
    WorkflowVersion,
    clock,
    compose_fingerprint,
    compute_error_fingerprints,
)
from contract.called import VERSION
from contract.outside import FLOW
from shapes import chain

Driver = Literal["engine", "caller", ""]
ENGINE: Driver = "engine"
CALLER: Driver = "caller"
EITHER: Driver = ""

Moment = Callable[[DynamoDBBackend], Hand]
Call = Callable[[Hand], object] | tuple[str, ...]
"""How an operation is called: by a hand, or with these attributes of it as arguments."""

NONE = ()
SLUG = ("slug",)
RUN = ("run_id",)
PLACE = ("slug", "run_id")


@dataclass(frozen=True)
class Case:
    """An operation at a moment: who drives the run, the moment in words and how it is reached, the call, the budget."""

    operation: str
    driver: Driver
    at: str
    moment: Moment
    call: Call
    budget: Budget

    def __str__(self) -> str:
        return ", ".join(part for part in (self.operation, self.driver, self.at) if part)

    def carry_out(self, run: Hand) -> None:
        """Call the operation once."""
        if isinstance(self.call, tuple):
            getattr(run.backend, self.operation)(*(getattr(run, name) for name in self.call))
        else:
            self.call(run)


def cases() -> Iterator[Case]:
    """All of them, in the order of the specification."""
    for operation, driver, at, moment, call, (writes, units, reads, read_units) in _TABLE:
        budget = Budget(operation, units, writes, reads, read_units)
        case = Case(operation, driver, at, moment, call, budget)
        yield replace(case, budget=replace(budget, what=str(case)))


# -- calls that need more than the run's place ------------------------------------------------------------------------


def _register(run: Hand) -> None:
    registration = WorkflowRegistration(slug=FLOW, name="Orders", location="shop/orders.py", steps=chain(4))
    run.backend.register_workflow(registration)


def _create_version(run: Hand) -> None:
    steps = chain(5)
    names = [step.id for step in steps]
    told = {"version_id": "sha256:2", "version_number": 1, "created_at": clock.now_us(), "step_manifest": names}
    run.backend.create_workflow_version(
        WorkflowVersion.model_validate({"workflow_slug": FLOW, "total_steps": len(names), "steps": steps, **told})
    )


def _get_version(run: Hand) -> None:
    run.backend.get_workflow_version(FLOW, "sha256:2")


def _submit(run: Hand) -> None:
    run.backend.submit_run(RunSubmission.model_validate({"workflow_slug": FLOW, "run_id": run.run_id, **SUBMISSION}))


def _tell_submitted(run: Hand) -> None:
    run.submit(**SUBMITTED)


def _list(run: Hand) -> None:
    run.backend.list_runs(workflow_slug=FLOW, limit=50)


def _list_running(run: Hand) -> None:
    run.backend.list_runs(workflow_slug=FLOW, status=["running"], tags=["paid"], limit=50)


def _rerun(run: Hand) -> None:
    run.backend.rerun_from(parent_run_id=run.run_id, from_step_id="s9")


def _tell_validation(run: Hand) -> None:
    run.backend.save_workflow_input_validation(
        FLOW, run.run_id, workflow_attempt_number=1, has_schema=True, success=True
    )


def _tell_resumed(run: Hand) -> None:
    told = {"version_id": VERSION, "original_run_id": "run-0"}
    run.backend.save_workflow_resumed(FLOW, run.run_id, **told, resumed_steps=2, pending_steps=1)


def _tell_cancelled(run: Hand) -> None:
    run.backend.save_workflow_cancelled(
        FLOW, run.run_id, workflow_attempt_number=1, duration_us=1_000, completed_steps=0, reason="not wanted"
    )


def _tell_reclaimed(run: Hand) -> None:
    run.backend.save_step_reclaimed(
        FLOW,
        run.run_id,
        "a",
        original_worker_id=run.name,
        reclaimed_by="reaper",
        last_heartbeat_us=clock.now_us(),
        stale_threshold_us=30_000_000,
        stale_duration_us=60_000_000,
        attempt_number=1,
    )


def _start_step(run: Hand) -> None:
    run.backend.save_step_start(
        FLOW, run.run_id, "a", run.name, dependencies=["s0"], slot_index=3, worker_concurrency=8
    )


def _complete_with_lines(run: Hand) -> None:
    run.complete("a", logs=run.lines("a"))


def _checkpoint(run: Hand, step_id: str) -> None:
    kept = Checkpoint(name="price", sequence_number=1, attempt_number=1, data='{"total":1029.55}', label="priced")
    run.backend.save_step_checkpoint(FLOW, run.run_id, step_id, kept)


def _checkpoint_failed(run: Hand, step_id: str) -> None:
    run.backend.save_step_checkpoint_failed(
        FLOW, run.run_id, step_id, name="price", sequence_number=1, attempt_number=1, error=ERROR
    )


def _store_lines(run: Hand, step_id: str) -> None:
    run.backend.save_step_logs(FLOW, run.run_id, step_id, run.lines(step_id))


def _load_lines(run: Hand) -> None:
    run.backend.load_step_logs(FLOW, run.run_id, "s9")


def _path(run: Hand) -> None:
    run.backend.get_step_output_path(FLOW, run.run_id, "s0", 1)


def _append_line(run: Hand) -> None:
    run.backend.append_event(FLOW, run.run_id, run.lines("s0")[0])


def _append(run: Hand) -> None:
    run.backend.append_event(FLOW, run.run_id, _schedule_of(run, "b"))


def _append_two(run: Hand) -> None:
    run.backend.batch_append_events([_schedule_of(run, "b"), _schedule_of(run, "c")])


def _schedule_of(run: Hand, step_id: str) -> StepScheduled:
    now_us = clock.now_us()
    told = {"available_at_us": now_us, "reason": "initial", "attempt_number": 1, "step_id": step_id}
    return StepScheduled.model_validate({"timestamp_us": now_us, "workflow_slug": FLOW, "run_id": run.run_id, **told})


def _load_completions(run: Hand) -> None:
    run.backend.load_events(FLOW, run.run_id, types=["StepCompleted"])


def _copy(run: Hand) -> None:
    run.backend.copy_entire_run(FLOW, run.run_id, "run-3")


def _copy_workflow(run: Hand) -> None:
    run.backend.copy_workflow_events(FLOW, run.run_id, "run-3", exclude_terminal=True)


def _copy_steps(run: Hand) -> None:
    run.backend.copy_step_events(FLOW, run.run_id, "run-2", include_step_ids=["s0", "s1"])


def _delete_step(run: Hand) -> None:
    run.backend.delete_step_events(FLOW, run.run_id, step_ids=["s0"])


def _ask(run: Hand, step_id: str) -> None:
    run.backend.is_step_claimable(FLOW, run.run_id, step_id)


def _reclaim(run: Hand) -> None:
    run.backend.reclaim_stale_steps(30_000_000, "reaper")


def _error_detail(run: Hand) -> None:
    fingerprint = compose_fingerprint(compute_error_fingerprints(ERROR), "exact")
    run.backend.get_error_detail(fingerprint, "exact")


Row = tuple[str, Driver, str, Moment, Call, tuple[float, float, float, float]]

# operation, driver, moment in words and as it is reached, call; at most: writes, write units, reads, read units
# fmt: off
_TABLE: tuple[Row, ...] = (
    ("initialize", EITHER, "the table is there", nothing, NONE, (0, 0, 0, 0)),
    ("backend_ready", EITHER, "", nothing, NONE, (0, 0, 1, 1)),
    ("close", EITHER, "", nothing, NONE, (0, 0, 0, 0)),

    ("register_workflow", EITHER, "a new version", registered, _register, (2, 2, 0, 0)),
    ("get_workflow_metadata", EITHER, "", registered, SLUG, (0, 0, 1, 1)),
    ("list_workflow_metadata", EITHER, "", registered, NONE, (0, 0, 1, 1)),
    ("get_workflow_steps", EITHER, "3 versions", with_versions, SLUG, (0, 0, 2, 2)),
    ("create_workflow_version", EITHER, "a new one", registered, _create_version, (1, 1, 0, 0)),
    ("get_workflow_version", EITHER, "3 versions", with_versions, _get_version, (0, 0, 1, 1)),
    ("get_current_workflow_version", EITHER, "3 versions", with_versions, SLUG, (0, 0, 2, 2)),
    ("list_workflow_versions", EITHER, "3 versions", with_versions, SLUG, (0, 0, 1, 1)),

    ("submit_run", ENGINE, "with a key; it starts", registered, _submit, (1, 10, 1, 1)),
    ("submit_run", ENGINE, "the key is known", submitted, _submit, (1, 6, 1, 1)),
    ("initialize_run", CALLER, "", called, PLACE, (1, 1, 1, 1)),
    ("save_run_submitted", CALLER, "", called, _tell_submitted, (1, 6, 1, 1)),
    ("run_exists", ENGINE, "", long, PLACE, (0, 0, 1, 1)),
    ("get_run", ENGINE, "10 steps", long, RUN, (0, 0, 1, 1)),
    ("get_run", CALLER, "10 steps", told_long, RUN, (0, 0, 1, 1)),
    ("list_runs", EITHER, "5 runs of one workflow", busy, _list, (0, 0, 9, 10)),
    ("list_runs", EITHER, "with a filter", busy, _list_running, (0, 0, 5, 4)),
    ("list_run_ids", EITHER, "5 runs", busy, SLUG, (0, 0, 4, 2)),
    ("list_active_workflows", EITHER, "3 live runs", busy, NONE, (0, 0, 17, 12)),
    ("cancel_run", ENGINE, "a step is held", held, RUN, (2, 14, 4, 4)),
    ("cancel_run", CALLER, "a step is held", told_held, RUN, (2, 13, 3, 3)),
    ("rerun_from", ENGINE, "9 of 10 steps kept", long, _rerun, (3, 12, 3, 3)),
    ("resume_run", ENGINE, "1 of 3 steps kept", failed, RUN, (3, 12, 3, 3)),
    ("retry_run", ENGINE, "1 step failed", failed, RUN, (3, 16, 5, 5)),

    ("save_workflow_start", CALLER, "", told, Hand.start, (1, 4, 1, 1)),
    ("save_workflow_input_validation", ENGINE, "", submitted, _tell_validation, (1, 4, 2, 2)),
    ("save_workflow_input_validation", CALLER, "", told, _tell_validation, (1, 4, 2, 2)),
    ("save_workflow_complete", CALLER, "1 step", told_held, lambda run: run.finish(OUTPUT), (2, 13, 2, 2)),
    ("save_workflow_failed", CALLER, "1 step", told_held, Hand.give_up, (2, 13, 2, 2)),
    ("save_workflow_resumed", CALLER, "", told, _tell_resumed, (1, 4, 1, 1)),
    ("save_workflow_cancelled", CALLER, "1 step", told_held, _tell_cancelled, (2, 13, 2, 2)),
    ("save_workflow_retry_started", CALLER, "2 steps are over", told_failed, Hand.try_again, (2, 9, 2, 2)),

    ("save_step_scheduled", CALLER, "", told, lambda run: run.schedule("a", priority=5), (1, 7, 1, 2)),
    ("save_step_start", CALLER, "", told_due, _start_step, (1, 6, 1, 2)),
    ("save_step_heartbeat", ENGINE, "", held, lambda run: run.beat("s0"), (1, 1, 2, 2)),
    ("save_step_heartbeat", CALLER, "", told_held, lambda run: run.beat("a"), (1, 6, 2, 3)),
    ("save_step_complete", ENGINE, "a step follows", held, lambda run: run.complete("s0"), (1, 1, 2, 2)),
    ("save_step_complete", ENGINE, "two steps follow", forking, lambda run: run.complete("a"), (1, 7, 2, 2)),
    ("save_step_complete", ENGINE, "the last before a join", arriving, lambda run: run.complete("c"), (3, 11, 4, 5)),
    ("save_step_complete", ENGINE, "the run ends", alone, lambda run: run.complete("s0"), (1, 11, 2, 2)),
    ("save_step_complete", CALLER, "", told_held, lambda run: run.complete("a"), (1, 7, 3, 5)),
    ("save_step_complete", CALLER, "with 20 log lines", told_held, _complete_with_lines, (2, 9, 3, 5)),
    ("save_step_failed", ENGINE, "it is tried again", held, lambda run: run.fail("s0"), (1, 4, 2, 2)),
    ("save_step_failed", ENGINE, "the run fails", held, lambda run: run.fail("s0", terminal=True), (2, 17, 5, 5)),
    ("save_step_failed", CALLER, "", told_held, lambda run: run.fail("a", terminal=True), (1, 7, 3, 5)),
    ("save_step_failed_and_schedule_retry", CALLER, "", told_held, lambda run: run.retry("a"), (1, 13, 1, 2)),
    ("save_step_skipped", ENGINE, "2 steps skipped with it", held, lambda run: run.skip("s0"), (1, 11, 2, 2)),
    ("save_step_skipped", CALLER, "", told_held, lambda run: run.skip("a"), (1, 7, 3, 5)),
    ("save_step_reclaimed", CALLER, "", told_held, _tell_reclaimed, (1, 6, 1, 2)),
    ("save_step_checkpoint", ENGINE, "", held, lambda run: _checkpoint(run, "s0"), (1, 1, 2, 2)),
    ("save_step_checkpoint", CALLER, "", told_held, lambda run: _checkpoint(run, "a"), (1, 6, 3, 5)),
    ("save_step_checkpoint_failed", ENGINE, "", held, lambda run: _checkpoint_failed(run, "s0"), (1, 1, 2, 2)),
    ("save_step_checkpoint_failed", CALLER, "", told_held, lambda run: _checkpoint_failed(run, "a"), (1, 6, 3, 5)),
    ("save_step_logs", ENGINE, "20 lines", held, lambda run: _store_lines(run, "s0"), (1, 1, 1, 1)),
    ("save_step_logs", CALLER, "20 lines", told_held, lambda run: _store_lines(run, "a"), (1, 1, 1, 1)),
    ("load_step_logs", ENGINE, "20 lines", long, _load_lines, (0, 0, 2, 2)),
    ("load_step_logs", CALLER, "20 lines", told_long, _load_lines, (0, 0, 2, 3)),
    ("get_step_output_path", ENGINE, "", offloaded, _path, (0, 0, 2, 2)),

    ("append_event", ENGINE, "a log line", held, _append_line, (1, 4, 2, 2)),
    ("append_event", CALLER, "a step's schedule", told, _append, (1, 7, 2, 3)),
    ("batch_append_events", CALLER, "2 schedules", told, _append_two, (2, 15, 4, 6)),
    ("load_events", ENGINE, "10 steps, with logs", long, PLACE, (0, 0, 2, 2)),
    ("load_events", CALLER, "10 steps, with logs", told_long, PLACE, (0, 0, 2, 3)),
    ("load_events", ENGINE, "no LogEntry wanted", long, _load_completions, (0, 0, 1, 1)),
    ("load_step_events_for_projection", ENGINE, "10 steps", long, PLACE, (0, 0, 1, 1)),
    ("load_step_events_for_projection", CALLER, "10 steps", told_long, PLACE, (0, 0, 1, 2)),
    ("load_run", ENGINE, "10 steps", long, PLACE, (0, 0, 1, 1)),
    ("load_run", CALLER, "10 steps", told_long, PLACE, (0, 0, 1, 2)),
    ("get_failed_steps", ENGINE, "1 of 3 failed", failed, PLACE, (0, 0, 1, 1)),
    ("get_failed_steps", CALLER, "1 of 2 failed", told_failed, PLACE, (0, 0, 1, 1)),
    ("copy_entire_run", ENGINE, "10 steps", long, _copy, (4, 98, 7, 7)),
    ("copy_entire_run", CALLER, "10 steps", told_long, _copy, (3, 95, 7, 9)),
    ("copy_workflow_events", CALLER, "2 events", told_long, _copy_workflow, (1, 9, 4, 5)),
    ("copy_step_events", CALLER, "2 steps, 6 events", told_with_target, _copy_steps, (1, 19, 8, 10)),
    ("delete_step_events", CALLER, "1 step, 3 events", told_long, _delete_step, (1, 11, 4, 6)),
    ("delete_workflow_terminal_events", CALLER, "10 steps are over", told_long, PLACE, (2, 9, 3, 3)),

    ("list_scheduled_steps", EITHER, "3 live runs", busy, NONE, (0, 0, 18, 18)),
    ("is_step_claimable", ENGINE, "", submitted, lambda run: _ask(run, "s0"), (0, 0, 2, 2)),
    ("is_step_claimable", CALLER, "", told_due, lambda run: _ask(run, "a"), (0, 0, 2, 3)),
    ("claim_scheduled_step", ENGINE, "", submitted, lambda run: run.claim("s0"), (1, 1, 3, 3)),
    ("claim_scheduled_step", ENGINE, "another has it", held, lambda run: run.claim("s0"), (0, 0, 2, 2)),
    ("claim_scheduled_step", CALLER, "", told_due, lambda run: run.claim("a"), (1, 6, 2, 3)),
    ("reclaim_stale_steps", ENGINE, "1 of 1 live runs", silent, _reclaim, (1, 1, 17, 11)),
    ("reclaim_stale_steps", CALLER, "1 of 1 live runs", told_silent, _reclaim, (1, 11, 18, 13)),

    ("get_error_analysis", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_errors_list", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_error_detail", EITHER, "5 runs in the range", busy, _error_detail, (1, 1, 31, 24)),
    ("get_retry_analysis", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_scheduling_latency", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_step_duration", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_workflow_duration", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_worker_stability", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_throughput", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_queue_depth", EITHER, "3 live runs", busy, NONE, (0, 0, 18, 18)),
    ("get_queue_depth_by_workflow", EITHER, "3 live runs", busy, NONE, (0, 0, 19, 19)),
    ("get_success_rate", EITHER, "5 runs in the range", busy, NONE, (1, 1, 31, 24)),
    ("get_analytics_summary", EITHER, "5 runs in the range", busy, NONE, (1, 1, 33, 33)),
    ("get_analytics_summary", EITHER, "5 runs, asked before", busy_and_asked, NONE, (0, 0, 32, 32)),
    ("get_active_workers", EITHER, "3 live runs", busy, NONE, (0, 0, 20, 15)),
    ("get_worker_by_id", EITHER, "3 live runs", busy, ("name",), (0, 0, 20, 15)),
)
# fmt: on
