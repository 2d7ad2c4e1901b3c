"""How a scheduled attempt is taken: by one conditional write, after what its limit asks for."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.engine.state import Branch, Claimant
from cascade_flow.operations.runtime import Runtime


class Taker(NamedTuple):
    """The worker that wants an attempt, and for which of its slots."""

    worker: str
    slot_index: int | None
    concurrency: int | None


class Claims:
    """Takes attempts; of all who want one, one gets it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def take(self, run_id: str, wanted: Branch, taker: Taker, *, lines_up: bool) -> Branch | None:
        """The branch, claimed; or as it is where that is too early. None where the attempt is gone, or its limit has no
        place for it: then it waits in line, if it `lines_up`.
        """
        if wanted.limit is None:
            now = self._taken(run_id, wanted, taker)
            if now is None or now.limit is None or now.status != "scheduled":
                return now
            wanted = now
        take = partial(self._taken, run_id, wanted, taker)
        if wanted.limit is not None and wanted.limit.per_us is not None:
            from cascade_flow.operations.turns import Turns  # noqa: PLC0415  (most steps have no limit)

            return Turns(self._runtime).claim(run_id, wanted, take)
        from cascade_flow.operations.limits import Limits  # noqa: PLC0415

        return Limits(self._runtime).claim(run_id, wanted, take, lines_up=lines_up)

    def _taken(self, run_id: str, wanted: Branch, taker: Taker, place: int | None = None) -> Branch | None:
        """The branch, claimed; or as it is where that is too early, or where the step has a limit that the claimer did
        not know of.
        """
        now_us = clock.now_us()
        lease_us = now_us + self._runtime.timing.lease_us
        claimant = Claimant(taker.worker, lease_us, taker.slot_index, taker.concurrency, place=place)
        look_us = now_us + self._runtime.timing.silence_us
        for moves in (False, True):
            try:
                return self._runtime.ledger.claim(run_id, wanted, claimant, now_us=now_us, look_us=look_us, moves=moves)
            except BranchRefused as refused:
                if refused.now is None or not waits(wanted, refused.now) or refused.now.pool != wanted.pool:
                    return None
                if refused.now.ready_us > now_us or refused.now.limit != wanted.limit:
                    return refused.now
        return None


def waits(wanted: Branch, now: Branch) -> bool:
    """Whether an attempt is still there to be taken: it is early, or the due index looked too far ahead."""
    scheduled = (now.status, now.step, now.attempt) == ("scheduled", wanted.step, wanted.attempt)
    return scheduled and now.halt is None
