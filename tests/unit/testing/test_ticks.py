"""A schedule's run in a test: time is skipped to its next time, and nothing begins of its own accord."""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from cascade_flow import ScheduleNotFoundError, Workflow
from cascade_flow.testing import Engine

BERLIN = ZoneInfo("Europe/Berlin")
reports = Workflow("reports")


@reports.step(export=True)
def write(input: dict[str, str]) -> str:
    return f"a report of {input['of']}"


reports.schedule("nightly", cron="0 3 * * *", timezone="Europe/Berlin", input={"of": "tea"})
reports.schedule("often", every=timedelta(hours=1), input={"of": "milk"})


def test_time_is_skipped_to_each_of_its_times() -> None:
    with Engine() as engine:
        for day in range(2):
            result = engine.tick(reports, "nightly", expect="completed")
            local = engine.now.astimezone(BERLIN)
            assert (local.hour, local.minute) == (3, 0), day
            assert result.output == {"write": "a report of tea"}


def test_what_is_due_meanwhile_happens() -> None:
    with Engine() as engine:
        waiting = engine.submit(reports, {"of": "rice"}, delay="1m")
        assert engine.tick(reports, "nightly", fake={"write": "nothing"}).output == {"write": "nothing"}
        assert waiting.status == "completed"


def test_nothing_begins_unless_it_is_asked_for() -> None:
    with Engine() as engine:
        result = engine.run(reports, {"of": "rice"})
        begun = engine.now
        engine.advance("2d")
        engine.run_until_idle()
        assert engine.now - begun < timedelta(days=2, minutes=1)
        assert [event.type for event in result.events][-1] == "WorkflowCompleted"
        assert len(engine._results) == 1
        assert begun.tzinfo is UTC


def test_a_schedule_that_is_none_is_named_with_those_there_are() -> None:
    with Engine() as engine, pytest.raises(ScheduleNotFoundError, match="there are: nightly, often"):
        engine.tick(reports, "weekly")
