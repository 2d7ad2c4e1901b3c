"""Schedules as they are stored: each value under its name, each place of the index, each fence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow import ScheduleDefinition
from cascade_flow.dynamodb import keys, schedules
from cascade_flow.dynamodb.schedules import Schedule
from cascade_flow.dynamodb.table import Update
from unit.dynamodb.stored import Counting

DEFINED = ScheduleDefinition(name="nightly", cron="0 3 * * *", timezone="Europe/Berlin", input={"b": 1, "a": 2})
NEXT_US = 900_000_000
LIVE = Schedule("flow", DEFINED, NEXT_US, seq=4)
DONE = replace(LIVE, last_us=3, last_run_id="run", failed_us=5, error="no")
KEY = keys.schedule("flow", "nightly")
LEAD_US = 60_000_000
PLACE = {keys.DUE_SHARD: keys.due_of_schedule("flow", "nightly"), keys.DUE_TIME: NEXT_US - LEAD_US}
SAID = {"lt": 3, "lr": "run", "ft": 5, "fe": "no"}


@pytest.mark.parametrize(
    ("schedule", "stored"),
    [
        (LIVE, PLACE),
        (DONE, {**PLACE, **SAID}),
        (replace(DONE, paused_us=1), {**SAID, "pa": 1}),
        (replace(DONE, retired_us=2), {**SAID, "rt": 2}),
        (replace(DONE, paused_us=1, retired_us=2), {**SAID, "pa": 1, "rt": 2}),
        (
            replace(LIVE, paused_us=0, last_us=0, failed_us=0, error=""),
            {"pa": 0, "lt": 0, "ft": 0, "fe": ""},
        ),
    ],
)
def test_a_schedule_is_stored_whole_and_due_while_it_is_live(
    client: Counting, schedule: Schedule, stored: dict[str, Any]
) -> None:
    assert schedules.create(client.table, schedule)
    lies = client.stored(KEY) or {}
    assert {name: value for name, value in lies.items() if name != "m"} == {"nx": NEXT_US, "sq": 4, **stored}
    due_us = NEXT_US - LEAD_US if schedule.is_live else None
    assert schedules.get(client.table, "flow", "nightly") == replace(schedule, due_us=due_us)
    assert schedule.name == "nightly"


def test_who_is_not_first_to_declare_a_schedule_leaves_it(client: Counting) -> None:
    assert schedules.create(client.table, LIVE)
    assert not schedules.create(client.table, DONE)
    assert schedules.get(client.table, "flow", "nightly") == replace(LIVE, due_us=NEXT_US - LEAD_US)
    assert schedules.get(client.table, "flow", "weekly") is None


@pytest.mark.parametrize(("seq", "is_moved"), [(3, False), (4, True), (5, False)])
def test_a_schedule_is_moved_by_who_has_seen_it_as_it_is(client: Counting, seq: int, is_moved: bool) -> None:
    schedules.create(client.table, LIVE)
    after = replace(LIVE, next_us=NEXT_US + 5, seq=99, last_us=NEXT_US)
    client.asked.clear()
    assert schedules.move(client.table, replace(LIVE, seq=seq), after) is is_moved
    assert "ReturnValues" not in client.asked[0]
    now = replace(after, seq=5, due_us=NEXT_US + 5 - LEAD_US) if is_moved else replace(LIVE, due_us=NEXT_US - LEAD_US)
    assert schedules.get(client.table, "flow", "nightly") == now


@pytest.mark.parametrize("over", [{"paused_us": 1}, {"retired_us": 1}], ids=str)
def test_what_is_live_no_more_leaves_the_index_and_comes_back(client: Counting, over: dict[str, Any]) -> None:
    schedules.create(client.table, LIVE)
    assert schedules.move(client.table, LIVE, replace(LIVE, **over))
    stopped = replace(LIVE, **over, seq=5)
    assert schedules.get(client.table, "flow", "nightly") == stopped
    assert schedules.move(client.table, stopped, LIVE)
    assert schedules.get(client.table, "flow", "nightly") == replace(LIVE, seq=6, due_us=NEXT_US - LEAD_US)


def test_what_a_sweep_has_put_off_is_due_again_at_its_time(client: Counting) -> None:
    schedules.create(client.table, LIVE)
    client.table.write([Update(KEY, None, set={keys.DUE_SHARD: "elsewhere", keys.DUE_TIME: 2**40})])
    assert schedules.move(client.table, LIVE, replace(LIVE, last_us=1))
    lies = client.stored(KEY) or {}
    assert {name: lies[name] for name in PLACE} == PLACE


def test_schedules_are_found_by_their_workflow_or_all_in_order(client: Counting) -> None:
    names = [("flow", "b"), ("flow", "a"), ("flow2", "a"), ("other", "a")]
    for slug, name in names:
        retired_us = 1 if name == "b" else None
        made = replace(LIVE, slug=slug, definition=ScheduleDefinition(name=name, every_us=1), retired_us=retired_us)
        assert schedules.create(client.table, made)
    client.asked.clear()
    found = [(each.slug, each.name) for each in schedules.find(client.table)]
    assert found == sorted(names)
    assert [(each.slug, each.name) for each in schedules.find(client.table, "flow")] == [("flow", "a"), ("flow", "b")]
    assert len(client.asked) == 2


def test_a_definition_is_stored_in_one_way_whatever_the_order_of_its_input(client: Counting) -> None:
    other = DEFINED.model_copy(update={"input": {"a": 2, "b": 1}})
    schedules.create(client.table, LIVE)
    client.asked.clear()
    assert schedules.move(client.table, LIVE, replace(LIVE, definition=other, last_us=1))
    assert ":m_" not in client.asked[0]["ExpressionAttributeValues"]
