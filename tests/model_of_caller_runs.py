"""Runs that callers drive, told again in the plainest way: what the stateful test of them expects of the product.

A run is the list of its events; everything else is asked of the pure projections. No items, no
fences, no index: who holds an attempt and what is due is found by looking through the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade_flow import Event, RunState, StepState, project_run_state, project_step_state

SLUG = "orders"
ENDED = ("completed", "failed", "cancelled")
TERMINAL = ("WorkflowCompleted", "WorkflowFailed", "WorkflowCancelled")
_PLACE = {"timestamp_us", "event_id", "run_id"}


@dataclass
class CallerRun:
    """A run: what was told of it. `exists`: its id is taken; `spoken`: and by more than a reservation."""

    run_id: str
    exists: bool = False
    spoken: bool = False
    events: list[Any] = field(default_factory=list)

    # -- what was told --------------------------------------------------------------------------------------------

    def tell(self, kind: type[Event], at_us: int, **fields: Any) -> Event:
        """Add an event at its time, or as soon after as is free."""
        self.exists = self.spoken = True
        taken = {event.timestamp_us for event in self.events}
        while at_us in taken:
            at_us += 1
        event = kind(timestamp_us=at_us, workflow_slug=SLUG, run_id=self.run_id, **fields)
        self.events = sorted([*self.events, event], key=lambda each: each.timestamp_us)
        return event

    def take_over(self, events: Iterable[Any]) -> None:
        """Copies of another run's events, but of those that are here already, each of which counts once."""
        self.exists = True
        there: dict[int, Any] = {event.timestamp_us: (type(event), content_of(event)) for event in self.events}
        for event in [event for event in events if not _is_there(there, event)]:
            self.tell(type(event), event.timestamp_us, **content_of(event))

    def forget(self, events: Sequence[Any]) -> None:
        """What was told is not told any more."""
        gone = {event.timestamp_us for event in events}
        self.events = [event for event in self.events if event.timestamp_us not in gone]

    # -- what follows from it -------------------------------------------------------------------------------------

    @property
    def of_run(self) -> list[Any]:
        return [event for event in self.events if event.category == "workflow"]

    @property
    def by_step(self) -> dict[str, list[Any]]:
        """The steps' events, in the order in which the steps were first told of."""
        names = dict.fromkeys(event.step_id for event in self.events if event.category == "step")
        return {name: [e for e in self.events if e.category == "step" and e.step_id == name] for name in names}

    @property
    def state(self) -> RunState | None:
        """None until the run was submitted."""
        submitted = any(event.type == "RunSubmitted" for event in self.events)
        return project_run_state(self.of_run, SLUG) if submitted else None

    @property
    def status(self) -> str:
        return "reserved" if self.state is None else self.state.status

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def steps(self) -> dict[str, StepState]:
        return {name: project_step_state(events, SLUG) for name, events in self.by_step.items()}

    def attempt(self, name: str) -> int:
        """The step's current attempt."""
        step = self.steps.get(name)
        return 1 if step is None else step.attempt_number

    def starts(self, name: str) -> int:
        return sum(event.type == "StepStarted" for event in self.by_step.get(name, ()))

    def holds(self, name: str, attempt: int, worker: str | None = None) -> bool:
        """Whether this attempt is in somebody's hands (in this worker's, where it is named)."""
        step = self.steps.get(name)
        if self.ended or step is None or self._given_up(name):
            return False
        held = (step.status, step.attempt_number) == ("running", attempt)
        return held and worker in (None, step.claimed_by)

    def holds_or_awaits(self, name: str, attempt: int) -> bool:
        """The same, or nobody has begun it yet."""
        step = self.steps.get(name)
        nothing_yet = step is None or step.status == "pending"
        awaited = nothing_yet or (step is not None and (step.status, step.attempt_number) == ("scheduled", attempt))
        return (awaited and not self.ended) or self.holds(name, attempt)

    def claimable(self, name: str, now_us: int) -> bool:
        step = self.steps.get(name)
        return not self.ended and step is not None and step.status == "scheduled" and (step.available_at or 0) <= now_us

    def silent(self, threshold_us: int, now_us: int) -> list[tuple[str, int]]:
        """The steps whose workers were not heard of for longer, and when they were."""
        running = [(name, step) for name, step in self.steps.items() if step.status == "running" and not self.ended]
        seen = [(name, int(step.last_heartbeat or step.start_time or 0)) for name, step in running]
        return [(name, seen_us) for name, seen_us in seen if now_us - seen_us > threshold_us]

    def _given_up(self, name: str) -> bool:
        """Whether the current attempt failed or was reclaimed, and nothing has begun since."""
        lost, current = False, 1
        for event in self.by_step.get(name, ()):
            if event.type in ("StepScheduled", "StepStarted"):
                lost, current = False, event.attempt_number
            elif event.type in ("StepFailed", "StepReclaimed"):
                lost = lost or event.attempt_number >= current
            elif event.type in ("StepCompleted", "StepSkipped"):
                lost = False
        return lost


def content_of(event: Any) -> dict[str, Any]:
    """What an event says, without its place."""
    left_out = (*_PLACE, "category", "type", "workflow_slug")
    return {name: getattr(event, name) for name in type(event).model_fields if name not in left_out}


def _is_there(there: dict[int, Any], event: Any) -> bool:
    at_us = event.timestamp_us
    while at_us in there:
        if there[at_us] == (type(event), content_of(event)):
            there[at_us] = None
            return True
        at_us += 1
    return False
