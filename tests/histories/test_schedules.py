"""Random histories of a schedule: two sweeps, who deploys, pauses and fills in, interleaved request by request, with
deaths, lost answers, conflicts and a late index. One run for each time, and, where all are asked for, none lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest

from cascade_flow import DynamoDBBackend, ScheduleDefinition, WorkflowRegistration, clock
from cascade_flow.calendars import calendar_of, first_after
from cascade_flow.dynamodb import keys, schedules
from cascade_flow.dynamodb.schedules import LEAD_US
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations.sweep import Sweep
from schedule_checker import must_be_times_of, scheduled_runs, times_of
from simulation import BEGIN_US, SkewedClock, TickingClock, World, step, survive
from testbed.faults import Faults, Kind, by_rate
from testbed.servers import MemoryServer, fresh_table
from testbed.turnstile import History, Turnstile, explore
from testbed.wire import wire_of

SEEDS = 15
MINUTE = 60_000_000
RATES = {Kind.CRASH_BEFORE: 0.03, Kind.CRASH_AFTER: 0.03, Kind.DROP_AFTER: 0.05, Kind.CONFLICT: 0.05}
EVERY = ScheduleDefinition(name="s", every_us=MINUTE, missed="all")
OTHERS = [EVERY, EVERY.model_copy(update={"input": 7})]
CALENDARS = [*OTHERS, ScheduleDefinition(name="s", cron="*/2 * * * *", missed="all")]
ACTORS = ("reaper: sweeps", "broom: sweeps", "dev: deploys", "ops: pauses", "ann: fills in")
EPISODES = 6


class Stage:
    """One world for each seed."""

    def __init__(self, server: MemoryServer, definitions: list[ScheduleDefinition]) -> None:
        self._server = server
        self._definitions = definitions
        self.runs = 0
        """How many there were in all histories."""

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        self._stack, self._gate, self._dice = ExitStack(), gate, random.Random(seed)
        random.seed(seed)
        self._stack.enter_context(patch.object(keys, "DUE_SHARDS", 1))
        store = self._stack.enter_context(fresh_table(self._server, create_table))
        self.clock = self._stack.enter_context(
            clock.use(SkewedClock(seed) if self._dice.random() < 0.3 else TickingClock())
        )
        self.world = World(store, clock=self.clock)
        self._deploy(self.world.observer, EVERY)
        self._begin_us = self.world.observer.schedules.get("flow", "s").next_times_us[0]
        self._server.shelf.delay_indexes(store.table, lambda: self._dice.random() < 0.7)
        self._faults = Faults(by_rate(seed, RATES))
        self._said: dict[str, Any] = {}
        acts = {"sweeps": self._sweep, "deploys": self._deploys, "pauses": self._pause, "fills in": self._fill_in}
        acting = dict(actor.split(": ") for actor in ACTORS)
        return {name: partial(self._episodes, acts[role]) for name, role in acting.items()}

    def check(self, history: History) -> None:
        """Faults end, everybody who paused resumes, and time goes on a little."""
        with self._stack:
            self._gate.detach()
            self._faults.detach()
            self._server.shelf.delay_indexes(self.world.store.table, None)
            for outcome in history.outcomes.values():
                outcome.result()
            self._check_what_was_said()
            self.world.observer.schedules.resume("flow", "s")
            for _ in range(3):
                self.world.sweep(self.world.observer)
                self.clock.pause_us(MINUTE)
            assert not self.world.swept["failed"]
            self._check_runs()

    def _check_what_was_said(self) -> None:
        """What who deploys and who pauses were answered last stands, whatever sweeps wrote meanwhile."""
        found = schedules.get(self.world.observer.runtime.ledger.table, "flow", "s")
        assert found is not None
        said = self._said.get("paused", found.paused_us is not None)
        assert (found.paused_us is not None) == said, "a pause was undone, or made"
        assert found.due_us == (found.next_us - LEAD_US if found.is_live else None)
        assert found.definition == self._said.get("definition", found.definition), "a deployment was undone"
        assert found.next_us == first_after(calendar_of(found.definition), found.next_us - 1), "it has no such time"

    def _check_runs(self) -> None:
        found = scheduled_runs(self.world.observer, "flow", "s")
        must_be_times_of(found, self._definitions, after_us=BEGIN_US - BEGIN_US % MINUTE - 10 * MINUTE)
        if self._definitions is OTHERS:
            due = times_of(EVERY, after_us=self._begin_us - 1, until_us=clock.now_us() - 2 * MINUTE)
            assert not set(due) - found.keys(), "a time was lost"
        self.runs += len(found)

    def _episodes(self, act: Callable[[DynamoDBBackend], object]) -> None:
        """What dies comes back as another process."""
        client = self._server.dynamodb()
        self._faults.attach(client)
        self._gate.attach(client)
        for _ in range(EPISODES):
            self._faults.restart(client)
            survive(partial(act, self.world.another(client)))
        wire_of(client).remove(self._gate)

    def _sweep(self, backend: DynamoDBBackend) -> None:
        self._gate.pause("let time pass")
        self.clock.pause_us(self._dice.choice([0, MINUTE // 2, MINUTE, 3 * MINUTE]))
        done = Sweep(backend.runtime, name="reaper").sweep(until_us=clock.now_us() + 10**12).done
        self.world.swept.update(done)

    def _deploys(self, backend: DynamoDBBackend) -> None:
        wanted = self._dice.choice(self._definitions)
        self._said.pop("definition", None)
        self._deploy(backend, wanted)
        self._said["definition"] = wanted

    def _deploy(self, backend: DynamoDBBackend, definition: ScheduleDefinition) -> None:
        told = WorkflowRegistration(slug="flow", name="Flow", steps=[step("a")], schedules=[definition])
        backend.runtime.registry.deploy([told])

    def _pause(self, backend: DynamoDBBackend) -> None:
        pauses = self._dice.random() < 0.5
        self._said.pop("paused", None)
        (backend.schedules.pause if pauses else backend.schedules.resume)("flow", "s")
        self._said["paused"] = pauses

    def _fill_in(self, backend: DynamoDBBackend) -> None:
        until_us = clock.now_us() - 4_000_000
        backend.schedules.backfill("flow", "s", from_us=until_us - 2 * MINUTE, until_us=until_us)


@pytest.mark.parametrize("definitions", [OTHERS, CALENDARS], ids=["one calendar", "calendars that change"])
def test_random_histories_of_a_schedule_keep_its_promises(
    server: MemoryServer, definitions: list[ScheduleDefinition]
) -> None:
    stage = Stage(server, definitions)
    assert explore(range(SEEDS), stage, stage.check) == SEEDS
    assert stage.runs > 10 * SEEDS, "next to nothing happened"


@pytest.mark.slow
@pytest.mark.parametrize("definitions", [OTHERS, CALENDARS], ids=["one calendar", "calendars that change"])
def test_many_random_histories_of_a_schedule(server: MemoryServer, definitions: list[ScheduleDefinition]) -> None:
    stage = Stage(server, definitions)
    explore(range(SEEDS, 1_000), stage, stage.check)
