"""Schedules as tables and words: when they are due, in their own time zone and from now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.table import Table
from rich.text import Text

from cascade_flow.cli import formatting, tables
from cascade_flow.cli.views import Document

_SECOND_US = 1_000_000


def many(schedules: Sequence[Document], *, now_us: int) -> Table:
    """A list of schedules: what comes next of each, or why nothing does."""
    table = tables.plain_table("workflow", "schedule", "when", "next", "last")
    for schedule in schedules:
        table.add_row(
            tables.id_text(schedule["workflowSlug"]),
            tables.id_text(schedule["name"]),
            Text(when(schedule), overflow="fold"),
            _next(schedule, now_us),
            _last(schedule, now_us),
        )
    return table


def about(schedule: Document, *, now_us: int) -> Table:
    """All that is known of one."""
    rows: list[tuple[str, str | Text]] = [
        ("schedule", Text(f"{schedule['name']} of {schedule['workflowSlug']}", "bold")),
        ("when", when(schedule)),
        ("missed times", _MISSED[schedule["missed"]]),
        *([("input", formatting.pretty(schedule["input"]))] if "input" in schedule else []),
    ]
    if "pausedAtUs" in schedule:
        since = f"since {moment(schedule, schedule['pausedAtUs'])}"
        rows.append(("paused", Text(f"{since}; these would be its next times", "yellow")))
    rows += [("next" if n == 0 else "", line) for n, line in enumerate(_times(schedule, now_us))]
    if "lastTimeUs" in schedule:
        rows.append(("last", f"{moment(schedule, schedule['lastTimeUs'])}, run {schedule['lastRunId']}"))
    if "error" in schedule:
        rows.append(("failed", Text(f"{moment(schedule, schedule['failedTimeUs'])}: {schedule['error']}", "red")))
    return tables.facts(rows)


def filled(runs: Sequence[Document], schedule: Document) -> Table:
    """The runs of a range, by their times."""
    table = tables.plain_table("time", "run", "")
    for run in runs:
        table.add_row(
            moment(schedule, run["timeUs"]), tables.id_text(run["runId"]), "" if run["isNew"] else "was there"
        )
    return table


def when(schedule: Document) -> str:
    """`0 3 * * 1-5, Europe/Berlin`, `every 10 min`."""
    if "everyUs" in schedule:
        return f"every {formatting.duration(schedule['everyUs'])}"
    return f"{schedule['cron']}, {schedule.get('timezone', 'UTC')}"


def moment(schedule: Document, us: float) -> str:
    """An instant by the clock of the schedule's zone, to the minute."""
    return f"{datetime.fromtimestamp(us // _SECOND_US, zone_of(schedule)):%a %Y-%m-%d %H:%M %Z}"


def zone_of(schedule: Document) -> tzinfo:
    """The zone in which a schedule is told; UTC where this machine doesn't know it."""
    try:
        return ZoneInfo(schedule.get("timezone", "UTC"))
    except ZoneInfoNotFoundError:
        return UTC


_MISSED = {
    "latest": "the latest of them has a run",
    "all": "each of them has a run, oldest first",
    "none": "have no run",
}


def _next(schedule: Document, now_us: int) -> Text:
    if "pausedAtUs" in schedule:
        return Text(f"paused {formatting.ago(schedule['pausedAtUs'], now_us=now_us)}", "yellow")
    return Text(next(_times(schedule, now_us), ""), overflow="fold")


def _last(schedule: Document, now_us: int) -> Text:
    if "error" in schedule:
        return Text(f"failed {_since(schedule['failedTimeUs'], now_us)}", "red")
    return Text(_since(schedule["lastTimeUs"], now_us) if "lastTimeUs" in schedule else "")


def _since(us: float, now_us: int) -> str:
    return formatting.countdown(us - now_us) if us > now_us else formatting.ago(us, now_us=now_us)


def _times(schedule: Document, now_us: int) -> Iterator[str]:
    for us in schedule["nextTimesUs"]:
        yield f"{moment(schedule, us)} ({formatting.countdown(us - now_us)})"
