"""Stops a run: halts what is live, and writes the terminal event when nothing is (protocol.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.state import Birth, Branch, Facts, Halt, Run, Stop
from cascade_flow.engine.stop import halting, terminal_event
from cascade_flow.errors import CascadeFlowError, ConflictError
from cascade_flow.model.events import StepError, WorkflowEvent
from cascade_flow.operations.runtime import Runtime

_HALTS_AT_ONCE = 20
_ROUNDS = 50
_CHASES = 8


class Stops:
    """Carries out the intention that is written on a run."""

    def __init__(self, runtime: Runtime, begin: Callable[[Facts, Iterable[Birth]], object]) -> None:
        """`begin` is what follows the birth of branches: those of a run that undoes another, whose end is this."""
        self._runtime = runtime
        self._begin = begin

    def carry_on(self, run_id: str) -> Run:
        """Go as far as one can; a run that waits for a running step is left to whoever finishes that, or the sweep."""
        for _ in range(_ROUNDS):
            run = self._runtime.run(run_id)
            if run.stop is None:
                return run
            try:
                return self._round(self._runtime.facts(run), run, run.stop)
            except (BranchRefused, RunRefused):
                continue
        raise ConflictError(run_id=run_id)

    def give_up(self, facts: Facts, error: CascadeFlowError) -> None:
        """Fail a run that can't end otherwise: what its steps have given together can't be stored."""
        run = self._runtime.run(facts.run_id)
        stop = Stop("failed", facts.run_attempt, error=StepError(name=type(error).__name__, message=str(error)))
        if run.status == "running" and run.stop is None:
            with suppress(RunRefused):
                self._runtime.run_ledger.intend(run, stop, due_us=clock.now_us() + self._runtime.timing.grace_us)
        self.carry_on(facts.run_id)

    def _round(self, facts: Facts, run: Run, stop: Stop) -> Run:
        before, branches = (self._runtime.ledger.branches(run.run_id) for _ in range(2))
        if any(branch.run_attempt > stop.run_attempt for branch in branches.values()):
            raise RunRefused(None)
        step = halting(run, stop, branches.values(), now_us=clock.now_us())
        stable = _marks(before) == _marks(branches)
        if step.awaited or not stable or len(step.halts) > _HALTS_AT_ONCE:
            as_seen = [self._halt(run, stop, branch, halt) for branch, halt in step.halts]
            if step.awaited and stable and all(as_seen):
                return run
            raise BranchRefused(None)
        event = terminal_event(facts, run, stop, branches.values(), now_us=clock.now_us())
        status = "cancelled" if stop.kind == "cancelled" else "failed"
        ended = self._finish(facts, run, event, status, step.halts)
        self._runtime.tell(facts, (event,))
        if facts.place is not None:
            from cascade_flow.operations.run_places import RunPlaces  # noqa: PLC0415  (few workflows have such a limit)

            RunPlaces(self._runtime).leave_by(facts)
        return ended

    def _finish(
        self, facts: Facts, run: Run, event: WorkflowEvent, status: str, halts: Sequence[tuple[Branch, Halt]]
    ) -> Run:
        """End the run; what it has done that can be undone is undone by a run that is born with its end."""
        if not facts.graph.undos:
            return self._runtime.run_ledger.finish(run, event, status, halts)
        from cascade_flow.operations.undoing import Undos  # noqa: PLC0415  (few workflows undo anything)

        undo = Undos(self._runtime).birth(facts, run, event)
        ended = self._runtime.run_ledger.finish(run, event, status, halts, undo)
        if undo is not None:
            self._begin(undo.facts, undo.opening.births)
        return ended

    def _halt(self, run: Run, stop: Stop, branch: Branch, halt: Halt) -> bool:
        """Halt a branch, also one that moves on meanwhile; one that a retry of the run has revived is left alone.

        Answers whether it was as seen: who has moved may have forked before it was halted.
        """
        for chase in range(_CHASES):
            try:
                self._runtime.ledger.halt(run.run_id, branch, halt, stop)
                return chase == 0
            except BranchRefused as refused:
                now = [] if refused.now is None else [refused.now]
                again = halting(run, stop, now, now_us=clock.now_us()).halts
                if not again:
                    return False
                branch, halt = again[0]
        return False


def _marks(branches: Mapping[str, Branch]) -> dict[str, tuple[int, str | None]]:
    return {name: (branch.seq, branch.halt) for name, branch in branches.items()}
