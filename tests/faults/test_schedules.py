"""Every request of a sweep over a schedule, of a deployment and of what people do, broken in every way, one at a time:
no time is lost, none has two runs, and what was said stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cascade_flow import CascadeFlowError, ScheduleDefinition, WorkflowRegistration, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from schedule_checker import scheduled_runs, times_of
from simulation import BEGIN_US, TickingClock, World, step, survive
from testbed.faults import Plan, at, cases, faults, nowhere
from testbed.servers import Server, fresh_table

MINUTE = 60_000_000


@pytest.fixture(autouse=True)
def _one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the due index: it spares each sweep seven questions."""
    monkeypatch.setattr(keys, "DUE_SHARDS", 1)


EVERY = ScheduleDefinition(name="s", every_us=MINUTE, missed="all")
OTHER = EVERY.model_copy(update={"input": {"of": "tea"}})


def deploy(world: World, definition: ScheduleDefinition = OTHER) -> None:
    told = WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")], schedules=[definition])
    world.backend.runtime.registry.deploy([told])


@dataclass(frozen=True)
class Act:
    """What a process does that is broken, and said again where it died or failed; what must hold of it then."""

    name: str
    act: Callable[[World], object]
    holds: Callable[[World], bool] = lambda _: True

    def __str__(self) -> str:
        return self.name


def stands(world: World, **told: object) -> bool:
    found = world.observer.schedules.get("flow", "s")
    return all(getattr(found, name) == value for name, value in told.items())


ACTS = (
    Act("sweeps", lambda world: world.sweep()),
    Act("deploys", deploy, lambda world: stands(world, input={"of": "tea"})),
    Act(
        "takes it out and in again",
        lambda world: (world.backend.runtime.registry.deploy([]), deploy(world)),
        lambda world: stands(world, input={"of": "tea"}),
    ),
    Act(
        "resumes",
        lambda world: world.backend.schedules.resume("flow", "s"),
        lambda world: stands(world, paused_at_us=None),
    ),
    Act(
        "fills in",
        lambda world: world.backend.schedules.backfill("flow", "s", from_us=BEGIN_US, until_us=clock.now_us()),
    ),
)


def broken(server: Server, act: Act, plan: Plan) -> list[tuple[int, object]]:
    """A schedule of which two times are due (one is past) while a process acts, whose requests are broken; then all
    goes well for some minutes. Answers the faults that could be planned.
    """
    with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, clock=time)
        deploy(world, EVERY)
        first_us = world.observer.schedules.get("flow", "s").next_times_us[0]
        time.pause_us(first_us + 1_000_000 - clock.now_us())
        if act.name == "resumes":
            world.backend.schedules.pause("flow", "s")
        with faults(plan, *world.clients) as injected:
            for _ in range(3):
                if survive(lambda: act.act(world)) is None:
                    break
                injected.restart()
        assert act.holds(world), injected.happened
        for _ in range(2):
            world.sweep(world.observer)
            time.pause_us(MINUTE)
        world.sweep(world.observer)
        begin_us = first_us if act.name != "takes it out and in again" else first_us + 1
        expected = times_of(EVERY, after_us=begin_us - 1, until_us=clock.now_us())
        found = scheduled_runs(world.observer, "flow", "s")
        assert [time_us for time_us in expected if time_us not in found] == [], injected.happened
        return list(cases(injected.log))


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_any_single_fault_is_survived(server: Server, act: Act) -> None:
    planned = broken(server, act, nowhere)
    assert planned
    for number, kind in planned:
        broken(server, act, at({number: kind}))  # type: ignore[dict-item]


def test_a_pause_that_was_answered_holds(server: Server) -> None:
    """Whatever broke on the way: no run begins after it."""

    def paused(plan: Plan) -> list[tuple[int, object]]:
        with fresh_table(server, create_table) as store, clock.use(TickingClock()) as time:
            world = World(store, clock=time)
            deploy(world, EVERY)
            with faults(plan, *world.clients) as injected:
                told = survive(lambda: world.backend.schedules.pause("flow", "s"))
            time.pause_us(5 * MINUTE)
            world.sweep(world.observer)
            found = scheduled_runs(world.observer, "flow", "s")
            assert isinstance(told, CascadeFlowError) or told is not None or not found, injected.happened
            return list(cases(injected.log))

    for number, kind in paused(nowhere):
        paused(at({number: kind}))  # type: ignore[dict-item]
