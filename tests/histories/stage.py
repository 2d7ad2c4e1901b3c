"""A world for each seed: what may differ between two histories is drawn here, who acts in them is `actors`'s matter."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from unittest.mock import patch

from mypy_boto3_dynamodb import DynamoDBClient

from at_work import must_be_one_by_one, must_keep_limits
from cascade_flow import WorkflowFailed, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine import advance, runs
from cascade_flow.operations import after_commit, stops
from checker import Checked
from histories.actors import Actors
from shapes import Shape
from simulation import TIMING, SkewedClock, TickingClock, World, survive
from testbed.faults import Faults, Kind, by_rate
from testbed.servers import MemoryServer, fresh_table
from testbed.turnstile import History, Turnstile
from testbed.wire import Answer, Floor, Request, Send, wire_of

RUN, OTHER = "run", "other"
RATES = {Kind.CRASH_BEFORE: 0.01, Kind.CRASH_AFTER: 0.01, Kind.DROP_AFTER: 0.03, Kind.CONFLICT: 0.05}
QUEUE_RATES = {Kind.REFUSED: 0.05, Kind.HALF: 0.05, Kind.LOST: 0.05, Kind.LATE: 0.05, Kind.DOUBLED: 0.1}
EPISODES = 6
DEADLINE_US = 3 * TIMING.lease_us
FEW, MANY = (1, 2), (advance.BIRTHS_AT_ONCE,)


@dataclass(frozen=True)
class Cast:
    """Who acts beside two workers and two sweeps; `stops` and `meddles` say what else may become of the run."""

    name: str
    others: Sequence[str] = ()
    stops: bool = False
    meddles: bool = False

    def __str__(self) -> str:
        return self.name


STOPPERS = ("user: cancels", "boss: cancels", "anew: retries", "again: retries")
CASTS = (
    Cast("to its end", ("reader: reads", "carol: works by name")),
    Cast("stopped and tried again", STOPPERS, stops=True),
    Cast(
        "with everybody",
        (*STOPPERS, "carol: works by name", "outsider: meddles", "heir: copies", "reader: reads"),
        stops=True,
        meddles=True,
    ),
)
SENDING = ("dora: sends", "emil: sends")
"""Where there are events from outside."""
SERVING = ("pam: serves", "pia: serves")
"""Where there are steps of pools."""
ALWAYS = ("alice: works", "bob: works", "reaper: sweeps", "broom: sweeps")


def renamed(shape: Shape, dice: random.Random) -> Shape:
    """The same graph under other names: a query's order is no order of the graph, and a birth may lie behind it."""
    names = [step.id for step in shape.steps]
    other = dict(zip(names, dice.sample(names, len(names)), strict=True))
    steps = [
        step.model_copy(update={"id": other[step.id], "dependencies": [other[name] for name in step.dependencies]})
        for step in shape.steps
    ]
    outside = {other[name]: data for name, data in shape.outside.items()}
    script = {other.get(name, name): acts for name, acts in shape.script.items()}
    return replace(shape, steps=steps, script=script, outside=outside)


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

    One shard of the due index is enough for a run or two, and spares each sweep seven questions.
    """

    def __init__(self, server: MemoryServer, shape: Shape, cast: Cast) -> None:
        self._server = server
        self.shelf = server.shelf
        self._shape = shape
        self.cast = cast
        self._clients: dict[str, DynamoDBClient] = defaultdict(server.dynamodb)

    def __call__(self, gate: Turnstile, seed: int) -> Mapping[str, Callable[[], object]]:
        self._stack = ExitStack()
        self.gate, self.dice = gate, random.Random(seed)
        random.seed(seed)
        self._set_up()
        self.world = self._world(seed)
        self._faults, self._pages = Faults(by_rate(seed, RATES)), Pages(self.dice.choice([1, 2]))
        self._queue_faults = Faults(by_rate(seed, QUEUE_RATES))
        self._queue_faults.attach(self.world.mailbox.client)
        self.actors = Actors(self, RUN)
        self._let_others_wait()
        serving = SERVING if self.world.pools else ()
        sending = SENDING if self.events else ()
        acting = dict(actor.split(": ") for actor in (*ALWAYS, *serving, *sending, *self.cast.others))
        return {name: partial(self._episodes, name, self.actors.by_role[role]) for name, role in acting.items()}

    def _set_up(self) -> None:
        """Some stops halt one by one what others halt at once; some forks owe all that they bear."""
        births = self.dice.choice([*FEW, *MANY])
        for patched in (
            patch.object(keys, "DUE_SHARDS", 1),
            patch.object(stops, "_HALTS_AT_ONCE", self.dice.choice([0, stops._HALTS_AT_ONCE])),
            patch.object(advance, "BIRTHS_AT_ONCE", births),
            patch.object(after_commit, "BIRTHS_AT_ONCE", births),
            patch.object(runs, "ROOTS_AT_ONCE", births),
        ):
            self._stack.enter_context(patched)

    def _world(self, seed: int) -> World:
        store = self._stack.enter_context(fresh_table(self._server, create_table))
        time = self._stack.enter_context(clock.use(SkewedClock(seed) if self.dice.random() < 0.3 else TickingClock()))
        shape = renamed(self._shape, self.dice)
        self.steps = shape.steps
        self.events = [step.id for step in shape.steps if step.event is not None]
        world = World(store, shape.script, clock=time, chained=self.dice.random() < 0.7)
        world.outside = shape.outside
        world.answers_lost = lambda: self._faults.answers_lost
        world.register(shape.steps, run_limit=shape.run_limit)
        self._server.shelf.delay_indexes(store.table, lambda: self.dice.random() < 0.7)
        self.has_deadline = self.cast.stops and self.dice.random() < 0.2
        world.submit(**shape.submission, **self._submission(), run_id=RUN, input={"order": 7})
        return world

    def _let_others_wait(self) -> None:
        """Another run that wants the same places, or the place of the first."""
        if self._shape.run_limit is not None or any(step.limit is not None for step in self.steps):
            self.world.submit(run_id=OTHER, input={"order": 8})
            self.actors.runs.append(OTHER)

    def _submission(self) -> dict[str, object]:
        return {"timeout": DEADLINE_US} if self.has_deadline else {}

    def check(self, history: History) -> None:
        """Faults end, time goes on, and every run comes to its end as it must."""
        with self._stack:
            self._leave()
            for outcome in history.outcomes.values():
                outcome.result()
            assert not self.actors.halted_for_nothing, "nobody stopped or revived the run, and a branch was halted"
            self.world.mailbox.must_have_been_true()
            self.world.settle(*self.actors.runs, rounds=600)
            undone = self._undone()
            self.world.settle(*undone, rounds=600)
            checked = [self.world.check(run_id) for run_id in self.actors.runs]
            for run_id in undone:
                self.world.check(run_id)
            for each in checked:
                self._must_have_ended(each)
            if not isinstance(self.world.clock, SkewedClock):
                must_keep_limits(checked, self.world.oracle.signs_us)
                if self._shape.run_limit is not None and not self.cast.stops:
                    must_be_one_by_one(checked, self._shape.run_limit.at_most)

    def _undone(self) -> list[str]:
        """The runs that undo those which have failed or were cancelled."""
        known = (self.world.observer.runtime.run(run_id).undone_by for run_id in self.actors.runs)
        return [run_id for run_id in known if run_id is not None]

    def _leave(self) -> None:
        self.gate.detach()
        self._faults.detach()
        self._queue_faults.detach()
        self._server.shelf.delay_indexes(self.world.store.table, None)
        for client in self._clients.values():
            wire_of(client).remove(self._pages)
            wire_of(client).remove(self.actors.doze)

    def _must_have_ended(self, checked: Checked) -> None:
        """As its steps call for, or as somebody wished; a run that stands still would end by its deadline."""
        expected = {self._shape.status} | ({"cancelled"} if self.cast.stops else set())
        expected |= {"completed", "failed"} if self.cast.meddles else set()
        reasons = {event.failure_reason for event in checked.events if isinstance(event, WorkflowFailed)}
        assert self.has_deadline or "timeout" not in reasons, "it stood still until its deadline"
        if self.has_deadline or "worker-crash" in reasons:
            expected |= {"failed"}
        assert checked.status in expected, reasons

    def _episodes(self, name: str, act: Callable[..., object]) -> None:
        """What dies comes back as another process."""
        client = self._clients[name]
        self._faults.attach(client)
        self.gate.attach(client)
        wire_of(client).add(self.actors.doze, floor=Floor.SCHEDULE)
        wire_of(client).add(self._pages, floor=Floor.REWRITE)
        for episode in range(EPISODES):
            self._faults.restart(client)
            survive(partial(act, f"{name}-{episode}", self.world.another(client)))
