"""Random histories: workers, sweeps, cancellers, retriers and duplicate messages, interleaved request by request."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest.mock import patch

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from cascade_flow import DynamoDBBackend, WorkflowFailed, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.operations import stops
from checker import check_run
from shapes import SHAPES, WIDE, Shape
from simulation import TIMING, TickingClock, World, survive
from tally import TALLY
from testbed.faults import Faults, Kind, by_rate
from testbed.requests import WRITES
from testbed.servers import MemoryServer, fresh_table
from testbed.turnstile import History, Turnstile, explore
from testbed.wire import Answer, Floor, Request, Send, wire_of

RUN = "run"
RATES = {Kind.CRASH_BEFORE: 0.01, Kind.CRASH_AFTER: 0.01, Kind.DROP_AFTER: 0.03, Kind.CONFLICT: 0.05}
CANCELLED = {"cancelled"}
EPISODES = 6
DOZES = 0.03
DOZES_BEFORE_BRANCHES = 0.3
"""Who reads a run's branches has read the run before."""


class Pages:
    """Every query comes in pages of one or two items, so that no query is a snapshot."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, request: Request, send: Send) -> Answer:
        if request.operation == "Query":
            return send(request.with_body({**request.body, "Limit": self._size}))
        return send(request)


class Stage:
    """One world for each seed, and the actors that move in it; its end is checked when they are through.

    One shard of the due index is enough for one run, and spares each sweep seven questions. Some stops halt one by one
    what others halt at once.
    """

    def __init__(self, server: MemoryServer, shape: Shape, *, stopped: bool) -> None:
        self._server = server
        self._shape = shape
        self._stopped = stopped
        self._ends = {shape.status} | (CANCELLED if stopped else set())
        self._clients: dict[str, DynamoDBClient] = defaultdict(server.dynamodb)

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        self._stack = ExitStack()
        self._gate, self._dice = gate, random.Random(seed)
        self._stack.enter_context(patch.object(keys, "DUE_SHARDS", 1))
        self._stack.enter_context(patch.object(stops, "_HALTS_AT_ONCE", self._dice.choice([0, stops._HALTS_AT_ONCE])))
        store = self._stack.enter_context(fresh_table(self._server, create_table))
        time = self._stack.enter_context(clock.use(TickingClock()))
        self.world = World(store, self._shape.script, clock=time)
        self.world.register(self._shape.steps)
        self.world.submit(run_id=RUN, input={"order": 7})
        self._retry_moments, self._halted_for_nothing = 0, False
        self._faults, self._pages = Faults(by_rate(seed, RATES)), Pages(self._dice.choice([1, 2]))
        actors = {"alice": self._worker, "bob": self._worker, "reaper": self._sweeper, "broom": self._sweeper}
        if self._stopped:
            actors |= {"user": self._canceller, "boss": self._canceller, "anew": self._retrier, "again": self._retrier}
        return {name: partial(self._episodes, name, act) for name, act in actors.items()}

    def check(self, history: History) -> None:
        """Faults end, time goes on, and the run comes to its end as it must."""
        self._gate.detach()
        self._faults.detach()
        for client in self._clients.values():
            wire_of(client).remove(self._pages)
            wire_of(client).remove(self._doze)
        assert not self._halted_for_nothing, "nobody stopped or revived the run, and a branch of it was halted"
        self.world.settle(RUN, rounds=400)
        checked = check_run(self.world.observer, RUN)
        assert checked.status in self._ends, history
        ends = [event for event in checked.events if isinstance(event, WorkflowFailed)]
        assert "timeout" not in {end.failure_reason for end in ends}, "it stood still until its deadline"
        self._stack.close()

    def _episodes(self, name: str, act: Callable[[str, DynamoDBBackend], object]) -> None:
        """What dies comes back as another process."""
        client = self._clients[name]
        self._faults.attach(client)
        self._gate.attach(client)
        wire_of(client).add(self._doze, floor=Floor.SCHEDULE)
        wire_of(client).add(self._pages, floor=Floor.REWRITE)
        for episode in range(EPISODES):
            self._faults.restart(client)
            survive(partial(act, f"{name}-{episode}", self.world.another(client)))

    def _worker(self, name: str, backend: DynamoDBBackend) -> None:
        wakes = self.world.mailbox.wakes
        self._gate.pause("look for a message")
        if wakes:
            wake = self._dice.choice(wakes)
            if self._dice.random() < 0.8:
                wakes.remove(wake)
            self.world.deliver(wake, backend, worker=name)

    def _sweeper(self, name: str, backend: DynamoDBBackend) -> None:
        self._gate.pause("let time pass")
        self.world.clock.pause_us(self._dice.choice([10, TIMING.grace_us, TIMING.lease_us]))
        self.world.sweep(backend)

    def _canceller(self, name: str, backend: DynamoDBBackend) -> None:
        if self._waits_for("running"):
            backend.cancel_run(RUN, "no longer wanted")

    def _retrier(self, name: str, backend: DynamoDBBackend) -> None:
        if self._waits_for("failed", "cancelled"):
            self._retry_moments += 1
            backend.retry_run(RUN, "mended")
            self._retry_moments += 1

    def _waits_for(self, *statuses: str) -> bool:
        """Wait until the run has one of these; answers whether it came to that. Then others may be quicker."""
        self._gate.pause("wait for the run", until=lambda: self._status() in statuses)
        for _ in range(self._dice.randrange(20)):
            self._gate.pause("hesitate")
        return self._status() in statuses

    def _status(self) -> str:
        run = self._server.shelf.item(self.world.store.table, *keys.run(RUN))
        return str(run and run["st"]["S"])

    def _stands_still(self) -> bool:
        """Whether a branch is halted in the attempt in which its run goes on: only another retry would free it."""
        items = self._server.shelf.contents(self.world.store.table)[keys.run(RUN).pk]
        run = items[keys.RUN]
        goes_on = run["st"]["S"] == "running" and "stop" not in run
        return goes_on and any(item.get("h") == {"S": "stop"} and item["ra"] == run["ra"] for item in items.values())

    def _doze(self, request: Request, send: Send) -> Answer:
        """Some fall asleep between what they have read and what they do, and wake when the run is tried again.

        Before each write we look whether somebody has stopped what is to go on.
        """
        self._halted_for_nothing |= request.operation in WRITES and self._stands_still()
        reads_branches = request.operation == "Query" and "IndexName" not in request.body
        if self._stopped and self._dice.random() < (DOZES_BEFORE_BRANCHES if reads_branches else DOZES):
            until = self._retry_moments + self._dice.choice([1, 2])
            self._gate.pause("doze", until=lambda: self._retry_moments >= until)
        return send(request)


@contextmanager
def exploring(server: MemoryServer, shape: Shape, *, stopped: bool) -> Iterator[Callable[[range], int]]:
    stage = Stage(server, shape, stopped=stopped)

    def explored(seeds: range) -> int:
        TALLY["random histories"] += len(seeds)
        return explore(seeds, stage, stage.check)

    yield explored


SOME = [
    shape for shape in SHAPES if shape.name in ("diamond", "nested forks", "two sinks", "retry", "exhausted", "skip")
]


@pytest.mark.parametrize("stopped", [False, True], ids=["to its end", "stopped and tried again"])
@pytest.mark.parametrize("shape", SOME, ids=str)
def test_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, stopped: bool) -> None:
    with exploring(server, shape, stopped=stopped) as explored:
        assert explored(range(5)) == 5


def test_random_histories_of_many_branches_keep_every_promise(server: MemoryServer) -> None:
    with exploring(server, WIDE, stopped=True) as explored:
        assert explored(range(3)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True], ids=["to its end", "stopped and tried again"])
@pytest.mark.parametrize("shape", [*SHAPES, WIDE], ids=str)
def test_many_random_histories_keep_every_promise(server: MemoryServer, shape: Shape, stopped: bool) -> None:
    with exploring(server, shape, stopped=stopped) as explored:
        explored(range(300))
