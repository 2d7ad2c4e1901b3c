"""Limits of whole runs: how many of a workflow go on at once, in all or for each value of a key.

A run gets its place before it starts and gives it back after its end. Nobody beats for a run, so a place has no time of
its own: the truth is the run's item, and who finds all places taken looks whether their runs have ended.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.engine.limits import Holder, Waiter
from cascade_flow.engine.state import ENDED, Facts, Limit, Run, is_urgent
from cascade_flow.errors import ConflictError
from cascade_flow.operations.limits import Limits
from cascade_flow.records import replace
from cascade_flow.wake import Wake

_ROUNDS = 8
_LONGEST_US = 400 * 86_400_000_000
"""Longer than any run may last."""


class RunPlaces(Limits):
    """Places for runs."""

    def place_of(self, run: Run) -> int | None:
        """A place for a run that is to start; None where it waits in line now."""
        limit, holder = _limit_of(run), Holder.of_run(run.run_id, run.run_attempt)
        number = self.free_place(limit, holder)
        if number is None and self.free_those_of_ended(limit):
            number = self.free_place(limit, holder)
        if number is not None:
            return number
        waiter = Waiter(keys.rank(run.priority, run.available_at_us), holder, limit.at_most)
        self._places.line_up(limit.id, waiter)
        return self.hand_out(limit, holder)

    def leave(self, run_id: str, run_attempt: int, limit: Limit, number: int) -> None:
        """Let the next in line have the place of a run that has ended, or that did not start with it."""
        holder = Holder.of_run(run_id, run_attempt)
        self._places.give_back(limit.id, number, holder)
        self.hand_out(limit, gone=holder)

    def leave_by(self, facts: Facts) -> None:
        """The same, of a run whose attempt these facts are of."""
        if facts.limit is not None and facts.place is not None:
            self.leave(facts.run_id, facts.run_attempt, facts.limit, facts.place)

    def not_started(self, run: Run, number: int, now: Run | None) -> None:
        """Give a place back that nobody started the run with, and nobody will."""
        starts_with_it = now is not None and now.place == number and now.status not in ENDED
        if not starts_with_it and (now is None or now.status != "pending"):
            self.leave(run.run_id, run.run_attempt, _limit_of(run), number)

    def alone(self, facts: Facts) -> Facts:
        """With the place that a run needs, if there is one; otherwise of the run that has it. Raises ConflictError."""
        assert facts.limit is not None, "only a workflow with a limit has places for its runs"
        for _ in range(_ROUNDS):
            number = self.free_place(facts.limit, Holder.of_run(facts.run_id, facts.run_attempt))
            if number is not None:
                return replace(facts, place=number)
            holder = None if self.free_those_of_ended(facts.limit) else self.holder_of(facts.limit)
            if holder is not None:
                return replace(facts, run_id=holder)
        raise ConflictError(run_id=facts.run_id)

    def again(self, facts: Facts) -> Facts:
        """For another attempt of a run: with a place if one is free. Who tries a run again does not wait."""
        if facts.limit is None:
            return facts
        return replace(facts, place=self.free_place(facts.limit, Holder.of_run(facts.run_id, facts.run_attempt)))

    def holder_of(self, limit: Limit) -> str | None:
        """A run that has a place, if one has."""
        standing, now_us = self._standing(limit), clock.now_us()
        taken = (place.holder for place in standing.places.values() if not place.is_free(now_us))
        return next((holder.run_id for holder in taken if holder is not None), None)

    def free_those_of_ended(self, limit: Limit) -> bool:
        """Give back the places whose runs have ended, or were never made; whether there were any."""
        standing, now_us = self._standing(limit), clock.now_us()
        taken = {number: place for number, place in standing.places.items() if not place.is_free(now_us)}
        known = {
            run.run_id: run for run in self._runtime.ledger.runs(p.holder.run_id for p in taken.values() if p.holder)
        }
        over = False
        for number, place in taken.items():
            run = known.get(place.holder.run_id) if place.holder else None
            made = place.since_us + self._runtime.timing.lease_us < now_us
            if place.holder and (_is_over(run, place.holder) if run else made):
                over |= self._places.give_back(limit.id, number, place.holder)
        return over

    def _call(self, limit: Limit, holder: Holder) -> Callable[[], None] | None:
        run = self._runtime.ledger.run(holder.run_id)
        if run is None or run.status != "pending" or run.stop is not None:
            return None
        return partial(self._wake_run, run)

    def _wake_run(self, run: Run) -> None:
        soon_us, due_us = clock.now_us() + self._runtime.timing.grace_us, run.due_us or 0
        if due_us > soon_us:
            due.look_later(self._runtime.ledger.table, due.Entry(due_us, keys.run(run.run_id)), soon_us)
        self._runtime.queue.send([Wake(run.run_id, urgent=is_urgent(run.priority))])

    def _until_us(self, now_us: int) -> int:
        return now_us + _LONGEST_US


def _is_over(run: Run, holder: Holder) -> bool:
    return run.status in ENDED or run.run_attempt != holder.attempt


def _limit_of(run: Run) -> Limit:
    assert run.limit is not None, "only runs of a workflow with a limit have places"
    return run.limit
