"""The number of shards changes on a running stack, up, down and back, and nothing is lost (architecture.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cascade_flow import DynamoDBBackend, RunSubmission, clock
from cascade_flow.dynamodb import due, keys, shards
from checker import check_run
from clauses.stage import dies, dying, silent
from simulation import World, step

USUAL, MORE, FEWER = keys.Shards(8, 4), keys.Shards(24, 12), keys.Shards(2, 1)
RUNS = 60
pytestmark = pytest.mark.usefixtures("usual_shards")


@contextmanager
def told(chosen: keys.Shards) -> Iterator[None]:
    """Processes that begin now write to so many shards."""
    keys.choose_shards(chosen)
    try:
        yield
    finally:
        keys.choose_shards(None)


def submitted(world: World, chosen: keys.Shards, name: str) -> list[str]:
    """Runs that a process of a deployment has submitted."""
    with told(chosen):
        backend = world.another()
        wishes = [RunSubmission(workflow_slug="flow", run_id=f"{name}-{number}") for number in range(RUNS)]
        return [backend.submit_run(wish).run_id for wish in wishes]


def remembered(world: World) -> dict[str, object]:
    item = world.another().runtime.ledger.table.get(keys.shards()) or {}
    return {name: item[name] for name in ("due", "runs") if name in item}


@pytest.fixture(params=[(USUAL, MORE), (MORE, USUAL), (MORE, FEWER), (FEWER, MORE)], ids=str)
def changes(request: pytest.FixtureRequest) -> tuple[keys.Shards, keys.Shards]:
    found: tuple[keys.Shards, keys.Shards] = request.param
    return found


def after(world: World, changes: tuple[keys.Shards, keys.Shards]) -> tuple[DynamoDBBackend, list[str]]:
    """A process of the second deployment, and the runs that both have begun."""
    world.register([step("a", export_output=True)])
    before, now = changes
    runs = [*submitted(world, before, "before"), *submitted(world, now, "now")]
    keys.choose_shards(now)
    return world.another(), runs


def test_who_comes_after_a_change_finds_all_that_is_due(world: World, changes: tuple[keys.Shards, keys.Shards]) -> None:
    backend, runs = after(world, changes)
    assert len({keys.due(run_id) for run_id in runs}) == changes[1].due
    silent(world)
    world.mailbox.wakes.clear()
    assert world.sweep(backend)["wake-ups repeated"] == len(runs)
    assert {wake.run_id for wake in world.mailbox.wakes} == set(runs)


def test_who_comes_after_a_change_lists_all(world: World, changes: tuple[keys.Shards, keys.Shards]) -> None:
    backend, runs = after(world, changes)
    assert set(backend.list_run_ids("flow")) == set(runs)
    assert {ref.run_id for ref in backend.list_scheduled_steps()} == set(runs)
    assert {run.run_id for run in backend.list_runs(workflow_slug="flow").runs} == set(runs)


def test_what_began_before_a_change_ends_after_it(world: World, changes: tuple[keys.Shards, keys.Shards]) -> None:
    backend, runs = after(world, changes)
    begun_us = clock.now_us()
    for wake in list(world.mailbox.wakes):
        world.deliver(wake, backend)
    for run_id in runs:
        assert check_run(world.observer, run_id).status == "completed"
    table = backend.runtime.ledger.table
    assert {entry.run_id for entry in due.ended(table, since_us=begun_us)} == set(runs)
    assert [entry for entry in due.live(table) if not entry.branch] == []


def test_a_table_remembers_more_shards_before_anything_lies_in_them(world: World) -> None:
    world.register([step("a")])
    with told(MORE):
        client = world.store.another_client()
        dies(lambda: dying(world, "PutItem").submit_run(RunSubmission(workflow_slug="flow", available_at=2 * 10**15)))
        assert remembered(world) == {"due": 24, "runs": 12}
    assert shards.known(world.another(client).runtime.ledger.table) == MORE


def test_what_a_table_remembers_only_grows(world: World) -> None:
    world.register([step("a")])
    submitted(world, MORE, "more")
    submitted(world, keys.Shards(16, 4), "less")
    assert remembered(world) == {"due": 24, "runs": 12}
    submitted(world, keys.Shards(16, 16), "other")
    assert remembered(world) == {"due": 24, "runs": 16}


def test_where_every_table_has_them_nothing_is_remembered(world: World) -> None:
    world.register([step("a")])
    submitted(world, USUAL, "usual")
    submitted(world, FEWER, "fewer")
    assert remembered(world) == {}


def test_who_has_looked_before_sees_more_shards_soon(world: World) -> None:
    world.register([step("a")])
    table = world.observer.runtime.ledger.table
    assert shards.known(table) == USUAL
    submitted(world, MORE, "more")
    assert shards.known(table) == USUAL
    world.clock.pause_us(600_000_000)
    assert shards.known(table) == MORE


def test_who_has_looked_before_it_writes_to_more_shards_sees_its_own_at_once(world: World) -> None:
    world.register([step("a")])
    with told(MORE):
        backend = world.another()
        assert backend.list_scheduled_steps() == []
        runs = [backend.submit_run(RunSubmission(workflow_slug="flow", run_id=f"run-{n}")).run_id for n in range(RUNS)]
        assert {ref.run_id for ref in backend.list_scheduled_steps()} == set(runs)
        assert set(backend.list_run_ids("flow")) == set(runs)
