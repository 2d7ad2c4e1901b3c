"""What becomes of a schedule's times: a run for each, submitted under a key that the time gives, then the next time.

Whoever dies in between submits the same again, and of two sweeps one makes the run: the key stands for it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cascade_flow import clock
from cascade_flow.calendars import calendar_of, zone_of
from cascade_flow.dynamodb import due, keys, schedules
from cascade_flow.dynamodb.schedules import LEAD_US, Schedule
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.ticks import due_ticks
from cascade_flow.errors import CascadeFlowError, GoneError, IdempotencyConflictError, RequestError
from cascade_flow.model.states import SubmittedRun
from cascade_flow.model.workflows import RunSubmission
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.tally import Tally
from cascade_flow.records import replace

_LONGEST_ERROR = 300


class Ticks:
    """The sweep's part: submits what is due of a schedule, then moves it on."""

    def __init__(self, runs: Runs, tally: Tally) -> None:
        self._runs = runs
        self._tally = tally

    def attend(self, table: Table, entry: due.Entry) -> None:
        """Do what a schedule calls for. Raises TransientError and SetupError; then nothing of it is moved on."""
        schedule = schedules.get(table, *keys.schedule_of(entry.key))
        if schedule is None or schedule.due_us != entry.due_us:
            return
        definition = schedule.definition
        ticks = due_ticks(
            calendar_of(definition),
            definition.missed,
            next_us=schedule.next_us,
            now_us=clock.now_us(),
            lead_us=LEAD_US,
        )
        moved = replace(schedule, next_us=ticks.next_us)
        for tick_us in ticks.times_us:
            moved = self._submit(moved, tick_us)
        schedules.move(table, schedule, moved)

    def _submit(self, schedule: Schedule, tick_us: int) -> Schedule:
        """The schedule with what became of one of its times; one that can have no run must not stop those after it."""
        try:
            run = submit_tick(self._runs, schedule, tick_us)
        except (RequestError, GoneError) as error:
            self._tally.fail_tick(schedule.slug, schedule.name, error)
            return replace(schedule, failed_us=tick_us, error=_told(error))
        self._tally.note("runs of schedules submitted", run.run_id)
        return replace(schedule, last_us=tick_us, last_run_id=run.run_id, failed_us=None, error=None)


def submit_tick(runs: Runs, schedule: Schedule, tick_us: int) -> SubmittedRun:
    """The run of a schedule's time: a new one, or that which there is already, whatever it was submitted with.

    Raises as `Runs.submit`.
    """
    try:
        return runs.submit(_submission(schedule, tick_us))
    except IdempotencyConflictError as error:
        return SubmittedRun(run_id=str(error.facts["run_id"]), is_new=False)


def submission_of(schedule: Schedule) -> RunSubmission:
    """A run of a schedule, at once: tagged with its name, so that its runs can be listed."""
    return RunSubmission(
        workflow_slug=schedule.slug,
        input=schedule.definition.input,
        tags=[f"schedule:{schedule.name}"],
        metadata={"schedule": schedule.name},
    )


def _submission(schedule: Schedule, tick_us: int) -> RunSubmission:
    moment = datetime.fromtimestamp(tick_us // 1_000_000, UTC)
    here = moment.astimezone(zone_of(schedule.definition))
    of_this_time = {
        "available_at": max(tick_us, clock.now_us()),
        "idempotency_key": f"schedule/{schedule.slug}/{schedule.name}/{moment:%Y-%m-%dT%H:%M:%SZ}",
        "metadata": {"schedule": schedule.name, "scheduledFor": here.isoformat()},
    }
    return submission_of(schedule).model_copy(update=of_this_time)


def _told(error: CascadeFlowError) -> str:
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"
