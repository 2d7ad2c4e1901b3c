"""Interleavings: actors are threads that stop before each request, and a seeded scheduler lets one through at a time.

An actor moves only from one request to the next, so a run of the same actors with the same seed is the same run. What
an actor does is its own matter, and so is what must hold afterwards. Threads that an actor starts itself are not
stopped: actors that need determinism start none.
"""

import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient

from testbed.outcome import Outcome
from testbed.wire import Floor, Request, Send, Wire, wire_of

PATIENCE_SECONDS = 30

Actor = Callable[[], Any]


@dataclass(frozen=True)
class History:
    """One run: who made which request, in order, and how each actor ended."""

    seed: int
    moves: tuple[tuple[str, str], ...]
    outcomes: Mapping[str, Outcome]

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *(f"{actor:>12} {move}" for actor, move in self.moves)])


class Turnstile:
    """Lets one actor through at a time. `attach` it to all clients that the actors use."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._actor = threading.local()
        self._parked: dict[str, str] = {}
        self._until: dict[str, Callable[[], bool]] = {}
        self._live: set[str] = set()
        self._next: str | None = None
        self._is_stuck = False
        self._moves: list[tuple[str, str]] = []
        self._wires: list[Wire] = []

    def attach(self, *clients: BaseClient) -> None:
        """Stand before every request of these clients."""
        for client in clients:
            wire_of(client).add(self, floor=Floor.SCHEDULE)
            self._wires.append(wire_of(client))

    def detach(self) -> None:
        """Leave all wires."""
        while self._wires:
            self._wires.pop().remove(self)

    def __call__(self, request: Request, send: Send) -> AWSResponse:
        """The gate."""
        self.pause(request.operation)
        return send(request)

    def pause(self, move: str, *, until: Callable[[], bool] = lambda: True) -> None:
        """Stop the calling actor here until it is its turn: also for moves that are no request, such as a clock's.

        It is passed over until something holds; not where all others wait as well, or are through.
        """
        me: str | None = getattr(self._actor, "name", None)
        if me is None:
            return
        with self._turn:
            self._parked[me], self._until[me] = move, until
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._next == me or self._is_stuck)
            if self._is_stuck:
                raise TimeoutError("The run is stuck elsewhere.")
            self._next = None
            self._moves.append((me, self._parked.pop(me)))

    def run(self, seed: int, actors: Mapping[str, Actor]) -> History:
        """Run the actors to their ends, in the order that the seed chooses."""
        dice = random.Random(seed)
        outcomes: dict[str, Outcome] = {}
        self._moves, self._live = [], set(actors)
        threads = [
            threading.Thread(target=self._play, args=(name, actor, outcomes), name=name, daemon=True)
            for name, actor in actors.items()
        ]
        for thread in threads:
            thread.start()
        while self._all_parked():
            self._let_through(dice)
        for thread in threads:
            thread.join()
        return History(seed, tuple(self._moves), outcomes)

    def _play(self, name: str, actor: Actor, outcomes: dict[str, Outcome]) -> None:
        self._actor.name = name
        try:
            self.pause("begin")
            outcomes[name] = Outcome(value=actor())
        except BaseException as raised:  # noqa: BLE001 - a death is an outcome
            outcomes[name] = Outcome(raised=raised)
        finally:
            with self._turn:
                self._live.discard(name)
                self._turn.notify_all()

    def _all_parked(self) -> bool:
        """Wait until every live actor is parked; False once none is left."""
        with self._turn:
            if not self._turn.wait_for(self._is_quiet, PATIENCE_SECONDS):
                self._give_up()
            return bool(self._live)

    def _is_quiet(self) -> bool:
        return self._next is None and set(self._parked) == self._live

    def _give_up(self) -> None:
        elsewhere = ", ".join(sorted(self._live - set(self._parked))) or "nobody"
        self._is_stuck = True
        self._turn.notify_all()
        raise TimeoutError(f"Actors wait for each other outside of requests: {elsewhere} did not come back.")

    def _let_through(self, dice: random.Random) -> None:
        with self._turn:
            self._next = dice.choice(self._ready())
            self._turn.notify_all()

    def _ready(self) -> list[str]:
        parked = sorted(self._parked)
        return [name for name in parked if self._until[name]()] or parked


def explore(
    seeds: Iterable[int],
    stage: Callable[[Turnstile, int], Mapping[str, Actor]],
    check: Callable[[History], object],
) -> int:
    """Run what `stage` sets up under each seed, check each history, and say how many differed.

    `stage` attaches the turnstile to the clients it uses. A failed check carries its history; its seed repeats it.
    """
    seen: set[tuple[tuple[str, str], ...]] = set()
    for seed in seeds:
        history = play(seed, stage)
        seen.add(history.moves)
        try:
            check(history)
        except AssertionError as failed:
            failed.add_note(str(history))
            raise
    return len(seen)


def play(seed: int, stage: Callable[[Turnstile, int], Mapping[str, Actor]]) -> History:
    """One run of what `stage` sets up."""
    gate = Turnstile()
    try:
        return gate.run(seed, stage(gate, seed))
    finally:
        gate.detach()
