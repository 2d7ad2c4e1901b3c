"""What is told of a schedule, and of the runs that somebody makes up for it. Times are microseconds since the epoch."""

from pydantic import JsonValue

from cascade_flow.model.wire import Number, Ordinal, Text, WireModel
from cascade_flow.model.workflows import MissedTimes


class ScheduleState(WireModel):
    """Where a schedule stands.

    `next_times_us` are the times that come next; of a paused one those that would. `last_time_us` is the newest for
    which there is a run; `failed_time_us` one after it for which there could be none, and `error` says why.
    """

    workflow_slug: Text
    name: Text
    cron: Text | None = None
    timezone: Text | None = None
    every_us: Ordinal | None = None
    missed: MissedTimes
    input: JsonValue = None
    next_times_us: list[Number]
    paused_at_us: Number | None = None
    last_time_us: Number | None = None
    last_run_id: Text | None = None
    failed_time_us: Number | None = None
    error: Text | None = None


class ScheduledRun(WireModel):
    """The run of one of a schedule's times; `is_new`: it was not there before."""

    time_us: Number
    run_id: Text
    is_new: bool


class Backfill(WireModel):
    """The runs of a piece of a range, oldest first; `more_from_us` is where to go on, if there may be more."""

    runs: list[ScheduledRun]
    more_from_us: Number | None = None
