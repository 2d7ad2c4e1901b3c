"""The schedules that a workflow's code declares, brought into the table whenever the workflow is registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from cascade_flow import clock
from cascade_flow.calendars import calendar_of, first_after
from cascade_flow.dynamodb import schedules
from cascade_flow.dynamodb.schedules import Schedule
from cascade_flow.dynamodb.table import Table
from cascade_flow.errors import ArgumentInvalidError, ConflictError, InputInvalidError
from cascade_flow.model.ids import check_schedule
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.workflows import ScheduleDefinition, WorkflowRegistration
from cascade_flow.operations.validation import check_input
from cascade_flow.records import replace
from cascade_flow.serialization import safe_serialize

MOST = 100
"""Schedules of one workflow."""
_ROUNDS = 20


def check(registration: WorkflowRegistration) -> None:
    """Raises InvalidIdError, ArgumentInvalidError or InputInvalidError for schedules that are none."""
    declared = registration.schedules or []
    names = [check_schedule(schedule.name) for schedule in declared]
    if len(set(names)) < len(names) or len(names) > MOST:
        wrong = ValidationIssue(path="schedules", message=f"are {MOST} at most, each with a name of its own")
        raise ArgumentInvalidError(issues=[wrong])
    for schedule in declared:
        calendar_of(schedule)
        _check_input(registration, schedule)


def declare(table: Table, slug: str, declared: Sequence[ScheduleDefinition]) -> None:
    """Let the workflow have these schedules and no others.

    One that is as it was goes on as it stands, paused or not; one with another calendar is due anew from now on.
    """
    wanted = {definition.name: definition for definition in declared}
    known = [schedule.name for schedule in schedules.find(table, slug)]
    for name in {**wanted, **dict.fromkeys(known)}:
        settled(table, slug, name, partial(_declared, slug, wanted.get(name)))


def settled(table: Table, slug: str, name: str, judge: Callable[[Schedule | None], Schedule | None]) -> Schedule | None:
    """A schedule as somebody judges that it should be, who is asked again where it has moved; None: as it is.

    Raises ConflictError, and whatever the judge raises.
    """
    for _ in range(_ROUNDS):
        found = schedules.get(table, slug, name)
        wanted = judge(found)
        if wanted is None or wanted == found:
            return found
        if schedules.create(table, wanted) if found is None else schedules.move(table, found, wanted):
            return wanted
    raise ConflictError(workflow_slug=slug, schedule=name)


def _declared(slug: str, wanted: ScheduleDefinition | None, found: Schedule | None) -> Schedule | None:
    now_us = clock.now_us()
    if wanted is None:
        return None if found is None or found.retired_us is not None else replace(found, retired_us=now_us)
    if found is not None and found.retired_us is None and _times(found.definition) == _times(wanted):
        return replace(found, definition=wanted)
    next_us = first_after(calendar_of(wanted), now_us)
    if found is None:
        return Schedule(slug, wanted, next_us)
    paused_us = None if found.retired_us is not None else found.paused_us
    return replace(found, definition=wanted, next_us=next_us, retired_us=None, paused_us=paused_us)


def _times(definition: ScheduleDefinition) -> tuple[object, ...]:
    return definition.cron, definition.timezone, definition.every_us


def _check_input(registration: WorkflowRegistration, schedule: ScheduleDefinition) -> None:
    try:
        check_input(registration.input_schema_json, None if schedule.input is None else safe_serialize(schedule.input))
    except InputInvalidError as error:
        told = f"the input of schedule {schedule.name!r} is not what workflow {registration.slug!r} takes"
        raise InputInvalidError("\n".join([told, *map(_line, error.issues)]), issues=error.issues) from error


def _line(issue: object) -> str:
    return f"  {getattr(issue, 'path', '')}: {getattr(issue, 'message', '')}"
