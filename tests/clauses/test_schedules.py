"""Schedules: one run for each time, however often somebody looks, deploys, pauses and dies (protocol.md §15)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest.mock import Mock, patch

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    ConflictError,
    DynamoDBBackend,
    InputInvalidError,
    InvalidIdError,
    RunState,
    ScheduleDefinition,
    ScheduleNotFoundError,
    WorkflowRegistration,
    WorkflowRetiredError,
    clock,
)
from cascade_flow.dynamodb import due, keys, schedules
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.schedules import LEAD_US, Schedule
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.ticks import AT_ONCE, LATE_US
from cascade_flow.operations.attention import Attention
from cascade_flow.operations.declared_schedules import _declared, check, settled
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.tally import Tally
from cascade_flow.records import replace
from clauses.stage import dies, dying
from faults.moments import pausing
from simulation import BEGIN_US, TickingClock, World, step
from testbed.faults import Kind, faults, only

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
SCHEMA = {"type": "object", "properties": {"of": {"type": "string"}}, "required": ["of"]}
NIGHTLY = {"name": "s", "cron": "0 3 * * *"}
FIRST_US = BEGIN_US - BEGIN_US % DAY + DAY + 3 * HOUR
"""Three o'clock of the night after the world has begun."""


def deployed(world: World, *declared: dict[str, Any], by: DynamoDBBackend | None = None, **options: Any) -> None:
    """The workflow `flow`, deployed with these schedules and no others."""
    definitions = [ScheduleDefinition.model_validate(each) for each in declared]
    told = {"slug": "flow", "name": "Flow", "steps": [step("a")], "schedules": definitions, **options}
    (by or world.backend).runtime.registry.deploy([WorkflowRegistration.model_validate(told)])


def at(world: World, time_us: int) -> None:
    """Let it be this late."""
    world.clock.pause_us(max(0, time_us - clock.now_us()))


def swept(world: World, time_us: int) -> int:
    """How many runs a sweep at this time has submitted."""
    at(world, time_us)
    return dict(world.sweep()).get("runs of schedules submitted", 0)


def stored(world: World, name: str = "s") -> Schedule:
    found = schedules.get(world.observer.runtime.ledger.table, "flow", name)
    assert found is not None
    return found


def runs(world: World) -> list[RunState]:
    """All runs, oldest first."""
    return world.observer.list_runs(workflow_slug="flow").runs[::-1]


def times(world: World) -> list[str]:
    """For which of the schedule's times there are runs, in order; each has one."""
    found = sorted(str((run.metadata or {})["scheduledFor"]) for run in runs(world))
    assert len(set(found)) == len(found), "a time has two runs"
    return found


def told(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, UTC).isoformat()


# -- a time comes -----------------------------------------------------------------------------------------------------


