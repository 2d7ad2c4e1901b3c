"""A nightly schedule on the deployed stack: as it is after nights without a reaper, and as a terminal has it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cascade_flow.clock import now_us
from cascade_flow.dynamodb import schedules
from cascade_flow.dynamodb.schedules import Schedule
from e2e.stack import Stack
from e2e.waiting import until

PLACE = ("scheduled", "nightly")
BERLIN = ZoneInfo("Europe/Berlin")


def cascade(stack: Stack, *words: str) -> Any:
    """What a verb of `cascade schedules` answers, as JSON."""
    command = [sys.executable, "-m", "cascade_flow.cli", "schedules", *words, "--json"]
    ended = subprocess.run(command, cwd=stack.project.root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def nights_ago(number: int) -> datetime:
    """Three o'clock in Berlin, so many nights before the last."""
    here = datetime.fromtimestamp(now_us() / 1_000_000, BERLIN)
    last = here.replace(hour=3, minute=0, second=0, microsecond=0)
    return last - timedelta(days=number + (last > here))


def slept_since(stack: Stack, moment: datetime) -> None:
    """Let the table be as it were if no sweep had come since then: the schedule waits for that time."""
    table, next_us = stack.backend.runtime.ledger.table, round(moment.timestamp()) * 1_000_000

    def put_back() -> bool:
        found = schedules.get(table, *PLACE)
        assert found is not None
        return schedules.move(table, found, replace(found, next_us=next_us))

    until(put_back)


def stored(stack: Stack) -> Schedule:
    found = schedules.get(stack.backend.runtime.ledger.table, *PLACE)
    assert found is not None
    return found


def test_what_a_sleeping_reaper_has_missed_is_made_up_for_once(stack: Stack) -> None:
    [nightly] = cascade(stack, "list", "scheduled")
    assert (nightly["cron"], nightly["timezone"], len(nightly["nextTimesUs"])) == ("0 3 * * *", "Europe/Berlin", 3)
    slept_since(stack, nights_ago(3))
    last = nights_ago(0)
    run_id = until(lambda: str(stack.client.schedule(*PLACE).get("lastRunId", "")), otherwise=lambda: stored(stack))
    run = stack.finished(run_id)
    told = stack.client.run(run_id)
    assert told["output"] == {"report": "a report of tea"}
    assert told["run"]["metadata"] == {"schedule": "nightly", "scheduledFor": last.isoformat()}
    assert run.status == "completed"
    assert stored(stack).next_us == round((last + timedelta(days=1)).timestamp()) * 1_000_000
    found = stack.client.runs(workflow_slug="scheduled", tags=["schedule:nightly"])["runs"]
    assert [each["runId"] for each in found] == [run_id], "of three nights the latest has a run"


def test_a_terminal_pauses_triggers_fills_in_and_resumes(stack: Stack) -> None:
    assert "pausedAtUs" in cascade(stack, "pause", *PLACE)
    assert stored(stack).due_us is None
    run_id = cascade(stack, "trigger", *PLACE)["runId"]
    stack.finished(run_id)
    assert stack.client.run(run_id)["output"] == {"report": "a report of tea"}
    range_of = ("--from", f"{nights_ago(5):%Y-%m-%d}", "--until", f"{nights_ago(4):%Y-%m-%d}", "--yes")
    filled = cascade(stack, "backfill", *PLACE, *range_of)["runs"]
    assert [run["isNew"] for run in filled] == [True, True]
    assert cascade(stack, "backfill", *PLACE, *range_of)["runs"] == [{**run, "isNew": False} for run in filled]
    for run in filled:
        stack.finished(run["runId"])
    assert "pausedAtUs" not in cascade(stack, "resume", *PLACE)
    assert stored(stack).due_us is not None
