"""Interleavings: actors stop before each request, and a seeded scheduler lets one go on at a time.

An actor moves only from one request to the next, so a run of the same actors with the same seed is the same run. What
an actor does is its own matter, and so is what must hold afterwards. Actors are greenlets of one thread: who waits for
another outside of a request waits for ever. Threads that an actor starts itself are not stopped: actors that need
determinism start none.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.client import BaseClient
from greenlet import getcurrent, greenlet

from testbed.outcome import Outcome
from testbed.wire import Answer, Floor, Request, Send, Wire, wire_of

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
        self._names: dict[greenlet, str] = {}
        self._parked: dict[str, tuple[str, Callable[[], bool]]] = {}
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

    def __call__(self, request: Request, send: Send) -> Answer:
        """The gate."""
        self.pause(request.operation)
        return send(request)

    def pause(self, move: str, *, until: Callable[[], bool] = lambda: True) -> None:
        """Stop the calling actor here until it is its turn: also for moves that are no request, such as a clock's.

        It is passed over until something holds; not where all others wait as well, or are through.
        """
        me = self._names.get(getcurrent())
        if me is not None:
            self._parked[me] = move, until
            self._scheduler.switch()

    def run(self, seed: int, actors: Mapping[str, Actor]) -> History:
        """Run the actors to their ends, in the order that the seed chooses."""
        dice = random.Random(seed)
        outcomes: dict[str, Outcome] = {}
        moves: list[tuple[str, str]] = []
        playing = self._begun(actors, outcomes)
        while self._parked:
            name = self._next(dice)
            moves.append((name, self._parked.pop(name)[0]))
            playing[name].switch()
        return History(seed, tuple(moves), outcomes)

    def _begun(self, actors: Mapping[str, Actor], outcomes: dict[str, Outcome]) -> Mapping[str, greenlet]:
        self._scheduler = getcurrent()
        playing = {name: greenlet(partial(self._play, name, actor, outcomes)) for name, actor in actors.items()}
        self._names = {one: name for name, one in playing.items()}
        for one in playing.values():
            one.switch()
        return playing

    def _play(self, name: str, actor: Actor, outcomes: dict[str, Outcome]) -> None:
        try:
            self.pause("begin")
            outcomes[name] = Outcome(value=actor())
        except BaseException as raised:  # noqa: BLE001 - a death is an outcome
            outcomes[name] = Outcome(raised=raised)

    def _next(self, dice: random.Random) -> str:
        """One of those that wait for nothing more, each as likely as any other; where there is none, one of all."""
        asked = sorted(self._parked)
        while asked:
            name = asked.pop(dice.randrange(len(asked)))
            if self._parked[name][1]():
                return name
        return dice.choice(sorted(self._parked))


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
