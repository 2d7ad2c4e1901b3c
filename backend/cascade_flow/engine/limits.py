"""Who may have a place of a limit, and who is next in line. Pure: standings in, decisions out.

A limit's places are numbered; a place has one holder until a time, which only the holder prolongs. Whoever looks sees
all places and the first of those who wait, read together and consistently; what comes of it is written under the place
as it was seen, so of two who want a place one gets it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cascade_flow.engine.state import Branch, Limit
from cascade_flow.model.workflows import RunLimit, StepDefinition
from cascade_flow.records import dataclass

_LONGEST_KEY = 128
"""Longer values of an input's field are told apart by their hash."""


class Holder(NamedTuple):
    """The attempt of a step, or of a run, that has a place or waits for one."""

    run_id: str
    branch: str
    step: str
    attempt: int

    @classmethod
    def of(cls, run_id: str, branch: Branch) -> Holder:
        return cls(run_id, branch.name, branch.step, branch.attempt)

    @classmethod
    def of_run(cls, run_id: str, run_attempt: int) -> Holder:
        """A run as a whole, where its workflow has a limit."""
        return cls(run_id, "", "", run_attempt)


class Waiter(NamedTuple):
    """One who waits: in the order of ranks, for a place among so many."""

    rank: int
    holder: Holder
    at_most: int


@dataclass(frozen=True)
class Place:
    """A place that was taken at some time; without a holder it was given back."""

    holder: Holder | None
    until_us: int
    since_us: int = 0

    def is_free(self, now_us: int) -> bool:
        return self.holder is None or self.until_us <= now_us


class HandOut(NamedTuple):
    """A free place, and who is to get it."""

    number: int
    waiter: Waiter


@dataclass(frozen=True)
class Standing:
    """A limit at one moment: its places by number, and the first of those who wait."""

    places: Mapping[int, Place]
    line: tuple[Waiter, ...] = ()

    def places_of(self, holder: Holder, now_us: int) -> list[int]:
        """The places that somebody has: more than one, where two have handed out at the same time."""
        taken = sorted(number for number, place in self.places.items() if not place.is_free(now_us))
        return [number for number in taken if self.places[number].holder == holder]

    def free_place(self, at_most: int, now_us: int) -> int | None:
        """The first free place of so many. None, too, where so many are taken: others may go by a larger number."""
        taken = {number for number, place in self.places.items() if not place.is_free(now_us)}
        free = (number for number in range(at_most) if number not in taken)
        return next(free, None) if len(taken) < at_most else None

    def next_free_us(self, now_us: int) -> int:
        """When a place is free at the latest, if its holder says nothing more."""
        return min((place.until_us for place in self.places.values() if not place.is_free(now_us)), default=now_us)

    def is_next(self, holder: Holder) -> bool:
        """Whether nobody waits before one that has just come, or is in line."""
        return not self.line or self.line[0].holder == holder

    def hand_outs(self, now_us: int) -> Iterator[HandOut]:
        """The free places, for the first in line, in their order: whose number leaves none holds up all behind."""
        places, needless = dict(self.places), self.needless(now_us)
        for waiter in (each for each in self.line if each not in needless):
            number = Standing(places).free_place(waiter.at_most, now_us)
            if number is None:
                return
            places[number] = Place(waiter.holder, now_us + 1)
            yield HandOut(number, waiter)

    def needless(self, now_us: int) -> list[Waiter]:
        """Those in line who have a place already."""
        return [waiter for waiter in self.line if self.places_of(waiter.holder, now_us)]


@dataclass(frozen=True)
class Waiting:
    """What a limited step waits for: a place, of which so many are taken, with so many `before` it (None: nobody has
    counted so far); or its turn, at a time.
    """

    limit: Limit
    taken: int = 0
    before: int | None = 0
    turn_us: int | None = None

    @classmethod
    def for_place(cls, limit: Limit, standing: Standing, holder: Holder, now_us: int) -> Waiting | None:
        """None where it has a place, and only its message is on the way."""
        if standing.places_of(holder, now_us):
            return None
        ahead = [waiter.holder for waiter in standing.line]
        before = ahead.index(holder) if holder in ahead else None
        return cls(limit, sum(not place.is_free(now_us) for place in standing.places.values()), before)


class Turn(NamedTuple):
    """When an attempt may start, and when the turn after it is free."""

    start_us: int
    next_us: int

    @classmethod
    def after(cls, limit: Limit, free_us: int, now_us: int) -> Turn:
        """The first turn that is free. Turns are evenly spaced, so any such time holds no more of them than allowed."""
        start_us = max(free_us, now_us)
        return cls(start_us, start_us - (-(limit.per_us or 0) // limit.at_most))


def limit_of(step: StepDefinition, keys: Mapping[str, str]) -> Limit | None:
    """What a step of a run needs; `keys` are the values of the run's input by which limits are kept."""
    if step.limit is None:
        return None
    key = "" if step.limit.key is None else f"#{keys.get(step.limit.key, '')}"
    per_us = None if step.limit.per_ms is None else step.limit.per_ms * 1_000
    return Limit(step.limit.name + key, step.limit.at_most, per_us)


def limit_of_runs(slug: str, limit: RunLimit | None, input: str | None) -> Limit | None:
    """What a run of a workflow needs before it starts; no step's limit has such a name."""
    if limit is None:
        return None
    value = "" if limit.key is None else f"#{_key_value(limit.key, input)}"
    return Limit(f"@{slug}{value}", limit.at_most)


def key_values(steps: Iterable[StepDefinition], input: str | None) -> Mapping[str, str]:
    """What a run's input (JSON text) has in the fields by which limits of steps and undos are kept; null where it has
    none.
    """
    limits = (each.limit for step in steps for each in (step, step.undo) if each is not None)
    paths = dict.fromkeys(limit.key for limit in limits if limit is not None and limit.key is not None)
    return {path: _key_value(path, input) for path in paths}


def _key_value(path: str, input: str | None) -> str:
    return _text_of(_found(None if input is None else json.loads(input), path.split(".")))


def _found(given: Any, path: Sequence[str]) -> Any:
    for part in path:
        given = given.get(part) if isinstance(given, dict) else None
    return given


def _text_of(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST_KEY else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def pack_limit(limit: Limit) -> str:
    """A limit in a line of text, as branches and messages have it."""
    per = "" if limit.per_us is None else f"/{limit.per_us}"
    return f"{limit.at_most}{per}:{limit.id}"


def unpack_limit(text: str) -> Limit:
    """Raises ValueError for what is no such line."""
    numbers, _, id = text.partition(":")
    at_most, _, per = numbers.partition("/")
    return Limit(id, int(at_most), int(per) if per else None)
