"""Stops a run: halts what is live, and writes the terminal event when nothing is (protocol.md §7)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.state import Branch, Facts, Run, Stop
from cascade_flow.engine.stop import Halting, halting, terminal_event
from cascade_flow.errors import ConflictError
from cascade_flow.operations.kit import Kit

_HALTS_AT_ONCE = 20
_ROUNDS = 50


class Stopper:
    """Carries out the intention that is written on a run."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def carry_on(self, run_id: str) -> Run:
        """Go as far as one can; a run that waits for a running step is left to whoever finishes that, or the sweep."""
        for _ in range(_ROUNDS):
            run = self._kit.run(run_id)
            if run.stop is None:
                return run
            try:
                return self._round(self._kit.facts(run), run, run.stop)
            except (BranchRefused, RunRefused):
                continue
        raise ConflictError(run_id=run_id)

    def _round(self, facts: Facts, run: Run, stop: Stop) -> Run:
        branches = self._stable(run.run_id)
        step = halting(run, stop, branches.values(), now_us=clock.now_us())
        if step.awaited:
            self._halt_each(run, step)
            return run
        if len(step.halts) > _HALTS_AT_ONCE:
            self._halt_each(run, step)
            raise BranchRefused(None)
        event = terminal_event(facts, run, stop, branches.values(), now_us=clock.now_us())
        status = "cancelled" if stop.kind == "cancelled" else "failed"
        return self._kit.run_ledger.finish(run, event, status, step.halts)

    def _halt_each(self, run: Run, step: Halting) -> None:
        for branch, halt in step.halts:
            with suppress(BranchRefused):
                self._kit.ledger.halt(run.run_id, branch, halt)

    def _stable(self, run_id: str) -> Mapping[str, Branch]:
        """The branches as two successive queries show them alike: one clean query is no snapshot."""
        seen = self._kit.ledger.branches(run_id)
        while (again := self._kit.ledger.branches(run_id)) and _marks(again) != _marks(seen):
            seen = again
        return again


def _marks(branches: Mapping[str, Branch]) -> dict[str, tuple[int, str | None]]:
    return {name: (branch.seq, branch.halt) for name, branch in branches.items()}
