"""Runs that somebody else's engine drives: what is stored of them is the fold of their events, and nothing follows.

Pure: a step or a run and an event in, the step or the run after it out; and what a writer must hold to say something.
No graph is known here, and no rule of what should happen next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import reduce
from math import ceil
from typing import Any, cast

from cascade_flow.engine.state import ENDED, LATEST_US, Run, RunStatus, within_time
from cascade_flow.errors import EventInvalidError, StaleAttemptError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepEvent,
    StepFailed,
    StepReclaimed,
    StepStarted,
    WorkflowEvent,
    make_event,
)
from cascade_flow.model.states import RunState, RunStatus as RunStateStatus, StepState
from cascade_flow.projection import evolve_run, evolve_step, project_run_state
from cascade_flow.records import dataclass, replace

UNSPOKEN = 1
"""The fence of a run of which nothing was said: its id is taken, and that is all."""
_UNKNOWN_VERSION = "unknown"


@dataclass(frozen=True)
class CallerStep:
    """A step as stored: its state without output and diary, which history holds.

    `starts` counts its StepStarted; `given_up`: its current attempt has failed or was reclaimed, so nobody holds it.
    `seq` is the fence: it rises with every event.
    """

    state: StepState
    starts: int = 0
    given_up: bool = False
    last_us: int = 0
    seq: int = 0

    @property
    def live(self) -> bool:
        """Whether somebody works on it, or should."""
        return self.state.status in ("scheduled", "running")

    @property
    def last_seen_us(self) -> int:
        """When the worker of a running step was last heard of."""
        return ceil(self.state.last_heartbeat or self.state.start_time or 0)


@dataclass(frozen=True)
class Known:
    """What a writer knows: the run and the step that it writes about (None: there is none), or all steps."""

    slug: str
    run_id: str
    run: Run | None
    step: CallerStep | None = None
    steps: Mapping[str, CallerStep] = field(default_factory=dict)

    def known(self, step_id: str) -> CallerStep | None:
        """What is known of a step."""
        return self.step if self.step is not None and self.step.state.step_id == step_id else self.steps.get(step_id)

    @property
    def last_us(self) -> int:
        """The newest time of all that is known."""
        known = [step.last_us for step in (self.step, *self.steps.values()) if step is not None]
        return max([*known, 0 if self.run is None else self.run.last_us])


@dataclass(frozen=True)
class Draft:
    """An event without its place: its kind, what it says, and the time where one is given."""

    kind: type[Event]
    fields: Mapping[str, Any]
    at_us: int | None = None


Judge = Callable[[Known], Sequence[Draft]]
"""Looks at what is known and says what is to be written; nothing, or an error, where the writer comes too late."""


def draft(kind: type[Event], **fields: Any) -> Draft:
    """An event to be written now."""
    return Draft(kind, fields)


def redraft(event: Event) -> Draft:
    """An event to be written at its own time, where that is free. EventInvalidError for a time no key can hold."""
    at_us = ceil(event.timestamp_us)
    if not 0 <= at_us <= LATEST_US:
        raise EventInvalidError(f"timestampUs {at_us} is no time in microseconds since 1970: mend the event's time")
    fields = {name: getattr(event, name) for name in type(event).model_fields if name not in _PLACE}
    return Draft(type(event), fields, at_us)


def placed(known_run: Known, drafts: Iterable[Draft], *, now_us: int, taken: frozenset[int]) -> tuple[Event, ...]:
    """The drafts as events, each at a time of its own; raises EventInvalidError, naming every field."""
    events: list[Event] = []
    after_us = known_run.last_us
    for each in drafts:
        time_us = max(now_us, after_us + 1) if each.at_us is None else each.at_us
        while time_us in taken or any(time_us == event.timestamp_us for event in events):
            time_us += 1
        place = {"timestamp_us": time_us, "workflow_slug": known_run.slug, "run_id": known_run.run_id}
        events.append(make_event(each.kind, **place, **each.fields))
        after_us = max(after_us, time_us)
    return tuple(events)


# -- folds --------------------------------------------------------------------------------------------------------


def advance_step(step: CallerStep | None, event: StepEvent) -> CallerStep:
    """A step after a later event."""
    state = evolve_step(None if step is None else step.state, event)
    return CallerStep(
        state=state.model_copy(update={"output": None, "state_changes": []}),
        starts=(0 if step is None else step.starts) + isinstance(event, StepStarted),
        given_up=_given_up(step, event),
        last_us=int(event.timestamp_us),
        seq=int(event.timestamp_us) if step is None else step.seq + 1,
    )


def fold_step(events: Iterable[StepEvent], before: CallerStep | None = None) -> CallerStep | None:
    """A step after all of its events, in order; its fence goes on from `before`, as which it is stored."""
    folded: CallerStep | None = reduce(advance_step, events, cast(CallerStep | None, None))
    return folded if folded is None or before is None else replace(folded, seq=before.seq + 1)


def advance_run(run: Run, event: WorkflowEvent) -> Run:
    """A run after a later event; before its submission there is no state that an event could change."""
    moved = replace(run, last_us=int(event.timestamp_us), seq=run.seq + 1)
    if run.status != "reserved":
        return _told(moved, evolve_run(_state_of(run), event))
    return _submitted(moved, event, evolve_run(None, event)) if isinstance(event, RunSubmitted) else moved


def fold_run(run: Run, events: Sequence[WorkflowEvent]) -> Run:
    """A run after all of its workflow events, in order."""
    last_us = int(events[-1].timestamp_us) if events else 0
    moved = replace(run, last_us=last_us, seq=run.seq + 1)
    submitted = next((event for event in events if isinstance(event, RunSubmitted)), None)
    if submitted is None:
        return moved
    return _submitted(moved, submitted, project_run_state(events, run.workflow_slug))


def spoken_of(run: Run) -> Run:
    """A run of which something was said, be it of a step only: from then on its id is no copy's to take."""
    return run if run.seq > UNSPOKEN else replace(run, seq=run.seq + 1)


