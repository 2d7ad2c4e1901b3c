"""What looking at live things costs while ever more finished runs lie beside them.

The finished runs are copies of real ones, put there without the product, so that thousands take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import cycle, islice
from typing import Any

from mypy_boto3_dynamodb import DynamoDBClient

from budgets.figures import Spent
from budgets.measures import Metered, metered
from cascade_flow import clock
from cascade_flow.dynamodb import keys
from checker import check_run
from shapes import diamond
from simulation import TIMING
from testbed.servers import Store

LIVE = 20
BATCH = 25
WORKER = "worker-elsewhere"
Raw = Mapping[str, Any]


def cost_of_looking(store: Store, *, stored: int) -> Mapping[str, Spent]:
    """What each look costs at twenty live runs, with so many finished ones stored."""
    with metered(store, diamond()) as (world, counting):
        fill(store, _samples(world), stored)
        world.mailbox.wakes.clear()
        world.clock.pause_us(1_000_000)
        since_us = clock.now_us()
        live = [world.submit(run_id=f"live-{number}") for number in range(LIVE)]
        looks: dict[str, Callable[[], Any]] = {
            "list due steps": lambda: world.backend.list_scheduled_steps(),
            "claim": lambda: world.backend.claim_scheduled_step("flow", live[0], "a", WORKER),
            "queue depth": lambda: world.backend.get_queue_depth(),
            "active workers": lambda: world.backend.get_active_workers(),
            "reports on the last minutes": lambda: world.backend.get_analytics_summary(start_us=since_us),
            "reclaim": lambda: world.backend.reclaim_stale_steps(TIMING.lease_us, "reaper"),
        }
        assert len(looks["list due steps"]()) == LIVE
        for run_id in live[1:6]:
            world.backend.claim_scheduled_step("flow", run_id, "a", WORKER)
        world.clock.pause_us(TIMING.lease_us)
        world.backend.kit.registry.current_version("flow")
        spent: dict[str, Spent] = {}
        for name, look in looks.items():
            counting.reset()
            look()
            spent[name] = Spent.on(counting.lines)
        for run_id in live:
            check_run(world.observer, run_id)
        return spent


def _samples(world: Metered) -> list[str]:
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


def fill(store: Store, samples: list[str], number: int) -> None:
    """Store copies of these runs until there are so many finished ones."""
    client = store.another_client()
    originals = [_partition(client, store.table, run_id) for run_id in samples]
    copies = islice(cycle(originals), number - len(samples))
    items = [item for n, original in enumerate(copies) for item in _copied(original, f"stored-{n:06}")]
    for start in range(0, len(items), BATCH):
        requests: Any = [{"PutRequest": {"Item": item}} for item in items[start : start + BATCH]]
        assert not client.batch_write_item(RequestItems={store.table: requests}).get("UnprocessedItems")


def _partition(client: DynamoDBClient, table: str, run_id: str) -> list[Raw]:
    answer = client.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": keys.run(run_id).pk}},
        ConsistentRead=True,
    )
    return list(answer["Items"])


def _copied(items: list[Raw], run_id: str) -> Iterator[Raw]:
    """The items of a run as another run would have them."""
    for item in items:
        moved = {keys.PARTITION: {"S": keys.run(run_id).pk}}
        if keys.DUE_SHARD in item:
            assert item[keys.DUE_SHARD]["S"].startswith("done#") or item[keys.SORT]["S"] != keys.RUN
            is_done = item[keys.DUE_SHARD]["S"].startswith("done#")
            moved[keys.DUE_SHARD] = {"S": keys.done(run_id) if is_done else keys.due(run_id)}
        if keys.RUNS_SHARD in item:
            moved[keys.RUNS_SHARD] = {"S": keys.runs("flow", run_id)}
        yield {**item, **moved}