def test_a_sweep_of_schedules_alone_reads_no_runs(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    with patch.object(Ledger, "snapshot") as read:
        world.sweep()
    assert [list(call.args[0]) for call in read.call_args_list] == [[]]


def test_its_run_begins_when_its_time_comes_not_before_and_not_a_sweep_later(world: World) -> None:
    deployed(world, {**NIGHTLY, "input": {"of": "tea"}})
    assert swept(world, FIRST_US - LEAD_US - 1_000_000) == 0
    assert swept(world, FIRST_US - LEAD_US) == 1
    [run] = runs(world)
    assert (run.status, run.available_at, run.input, run.tags) == ("pending", FIRST_US, '{"of":"tea"}', ["schedule:s"])
    assert run.metadata == {"schedule": "s", "scheduledFor": told(FIRST_US)}
    [wake] = world.mailbox.wakes
    assert FIRST_US <= wake.available_at_us < FIRST_US + 10_000
    world.settle(run.run_id)
    assert world.check(run.run_id).status == "completed"


def test_the_key_of_a_time_names_its_workflow_its_schedule_and_the_second(world: World) -> None:
    daily = ScheduleDefinition.model_validate(NIGHTLY)
    both = [
        WorkflowRegistration(slug=slug, name=slug, steps=[step("a")], schedules=[daily]) for slug in ("flow", "shop")
    ]
    world.backend.runtime.registry.deploy(both)
    assert swept(world, FIRST_US) == 2
    found = {run.idempotency_key: run.workflow_slug for run in world.observer.list_runs().runs}
    night = datetime.fromtimestamp(FIRST_US // 1_000_000, UTC).date().isoformat()
    assert found == {f"schedule/{slug}/s/{night}T03:00:00Z": slug for slug in ("flow", "shop")}


def test_a_time_that_was_dealt_with_is_over(world: World) -> None:
    deployed(world, NIGHTLY)
    assert [swept(world, FIRST_US), swept(world, FIRST_US + MINUTE), swept(world, FIRST_US + HOUR)] == [1, 0, 0]
    assert stored(world).next_us == FIRST_US + DAY
    assert [swept(world, FIRST_US + DAY), times(world)] == [1, [told(FIRST_US), told(FIRST_US + DAY)]]


def test_of_two_sweeps_at_once_one_makes_the_run(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    world.sweep(pausing(world, "TransactWriteItems", lambda: world.sweep(world.observer)))
    assert times(world) == [told(FIRST_US)]
    assert stored(world).next_us == FIRST_US + DAY


def test_who_dies_before_it_is_moved_on_has_submitted_what_the_next_one_submits(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    dies(lambda: world.sweep(dying(world, "UpdateItem")))
    assert (times(world), stored(world).next_us) == ([told(FIRST_US)], FIRST_US)
    assert swept(world, FIRST_US) == 1, "what is there already is the time's run all the same"
    assert (times(world), stored(world).next_us) == ([told(FIRST_US)], FIRST_US + DAY)
    assert stored(world).last_run_id == runs(world)[0].run_id


def test_a_sweep_that_dies_first_has_lost_nothing(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    dies(lambda: world.sweep(dying(world, "TransactWriteItems")))
    assert (times(world), stored(world).next_us) == ([], FIRST_US)
    assert swept(world, FIRST_US + MINUTE) == 1


def test_a_time_is_the_same_in_every_zone(world: World) -> None:
    """One hour of the clock comes twice in autumn, and has two times."""
    in_autumn = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    begin_us = round(in_autumn.timestamp()) * 1_000_000
    deployed(world, {"name": "s", "cron": "30 * * * *", "timezone": "Europe/Berlin"})
    at(world, begin_us + 2 * HOUR)
    piece = world.backend.schedules.backfill("flow", "s", from_us=begin_us, until_us=begin_us + HOUR)
    assert [(run.time_us - begin_us, run.is_new) for run in piece.runs] == [(0, True), (HOUR, True)]
    assert times(world) == ["2027-10-31T02:30:00+01:00", "2027-10-31T02:30:00+02:00"]


def test_what_was_deployed_meanwhile_is_submitted_no_second_time(world: World) -> None:
    """The one who died has said something else for the same time."""
    deployed(world, {**NIGHTLY, "input": {"of": "tea"}})
    at(world, FIRST_US)
    dies(lambda: world.sweep(dying(world, "UpdateItem")))
    deployed(world, {**NIGHTLY, "input": {"of": "milk"}})
    world.sweep()
    [run] = runs(world)
    assert (run.input, stored(world).next_us, stored(world).error) == ('{"of":"tea"}', FIRST_US + DAY, None)
    filled = world.backend.schedules.backfill("flow", "s", from_us=FIRST_US, until_us=FIRST_US)
    assert [(each.run_id, each.is_new) for each in filled.runs] == [(run.run_id, False)]


def test_a_sweep_that_is_late_does_not_undo_a_deployment(world: World) -> None:
    """It would move the schedule to a time of the calendar that was."""
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    late = pausing(world, "UpdateItem", lambda: deployed(world, {**NIGHTLY, "cron": "0 3,5 * * *"}, by=world.observer))
    world.sweep(late)
    assert stored(world).next_us == FIRST_US + 2 * HOUR


def test_a_sweep_that_is_late_does_not_undo_a_pause(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    world.sweep(pausing(world, "UpdateItem", lambda: world.observer.schedules.pause("flow", "s")))
    assert (stored(world).due_us, stored(world).paused_us is None) == (None, False)


def test_a_schedule_that_another_deployment_has_declared_is_not_put_again(world: World) -> None:
    """Else it would forget how far it had come."""
    deployed(world)

    def meanwhile() -> None:
        deployed(world, NIGHTLY, by=world.observer)
        at(world, FIRST_US)
        world.sweep(world.observer)

    late = pausing(world, "PutItem", meanwhile, at=2)
    deployed(world, NIGHTLY, by=late)
    assert (stored(world).next_us, stored(world).last_us) == (FIRST_US + DAY, FIRST_US)


def test_an_entry_that_the_index_still_shows_is_passed_over(world: World) -> None:
    deployed(world, {"name": "s", "everyUs": MINUTE})
    seen = due.Entry(int(stored(world).due_us or 0), keys.schedule("flow", "s"))
    swept(world, seen.due_us)
    before = stored(world)
    world.clock.pause_us(10 * MINUTE)
    Attention(world.backend.runtime, Tally(), name="reaper").attend(seen, world.backend.runtime.ledger)
    assert stored(world) == before


def test_what_nobody_can_read_keeps_no_other_schedule_waiting(world: World) -> None:
    deployed(world, NIGHTLY, {**NIGHTLY, "name": "t"})
    table = world.observer.runtime.ledger.table
    table.write([Update(keys.schedule("flow", "s"), None, set={"m": b"\x02"}, blind=True)])
    assert swept(world, FIRST_US) == 1
    assert world.swept["failed"] == 1
    world.sweep()
    assert world.swept["failed"] == 1, "it is met again at once"


# -- times that are missed --------------------------------------------------------------------------------------------

MISSED = [("latest", [7]), ("all", [1, 2, 3, 4, 5, 6, 7]), ("none", [])]


@pytest.mark.parametrize(("missed", "days"), MISSED)
def test_a_reaper_that_was_silent_for_a_week(world: World, missed: str, days: list[int]) -> None:
    deployed(world, {**NIGHTLY, "missed": missed})
    begin = FIRST_US - DAY
    assert swept(world, begin + 7 * DAY + 12 * HOUR) == len(days)
    assert times(world) == [told(begin + day * DAY) for day in days]
    assert stored(world).next_us == begin + 8 * DAY


@pytest.mark.parametrize(("missed", "days"), MISSED)
def test_a_week_of_being_paused(world: World, missed: str, days: list[int]) -> None:
    """However late in the day it is resumed, a moment after a time too."""
    deployed(world, {**NIGHTLY, "missed": missed})
    world.backend.schedules.pause("flow", "s")
    begin = FIRST_US - DAY
    for day in range(1, 8):
        assert swept(world, begin + day * DAY) == 0
    at(world, begin + 7 * DAY + MINUTE)
    world.backend.schedules.resume("flow", "s")
    assert swept(world, begin + 7 * DAY + 2 * MINUTE) == len(days)
    assert times(world) == [told(begin + day * DAY) for day in days]
    assert swept(world, begin + 8 * DAY) == 1


def test_a_time_that_was_missed_by_little_was_not_missed(world: World) -> None:
    deployed(world, {**NIGHTLY, "missed": "none"}, {**NIGHTLY, "name": "t", "missed": "none"})
    assert swept(world, FIRST_US + LATE_US - 1_000_000) == 2
    assert swept(world, FIRST_US + DAY + LATE_US + 1_000_000) == 0


def test_what_was_missed_is_made_up_for_in_pieces_oldest_first(world: World) -> None:
    deployed(world, {"name": "s", "everyUs": MINUTE, "missed": "all"})
    first_us = stored(world).next_us
    end_us = first_us + 250 * MINUTE
    assert [swept(world, end_us - LEAD_US), swept(world, 0), swept(world, 0), swept(world, 0)] == [100, 100, 51, 0]
    assert times(world) == [told(first_us + number * MINUTE) for number in range(251)]
    assert AT_ONCE == 100


def test_what_was_missed_begins_at_once_and_is_not_late(world: World) -> None:
    """It would count as late by a week, and call somebody."""
    deployed(world, NIGHTLY)
    at(world, FIRST_US + 7 * DAY + HOUR)
    swept = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + MINUTE)
    [run] = runs(world)
    assert run.available_at >= FIRST_US + 7 * DAY + HOUR
    assert swept.oldest_due_s == 0


# -- deployments ------------------------------------------------------------------------------------------------------


def test_a_deployment_that_changes_nothing_changes_nothing(world: World) -> None:
    deployed(world, NIGHTLY)
    world.backend.schedules.pause("flow", "s")
    before = stored(world)
    at(world, FIRST_US + DAY)
    deployed(world, NIGHTLY)
    assert stored(world) == before


def test_another_input_changes_neither_the_time_nor_the_pause(world: World) -> None:
    deployed(world, NIGHTLY)
    world.backend.schedules.pause("flow", "s")
    at(world, FIRST_US + DAY)
    deployed(world, {**NIGHTLY, "input": 7})
    found = stored(world)
    assert (found.next_us, found.paused_us is None, found.definition.input) == (FIRST_US, False, 7)


def test_another_calendar_begins_anew_from_now(world: World) -> None:
    deployed(world, {**NIGHTLY, "missed": "all"})
    at(world, FIRST_US + 3 * DAY)
    deployed(world, {**NIGHTLY, "missed": "all", "timezone": "Europe/Berlin"})
    assert stored(world).next_us == FIRST_US + 4 * DAY - HOUR
    assert stored(world).definition.timezone == "Europe/Berlin", "the times after the next are of the new calendar too"
    world.backend.schedules.pause("flow", "s")
    deployed(world, {"name": "s", "everyUs": HOUR})
    assert (stored(world).paused_us is not None, stored(world).definition.every_us) == (True, HOUR)


def test_another_pace_begins_anew_from_now(world: World) -> None:
    deployed(world, {"name": "s", "everyUs": DAY})
    deployed(world, {"name": "s", "everyUs": HOUR})
    assert 0 < stored(world).next_us - clock.now_us() <= HOUR
    assert swept(world, stored(world).next_us) == 1


def test_what_is_declared_no_more_is_taken_out(world: World) -> None:
    deployed(world, NIGHTLY, {**NIGHTLY, "name": "t"})
    deployed(world, {**NIGHTLY, "name": "t"})
    retired = stored(world)
    world.clock.pause_us(MINUTE)
    deployed(world, {**NIGHTLY, "name": "t"})
    assert stored(world) == retired, "what is taken out already is left as it is"
    assert [each.name for each in world.backend.schedules.list("flow")] == ["t"]
    assert swept(world, FIRST_US) == 1
    for act in (world.backend.schedules.get, world.backend.schedules.pause, world.backend.schedules.resume):
        with pytest.raises(ScheduleNotFoundError):
            act("flow", "s")
    with pytest.raises(ScheduleNotFoundError):
        world.backend.schedules.trigger("flow", "s")


def test_what_is_declared_beside_others_is_there_too(world: World) -> None:
    deployed(world, NIGHTLY)
    deployed(world, {**NIGHTLY, "name": "t"}, NIGHTLY, {**NIGHTLY, "name": "u"})
    assert [each.name for each in world.backend.schedules.list("flow")] == ["s", "t", "u"]


def test_a_schedule_says_when_it_was_taken_out(world: World) -> None:
    deployed(world, NIGHTLY)
    begin_us = clock.now_us()
    deployed(world)
    assert begin_us < (stored(world).retired_us or 0) < clock.now_us()


def test_a_schedule_that_needs_no_change_is_returned(world: World) -> None:
    deployed(world, NIGHTLY)
    table = world.observer.runtime.ledger.table
    assert (
        settled(table, "flow", "s", lambda _: None) == settled(table, "flow", "s", lambda found: found) == stored(world)
    )
    assert settled(table, "flow", "gone", lambda _: None) is None


def test_who_is_overtaken_time_and_again_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.declared_schedules._ROUNDS", 2)
    deployed(world, NIGHTLY)
    others = iter((world.observer.schedules.pause, world.observer.schedules.resume))

    def judge(found: Schedule | None) -> Schedule | None:
        next(others)("flow", "s")
        return found and replace(found, failed_us=1)

    with pytest.raises(ConflictError) as conflict:
        settled(world.backend.runtime.ledger.table, "flow", "s", judge)
    assert (conflict.value.facts, stored(world).failed_us) == ({"workflow_slug": "flow", "schedule": "s"}, None)


def test_who_registers_a_workflow_without_a_word_on_schedules_takes_out_what_was_declared(world: World) -> None:
    deployed(world, NIGHTLY)
    world.register([step("a")])
    assert stored(world).retired_us is not None


def test_a_workflow_may_have_as_many_schedules_as_are_said_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.declared_schedules.MOST", 2)
    declared = [{**NIGHTLY, "name": name} for name in ("s", "t", "u")]
    deployed(world, *declared[:2])
    with pytest.raises(ArgumentInvalidError) as refused:
        deployed(world, *declared)
    assert [issue.path for issue in refused.value.issues] == ["schedules"]
    assert [each.name for each in world.backend.schedules.list("flow")] == ["s", "t"]


def test_of_a_schedule_that_is_not_there_that_is_told_first(world: World) -> None:
    deployed(world)
    with pytest.raises(ScheduleNotFoundError):
        world.backend.schedules.backfill("flow", "s", from_us=-1, until_us=clock.now_us() + HOUR)


def test_what_is_declared_again_begins_anew(world: World) -> None:
    deployed(world, {**NIGHTLY, "missed": "all"})
    world.backend.schedules.pause("flow", "s")
    deployed(world)
    at(world, FIRST_US + 3 * DAY)
    deployed(world, {**NIGHTLY, "missed": "all"})
    assert (stored(world).next_us, stored(world).paused_us) == (FIRST_US + 4 * DAY, None)
    assert [schedule.name for schedule in world.backend.schedules.list()] == ["s"]
    assert swept(world, FIRST_US + 4 * DAY) == 1


def test_a_deployment_of_others_leaves_the_schedules_of_what_a_caller_has_registered(world: World) -> None:
    schedule = ScheduleDefinition.model_validate(NIGHTLY)
    theirs = WorkflowRegistration(slug="theirs", name="Theirs", steps=[step("a")], schedules=[schedule])
    world.backend.register_workflow(theirs)
    deployed(world)
    assert [(each.workflow_slug, each.name) for each in world.backend.schedules.list()] == [("theirs", "s")]
    assert swept(world, FIRST_US) == 1


def test_a_schedule_that_is_gone_is_not_taken_out() -> None:
    assert _declared("flow", None, None) is None


def test_the_schedules_of_a_workflow_that_no_deployment_has_are_taken_out(world: World) -> None:
    deployed(world, NIGHTLY)
    world.backend.runtime.registry.deploy([WorkflowRegistration(slug="other", name="Other", steps=[step("a")])])
    assert world.backend.schedules.list() == []
    assert (swept(world, FIRST_US), world.swept["failed"]) == (0, 0)


def test_who_dies_while_a_workflow_is_retired_has_left_it_to_the_next_deployment(world: World) -> None:
    deployed(world, NIGHTLY)
    other = WorkflowRegistration(slug="other", name="Other", steps=[step("a")])
    dies(lambda: dying(world, "UpdateItem", at=3).runtime.registry.deploy([other]))
    world.backend.runtime.registry.deploy([other])
    assert (world.backend.schedules.list(), len(world.backend.list_workflow_metadata())) == ([], 1)


def test_a_workflow_that_never_had_a_schedule_is_asked_for_none(world: World) -> None:
    deployed(world)
    with pytest.raises(AssertionError, match="it was to die"):
        dies(lambda: deployed(world, by=dying(world, "Query", at=2)))


@pytest.mark.parametrize(
    ("declared", "error"),
    [
        ([{**NIGHTLY, "cron": "0 25 * * *"}], ArgumentInvalidError),
        ([NIGHTLY, NIGHTLY], ArgumentInvalidError),
        ([{**NIGHTLY, "name": f"s{n}"} for n in range(101)], ArgumentInvalidError),
        ([{**NIGHTLY, "name": "a#b"}], InvalidIdError),
        ([{**NIGHTLY, "input": {"of": 7}}], InputInvalidError),
        ([NIGHTLY], InputInvalidError),
        ([{**NIGHTLY, "input": {"of": "tea"}}, {**NIGHTLY, "name": "t", "input": {"of": 7}}], InputInvalidError),
        ([{**NIGHTLY, "input": {"of": "tea"}}, {"name": "t", "cron": "0 25 * * *"}], ArgumentInvalidError),
    ],
)
def test_what_is_no_schedule_is_refused_and_nothing_is_registered(
    world: World, declared: list[dict[str, Any]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        deployed(world, *declared, input_schema_json=SCHEMA)
    assert world.backend.list_workflow_metadata() == []


def test_all_that_is_wrong_with_a_schedules_input_is_told(world: World) -> None:
    schema = {"type": "object", "properties": {"of": {"type": "string"}, "n": {"type": "integer"}}}
    with pytest.raises(InputInvalidError) as refused:
        deployed(world, {**NIGHTLY, "input": {"of": 7, "n": "x"}}, input_schema_json=schema)
    issues = refused.value.issues
    assert sorted(issue.path for issue in issues) == ["input.n", "input.of"]
    assert str(refused.value).splitlines() == [
        "the input of schedule 's' is not what workflow 'flow' takes",
        *(f"  {issue.path}: {issue.message}" for issue in issues),
    ]


def test_a_hundred_schedules_are_not_too_many() -> None:
    declared = [ScheduleDefinition.model_validate({**NIGHTLY, "name": f"s{n}"}) for n in range(100)]
    check(WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")], schedules=declared))


# -- a time for which there can be no run -----------------------------------------------------------------------------


def test_a_time_that_can_have_no_run_is_noted_and_passed_over(world: World) -> None:
    """A deployment has died between the workflow, which takes other inputs now, and its schedules."""
    deployed(world, {**NIGHTLY, "input": {"of": "tea"}}, input_schema_json=SCHEMA)
    other: dict[str, Any] = {"input_schema_json": {"type": "array"}}
    dies(lambda: deployed(world, {**NIGHTLY, "input": []}, by=dying(world, "Query"), **other))
    assert swept(world, FIRST_US) == 0
    found = world.backend.schedules.get("flow", "s")
    assert (found.failed_time_us, found.last_time_us) == (FIRST_US, None)
    assert str(found.error).startswith("InputInvalidError: ")
    assert world.swept["failed"] == 1, "nobody is told"
    deployed(world, {**NIGHTLY, "input": []}, **other)
    assert swept(world, FIRST_US + DAY) == 1
    found = world.backend.schedules.get("flow", "s")
    assert (found.error, found.failed_time_us, found.last_time_us) == (None, None, FIRST_US + DAY)


def test_a_table_that_is_busy_is_no_reason_to_pass_a_time_over(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    with faults(only({"TransactWriteItems"}, lambda *_: Kind.THROTTLE), world.store.client):
        world.sweep()
    assert (runs(world), stored(world).next_us, stored(world).error) == ([], FIRST_US, None)
    assert swept(world, FIRST_US + MINUTE) == 1


# -- people -----------------------------------------------------------------------------------------------------------


def test_what_comes_next_is_told(world: World) -> None:
    deployed(world, {**NIGHTLY, "timezone": "Europe/Berlin"}, {"name": "often", "everyUs": HOUR})
    often, nightly = world.backend.schedules.list()
    assert [nightly.name, nightly.cron, nightly.timezone, nightly.missed] == [
        "s",
        "0 3 * * *",
        "Europe/Berlin",
        "latest",
    ]
    assert nightly.next_times_us == [FIRST_US - HOUR + day * DAY for day in range(3)]
    assert [often.every_us, often.next_times_us[0] % HOUR, len(often.next_times_us)] == [HOUR, 0, 3]
    assert world.backend.schedules.get("flow", "often") == often
    assert world.backend.schedules.list("other") == []


def test_no_time_that_is_past_or_has_its_run_is_told_as_coming(world: World) -> None:
    deployed(world, NIGHTLY)
    swept(world, FIRST_US - LEAD_US)
    assert world.backend.schedules.get("flow", "s").next_times_us[0] == FIRST_US + DAY, "the run of today is there"
    world.backend.schedules.pause("flow", "s")
    at(world, FIRST_US + 3 * DAY + HOUR)
    assert world.backend.schedules.get("flow", "s").next_times_us[0] == FIRST_US + 4 * DAY
    with clock.use(TickingClock(FIRST_US + 4 * DAY, tick_us=0)):
        assert world.backend.schedules.get("flow", "s").next_times_us[0] == FIRST_US + 5 * DAY


def test_what_is_known_of_a_schedule_is_told_each_under_its_own_name(world: World) -> None:
    deployed(world, {**NIGHTLY, "input": 7})
    table, read = world.backend.runtime.ledger.table, stored(world)
    said: dict[str, Any] = {"last_us": 1, "last_run_id": "the last", "failed_us": 2, "error": "no", "paused_us": 3}
    assert schedules.move(table, read, replace(read, **said))
    shown = world.backend.schedules.get("flow", "s")
    assert (shown.workflow_slug, shown.name, shown.cron, shown.input) == ("flow", "s", "0 3 * * *", 7)
    assert (shown.last_time_us, shown.last_run_id) == (1, "the last")
    assert (shown.failed_time_us, shown.error, shown.paused_at_us) == (2, "no", 3)


def test_who_resumes_what_is_not_paused_loses_no_time_that_is_due(world: World) -> None:
    deployed(world, {**NIGHTLY, "missed": "none"})
    at(world, FIRST_US + 1_000_000)
    world.backend.schedules.resume("flow", "s")
    assert swept(world, FIRST_US + 2_000_000) == 1


@pytest.mark.parametrize("act", ["get", "pause", "resume", "trigger"])
@pytest.mark.parametrize(
    ("slug", "name", "error"),
    [
        ("flow", "none", ScheduleNotFoundError),
        ("none", "s", ScheduleNotFoundError),
        ("flow", "a#b", InvalidIdError),
        ("a#b", "s", InvalidIdError),
    ],
)
def test_nobody_does_anything_with_a_schedule_that_is_none(
    world: World, act: str, slug: str, name: str, error: type[Exception]
) -> None:
    deployed(world, NIGHTLY)
    with pytest.raises(error):
        getattr(world.backend.schedules, act)(slug, name)


def test_a_time_whose_run_is_there_comes_no_second_time_after_a_pause(world: World) -> None:
    deployed(world, {**NIGHTLY, "missed": "none"})
    assert swept(world, FIRST_US - LEAD_US) == 1
    world.backend.schedules.pause("flow", "s")
    resumed = world.backend.schedules.resume("flow", "s")
    assert (stored(world).next_us, resumed.next_times_us[0]) == (FIRST_US + DAY, FIRST_US + DAY)


def test_pausing_and_resuming_again_change_nothing(world: World) -> None:
    deployed(world, NIGHTLY)
    paused = world.backend.schedules.pause("flow", "s")
    world.clock.pause_us(HOUR)
    assert world.backend.schedules.pause("flow", "s").paused_at_us == paused.paused_at_us
    assert world.backend.schedules.resume("flow", "s").paused_at_us is None
    assert world.backend.schedules.resume("flow", "s").paused_at_us is None
    assert swept(world, FIRST_US) == 1


def test_a_run_now_leaves_the_times_as_they_are(world: World) -> None:
    deployed(world, {**NIGHTLY, "input": 7})
    world.backend.schedules.pause("flow", "s")
    before = stored(world)
    first = world.backend.schedules.trigger("flow", "s", idempotency_key="once")
    again = world.backend.schedules.trigger("flow", "s", idempotency_key="once")
    assert (first.run_id == again.run_id, again.is_new) == (True, False)
    assert world.backend.schedules.trigger("flow", "s").run_id != first.run_id
    assert stored(world) == before
    assert [(run.input, run.tags, run.metadata) for run in runs(world)] == [
        ("7", ["schedule:s"], {"schedule": "s"})
    ] * 2


def test_a_range_is_filled_in_pieces_and_a_time_has_one_run_all_the_same(world: World) -> None:
    deployed(world, NIGHTLY)
    swept(world, FIRST_US)
    begin_us, end_us = FIRST_US - 3 * DAY, FIRST_US
    piece = world.backend.schedules.backfill("flow", "s", from_us=begin_us, until_us=end_us, limit=3)
    assert [(run.time_us, run.is_new) for run in piece.runs] == [(begin_us + day * DAY, True) for day in range(3)]
    assert piece.more_from_us == FIRST_US
    last = world.backend.schedules.backfill("flow", "s", from_us=FIRST_US, until_us=end_us)
    assert [(run.time_us, run.is_new) for run in last.runs] == [(FIRST_US, False)]
    assert last.more_from_us is None
    again = world.backend.schedules.backfill("flow", "s", from_us=begin_us, until_us=end_us)
    assert [run.is_new for run in again.runs] == [False] * 4
    assert times(world) == [told(begin_us + day * DAY) for day in range(4)]


def test_a_range_that_is_filled_to_its_end_has_no_further_piece(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US + 3 * DAY)
    fill = partial(world.backend.schedules.backfill, "flow", "s", from_us=FIRST_US, until_us=FIRST_US + DAY)
    assert [(len(piece.runs), piece.more_from_us) for piece in (fill(limit=2), fill(limit=1))] == [
        (2, None),
        (1, FIRST_US + DAY),
    ]


def test_what_is_to_come_is_not_filled_in(world: World) -> None:
    deployed(world, NIGHTLY)
    with pytest.raises(ArgumentInvalidError, match="future"):
        world.backend.schedules.backfill("flow", "s", from_us=0, until_us=FIRST_US)
    with pytest.raises(ArgumentInvalidError):
        world.backend.schedules.backfill("flow", "s", from_us=-1, until_us=clock.now_us())


def test_no_piece_has_more_runs_than_one_makes_at_once_whatever_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.schedules.MOST_AT_ONCE", 2)
    deployed(world, NIGHTLY)
    at(world, FIRST_US)
    filled = world.backend.schedules.backfill("flow", "s", from_us=0, until_us=FIRST_US, limit=1_000)
    assert [run.time_us for run in filled.runs] == [3 * HOUR, 3 * HOUR + DAY]
    assert filled.more_from_us == 3 * HOUR + 2 * DAY


def test_a_range_begins_with_its_first_moment_and_not_before(world: World) -> None:
    deployed(world, NIGHTLY)
    at(world, FIRST_US)

    def first(from_us: int) -> int:
        return (
            world.backend.schedules.backfill("flow", "s", from_us=from_us, until_us=FIRST_US, limit=1).runs[0].time_us
        )

    assert [first(FIRST_US - DAY), first(FIRST_US - DAY + 1)] == [FIRST_US - DAY, FIRST_US]
    assert first(0) == 3 * HOUR, "the first of all times is one too"


def test_a_time_of_this_very_moment_is_filled_in(world: World) -> None:
    deployed(world, NIGHTLY)
    with clock.use(TickingClock(FIRST_US, tick_us=0)):
        filled = world.backend.schedules.backfill("flow", "s", from_us=FIRST_US, until_us=FIRST_US)
    assert [run.time_us for run in filled.runs] == [FIRST_US]


def test_a_workflow_has_as_many_schedules_as_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.declared_schedules.MOST", 2)
    declared = [{**NIGHTLY, "name": name} for name in "abc"]
    deployed(world, *declared[:2])
    with pytest.raises(ArgumentInvalidError):
        deployed(world, *declared)


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_nobody_pauses_or_resumes_what_a_deployment_takes_out_meanwhile(world: World, act: str) -> None:
    deployed(world, NIGHTLY)
    if act == "resume":
        world.backend.schedules.pause("flow", "s")
    before = stored(world).paused_us
    late = pausing(world, "UpdateItem", lambda: deployed(world, by=world.observer))
    with pytest.raises(ScheduleNotFoundError):
        getattr(late.schedules, act)("flow", "s")
    assert (stored(world).paused_us, stored(world).retired_us is None) == (before, False)


def test_a_schedule_that_is_gone_calls_for_nothing(world: World) -> None:
    entry = due.Entry(FIRST_US, keys.schedule("flow", "gone"))
    Attention(world.backend.runtime, Tally(), name="reaper").attend(entry, world.backend.runtime.ledger)
    assert runs(world) == []


def test_a_pause_and_a_deployment_at_once_are_both_kept(world: World) -> None:
    deployed(world, NIGHTLY)
    late = pausing(world, "UpdateItem", lambda: deployed(world, {**NIGHTLY, "input": 7}, by=world.observer))
    late.schedules.pause("flow", "s")
    found = stored(world)
    assert (found.paused_us is None, found.definition.input, found.due_us) == (False, 7, None)


# -- nobody else meets them -------------------------------------------------------------------------------------------


def test_who_lists_what_is_live_meets_no_schedule(world: World) -> None:
    deployed(world, {"name": "s", "everyUs": MINUTE})
    at(world, FIRST_US)
    table = world.observer.runtime.ledger.table
    assert list(due.entries(table, until_us=clock.now_us())) == []
    assert list(due.live(table)) == []
    assert list(due.later(table, than_us=0, at_once=10)) == []
    assert world.backend.list_scheduled_steps() == []
    assert world.backend.get_queue_depth().pending_runs == 0


def test_a_schedule_that_was_put_off_and_is_moved_on_is_looked_at_before_its_time_again(world: World) -> None:
    """The sweep that could not deal with it has moved its place in the index, and nothing else."""
    deployed(world, NIGHTLY)
    table, read = world.backend.runtime.ledger.table, stored(world)
    entry = due.Entry(FIRST_US - LEAD_US, keys.schedule("flow", "s"))
    due.put_off(table, entry, least_us=DAY, most_us=DAY)
    assert stored(world).due_us != FIRST_US - LEAD_US
    assert schedules.move(table, read, replace(read, failed_us=1))
    assert stored(world).due_us == FIRST_US - LEAD_US


@pytest.mark.parametrize(("given", "kept"), [("x" * 278, "x" * 278), ("x" * 279, "x" * 278 + "…")])
def test_an_error_is_noted_to_its_three_hundredth_character(
    world: World, monkeypatch: pytest.MonkeyPatch, given: str, kept: str
) -> None:
    deployed(world, NIGHTLY)
    monkeypatch.setattr(Runs, "submit", Mock(side_effect=WorkflowRetiredError(given)))
    swept(world, FIRST_US)
    assert stored(world).error == f"WorkflowRetiredError: {kept}"


def test_a_time_whose_workflow_is_gone_is_noted_and_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was retired between the look at its schedule and the submission."""
    deployed(world, NIGHTLY)
    monkeypatch.setattr(Runs, "submit", Mock(side_effect=WorkflowRetiredError("workflow 'flow' is retired")))
    at(world, FIRST_US)
    found = Sweep(world.backend.runtime, name="reaper").sweep(until_us=clock.now_us() + DAY)
    told = stored(world)
    assert (told.next_us, told.failed_us, told.last_us) == (FIRST_US + DAY, FIRST_US, None)
    assert told.error == "WorkflowRetiredError: workflow 'flow' is retired"
    assert [failure.error for failure in found.failures] == [f"schedule s of flow: {told.error}"]
    assert found.done == {"looked at": 1, "failed": 1}
