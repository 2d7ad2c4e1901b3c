"""Writes events with times that are right by construction (protocol.md §5).

A time is later than now, than the branch's last event and than its causes, whatever the clocks say; and since every
branch of a run has a residue of its own, no two of them ever choose the same microsecond.
"""

from __future__ import annotations

from typing import Any, TypeVar

from cascade_flow.engine.state import Branch, Facts
from cascade_flow.model.events import Event, StepHeartbeat, StepStarted, make_event

E = TypeVar("E", bound=Event)


def tick(at_us: int, *, modulus: int, residue: int) -> int:
    """The first time at or after `at_us` that belongs to this residue."""
    return at_us + (residue - at_us) % modulus


class EventWriter:
    """Writes the next events of one branch (or of the run: residue 0), each later than the one before."""

    def __init__(self, facts: Facts, *, residue: int, now_us: int, after_us: int, told_us: int = 0) -> None:
        self._facts = facts
        self._residue = residue
        self.now_us = now_us
        self.last_us = after_us
        self._told_us = told_us
        self.events: list[Event] = []

    @classmethod
    def of(cls, facts: Facts, branch: Branch, *, now_us: int, told_us: int = 0) -> EventWriter:
        """Goes on where the branch's log ends, and the log lines of its attempt, the last at `told_us`."""
        residue = facts.graph.residue(branch.name)
        return cls(facts, residue=residue, now_us=now_us, after_us=branch.last_us, told_us=told_us)

    @classmethod
    def of_run(cls, facts: Facts, *, now_us: int, after_us: int) -> EventWriter:
        return cls(facts, residue=0, now_us=now_us, after_us=after_us)

    def write(self, kind: type[E], *, at_us: int | None = None, **fields: Any) -> E:
        """Append an event of this kind, at `at_us` (now, where absent) or as soon after as is free.

        Raises EventInvalidError.
        """
        wanted = max(self.now_us if at_us is None else at_us, self.last_us + 1)
        self.last_us = tick(wanted, modulus=self._facts.graph.modulus, residue=self._residue)
        event = make_event(
            kind,
            timestamp_us=self.last_us,
            workflow_slug=self._facts.workflow_slug,
            run_id=self._facts.run_id,
            **fields,
        )
        self.events.append(event)
        return event

    def take_in(self, branch: Branch) -> None:
        """Write what a claim and its heartbeats left as plain attributes: StepStarted and the latest StepHeartbeat."""
        held = _held(branch)
        if branch.started_at_us is not None:
            dependencies = list(self._facts.graph.step(branch.step).dependencies)
            self.write(StepStarted, at_us=branch.started_at_us, dependencies=dependencies, **held)
        if branch.heartbeat_us is not None:
            self.write(StepHeartbeat, at_us=branch.heartbeat_us, resource_snapshot=branch.snapshot, **held)
        self.last_us = max(self.last_us, self._told_us)


def rendered(facts: Facts, branch: Branch) -> list[Event]:
    """The events that a branch holds as plain attributes, as they will be written by its next commit."""
    writer = EventWriter.of(facts, branch, now_us=branch.last_us)
    writer.take_in(branch)
    return writer.events


def _held(branch: Branch) -> dict[str, Any]:
    return {
        "step_id": branch.step,
        "worker_id": branch.worker,
        "attempt_number": branch.attempt,
        "slot_index": branch.slot_index,
        "worker_concurrency": branch.worker_concurrency,
    }
