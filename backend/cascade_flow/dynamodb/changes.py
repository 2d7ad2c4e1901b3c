"""What a write must have seen and what it changes: fences, halts, births, the difference of two images.

Also what the two ledgers raise when a condition was false. No request is sent here.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Self

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import Item, branch_item, differing, to_branch, to_run
from cascade_flow.dynamodb.table import NONCE, Attr, Condition, Put, Update
from cascade_flow.engine.joins import waits_outside
from cascade_flow.engine.limits import pack_limit
from cascade_flow.engine.state import Birth, Branch, Facts, Halt, Run, Signal, Stop
from cascade_flow.graph import is_event
from cascade_flow.records import replace

NEW = Attr(keys.PARTITION).not_exists()
GOES_ON = Attr("st").eq("running") & Attr("stop").not_exists()
"""Of a run: it is under way, and nobody means to stop it."""
WAITS = NEW | Attr("st").eq("open")
"""Of a join: it is open, or nobody has come to it yet."""
_PLACE = (keys.DUE_SHARD, keys.DUE_TIME)


class BranchRefused(Exception):
    """The branch is no longer as the writer knew it; `now` is what it is (None: there is none)."""

    def __init__(self, now: Branch | None) -> None:
        super().__init__("the branch has moved")
        self.now = now

    @classmethod
    def by(cls, item: Item | None) -> Self:
        """Refused because the branch's item is this one now."""
        return cls(None if item is None else to_branch(item))


class RunRefused(Exception):
    """The run no longer goes on; `now` is what it is."""

    def __init__(self, now: Run | None) -> None:
        super().__init__("the run has moved")
        self.now = now

    @classmethod
    def by(cls, item: Item | None) -> Self:
        """Refused because the run's item is this one now."""
        return cls(None if item is None else to_run(item))


def fence(known: Branch) -> Condition:
    """What a writer must have seen: the commit and claim (`seq`), the heartbeat and the halt that it knows."""
    return Attr("sq").eq(known.seq) & _as_known("hb", known.heartbeat_us) & _as_known("h", known.halt)


def arriving(known: Branch) -> Condition:
    """The fence of who arrives at a join: whether it is to look at it, it has seen too."""
    return fence(known) & _as_known("lo", int(known.looks) or None)


def of_pool(known: Branch) -> Condition:
    """What a claim asks of a step: that it waits for this pool, or, where none is known, for no pool."""
    return _as_known("po", known.pool)


def of_limit(known: Branch) -> Condition:
    """What a claim asks of a step: that it needs what the claimer has got for it, or nothing."""
    return _as_known("li", None if known.limit is None else pack_limit(known.limit))


def stoppable(known: Branch, stop: Stop) -> Condition:
    """The fence of a halt: the branch as known, in the run's attempt that is to stop (protocol.md §7)."""
    return fence(known) & Attr("ra").lte(stop.run_attempt)


def halting(halt: Halt) -> dict[str, Any]:
    """The change that halts a branch; one that is stopped for good needs no look any more."""
    gone = frozenset({keys.DUE_SHARD, keys.DUE_TIME}) if halt == "stop" else frozenset()
    return {"set": {"h": halt}, "remove": gone}


def _as_known(attribute: str, value: int | str | None) -> Condition:
    return Attr(attribute).not_exists() if value is None else Attr(attribute).eq(value)


def birth_put(facts: Facts, birth: Birth, origin_us: int | None) -> Put | Update:
    """Puts a branch that is not there yet; `origin_us` names the commit that holds its dependency's completion.

    An event may be there, since somebody was quick to send it: it is raised.
    """
    if waits_outside(facts.graph, birth.branch):
        return raising(facts, birth.branch.name, arrivals=birth.branch.arrived, soon_us=birth.branch.due_us or 0)
    tail = tuple(to_record(event, {}) for event in birth.events)
    branch = replace(birth.branch, tail=tail, origin_us=birth.origin_us or origin_us)
    return Put(branch_item(facts.run_id, branch, expires_s=facts.expires_s), NEW)


def raising(facts: Facts, join: str, *, arrivals: int, soon_us: int) -> Update:
    """Counts arrivals at a join, and gives birth to it where they are the first.

    An event is looked at soon after each of them; another join only when it is full.
    """
    born = Branch(join, "open", join, run_attempt=facts.run_attempt, due_us=soon_us)
    place = _PLACE if is_event(facts.graph, join) else ()
    return _birth(facts, born, sets=("st", *place), add={"n": arrivals})


def telling(facts: Facts, event: str, signal: Signal) -> Update:
    """Tells an event what the outside says, once; it is to be looked at now."""
    born = Branch(event, "open", event, run_attempt=facts.run_attempt, due_us=signal.at_us, signal=signal)
    told = _birth(facts, born, sets=("st", "sg", *_PLACE), add={"sq": 1})
    return replace(told, when=WAITS & Attr("sg").not_exists(), set={**told.set, NONCE: secrets.token_hex(3)})


def _birth(facts: Facts, born: Branch, *, sets: tuple[str, ...], add: dict[str, int]) -> Update:
    """Writes some of a join's attributes, and the others only where it isn't there yet."""
    item = branch_item(facts.run_id, born, expires_s=facts.expires_s)
    rest = {name: item[name] for name in item if name not in (keys.PARTITION, keys.SORT, *sets, *add)}
    key = keys.branch(facts.run_id, born.name)
    return Update(key, WAITS, set={name: item[name] for name in sets}, default=rest, add=add)


def difference(run_id: str, before: Branch, after: Branch, packed: Item | None = None) -> dict[str, Any]:
    """An update's `set` and `remove` that make the one branch the other, whose item may be `packed` already."""
    return changes(*differing(run_id, before, after, packed))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """An update's `set` and `remove` that make the one item the other."""
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    if keys.DUE_TIME in changed:  # whoever gives a time gives the place too: a sweep may have taken it away meanwhile
        changed[keys.DUE_SHARD] = after[keys.DUE_SHARD]
    return {"set": changed, "remove": frozenset(before.keys() - after.keys())}
