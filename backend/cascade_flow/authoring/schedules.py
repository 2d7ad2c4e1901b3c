"""Schedules as a module declares them: noted where they stand, checked where the workflow is registered.

A worker imports the same module and needs no calendar: so it is only here that one is looked at, and late.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, get_args

from pydantic import BaseModel

from cascade_flow.authoring.binding import NO_INPUT
from cascade_flow.authoring.durations import milliseconds
from cascade_flow.authoring.mistakes import Mistakes, Place, shown
from cascade_flow.authoring.payloads import ANYTHING, Payload
from cascade_flow.errors import ArgumentInvalidError, DefinitionError, InputInvalidError, InvalidIdError
from cascade_flow.model.ids import check_schedule
from cascade_flow.model.workflows import MissedTimes, ScheduleDefinition
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class Scheduled:
    """A schedule as it was declared, nothing of it checked."""

    name: str
    times: Mapping[str, Any]
    input: Any
    place: Place


def schedules_of(slug: str, payload: Payload | None, declared: Sequence[Scheduled]) -> list[ScheduleDefinition]:
    """The schedules as they are registered. DefinitionError, with every mistake and its place."""
    mistakes, found = Mistakes(), dict[str, ScheduleDefinition]()
    for each in declared:
        with mistakes.noted(f"workflow {slug!r}, schedule {shown(each.name)}", each.place):
            definition = _definition(each, payload)
            if definition.name in found:
                raise DefinitionError("a schedule with this name exists already: rename one")
            found[definition.name] = definition
    mistakes.check()
    return list(found.values())


def _definition(declared: Scheduled, payload: Payload | None) -> ScheduleDefinition:
    """Its input is looked at beside its times, so that one mistake hides no other."""
    mistakes, given = Mistakes(), None
    with mistakes.noted():
        given = _plain(declared.input, payload)
    with mistakes.noted():
        timed = _timed(declared)
    mistakes.check()
    return timed.model_copy(update={"input": given})


def _timed(declared: Scheduled) -> ScheduleDefinition:
    from cascade_flow.calendars import calendar_of  # noqa: PLC0415

    times = declared.times
    for name in ("cron", "timezone"):
        if times[name] is not None and not isinstance(times[name], str):
            raise DefinitionError(f"{name} is {shown(times[name])}: give a text")
    if times["missed"] not in get_args(MissedTimes):
        raise DefinitionError(f"missed is {shown(times['missed'])}: it is 'latest', 'all' or 'none'")
    every_us = None if times["every"] is None else milliseconds(times["every"], "every") * 1_000
    try:
        definition = ScheduleDefinition(
            name=check_schedule(declared.name),
            cron=times["cron"],
            timezone=times["timezone"],
            every_us=every_us,
            missed=times["missed"],
        )
        calendar_of(definition)
    except ArgumentInvalidError as error:
        raise DefinitionError("; ".join(issue.message for issue in error.issues)) from error
    except InvalidIdError as error:
        raise DefinitionError(str(error)) from error
    return definition


def _plain(value: Any, payload: Payload | None) -> Any:
    """The input as JSON holds it; raises DefinitionError for one that no run could take."""
    if payload is None:
        return None if value is None else json.loads(ANYTHING.dump(value, "its input"))
    if isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type)):
        return json.loads(payload.dump(value, "its input"))
    text = ANYTHING.dump(value, "its input")
    try:
        payload.load(NO_INPUT if value is None and not payload.takes_none() else text, "its input")
    except InputInvalidError as error:
        raise DefinitionError(str(error)) from error
    return json.loads(text)