def reserved(slug: str, run_id: str, *, now_us: int, longest_us: int, retention_us: int) -> Run:
    """A run's id that is taken, and nothing more; how long it is kept is fixed here, since nobody here ends it."""
    deadline_us = now_us + longest_us
    return Run(
        run_id=run_id,
        workflow_slug=slug,
        version_id=_UNKNOWN_VERSION,
        status="reserved",
        created_us=now_us,
        available_at_us=now_us,
        deadline_us=deadline_us,
        expires_s=(deadline_us + retention_us) // 1_000_000,
        driver="caller",
        seq=UNSPOKEN,
    )


def _submitted(run: Run, event: RunSubmitted, state: RunState) -> Run:
    submitted = replace(
        run,
        version_id=event.version_id,
        created_us=int(event.timestamp_us),
        available_at_us=within_time(ceil(event.available_at_us)),
        priority=event.priority,
        tags=tuple(event.tags or ()),
    )
    return _told(submitted, state)


def _told(run: Run, state: RunState) -> Run:
    """The run with what its events have told: its place in the index follows, and `reviving` says that its live steps
    are to come back there.
    """
    completed_us = None if state.completed_at is None else int(state.completed_at)
    goes_on = state.status not in ENDED
    return replace(
        run,
        status=cast(RunStatus, state.status),
        run_attempt=state.workflow_attempt_number or 1,
        started_at_us=None if state.started_at is None else int(state.started_at),
        completed_at_us=completed_us,
        due_us=run.created_us if goes_on else completed_us,
        reviving=goes_on and (run.reviving or run.status in ENDED),
    )


def _state_of(run: Run) -> RunState:
    """What of a run's state its events can change."""
    return RunState(
        run_id=run.run_id,
        workflow_slug=run.workflow_slug,
        status=cast(RunStateStatus, run.status),
        available_at=run.available_at_us,
        priority=run.priority,
        workflow_attempt_number=run.run_attempt,
        created_at=run.created_us,
        started_at=run.started_at_us,
        completed_at=run.completed_at_us,
    )


def _given_up(step: CallerStep | None, event: StepEvent) -> bool:
    given_up = step is not None and step.given_up
    if isinstance(event, StepFailed | StepReclaimed):
        current = 1 if step is None else step.state.attempt_number
        return given_up or event.attempt_number >= current
    return given_up and event.type not in ("StepScheduled", "StepStarted", "StepCompleted", "StepSkipped")


# -- fences -------------------------------------------------------------------------------------------------------


def must_go_on(known_run: Known) -> None:
    """Raises StaleAttemptError where the run has ended: nothing but an explicit retry moves it."""
    if known_run.run is not None and known_run.run.status in ENDED:
        raise StaleAttemptError(
            f"run {known_run.run_id!r} has {known_run.run.status} already, so nothing was stored: stop the work, or "
            "let save_workflow_retry_started begin another attempt of the run",
            now=known_run.run.status,
        )


def must_hold(known_run: Known, attempt: int, *, worker: str | None = None) -> StepState:
    """The state of a step whose attempt is held (by this worker, where it is named); else StaleAttemptError."""
    must_go_on(known_run)
    step = known_run.step
    if step is None or step.state.status != "running" or step.given_up or step.state.attempt_number != attempt:
        raise _stale(known_run, attempt)
    if worker not in (None, step.state.claimed_by):
        raise _stale(known_run, attempt)
    return step.state


def must_hold_or_await(known_run: Known, attempt: int) -> None:
    """Also an attempt that nobody has begun can be skipped or fail for good; else StaleAttemptError."""
    state = None if known_run.step is None else known_run.step.state
    if state is None or state.status == "pending" or (state.status, state.attempt_number) == ("scheduled", attempt):
        must_go_on(known_run)
    else:
        must_hold(known_run, attempt)


def _stale(known_run: Known, attempt: int) -> StaleAttemptError:
    if known_run.step is None:
        return StaleAttemptError(f"attempt {attempt} is held by nobody: the step was never scheduled", now="pending")
    state = known_run.step.state
    whose = f" of {state.claimed_by}" if state.claimed_by else ""
    lost = ", which was given up" if known_run.step.given_up else ""
    return StaleAttemptError(
        f"attempt {attempt} of step {state.step_id!r} is no longer held: the step is {state.status}, attempt "
        f"{state.attempt_number}{whose}{lost}. Stop the work, nothing of it was stored",
        now=state.status,
        attempt_number=state.attempt_number,
    )


_PLACE = ("timestamp_us", "event_id", "workflow_slug", "run_id", "category", "type")
