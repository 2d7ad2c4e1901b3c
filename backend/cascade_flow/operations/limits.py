"""Limits that runs share: a limited step gets a place before it is claimed, and gives it back after its commit.

Nothing here decides who holds a step: the claim does. So a place may be taken for nothing, and is given back then; and
whoever dies with one in hand leaves it until its time is over, which is a grace beyond the lease that the step's claim
gives, so that a worker that fell silent is reclaimed first. Who finds no place waits in the limit's line, and is called
out when it is given one; the sweep looks again at every scheduled step past due, and hands out what is free by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.places import FIRST, Places
from cascade_flow.engine.limits import HandOut, Holder, Standing, Waiter, limit_of, pack_limit
from cascade_flow.engine.state import Branch, Facts, Limit, is_urgent
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.turns import Turns
from cascade_flow.wake import Wake

_ROUNDS = 8
"""How often one looks anew who was overtaken; then one waits like all others."""


class Ahead(NamedTuple):
    """What was got for an attempt that is still to be scheduled."""

    limit: Limit
    holder: Holder
    number: int | None


class Limits:
    """Places for attempts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places = Places(runtime.ledger.table)

    def claim(
        self, run_id: str, wanted: Branch, claim: Callable[[int], Branch | None], *, lines_up: bool
    ) -> Branch | None:
        """Claim a limited attempt with a place for it; where there is none, it waits in line, if that is wanted.

        Answers what the claim does, and the branch as it is where that is too early.
        """
        holder, looked_us = Holder.of(run_id, wanted), clock.now_us()
        number = self.free_place(_limit_of(wanted), holder)
        if number is None and lines_up:
            now = self._runtime.ledger.branch(run_id, wanted.name)
            if now is None or not _waits(holder, now):
                return None
            if now.ready_us > clock.now_us():
                return now
            number = self.wait_in_line(run_id, now)
        return None if number is None else self._claimed(_limit_of(wanted), holder, number, claim(number), looked_us)

    def admit(self, run_id: str, branch: Branch) -> bool:
        """Whether a scheduled attempt has a place; if not, it waits in line."""
        has_place = self.free_place(_limit_of(branch), Holder.of(run_id, branch)) is not None
        return has_place or self.wait_in_line(run_id, branch) is not None

    def free_place(self, limit: Limit, holder: Holder) -> int | None:
        """The place that an attempt was given, or a free one; None where others wait before it, or all are taken."""
        for _ in range(_ROUNDS):
            standing, now_us = self._standing(limit), clock.now_us()
            if mine := standing.places_of(holder, now_us):
                self._give_back(limit, mine[1:], holder)
                return self._kept(limit, mine[0], holder, standing, now_us)
            number = standing.free_place(limit.at_most, now_us) if standing.is_next(holder) else None
            if number is None or self._take(limit, number, holder, now_us):
                self._leave(limit, standing.line[:1] if number is not None else ())
                return number
        return None

    def wait_in_line(self, run_id: str, branch: Branch) -> int | None:
        """Let an attempt wait at its rank; its place, if one has come back meanwhile."""
        limit, holder = _limit_of(branch), Holder.of(run_id, branch)
        rank = keys.rank(branch.priority, branch.available_at_us or 0)
        self._places.line_up(limit.id, Waiter(rank, holder, limit.at_most))
        return self.hand_out(limit, holder)

    def placed_us(self, run_id: str, branch: Branch) -> int:
        """Since when an attempt has its place; 0 where it has none any more."""
        standing, holder = self._standing(_limit_of(branch)), Holder.of(run_id, branch)
        return max(
            (standing.places[number].since_us for number in standing.places_of(holder, clock.now_us())), default=0
        )

    def next_look_us(self, run_id: str, branch: Branch, *, usual_us: int) -> int:
        """When to look again at who waits: who is next in line, when the first place is free at the latest."""
        standing, now_us = self._standing(_limit_of(branch)), clock.now_us()
        if not standing.is_next(Holder.of(run_id, branch)):
            return usual_us
        return min(usual_us, max(standing.next_free_us(now_us), now_us + self._runtime.timing.grace_us))

    def place_ahead(self, facts: Facts, branch: Branch, following: StepDefinition) -> Ahead:
        """A place for the branch's next step, if there is one: it is got before the commit that begins the step."""
        limit = limit_of(following, facts.limit_keys)
        assert limit is not None, "only what is limited has places"
        holder = Holder(facts.run_id, branch.name, following.id, 1)
        if limit.per_us is not None:
            return Ahead(limit, holder, 0 if Turns(self._runtime).is_now(limit) else None)
        return Ahead(limit, holder, self.free_place(limit, holder))

    def went_on(self, ahead: Ahead, after: Branch | None) -> None:
        """Give a place back that the commit has begun nothing with."""
        begun = after is not None and Holder.of(ahead.holder.run_id, after) == ahead.holder and after.place is not None
        if ahead.number is not None and not begun and ahead.limit.per_us is None:
            self._places.give_back(ahead.limit.id, ahead.number, ahead.holder)
            self.hand_out(ahead.limit)

    def prolong(self, run_id: str, branch: Branch, *, lease_us: int) -> None:
        """Keep the place of an attempt that runs. If it is lost all the same, the work goes on: it is in others' way
        already.
        """
        until_us = lease_us + self._runtime.timing.grace_us
        self._places.prolong(_limit_of(branch).id, branch.place or 0, Holder.of(run_id, branch), until_us=until_us)

    def give_back(self, run_id: str, branch: Branch, number: int) -> None:
        """Let the next in line have the place of an attempt that is over; any other that it has, too."""
        limit, holder = _limit_of(branch), Holder.of(run_id, branch)
        self._places.give_back(limit.id, number, holder)
        self.hand_out(limit, gone=holder)

    def hand_out(self, limit: Limit, me: Holder | None = None, gone: Holder | None = None) -> int | None:
        """Give what is free to the first in line, and wake them; answers the place that `me` has then, who is awake.

        Who is `gone` needs none any more.
        """
        for _ in range(_ROUNDS):
            standing, now_us = self._standing(limit), clock.now_us()
            if gone is not None and (left := standing.places_of(gone, now_us)):
                self._give_back(limit, left, gone)
                continue
            self._leave(limit, standing.needless(now_us))
            given = [(each, self._is_given(limit, each, me)) for each in standing.hand_outs(now_us)]
            mine = [each.number for each, won in given if won and each.waiter.holder == me]
            mine += standing.places_of(me, now_us) if me else []
            if mine or (all(won for _, won in given) and len(given) < FIRST):
                return next(iter(mine), None)
        return None

    def _claimed(
        self, limit: Limit, holder: Holder, number: int, taken: Branch | None, looked_us: int
    ) -> Branch | None:
        """What a claim has answered; a place that nobody can need any more is given back, and one that would be over
        before the lease, since its claimer was slow after it had looked, is kept for longer.
        """
        if taken is None and self._is_over(holder, number):
            self._places.give_back(limit.id, number, holder)
            self.hand_out(limit)
        elif taken is not None and (taken.lease_us or 0) > self._until_us(looked_us):
            self.prolong(holder.run_id, taken, lease_us=taken.lease_us or 0)
        return taken

    def _is_over(self, holder: Holder, number: int) -> bool:
        """Whether an attempt is over, or goes on in another place: who has won the claim may have found this one."""
        now = self._runtime.ledger.branch(holder.run_id, holder.branch)
        if now is None or Holder.of(holder.run_id, now) != holder:
            return True
        return now.place != number if now.status == "running" else now.status != "scheduled"

    def _kept(self, limit: Limit, number: int, holder: Holder, standing: Standing, now_us: int) -> int | None:
        """A place that one was given; who comes late for it prolongs it first."""
        until_us = standing.places[number].until_us
        lasts = until_us >= now_us + self._runtime.timing.lease_us
        if lasts or self._places.prolong(limit.id, number, holder, until_us=self._until_us(now_us)):
            return number
        return None

    def _take(self, limit: Limit, number: int, holder: Holder, now_us: int) -> bool:
        return self._places.take(limit.id, number, holder, now_us=now_us, until_us=self._until_us(now_us))

    def _is_given(self, limit: Limit, given: HandOut, me: Holder | None) -> bool:
        holder = given.waiter.holder
        call = None if holder == me else self._call(limit, holder)
        if holder != me and call is None:
            self._places.leave(limit.id, given.waiter)
            return False
        if not self._take(limit, given.number, holder, clock.now_us()):
            return False
        self._places.leave(limit.id, given.waiter)
        if call is not None:
            call()
        return True

    def _call(self, limit: Limit, holder: Holder) -> Callable[[], None] | None:
        """How to call out who waits; None where it waits no more."""
        branch = self._runtime.ledger.branch(holder.run_id, holder.branch)
        if branch is None or not _waits(holder, branch):
            return None
        return partial(self._wake, limit, holder, branch)

    def _wake(self, limit: Limit, holder: Holder, branch: Branch) -> None:
        """Call out who was given a place; if the message is lost, the sweep looks as soon as at any other step."""
        soon_us, due_us = clock.now_us() + self._runtime.timing.grace_us, branch.due_us or 0
        if due_us > soon_us:
            entry = due.Entry(due_us, keys.branch(holder.run_id, branch.name))
            due.look_later(self._runtime.ledger.table, entry, soon_us, branch)
        self._runtime.queue.send([Wake(*holder, urgent=is_urgent(branch.priority), limit=pack_limit(limit))])

    def _give_back(self, limit: Limit, numbers: Sequence[int], holder: Holder) -> None:
        for number in numbers:
            self._places.give_back(limit.id, number, holder)

    def _leave(self, limit: Limit, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            self._places.leave(limit.id, waiter)

    def _standing(self, limit: Limit) -> Standing:
        return self._places.standing(limit.id, at_most=limit.at_most)

    def _until_us(self, now_us: int) -> int:
        return now_us + self._runtime.timing.lease_us + self._runtime.timing.grace_us


def _limit_of(branch: Branch) -> Limit:
    assert branch.limit is not None, "only what is limited has places"
    return branch.limit


def _waits(holder: Holder, now: Branch | None) -> bool:
    """Whether an attempt is there to be claimed, or will be."""
    return (
        now is not None and now.status == "scheduled" and now.halt is None and Holder.of(holder.run_id, now) == holder
    )
