"""Limits by rate: each attempt gets a time of its own at which it may start, so nobody polls and nobody is passed over.

A turn is taken when an attempt would be claimed. If it lies ahead, the branch notes it, the message is sent for then,
and the due index looks by then: what was told of the step's availability stays as it is. What is stopped meanwhile
leaves its turn unused.
"""

from __future__ import annotations

from collections.abc import Callable

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.turns import next_turn, note
from cascade_flow.engine.limits import Turn
from cascade_flow.engine.state import Branch, Limit
from cascade_flow.operations.runtime import Runtime

_AT_HAND_US = 1_000_000
"""What is waited for on the spot: the queue's delays are whole seconds, and turns may be closer."""


class Turns:
    """Turns for attempts."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def claim(self, run_id: str, wanted: Branch, claim: Callable[[], Branch | None]) -> Branch | None:
        """Claim an attempt whose turn it is; the branch as it is where the turn lies ahead."""
        now = self._runtime.ledger.branch(run_id, wanted.name)
        if now is None or now.halt is not None or (now.status, now.step, now.attempt) != _scheduled(wanted):
            return None
        if now.turn_us is None and now.ready_us <= clock.now_us():
            now = self._with_turn(run_id, now)
        if now is None:
            return None
        left_us = now.ready_us - clock.now_us()
        if left_us > (_AT_HAND_US if now.turn_us is not None else 0):
            return now
        if left_us > 0:
            clock.pause_us(left_us)
        return claim()

    def is_now(self, limit: Limit) -> bool:
        """Take a turn, if there is one now."""
        return next_turn(self._runtime.ledger.table, limit, at_once=True) is not None

    def _with_turn(self, run_id: str, branch: Branch) -> Branch | None:
        """The branch with its turn, which is noted where it lies ahead; None where another was quicker."""
        turn = next_turn(self._runtime.ledger.table, _limit_of(branch))
        return branch if turn is None or turn.start_us <= clock.now_us() else self._noted(run_id, branch, turn)

    def _noted(self, run_id: str, branch: Branch, turn: Turn) -> Branch | None:
        look_us = turn.start_us + self._runtime.timing.grace_us
        try:
            return note(self._runtime.ledger.table, run_id, branch, turn.start_us, look_us=look_us)
        except BranchRefused:
            return None


def _scheduled(wanted: Branch) -> tuple[str, str, int]:
    return "scheduled", wanted.step, wanted.attempt


def _limit_of(branch: Branch) -> Limit:
    assert branch.limit is not None, "only what is limited has turns"
    return branch.limit
