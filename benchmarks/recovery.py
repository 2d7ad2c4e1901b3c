"""Recovery after an outage: what it takes on AWS, played; and how much of a processor an entry takes, measured.

The measured requests go through boto3 to an emulator that is another process, so only this one's processor time counts.
It depends on the machine and on what else it does: what a bare request of boto3 takes stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from budgets.figures import aligned
from budgets.recovery import MEMORY_MB, WHOLE_MB, Recovery
from cascade_flow import DynamoDBBackend, RunSubmission, WorkflowRegistration, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations.lanes import Threads
from cascade_flow.operations.sweep import Sweep
from cascade_flow.wake import SqsQueue
from shapes import chain
from simulation import TIMING
from testbed.emulators import MiniStackHttp
from testbed.servers import Store, fresh_table

MEASURED = 300
SWEEPS = 3
REQUESTS_AN_ENTRY = 1.2
_LATER_US = 20_000_000


@dataclass(frozen=True)
class Computed:
    """Milliseconds of a whole processor: an entry that is woken, a bare request of boto3 (one UpdateItem)."""

    entry_ms: float
    bare_ms: float

    @property
    def entries_a_second(self) -> float:
        return 1_000 / self.entry_ms


def table_of(found: Recovery, computed: Computed) -> str:
    """What was played and what was measured, as lines."""
    rows = [
        ("recovery", f"played at {MEMORY_MB} MB, 5 ms a request"),
        ("live branches, all wake-ups lost", f"{found.entries:,}"),
        ("  of these held by dead workers", f"{found.dead:,}"),
        ("reapers in the first minute", f"{found.reapers}"),
        ("until the last is woken", f"{found.took_us / 1_000_000:.0f} s, {found.minutes} of {SWEEPS} sweeps"),
        ("requests an entry", f"{found.requests_an_entry:.2f}"),
        ("processor of an entry, measured here", f"{computed.entry_ms:.2f} ms"),
        ("  a bare UpdateItem of boto3", f"{computed.bare_ms:.2f} ms"),
        ("  entries a second and whole processor", f"{computed.entries_a_second:.0f}"),
        (f"  and with {MEMORY_MB} MB", f"{computed.entries_a_second * MEMORY_MB / WHOLE_MB:.0f}"),
    ]
    return aligned(rows)


def exceeded(found: Recovery) -> list[str]:
    """What is above its budget."""
    numbers = {"sweeps": (found.minutes, SWEEPS), "requests an entry": (found.requests_an_entry, REQUESTS_AN_ENTRY)}
    return [f"recovery, {what}: {is_:.2f}, at most {most}" for what, (is_, most) in numbers.items() if is_ > most]


def computed() -> Computed:
    """Measure on an emulator of its own."""
    with ExitStack() as held:
        server = MiniStackHttp()
        held.callback(server.stop)
        server.start()
        store = held.enter_context(fresh_table(server, create_table))
        return _computed(server, store)


def _computed(server: MiniStackHttp, store: Store) -> Computed:
    config = Config(max_pool_connections=32)
    client, sqs = server.dynamodb(config), server.sqs(config)
    queue = SqsQueue(sqs.create_queue(QueueName="recovery")["QueueUrl"], client=sqs)
    backend = DynamoDBBackend(store.table, client=client, timing=TIMING)
    backend.register_workflow(WorkflowRegistration(slug="flow", name="Flow", steps=chain(3)))
    runs = [backend.submit_run(RunSubmission(workflow_slug="flow", input={"n": n})).run_id for n in range(MEASURED)]
    woken = DynamoDBBackend(store.table, client=client, queue=queue, timing=TIMING)
    sweep = Sweep(woken.runtime, name="reaper", lanes=Threads(4))
    with clock.use(_Later()):
        entry_ms = _cpu_ms(lambda: sweep.sweep(until_us=clock.now_us() + 10**9))
    key = {"pk": {"S": keys.run(runs[0]).pk}, "sk": {"S": "unused"}}
    given: dict[str, Any] = {"TableName": store.table, "Key": key, "UpdateExpression": "SET a = :a"}

    def bare() -> None:
        for n in range(MEASURED):
            client.update_item(**given, ExpressionAttributeValues={":a": {"N": str(n)}})

    return Computed(entry_ms, _cpu_ms(bare))


class _Later(clock.SystemClock):
    """When all wake-ups are overdue."""

    def now_us(self) -> int:
        return super().now_us() + _LATER_US


def _cpu_ms(act: Callable[[], object]) -> float:
    begun_s = time.process_time()
    act()
    return (time.process_time() - begun_s) * 1_000 / MEASURED
