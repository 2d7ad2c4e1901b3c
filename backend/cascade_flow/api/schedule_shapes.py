"""What is asked of schedules, and how they are declared where no code does it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cascade_flow.api.shapes import Name, Query, Shape, Slug, WorkflowAddress, id_of
from cascade_flow.model import ids
from cascade_flow.model.wire import Count
from cascade_flow.model.workflows import MissedTimes, ScheduleDefinition

MOST_RUNS = 100
ScheduleName = Annotated[str, *id_of(ids.check_schedule)]


class ScheduleAddress(WorkflowAddress):
    """/workflows/{slug}/schedules/{name}."""

    name: ScheduleName


class ListSchedules(Query):
    """GET /schedules."""

    workflow: Slug | None = None
    """Those of this workflow."""


class FillIn(Shape):
    """A wish for runs of times that are past."""

    from_us: Count
    """The first time that counts."""
    until_us: Count
    """The last one; not in the future."""
    limit: Annotated[int, Field(ge=1, le=MOST_RUNS)] = MOST_RUNS
    """How many runs there are to be at the most, the oldest first."""


class NewSchedule(Shape):
    """When runs begin by themselves: by `cron` (and `timezone`), or every so often (`everyUs`)."""

    name: ScheduleName
    cron: Name | None = None
    """Minute, hour, day of month, month, day of week."""
    timezone: Name | None = None
    """An IANA name, UTC where none is given."""
    every_us: Count | None = None
    """A minute at least."""
    input: Any = None
    missed: MissedTimes = "latest"
    """What becomes of times at which nobody could look, or during which the schedule was paused."""

    @property
    def definition(self) -> ScheduleDefinition:
        """The schedule as the engine knows it."""
        return ScheduleDefinition(**{name: getattr(self, name) for name in type(self).model_fields})
