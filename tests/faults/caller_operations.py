"""All that a caller may say of its runs, as a list: what comes before a word, what it adds, what a second one does.

`test_callers` breaks each request of each of these words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cascade_flow import (
    Checkpoint,
    ConflictError,
    LogEntry,
    RunNotCancellableError,
    StaleAttemptError,
    StepHeartbeat,
    StepScheduled,
    clock,
)
from contract.called import ERROR, FLOW, USAGE, VERSION, Called
from simulation import BEGIN_US

OLD = "old"
LONG = [n * n for n in range(2_000)]
CHECKPOINT = Checkpoint(name="half", sequence_number=0, attempt_number=1, data=str(LONG))
MANY = 100
"""More events than one transaction holds."""


@dataclass(frozen=True)
class Word:
    """One call.

    `adds`: how many events it makes more, or fewer; `again`: what a second call raises when the first was stored;
    `twice`: the contract gives a second call no key, so it adds as many again; `parts`: it takes several transactions.
    """

    name: str
    before: Callable[[Called], object]
    say: Callable[[Called], object]
    adds: int = 1
    again: type[Exception] | None = None
    twice: bool = False
    parts: bool = False

    def __str__(self) -> str:
        return self.name


def nothing(run: Called) -> None:
    """The run is new with the word."""


def scheduled(run: Called) -> None:
    """The run is under way, and three of its steps are scheduled."""
    run.submit()
    run.start()
    for step_id in ("a", "b", "c"):
        run.schedule(step_id)


def held(run: Called) -> None:
    """A worker holds one of them."""
    scheduled(run)
    run.take("a")


def failed(run: Called) -> None:
    """The run has failed while one step was running and two were scheduled."""
    held(run)
    run.give_up()


def told(run: Called) -> None:
    """There is a run in which much has happened, besides this one."""
    if not run.backend.run_exists(FLOW, OLD):
        old = Called(run.backend, OLD)
        failed(old)
        old.try_again()
        old.complete("a", output=LONG, logs=[_line(OLD, "done")])
        old.retry("b", old.take("b"))
        old.give_up()


def told_at_length(run: Called) -> None:
    """There is a run of which more has happened than one transaction holds."""
    if not run.backend.run_exists(FLOW, OLD):
        told(run)
        run.backend.batch_append_events(_beat(OLD, n) for n in range(MANY))


def telling_at_length(run: Called) -> None:
    """The run itself is one of which so much has happened."""
    told_at_length(run)
    run.backend.copy_entire_run(FLOW, OLD, run.run_id)


def _beat(run_id: str, number: int) -> StepHeartbeat:
    place = {"workflow_slug": FLOW, "run_id": run_id, "step_id": "a", "timestamp_us": BEGIN_US + 500_000 + number}
    return StepHeartbeat(**place, worker_id="worker-1", attempt_number=1)


def _line(run_id: str, message: str) -> LogEntry:
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": run_id, "step_id": "a"}
    return LogEntry(timestamp_us=BEGIN_US + 400_000, **place, stream="stdout", message=message, attempt_number=1)


def _append(run: Called, *times_us: int) -> None:
    place: dict[str, Any] = {"workflow_slug": FLOW, "run_id": run.run_id, "step_id": "d"}
    fields: dict[str, Any] = {"reason": "initial", "attempt_number": 1, "available_at_us": BEGIN_US}
    run.backend.batch_append_events(StepScheduled(timestamp_us=time_us, **place, **fields) for time_us in times_us)


def _end(run: Called, how: str) -> None:
    told: dict[str, Any] = {"workflow_attempt_number": 1, "duration_us": 5}
    if how == "completed":
        run.backend.save_workflow_complete(FLOW, run.run_id, LONG, total_steps=3, **told)
    if how == "failed":
        options: dict[str, Any] = {"completed_steps": 0, "failure_reason": "step-failed"}
        run.backend.save_workflow_failed(FLOW, run.run_id, ERROR, **told, **options)
    if how == "cancelled":
        run.backend.save_workflow_cancelled(FLOW, run.run_id, completed_steps=0, **told)


def _validated(run: Called) -> None:
    run.backend.save_workflow_input_validation(
        FLOW, run.run_id, workflow_attempt_number=1, has_schema=False, success=True
    )


def _resumed(run: Called) -> None:
    counted = {"resumed_steps": 1, "pending_steps": 2}
    run.backend.save_workflow_resumed(FLOW, run.run_id, version_id=VERSION, original_run_id=OLD, **counted)


def _retried(run: Called) -> None:
    run.backend.save_step_failed_and_schedule_retry(
        FLOW,
        run.run_id,
        "a",
        ERROR,
        duration_us=1_000,
        attempt_number=1,
        next_retry_at_us=BEGIN_US,
        failure_reason="timeout",
        available_at_us=BEGIN_US,
        next_attempt_number=2,
        retry_delay_ms=0,
        resource_usage=USAGE,
    )


def _silent(run: Called) -> None:
    held(run)
    clock.pause_us(60_000_000)


def _checkpoint_failed(run: Called) -> None:
    run.backend.save_step_checkpoint_failed(
        FLOW, run.run_id, "a", name="rest", sequence_number=1, attempt_number=1, error=ERROR
    )


def _copy_steps(run: Called) -> None:
    run.backend.copy_step_events(FLOW, OLD, run.run_id, include_step_ids=["a", "b", "c"])


_OLD_EVENTS = 14
_OLD_STEP_EVENTS = 9

WORDS: Sequence[Word] = (
    Word("initialize_run", nothing, lambda run: run.backend.initialize_run(FLOW, run.run_id), adds=0),
    Word("save_run_submitted", nothing, lambda run: run.submit(input=str(LONG)), again=ConflictError),
    Word("save_workflow_start", nothing, Called.start, twice=True),
    Word("save_workflow_input_validation", scheduled, _validated, twice=True),
    Word("save_workflow_complete", held, lambda run: _end(run, "completed"), again=StaleAttemptError),
    Word("save_workflow_failed", held, lambda run: _end(run, "failed"), again=StaleAttemptError),
    Word("save_workflow_cancelled", held, lambda run: _end(run, "cancelled"), again=StaleAttemptError),
    Word("save_workflow_resumed", nothing, _resumed, twice=True),
    Word("save_workflow_retry_started", failed, Called.try_again, twice=True),
    Word("cancel_run", held, lambda run: run.backend.cancel_run(run.run_id), again=RunNotCancellableError),
    Word("save_step_scheduled", nothing, lambda run: run.schedule("a"), twice=True),
    Word(
        "save_step_start",
        scheduled,
        lambda run: run.backend.save_step_start(FLOW, run.run_id, "a", "w", dependencies=[]),
        twice=True,
    ),
    Word("claim_scheduled_step", scheduled, lambda run: run.claim("a")),
    Word("save_step_heartbeat", held, lambda run: run.beat("a"), twice=True),
    Word(
        "save_step_complete",
        held,
        lambda run: run.complete("a", output=LONG, logs=[_line(run.run_id, "done")]),
        adds=2,
        again=StaleAttemptError,
        parts=True,
    ),
    Word("save_step_failed", held, lambda run: run.fail("a"), again=StaleAttemptError),
    Word("save_step_failed, for good", scheduled, lambda run: run.fail("a", terminal=True), again=StaleAttemptError),
    Word("save_step_failed_and_schedule_retry", held, _retried, adds=3, again=StaleAttemptError),
    Word("save_step_skipped", scheduled, lambda run: run.skip("a"), again=StaleAttemptError),
    Word("save_step_reclaimed", held, lambda run: run.reclaim("a"), again=StaleAttemptError),
    Word(
        "save_step_checkpoint",
        held,
        lambda run: run.backend.save_step_checkpoint(FLOW, run.run_id, "a", CHECKPOINT),
        twice=True,
    ),
    Word("save_step_checkpoint_failed", held, _checkpoint_failed, twice=True),
    Word(
        "save_step_logs", held, lambda run: run.backend.save_step_logs(FLOW, run.run_id, "a", [_line(run.run_id, "on")])
    ),
    Word("append_event", scheduled, lambda run: _append(run, BEGIN_US + 600_000), twice=True),
    Word("append_event, before all others", scheduled, lambda run: _append(run, BEGIN_US - 5), twice=True),
    Word("batch_append_events", nothing, lambda run: _append(run, 3, 2, 2), adds=3, twice=True, parts=True),
    Word("reclaim_stale_steps", _silent, lambda run: run.backend.reclaim_stale_steps(30_000_000, "reaper"), adds=2),
    Word(
        "copy_entire_run",
        told,
        lambda run: run.backend.copy_entire_run(FLOW, OLD, run.run_id),
        adds=_OLD_EVENTS + 1,
        again=ConflictError,
    ),
    Word(
        "copy_entire_run, long",
        told_at_length,
        lambda run: run.backend.copy_entire_run(FLOW, OLD, run.run_id),
        adds=_OLD_EVENTS + 1 + MANY,
        again=ConflictError,
    ),
    Word(
        "copy_workflow_events",
        told,
        lambda run: run.backend.copy_workflow_events(FLOW, OLD, run.run_id, exclude_terminal=False),
        adds=_OLD_EVENTS - _OLD_STEP_EVENTS,
    ),
    Word("copy_step_events", told, _copy_steps, adds=_OLD_STEP_EVENTS + 1, parts=True),
    Word("copy_step_events, long", told_at_length, _copy_steps, adds=_OLD_STEP_EVENTS + 1 + MANY, parts=True),
    Word(
        "delete_step_events",
        held,
        lambda run: run.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"]),
        adds=-2,
    ),
    Word(
        "delete_step_events, long",
        telling_at_length,
        lambda run: run.backend.delete_step_events(FLOW, run.run_id, step_ids=["a"]),
        adds=-4 - MANY,
        parts=True,
    ),
    Word(
        "delete_workflow_terminal_events",
        failed,
        lambda run: run.backend.delete_workflow_terminal_events(FLOW, run.run_id),
        adds=-1,
    ),
)
