"""What an outage of the queue takes to be made up for: reapers as on AWS, in a time that is played.

All wake-ups of so many live branches are lost, and a tenth of them was held by workers that died. A minute's schedule
calls a reaper, which calls others; each has its part of a processor, and DynamoDB and SQS take five milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cascade_flow import DynamoDBBackend, RunSubmission, WorkflowRegistration, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.state import Timing
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import Steps
from cascade_flow.operations.sweep import Sweep, Swept
from cascade_flow.testing.memory.queue_client import QueueClient
from cascade_flow.testing.memory.tables import Item
from cascade_flow.wake import Queue, SqsQueue, Wake
from shapes import chain
from simulation import BEGIN_US
from testbed.servers import MemoryServer, Store, fresh_table
from testbed.virtual_time import Lanes, Processor, VirtualTime
from testbed.wire import Answer, Floor, Request, Send, wire_of

MINUTE_US, SWEEP_US = 60_000_000, 55_000_000
MOST_MINUTES = 20
WAY_US = 5_000
MEMORY_MB, WHOLE_MB = 512, 1_769
"""The reaper's memory, and that to which a whole processor belongs."""
COLD_US = 1_000_000
OUTAGE_US = 600_000_000
A_REQUEST_US = 2_000
CPU_US: Mapping[str, float] = {"Query": 20_000, "BatchGetItem": 20_000}
"""What a request takes of a whole processor, with what follows from its answer: 1,000 entries, 50 branches with their
runs. `make bench` measures what they take together.
"""


@dataclass
class Recovery:
    """How an outage was made up for."""

    entries: int
    dead: int
    """How many of the branches were held by workers that died."""
    sweeps: list[Swept] = field(default_factory=list)
    minutes: int = 0
    """How often the schedule has called."""
    took_us: int = 0
    """From the first of these calls until the last reaper was through."""
    requests: Counter[str] = field(default_factory=Counter)
    woken: set[str] = field(default_factory=set)
    """The runs of which a step was woken."""

    @property
    def done(self) -> Counter[str]:
        return sum((Counter(swept.done) for swept in self.sweeps), Counter[str]())

    @property
    def reapers(self) -> int:
        """How many there were in the first minute."""
        return 1 + self.sweeps[0].called_out if self.sweeps else 0

    @property
    def requests_an_entry(self) -> float:
        """Those for a wake-up. A reclaim has a write and a message of its own; its step is woken like any other where
        nobody takes it for a grace time.
        """
        return (sum(self.requests.values()) - 2 * self.dead) / self.done["wake-ups repeated"]


def recovery(entries: int, *, dead: int | None = None, memory_mb: int = MEMORY_MB) -> Recovery:
    """Make up for an outage; a tenth of the branches, or so many, were held by workers that died."""
    server, time = MemoryServer(), VirtualTime(BEGIN_US)
    found = Recovery(entries, entries // 10 if dead is None else dead)
    with fresh_table(server, create_table) as store, clock.use(time):
        time.run(partial(_fill, server, store, found))
        time.run(partial(time.pause_us, OUTAGE_US))
        time.run(_Reapers(store, time, found, memory_mb).come_each_minute)
    return found


class _Reapers:
    """A function, each of whose invocations is a machine of its own."""

    def __init__(self, store: Store, time: VirtualTime, found: Recovery, memory_mb: int) -> None:
        self._store, self._time, self._found, self._memory_mb = store, time, found, memory_mb

    def come_each_minute(self) -> None:
        """Until a worker was told of each step, also of those that are taken from a worker."""
        began_us = self._time.now_us()
        while len(self._found.woken) < self._found.entries:
            assert self._found.minutes < MOST_MINUTES, "they will never be through"
            self._time.start(partial(self._reap, self._time.now_us() + SWEEP_US))
            self._found.minutes += 1
            self._time.pause_us(MINUTE_US)
        self._found.took_us = self._through_us - began_us

    def _reap(self, until_us: int, *shards: str) -> None:
        lanes = Lanes(self._time, 2 + self._memory_mb // 128)
        sweep = Sweep(self._machine(), name="reaper", lanes=lanes, call_out=self._call_out)
        self._found.sweeps.append(sweep.sweep(until_us=until_us, shards=shards))
        self._through_us = self._time.now_us()

    def _call_out(self, shard: str, until_us: int) -> bool:
        self._time.start(partial(self._reap, until_us, shard), after_us=COLD_US)
        return True

    def _machine(self) -> Runtime:
        client: Any = self._store.another_client()
        queue: Any = QueueClient(self._arrived)
        share = self._memory_mb / WHOLE_MB
        processor = Processor(self._time, share=share, cpu_us=_cpu_us, way_us=WAY_US)
        for each in (client, queue):
            wire_of(each).add(processor, floor=Floor.SCHEDULE)
            wire_of(each).add(self._counting, floor=Floor.COUNT)
        return _backend(self._store, client, SqsQueue("queue", client=queue)).runtime

    def _counting(self, request: Request, send: Send) -> Answer:
        self._found.requests[request.operation] += 1
        return send(request)

    def _arrived(self, body: str, delay_s: int) -> None:
        self._found.woken.add(Wake.from_message(body).run_id)


def _cpu_us(request: Request) -> float:
    return CPU_US.get(request.operation, A_REQUEST_US)


def _backend(store: Store, client: Any = None, queue: Queue | None = None) -> DynamoDBBackend:
    return DynamoDBBackend(store.table, client=client or store.another_client(), queue=queue, timing=Timing())


def _fill(server: MemoryServer, store: Store, found: Recovery) -> None:
    """So many runs of one step each, put there without requests: copies of one that waits and of one that is held."""
    backend = _backend(store)
    backend.register_workflow(WorkflowRegistration(slug="flow", name="Flow", steps=chain(3)))
    for run_id in ("waits", "held"):
        backend.submit_run(RunSubmission(workflow_slug="flow", run_id=run_id, input={"order": 7}))
    assert Steps(backend.runtime).claim(Wake("held", "s0", "s0", 1), "worker-1")
    contents = server.shelf.contents(store.table)
    samples = [contents.pop(keys.run(run_id).pk) for run_id in ("waits", "held")]
    for number in range(found.entries):
        run_id, is_held = f"run-{number:06}", number * found.dead % found.entries < found.dead
        copies = samples[is_held].items()
        contents[keys.run(run_id).pk] = {sort: _copied(item, run_id) for sort, item in copies}
    server.shelf.put_contents(store.table, contents)


def _copied(item: Item, run_id: str) -> Item:
    """An item of a run as another run would have it."""
    place = {keys.PARTITION: {"S": keys.run(run_id).pk}, keys.DUE_SHARD: {"S": keys.due(run_id)}}
    return {**item, **place, **({keys.RUNS_SHARD: {"S": keys.runs("flow", run_id)}} if keys.RUNS_SHARD in item else {})}
