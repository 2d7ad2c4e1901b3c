"""Stops a run: halts what is live, and writes the terminal event when nothing is (protocol.md §7)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.state import Birth, Branch, Facts, Halt, Run, Stop
from cascade_flow.engine.stop import Halting, halting, terminal_event
from cascade_flow.errors import CascadeFlowError, ConflictError
from cascade_flow.model.events import StepError, WorkflowEvent
from cascade_flow.operations.runtime import Runtime

_HALTS_AT_ONCE = 20
_ROUNDS = 50
_CHASES = 8
_LONGEST_US = 5_000_000
"""How long one goes on with a run's children: a person waits for the answer. A thousand of them take half a minute."""


class Families(Protocol):
    """What a child's end does to its parent's step."""

    def count_end(self, facts: Facts) -> Branch | None: ...

    def look_up(self, facts: Facts, seen: Branch | None, *, failed: bool) -> None: ...


class Following(Protocol):
    """Who does what an end leaves to be done (`AfterCommit`): stops are part of that, and ask for it."""

    @property
    def children(self) -> Families: ...

    def begin_if_possible(self, facts: Facts, births: Iterable[Birth]) -> None: ...


class Stops:
    """Carries out the intention that is written on a run."""

    def __init__(self, runtime: Runtime, follow: Following, *, until_us: int | None = None) -> None:
        """`until_us`: the parent's stop ends its children, and looks at them itself, for so long."""
        self._runtime = runtime
        self._follow = follow
        self._until_us = until_us

    def carry_on(self, run_id: str, *, again: bool = True) -> Run:
        """Go as far as one can; a run that waits for a running step is left to whoever finishes that, or the sweep. Not
        `again`: children that are being stopped are left to who stops them.
        """
        for _ in range(_ROUNDS):
            run = self._runtime.run(run_id)
            if run.stop is None:
                return run
            try:
                return self._round(self._runtime.facts(run), run, run.stop, again)
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

    def _round(self, facts: Facts, run: Run, stop: Stop, again: bool) -> Run:
        before, branches = (self._runtime.ledger.branches(run.run_id) for _ in range(2))
        if any(branch.run_attempt > stop.run_attempt for branch in branches.values()):
            raise RunRefused(None)
        parents = _parents(facts)
        step = halting(run, stop, branches.values(), now_us=clock.now_us(), parents=parents)
        stable = _marks(before) == _marks(branches)
        halts_parents = any(branch.family is not None for branch, _ in step.halts)
        if step.awaited or not stable or len(step.halts) > _HALTS_AT_ONCE or halts_parents:
            as_seen = [self._halt(run, stop, branch, halt, parents) for branch, halt in step.halts]
            if not (step.awaited and stable and all(as_seen)):
                raise BranchRefused(None)
        last_us = self._children_ended(facts, stop, branches.values(), again)
        if last_us is None or step.awaited:
            return run
        return self._finish(facts, run, stop, branches, step, after_us=last_us)

    def _children_ended(self, facts: Facts, stop: Stop, branches: Iterable[Branch], again: bool) -> int | None:
        """Stop the children of steps that are halted by now, or have failed; when the last has ended, None while one
        goes on.
        """
        parents = [b for b in branches if b.family is not None and b.family.out and b.run_attempt <= stop.run_attempt]
        if not parents:
            return 0
        from cascade_flow.operations.child_stops import stop_children  # noqa: PLC0415  (most runs have no children)

        until_us = self._until_us or clock.now_us() + _LONGEST_US
        carry_on = Stops(self._runtime, self._follow, until_us=until_us).carry_on
        stopping = partial(stop_children, self._runtime, facts, carry_on=carry_on, until_us=until_us, again=again)
        ends_us = [stopping(parent, stop) for parent in parents]
        return None if None in ends_us else max(end_us or 0 for end_us in ends_us)

    def _finish(
        self, facts: Facts, run: Run, stop: Stop, branches: Mapping[str, Branch], step: Halting, *, after_us: int
    ) -> Run:
        event = terminal_event(facts, run, stop, branches.values(), now_us=max(clock.now_us(), after_us + 1))
        status = "cancelled" if stop.kind == "cancelled" else "failed"
        counted = self._count_end(facts)
        ended = self._end(facts, run, event, status, step.halts)
        self._runtime.tell(facts, (event,))
        if facts.place is not None:
            from cascade_flow.operations.run_places import RunPlaces  # noqa: PLC0415  (few workflows have such a limit)

            RunPlaces(self._runtime).leave_by(facts)
        self._look_up(facts, counted)
        return ended

    def _end(
        self, facts: Facts, run: Run, event: WorkflowEvent, status: str, halts: Sequence[tuple[Branch, Halt]]
    ) -> Run:
        """End the run; what it has done that can be undone is undone by a run that is born with its end."""
        if not facts.graph.undos:
            return self._runtime.run_ledger.finish(run, event, status, halts)
        from cascade_flow.operations.undoing import Undos  # noqa: PLC0415  (few workflows undo anything)

        undo = Undos(self._runtime).birth(facts, run, event)
        ended = self._runtime.run_ledger.finish(run, event, status, halts, undo)
        if undo is not None:
            self._follow.begin_if_possible(undo.facts, undo.opening.births)
        return ended

    def _count_end(self, facts: Facts) -> Branch | None:
        """Of a child, before its end: its parent's step as it is then."""
        return None if facts.up is None else self._follow.children.count_end(facts)

    def _look_up(self, facts: Facts, counted: Branch | None) -> None:
        if facts.up is not None and self._until_us is None:
            self._follow.children.look_up(facts, counted, failed=True)

    def _halt(self, run: Run, stop: Stop, branch: Branch, halt: Halt, parents: Container[str]) -> bool:
        """Halt a branch, also one that moves on meanwhile; one that a retry of the run has revived is left alone.

        Answers whether it was as seen: who has moved may have forked before it was halted.
        """
        for chase in range(_CHASES):
            try:
                self._runtime.ledger.halt(run.run_id, branch, halt, stop)
                return chase == 0
            except BranchRefused as refused:
                now = [] if refused.now is None else [refused.now]
                again = halting(run, stop, now, now_us=clock.now_us(), parents=parents).halts
                if not again:
                    return False
                branch, halt = again[0]
        return False


def _parents(facts: Facts) -> frozenset[str]:
    """The steps that hand their work out."""
    return frozenset(name for name, step in facts.graph.steps.items() if step.children is not None)


def _marks(branches: Mapping[str, Branch]) -> dict[str, tuple[int, str | None]]:
    return {name: (branch.seq, branch.halt) for name, branch in branches.items()}
