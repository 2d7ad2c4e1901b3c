"""What a report costs over a range of ended runs: asked for the first time, and from then on."""

from __future__ import annotations

from budgets.figures import Budget, Figure, Spent
from budgets.growth import fill, samples_of
from budgets.measures import metered
from shapes import diamond
from testbed.servers import Store

INDEX = 24
"""Queries of the due index: eight shards each of what goes on, of what callers drive, and of what has ended."""


def asked_twice(store: Store, runs: int) -> tuple[Figure, Figure]:
    """Store so many ended runs, and ask for a report over all of them twice, in a process that has worked before."""
    with metered(store, diamond()) as (world, counting):
        samples = samples_of(world)
        world.backend.get_throughput(run_ids=samples)
        fill(store, samples, runs, lambda _: None)
        spent = []
        for _ in range(2):
            counting.reset()
            assert world.backend.get_success_rate().total_runs == runs
            spent.append(Spent.on(counting.lines))
    first = Budget(f"a report over {runs:,} runs", runs, runs, INDEX + 1.01 * runs + 2)
    again = Budget(f"a report over {runs:,} runs, asked again", 0, 0, INDEX + max(1, runs / 1_000))
    return Figure(first, spent[0]), Figure(again, spent[1])
