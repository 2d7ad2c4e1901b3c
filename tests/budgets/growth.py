"""What an operation costs while ever more finished runs lie beside the few that it is about.

The finished runs are copies of real ones, put into the table without requests, so that thousands take a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from budgets.figures import GROWTH, Spent, grown
from budgets.measures import SUBMISSION, Metered, metered
from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.testing.memory.tables import Contents
from checker import check_run
from shapes import diamond
from simulation import TIMING
from testbed.meter import Line, Meter
from testbed.servers import MemoryServer, Store

LIVE = 20
PAGE = 50
WORKER = "worker-elsewhere"
TOTAL = "list_runs: the total"
Progress = Callable[[int], object]
"""Is told how many finished runs are stored."""


@dataclass(frozen=True)
class Trend:
    """What something costs at each number of stored runs, the smallest first."""

    what: str
    spent: Mapping[int, Spent]

    @property
    def is_promised(self) -> bool:
        """Whether it must not grow: a total is counted, entry by entry, and so does."""
        return self.what != TOTAL

    @property
    def growth(self) -> float:
        """By which share it is dearer at the end than at the beginning."""
        first, *_, last = self.spent.values()
        return grown(first, last)

    @property
    def is_exceeded(self) -> bool:
        return self.is_promised and self.growth > GROWTH


def trends(costs: Mapping[int, Mapping[str, Spent]]) -> list[Trend]:
    """What was counted at several numbers of stored runs, thing by thing."""
    names = next(iter(costs.values()))
    return [Trend(name, {stored: spent[name] for stored, spent in costs.items()}) for name in names]


def cost_of_looking(store: Store, *, stored: int, progress: Progress = lambda _: None) -> Mapping[str, Spent]:
    """What each operation costs at twenty live runs, with so many finished ones stored."""
    with metered(store, diamond()) as (world, counting):
        samples = samples_of(world)
        fill(store, samples, stored, progress)
        world.mailbox.wakes.clear()
        world.clock.pause_us(1_000_000)
        since_us = clock.now_us()
        live = [world.submit(run_id=f"live-{number}") for number in range(LIVE)]
        for run_id in live[1:6]:
            world.backend.claim_scheduled_step("flow", run_id, "a", WORKER)
        spent = dict(_counted(world, counting, live, since_us))
        for run_id in live:
            check_run(world.observer, run_id)
        return spent


def _counted(world: Metered, counting: Meter, live: list[str], since_us: int) -> Iterator[tuple[str, Spent]]:
    def lines_of(act: Callable[[], object]) -> list[Line]:
        counting.reset()
        act()
        return list(counting.lines)

    listed = lines_of(lambda: world.backend.list_runs(workflow_slug="flow", limit=PAGE))
    yield "list_runs: a page of 50", Spent.on(line for line in listed if not line.counts)
    yield TOTAL, Spent.on(line for line in listed if line.counts)
    for name, act in _acts(world, live, since_us).items():
        yield name, Spent.on(lines_of(act))
    world.clock.pause_us(TIMING.lease_us)
    reclaim = lines_of(lambda: world.backend.reclaim_stale_steps(TIMING.lease_us, "reaper"))
    yield "reclaim_stale_steps", Spent.on(reclaim)


def _acts(world: Metered, live: list[str], since_us: int) -> Mapping[str, Callable[[], object]]:
    backend = world.backend
    return {
        "get_run": lambda: backend.get_run("stored-000007"),
        "load_events": lambda: backend.load_events("flow", "stored-000007"),
        "list_active_workflows": lambda: backend.list_active_workflows(),
        "list_scheduled_steps": lambda: backend.list_scheduled_steps(),
        "get_queue_depth": lambda: backend.get_queue_depth(),
        "get_active_workers": lambda: backend.get_active_workers(),
        "get_analytics_summary, of the last minutes": lambda: backend.get_analytics_summary(start_us=since_us),
        "claim_scheduled_step": lambda: backend.claim_scheduled_step("flow", live[0], "a", WORKER),
        "submit_run": lambda: live.append(world.submit(run_id="late", **SUBMISSION)),
    }


def samples_of(world: Metered) -> list[str]:
    """One run each that completed, failed, was cancelled."""
    world.script = {}
    completed = world.submit(run_id="completed")
    world.carry()
    world.script = {"b": ["fatal"]}
    failed = world.submit(run_id="failed")
    world.carry()
    cancelled = world.submit(run_id="cancelled")
    world.backend.cancel_run(cancelled)
    ends = [check_run(world.observer, run_id).status for run_id in (completed, failed, cancelled)]
    assert ends == ["completed", "failed", "cancelled"]
    return [completed, failed, cancelled]


def fill(store: Store, samples: list[str], number: int, progress: Progress) -> None:
    """Store copies of these runs, each a millisecond older than the last, until there are so many finished ones."""
    assert isinstance(store.server, MemoryServer), "elsewhere nothing is stored without requests"
    shelf = store.server.shelf
    contents: Contents = defaultdict(dict, shelf.contents(store.table))
    originals = [deepcopy(contents[keys.run(run_id).pk]) for run_id in samples]
    for n in range(len(samples), number):
        run_id = f"stored-{n:06}"
        copies = originals[n % len(originals)].items()
        contents[keys.run(run_id).pk] = {sk: _copied(item, run_id, n * 1_000) for sk, item in copies}
        if n % 1_000 == 0:
            progress(n)
    shelf.put_contents(store.table, contents)
    progress(number)


def _copied(item: Mapping[str, Any], run_id: str, age_us: int) -> dict[str, Any]:
    """An item of a run as another run would have it."""
    moved = {keys.PARTITION: {"S": keys.run(run_id).pk}}
    for time in {keys.DUE_TIME, keys.RUNS_TIME} & item.keys():
        moved[time] = {"N": str(int(item[time]["N"]) - age_us)}
    if keys.DUE_SHARD in item:
        is_done = item[keys.DUE_SHARD]["S"].startswith("done#")
        assert is_done or item[keys.SORT]["S"] != keys.RUN
        moved[keys.DUE_SHARD] = {"S": keys.done(run_id) if is_done else keys.due(run_id)}
    if keys.RUNS_SHARD in item:
        moved[keys.RUNS_SHARD] = {"S": keys.runs("flow", run_id)}
    return {**item, **moved}
