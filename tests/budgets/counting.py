"""Counts each operation at its moment, with the requests that it really sends.

A moment is reached once, by a process that has worked before: it knows the graphs, and for ten minutes the number of
shards. What an operation has written is then taken back, so that the next one finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from budgets.figures import Figure, Spent
from budgets.moments import Hand
from budgets.operations import Case, Moment, cases
from cascade_flow import Backend, DynamoDBBackend, clock
from cascade_flow.dynamodb import schema, shards
from cascade_flow.testing.memory.tables import Contents
from checker import check_run
from simulation import TIMING, TickingClock
from testbed.meter import meter
from testbed.servers import MemoryServer, Store, fresh_table


@dataclass(frozen=True)
class Stage:
    """A moment that was reached, with the table and the time that belong to it."""

    server: MemoryServer
    store: Store
    clock: TickingClock
    hand: Hand
    contents: Contents

    def count(self, case: Case) -> Figure:
        """What the operation cost, beside its budget; whatever it left keeps the promises."""
        with clock.use(self.clock):
            spent = self._spent(case)
            if spent.write_requests:
                self._check()
                self.server.shelf.put_contents(self.store.table, deepcopy(self.contents))
        return Figure(case.budget, spent)

    def _spent(self, case: Case) -> Spent:
        with (
            _listening(self.hand.backend, case.operation) as calls,
            meter(self.store.client, self.store.table) as counting,
        ):
            case.carry_out(self.hand)
        assert calls == [case.operation], f"{case} calls something else: {calls}"
        return Spent.on(counting.lines)

    def _check(self) -> None:
        if self.hand.backend.runtime.ledger.run(self.hand.run_id) is not None:
            check_run(self.hand.backend, self.hand.run_id)


@dataclass
class Stages:
    """The moments that have been reached."""

    server: MemoryServer
    held: ExitStack
    reached: dict[Moment, Stage] = field(default_factory=dict)

    def at(self, moment: Moment) -> Stage:
        if moment not in self.reached:
            self.reached[moment] = self._reach(moment)
        return self.reached[moment]

    def _reach(self, moment: Moment) -> Stage:
        store = self.held.enter_context(fresh_table(self.server, schema.create_table))
        ticking = TickingClock()
        with clock.use(ticking):
            hand = moment(DynamoDBBackend(store.table, client=store.client, timing=TIMING))
            shards.known(hand.backend.runtime.ledger.table)
        return Stage(self.server, store, ticking, hand, self.server.shelf.contents(store.table))


@cache
def counted(server: MemoryServer) -> tuple[tuple[Case, Figure], ...]:
    """Every operation at every moment of the table; once for all who ask in this process."""
    with ExitStack() as held:
        stages = Stages(server, held)
        return tuple((case, stages.at(case.moment).count(case)) for case in cases())


@contextmanager
def _listening(backend: Backend, operation: str) -> Iterator[list[str]]:
    """The calls of an operation while the block runs."""
    calls: list[str] = []
    called = getattr(backend, operation)

    def listen(*args: Any, **options: Any) -> Any:
        calls.append(operation)
        return called(*args, **options)

    setattr(backend, operation, listen)
    yield calls
    delattr(backend, operation)
