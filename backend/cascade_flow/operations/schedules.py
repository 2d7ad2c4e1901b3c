"""What people do with schedules: look at them, pause and resume them, have runs now or for times that are past."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from cascade_flow import clock
from cascade_flow.calendars import calendar_of, first_after
from cascade_flow.dynamodb import schedules
from cascade_flow.dynamodb.schedules import Schedule
from cascade_flow.errors import ArgumentInvalidError, ScheduleNotFoundError
from cascade_flow.model.ids import check_schedule, check_slug
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.schedules import Backfill, ScheduledRun, ScheduleState
from cascade_flow.model.states import SubmittedRun
from cascade_flow.operations.declared_schedules import settled
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.ticks import submission_of, submit_tick
from cascade_flow.records import replace

MOST_AT_ONCE = 100
"""Runs that one backfill makes."""
_SHOWN = 3


class Schedules:
    """The schedules of one table: declared in code, looked after by people."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._table = runtime.ledger.table
        self._runs = Runs(runtime)

    def list(self, workflow_slug: str | None = None) -> list[ScheduleState]:
        """All that are declared, or a workflow's, by workflow and name: one query. Raises InvalidIdError."""
        slug = None if workflow_slug is None else check_slug(workflow_slug)
        return [_state(found) for found in schedules.find(self._table, slug) if found.retired_us is None]

    def get(self, workflow_slug: str, name: str) -> ScheduleState:
        """Raises InvalidIdError, ScheduleNotFoundError."""
        return _state(self._known(workflow_slug, name))

    def pause(self, workflow_slug: str, name: str) -> ScheduleState:
        """No run begins by this schedule until it is resumed; one that was submitted for the coming minute does.

        Raises InvalidIdError, ScheduleNotFoundError.
        """
        return self._settled(workflow_slug, name, _paused)

    def resume(self, workflow_slug: str, name: str) -> ScheduleState:
        """Take it up again; its `missed` says what becomes of the times meanwhile.

        Raises InvalidIdError, ScheduleNotFoundError.
        """
        return self._settled(workflow_slug, name, _resumed)

    def trigger(self, workflow_slug: str, name: str, *, idempotency_key: str | None = None) -> SubmittedRun:
        """A run with the schedule's input, now, whether it is paused or not; its times stay as they are.

        Raises InvalidIdError, ScheduleNotFoundError, and as `submit_run`.
        """
        submission = submission_of(self._known(workflow_slug, name))
        return self._runs.submit(submission.model_copy(update={"idempotency_key": idempotency_key}))

    def backfill(
        self, workflow_slug: str, name: str, *, from_us: int, until_us: int, limit: int = MOST_AT_ONCE
    ) -> Backfill:
        """Runs for the schedule's times from `from_us` to `until_us`, oldest first, so many at once.

        A time that has a run keeps it: so a backfill may be sent again, and may overlap another.

        Raises InvalidIdError, ScheduleNotFoundError, ArgumentInvalidError (the range lies in the future), and as
        `submit_run`.
        """
        schedule = self._known(workflow_slug, name)
        if until_us > clock.now_us() or from_us < 0:
            past = ValidationIssue(path="until_us", message="lies in the future: what is to come, comes by itself")
            raise ArgumentInvalidError(issues=[past])
        found: list[ScheduledRun] = []
        for tick_us in calendar_of(schedule.definition).after(from_us - 1):
            if tick_us > until_us:
                break
            if len(found) == min(limit, MOST_AT_ONCE):
                return Backfill(runs=found, more_from_us=tick_us)
            run = submit_tick(self._runs, schedule, tick_us)
            found.append(ScheduledRun(time_us=tick_us, run_id=run.run_id, is_new=run.is_new))
        return Backfill(runs=found)

    def _known(self, workflow_slug: str, name: str) -> Schedule:
        found = schedules.get(self._table, check_slug(workflow_slug), check_schedule(name))
        return _there(found, workflow_slug, name)

    def _settled(self, workflow_slug: str, name: str, judge: Callable[[Schedule], Schedule]) -> ScheduleState:
        self._known(workflow_slug, name)
        found = settled(self._table, workflow_slug, name, lambda read: judge(_there(read, workflow_slug, name)))
        return _state(_there(found, workflow_slug, name))


def _there(found: Schedule | None, workflow_slug: str, name: str) -> Schedule:
    if found is None or found.retired_us is not None:
        raise ScheduleNotFoundError(f"workflow {workflow_slug!r} has no schedule {name!r}: its code declares none such")
    return found


def _paused(schedule: Schedule) -> Schedule:
    return schedule if schedule.paused_us is not None else replace(schedule, paused_us=clock.now_us())


def _resumed(schedule: Schedule) -> Schedule:
    """Times that were missed on purpose are no late ones: where none is made up for, the next one comes."""
    if schedule.paused_us is None:
        return schedule
    next_us = schedule.next_us
    if schedule.definition.missed == "none":
        next_us = max(next_us, first_after(calendar_of(schedule.definition), clock.now_us()))
    return replace(schedule, paused_us=None, next_us=next_us)


def _state(schedule: Schedule) -> ScheduleState:
    definition = schedule.definition
    begin_us = max(schedule.next_us - 1, clock.now_us())
    return ScheduleState(
        workflow_slug=schedule.slug,
        **definition.model_dump(),
        next_times_us=list(islice(calendar_of(definition).after(begin_us), _SHOWN)),
        paused_at_us=schedule.paused_us,
        last_time_us=schedule.last_us,
        last_run_id=schedule.last_run_id,
        failed_time_us=schedule.failed_us,
        error=schedule.error,
    )
