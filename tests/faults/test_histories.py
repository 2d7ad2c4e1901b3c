"""Random histories: workers, sweeps, a canceller and duplicate messages, interleaved request by request by a seed."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from botocore.awsrequest import AWSResponse

from cascade_flow import DynamoDBBackend, clock
from cascade_flow.dynamodb.schema import create_table
from checker import check_run
from shapes import SHAPES, Shape
from simulation import TIMING, TickingClock, World, survive
from testbed.faults import Faults, Kind, by_rate
from testbed.servers import Server, fresh_table
from testbed.turnstile import History, Turnstile, explore
from testbed.wire import Floor, Request, Send, wire_of

RUN = "run"
RATES = {Kind.CRASH_BEFORE: 0.01, Kind.CRASH_AFTER: 0.01, Kind.DROP_AFTER: 0.03, Kind.CONFLICT: 0.05}
CANCELLED = {"cancelled"}
EPISODES = 6


def short_pages(request: Request, send: Send) -> AWSResponse:
    """Every query comes in pages of two items, so that no query is a snapshot."""
    if request.operation == "Query":
        return send(request.with_body({**request.body, "Limit": 2}))
    return send(request)


class Stage:
    """One world for each seed, and the actors that move in it; its end is checked when they are through."""

    def __init__(self, server: Server, shape: Shape, *, cancels: bool) -> None:
        self._server = server
        self._shape = shape
        self._cancels = cancels
        self._ends = {shape.status} | (CANCELLED if cancels else set())

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        self._stack = ExitStack()
        store = self._stack.enter_context(fresh_table(self._server, create_table))
        time = self._stack.enter_context(clock.use(TickingClock()))
        self.world = World(store, self._shape.script, clock=time)
        self.world.register(self._shape.steps)
        self.world.submit(run_id=RUN, input={"order": 7})
        self._gate, self._dice = gate, random.Random(seed)
        self._faults = Faults(by_rate(seed, RATES))
        actors = {"alice": self._worker, "bob": self._worker, "reaper": self._sweeper, "broom": self._sweeper}
        staged = {name: partial(self._episodes, name, act) for name, act in actors.items()}
        return {**staged, "user": self._cancel} if self._cancels else staged

    def check(self, history: History) -> None:
        """Faults end, time goes on, and the run comes to its end as it must."""
        self._gate.detach()
        self._faults.detach()
        self.world.settle(RUN)
        assert check_run(self.world.observer, RUN).status in self._ends, history
        self._stack.close()

    def _episodes(self, name: str, act: Callable[[str, DynamoDBBackend], object]) -> None:
        """What dies comes back as another process."""
        for episode in range(EPISODES):
            client = self.world.store.another_client()
            self._faults.attach(client)
            self._gate.attach(client)
            wire_of(client).add(short_pages, floor=Floor.REWRITE)
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

    def _cancel(self) -> None:
        client = self.world.store.another_client()
        self._gate.attach(client)
        wire_of(client).add(short_pages, floor=Floor.REWRITE)
        for _ in range(self._dice.randrange(40)):
            self._gate.pause("wait")
        survive(partial(self.world.another(client).cancel_run, RUN, "no longer wanted"))


@contextmanager
def exploring(server: Server, shape: Shape, *, cancels: bool) -> Iterator[Callable[[range], int]]:
    stage = Stage(server, shape, cancels=cancels)
    yield lambda seeds: explore(seeds, stage, stage.check)


SOME = [
    shape for shape in SHAPES if shape.name in ("diamond", "nested forks", "two sinks", "retry", "exhausted", "skip")
]


@pytest.mark.parametrize("cancels", [False, True], ids=["to its end", "cancelled"])
@pytest.mark.parametrize("shape", SOME, ids=str)
def test_random_histories_keep_every_promise(server: Server, shape: Shape, cancels: bool) -> None:
    with exploring(server, shape, cancels=cancels) as explored:
        assert explored(range(5)) == 5


@pytest.mark.slow
@pytest.mark.parametrize("cancels", [False, True], ids=["to its end", "cancelled"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_many_random_histories_keep_every_promise(server: Server, shape: Shape, cancels: bool) -> None:
    with exploring(server, shape, cancels=cancels) as explored:
        explored(range(300))
