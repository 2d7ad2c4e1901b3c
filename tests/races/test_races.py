"""Many processes want the same thing at the same moment: one gets it, and the run keeps every promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from cascade_flow import (
    DynamoDBBackend,
    ScheduleDefinition,
    StepCompleted,
    StepDefinition,
    StepReclaimed,
    WorkflowRegistration,
)
from cascade_flow.dynamodb import schedules
from checker import Checked, check_run
from contract.called import Called
from contract.outside import FLOW, Outside, register, step, submit
from races import racers
from schedule_checker import scheduled_runs
from testbed.races import race
from testbed.servers import Server, Store

pytestmark = pytest.mark.servers("dynamodb-local")


@pytest.fixture(autouse=True, params=["lean", pytest.param("boto3", marks=pytest.mark.slow)])
def _asked_by(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who races asks by either of the product's clients."""
    monkeypatch.setattr(server, "asked_by", request.param)


@pytest.fixture
def here(dynamodb: Store) -> DynamoDBBackend:
    """The test's own backend, by the machine's clock: the racers have no other."""
    return DynamoDBBackend(dynamodb.table, client=dynamodb.product)


def ten_taken(here: DynamoDBBackend) -> list[str]:
    """Ten runs whose step `a` is running."""
    register(here)
    runs = [Outside(here, submit(here)) for _ in range(10)]
    for run in runs:
        run.take("a")
    return [run.run_id for run in runs]


def all_checked(here: DynamoDBBackend, run_ids: list[str]) -> list[Checked]:
    return [check_run(here, run_id) for run_id in run_ids]


def test_an_attempt_has_one_winner(here: DynamoDBBackend, dynamodb: Store) -> None:
    run = Outside.at(here, *map(step, racers.ROOTS))
    won = [outcome.result() for outcome in race(partial(racers.claim_all, run_id=run.run_id), dynamodb)]
    assert sorted(name for names in won for name in names) == sorted(racers.ROOTS)
    winners = {event.step_id: event.worker_id for event in run.events("StepStarted")}
    assert winners == {name: f"worker-{number}" for number, names in enumerate(won) for name in names}
    check_run(here, run.run_id)


def test_callers_race_for_attempts_and_times(here: DynamoDBBackend, dynamodb: Store) -> None:
    run = Called.new(here)
    for name in racers.ROOTS:
        run.schedule(name)
    answers = [outcome.result() for outcome in race(partial(racers.claim_and_append, run_id=run.run_id), dynamodb)]
    assert sorted(name for won, _ in answers for name in won) == sorted(racers.ROOTS)
    assert sorted(time for _, times in answers for time in times) == [racers.AT_US + n for n in range(20)]
    check_run(here, run.run_id)


def test_a_key_makes_one_run(here: DynamoDBBackend, dynamodb: Store) -> None:
    register(here)
    answers = [outcome.result() for outcome in race(racers.submit_with_keys, dynamodb, processes=8)]
    for of_one_key in zip(*answers, strict=True):
        assert len({run_id for run_id, _ in of_one_key}) == 1
        assert sum(is_new for _, is_new in of_one_key) == 1
    run_ids = here.list_run_ids(FLOW)
    assert len(run_ids) == racers.KEYS
    all_checked(here, run_ids)


def test_an_id_makes_one_run(here: DynamoDBBackend, dynamodb: Store) -> None:
    register(here)
    answers = Counter(outcome.result() for outcome in race(racers.submit_with_one_id, dynamodb))
    assert answers == {"mine": 1, "taken": 3}
    check_run(here, "wanted")


def test_a_completion_meets_reapers(here: DynamoDBBackend, dynamodb: Store) -> None:
    run_ids = ten_taken(here)
    answers = race(partial(racers.complete_or_reclaim, run_ids=run_ids), dynamodb)
    worker, *reapers = (outcome.result() for outcome in answers)
    checked = all_checked(here, run_ids)
    assert worker == ["completed" if each.count(StepCompleted) else "too late" for each in checked]
    lost = [each.count(StepReclaimed) for each in checked]
    assert lost == [int(told == "too late") for told in worker]
    assert sum(int(number) for reaper in reapers for number in reaper) == sum(lost)


def test_a_completion_meets_a_cancellation(here: DynamoDBBackend, dynamodb: Store) -> None:
    run_ids = ten_taken(here)
    answers = race(partial(racers.complete_or_cancel, run_ids=run_ids), dynamodb)
    told_of_each = zip(*(outcome.result() for outcome in answers), strict=True)
    for checked, told in zip(all_checked(here, run_ids), told_of_each, strict=True):
        assert told.count("completed") == checked.count(StepCompleted)
        assert ("cancelled" in told) == (checked.status == "cancelled")


def test_parallel_steps_meet(here: DynamoDBBackend, dynamodb: Store) -> None:
    parallel = [step(name, "a") for name in racers.MIDDLE]
    run = Outside.at(here, step("a"), *parallel, step("j", *racers.MIDDLE, export_output=True))
    run.do("a")
    assert [outcome.result() for outcome in race(partial(racers.carry_a_share, run_id=run.run_id), dynamodb)] == [0] * 4
    run.do("j")
    checked = check_run(here, run.run_id)
    assert (checked.status, checked.count(StepCompleted)) == ("completed", len(parallel) + 2)


def test_many_sweeps_make_one_run_for_each_time_of_a_schedule(here: DynamoDBBackend, dynamodb: Store) -> None:
    often = ScheduleDefinition(name="often", every_us=60_000_000, missed="all")
    steps = [StepDefinition(id="a", name="a")]
    here.register_workflow(WorkflowRegistration(slug=FLOW, name="Flow", steps=steps, schedules=[often]))
    table = here.runtime.ledger.table
    found = schedules.get(table, FLOW, "often")
    assert found is not None
    assert schedules.move(table, found, replace(found, next_us=found.next_us - 600_000_000))
    swept = [outcome.result() for outcome in race(racers.sweep, dynamodb)]
    after = schedules.get(table, FLOW, "often")
    assert after is not None
    expected = range(found.next_us - 600_000_000, after.next_us, 60_000_000)
    assert sorted(scheduled_runs(here, FLOW, "often")) == list(expected)
    assert sum(swept) >= len(expected) >= 10
