"""What answers about schedules hold, as types; functions never import this module."""

from __future__ import annotations

from typing import TypedDict

from cascade_flow.api.names import Document
from cascade_flow.api.replies import Nothing, WithoutInput
from cascade_flow.model.schedules import Backfill, ScheduleState

Schedule = Document[ScheduleState, Nothing]
"""A schedule as it stands, with its next times."""
ScheduleInBrief = Document[ScheduleState, WithoutInput]
"""Lists leave inputs out."""
FilledIn = Document[Backfill, Nothing]
"""The runs of a piece of a range, oldest first; `moreFromUs` is what to send as `fromUs` to go on."""


class Schedules(TypedDict):
    """By workflow and name."""

    schedules: list[ScheduleInBrief]
