"""What must hold of a schedule's runs, whoever swept, died, paused and deployed meanwhile: one for each time at the
most, and none for a time that it does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile

from cascade_flow import DynamoDBBackend, RunState, ScheduleDefinition
from cascade_flow.calendars import calendar_of


def scheduled_runs(backend: DynamoDBBackend, slug: str, name: str) -> dict[int, RunState]:
    """The runs of a schedule's times, by time; asserts that each has one, under the key that others would look for."""
    found = backend.list_runs(workflow_slug=slug, tags=[f"schedule:{name}"]).runs
    timed = [(time_us_of(run), run) for run in found if "scheduledFor" in (run.metadata or {})]
    twice = [time_us for time_us, number in Counter(time_us for time_us, _ in timed).items() if number > 1]
    assert not twice, f"these times have more than one run: {twice}"
    assert len({run.idempotency_key for _, run in timed}) == len(timed)
    return dict(timed)


def time_us_of(run: RunState) -> int:
    """The schedule's time that a run is for."""
    assert run.metadata is not None
    return round(datetime.fromisoformat(str(run.metadata["scheduledFor"])).timestamp()) * 1_000_000


def times_of(definition: ScheduleDefinition, *, after_us: int, until_us: int) -> list[int]:
    """All times of a schedule within a span."""
    return list(takewhile(lambda time_us: time_us <= until_us, calendar_of(definition).after(after_us)))


def must_be_times_of(found: Iterable[int], definitions: Iterable[ScheduleDefinition], *, after_us: int) -> None:
    """Assert that nobody made up a time."""
    last_us = max(found, default=after_us)
    known = {time for each in definitions for time in times_of(each, after_us=after_us, until_us=last_us)}
    assert not set(found) - known
