"""The times at which a schedule is due: by the clock on the wall of a time zone (cron), or every so often. Pure.

A calendar's ticks follow from its declaration alone, wherever the asking begins: so they are the same for every sweep,
after every pause and every deployment. What names hours is due once for each time that it names: a time that a zone
leaves out is made up for as soon as it can be, one that comes twice counts once. What is due in every hour goes by
the clock as it runs. `cronsim` does the arithmetic, as Debian's cron does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from cascade_flow.errors import ArgumentInvalidError
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.workflows import ScheduleDefinition
from cascade_flow.records import dataclass

SHORTEST_US = 60_000_000
LONGEST_US = 366 * 86_400_000_000
"""A year, a leap year too."""
USUAL_ZONE = "UTC"

_SECOND_US = 1_000_000
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_GRAMMAR = (
    "five fields are meant: minute (0-59), hour (0-23), day of month (1-31, L: the last), month (1-12 or JAN-DEC), day "
    'of week (0-7 or SUN-SAT, 0 and 7 are Sunday); "0 3 * * 1-5" is 03:00 on working days'
)
_HOURS = frozenset(range(24))


class Calendar(Protocol):
    """The ticks of a schedule."""

    def after(self, time_us: int) -> Iterator[int]:
        """All ticks later than this, in order."""


@dataclass(frozen=True)
class Every:
    """Multiples of a span of time since 1970, in UTC: they stay where they are, whenever the schedule was deployed."""

    span_us: int

    def after(self, time_us: int) -> Iterator[int]:
        tick_us = time_us - time_us % self.span_us
        while True:
            tick_us += self.span_us
            yield tick_us


class _ByTheMinute(CronSim):
    """Goes minute by minute where clocks are changed: cronsim jumps to the only minute that is named, past what a clock
    that is put back by half an hour shows again.
    """

    def advance_minute(self) -> bool:
        begin = self.dt
        has_moved = super().advance_minute()
        if begin.utcoffset() == self.dt.utcoffset():
            return has_moved
        self.dt = begin
        while self.dt.minute not in self.minutes:
            self.tick(seconds=60 - self.dt.second)
        return True


@dataclass(frozen=True)
class Cron:
    """A cron expression by the clock of a zone."""

    expression: str
    zone: tzinfo

    def after(self, time_us: int) -> Iterator[int]:
        begin = datetime.fromtimestamp(time_us // _SECOND_US, self.zone)
        last_us = time_us
        for moment in _ByTheMinute(self.expression, begin):
            tick_us = round(moment.timestamp()) * _SECOND_US
            if moment != moment.astimezone(UTC).astimezone(self.zone):  # midnight of a day that begins later, or never
                yield from self.after(tick_us - 1)
                return
            if tick_us > last_us:
                yield tick_us
                last_us = tick_us


def calendar_of(schedule: ScheduleDefinition) -> Calendar:
    """The calendar that a schedule declares. Raises ArgumentInvalidError, with every fault."""
    issues: list[ValidationIssue] = []
    if (schedule.cron is None) == (schedule.every_us is None):
        given = "neither is given" if schedule.cron is None else "both are given"
        issues.append(_issue("cron", f"one of cron and every says when it is due, and {given}"))
    zone = _zone(schedule, issues)
    expression = "" if schedule.cron is None else _normal(schedule.cron, issues)
    if schedule.every_us is not None and not SHORTEST_US <= schedule.every_us <= LONGEST_US:
        issues.append(
            _issue("every", "every is a minute at least, since that is how often anybody looks, and a year at most")
        )
    if issues:
        raise ArgumentInvalidError(f"schedule {schedule.name!r} has no calendar: {_listed(issues)}", issues=issues)
    return Every(schedule.every_us) if schedule.every_us is not None else Cron(expression, zone)


def first_after(calendar: Calendar, time_us: int) -> int:
    """The next tick later than this."""
    return next(calendar.after(time_us))


def last_within(calendar: Calendar, first_us: int, last_us: int) -> int | None:
    """The newest tick from `first_us` to `last_us`, both included: looked for in ever longer spans before the end, so
    that it costs little however long the whole is.
    """
    span_us, begin_us = SHORTEST_US, last_us
    while begin_us >= first_us:
        begin_us, span_us = max(last_us - span_us, first_us - 1), span_us * 2
        newest = None
        for tick_us in calendar.after(begin_us):
            if tick_us > last_us:
                break
            newest = tick_us
        if newest is not None:
            return newest
    return None


def zone_of(schedule: ScheduleDefinition) -> tzinfo:
    """The time zone in which a schedule's times are told to people."""
    name = USUAL_ZONE if schedule.timezone is None else schedule.timezone
    return UTC if name == USUAL_ZONE else ZoneInfo(name)


def _zone(schedule: ScheduleDefinition, issues: list[ValidationIssue]) -> tzinfo:
    if schedule.timezone is not None and schedule.cron is None:
        issues.append(_issue("timezone", "timezone goes with cron: every so often is the same in all zones"))
    try:
        return zone_of(schedule)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(str(schedule.timezone), available_timezones(), 1)
        meant = f"perhaps {near[0]} is meant" if near else "Europe/Berlin is one"
        told = f"timezone is {schedule.timezone!r}, which is no time zone of the IANA's: {meant}"
        issues.append(_issue("timezone", told))
        return UTC


def _normal(cron: str, issues: list[ValidationIssue]) -> str:
    """The expression such that cronsim takes it as this module says: fields that name hours are written out."""
    parts = cron.split()
    if len(parts) != len(_FIELDS):
        issues.append(_issue("cron", f"cron is {cron!r}, which has {len(parts)} fields: {_GRAMMAR}"))
        return ""
    try:
        read = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        issues.append(_issue("cron", f"cron is {cron!r}, which {_defect(cron, str(error))}"))
        return ""
    if next(read, None) is None:
        issues.append(_issue("cron", f"cron is {cron!r}, a day that no year has"))
    hourly = read.hours == _HOURS
    times = [parts[0], "*"] if hourly else [_written(read.minutes), _written(read.hours)]
    return " ".join([*times, *parts[2:]])


def _written(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def _defect(cron: str, told: str) -> str:
    field = told.removeprefix("Bad ").replace("-", " ")
    if field not in _FIELDS:
        return f"is no cron expression: {_GRAMMAR}"
    minute, hour, day, month, weekday = cron.split()
    if field == "day of month" and _is_read(" ".join([minute, hour, day, "*", weekday])):
        return f"no year has: no month of {month} has a day {day}"
    return f"has {cron.split()[_FIELDS.index(field)]!r} as its {field}: {_GRAMMAR}"


def _is_read(cron: str) -> bool:
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _issue(path: str, message: str) -> ValidationIssue:
    return ValidationIssue(path=path, message=message)


def _listed(issues: list[ValidationIssue]) -> str:
    return "; ".join(issue.message for issue in issues)
