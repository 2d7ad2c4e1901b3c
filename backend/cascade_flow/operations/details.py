"""What people look at: a run with every step of its graph, and the workflows there are. Read only; nothing is decided.

All that is said of a run is folded from one reading of its events, so that its parts agree with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cascade_flow.dynamodb.listing import START, Count, Filter, Place, Tally
from cascade_flow.dynamodb.registry import Entry, list_noted
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import ENDED
from cascade_flow.errors import StepNotFoundError, VersionNotFoundError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepCompleted,
    StepEvent,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetryStarted,
)
from cascade_flow.model.ids import check_step_id
from cascade_flow.model.states import LinkedRun, RunStatus, StepState
from cascade_flow.model.workflows import (
    ChildrenDefinition,
    EventDefinition,
    StepDefinition,
)
from cascade_flow.operations.attempts import Attempt, attempts_in
from cascade_flow.operations.history import EventDetails, Histories, RunHistory, StepLine, by_step
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.payloads import Handed, key_in_bucket
from cascade_flow.operations.runs import RunPart, Runs, linked, outline_of
from cascade_flow.operations.runtime import Runtime, no_run
from cascade_flow.operations.views import Views
from cascade_flow.operations.workflow_details import VersionDetails, WorkflowDetails
from cascade_flow.projection import project_run_state, project_step_state
from cascade_flow.records import dataclass, replace

Outside = Mapping[str, str]
"""Addresses of texts in the bucket, by the field that they belong to."""
_AT_ONCE = 100
_INPUT = ""
End = WorkflowCompleted | WorkflowFailed | WorkflowCancelled


@dataclass(frozen=True)
class OutsideDetails:
    """An event from outside: whether its run waits for it now, until when, and when it was sent."""

    declared: EventDefinition
    waits: bool
    until_us: int | None
    sent_us: int | None


@dataclass(frozen=True)
class FamilyDetails:
    """The runs that do a step's work; how many there are is known while it waits for them, else None."""

    declared: ChildrenDefinition
    items: int | None = None
    children: int = 0
    made: int = 0
    ended: int = 0
    lost: int = 0


@dataclass(frozen=True)
class StepDetails:
    """A step of the run's graph, where it stands, and the event that skipped it if one did.

    `postponed`: how often it said that it isn't ready; and what it said last, where it comes again after that.
    `waiting`: what it waits for, if that is a limit's.
    """

    definition: StepDefinition
    state: StepState
    skipped: StepSkipped | None
    event: OutsideDetails | None = None
    children: FamilyDetails | None = None
    postponed: tuple[int, str | None] | None = None
    waiting: Waiting | None = None


@dataclass(frozen=True)
class StepFiles:
    """All that is known of a step: where it stands, what it was given and gave, and each of its attempts.

    `given` are the run's input, by the name of no step, and the outputs of the steps that it depends on, as far as they
    are over; one that was skipped has none. What wasn't asked for is None.
    """

    step: StepDetails
    attempts: tuple[Attempt, ...]
    input: Handed | None
    given: Mapping[str, Handed]
    output: Handed | None


@dataclass(frozen=True)
class RunDetails:
    """A run, its steps in declared order, and the event that ended it if it is over.

    Without `has_payloads` its input and output were not asked for, and its steps where they are None. `outside` says
    where they lie in the bucket, if they do: what is there is not read. `undo_status` is that of what undoes it.
    """

    run: LinkedRun
    version_id: str
    steps: tuple[StepDetails, ...] | None
    end: End | None
    has_payloads: bool
    outside: Outside
    undo_status: RunStatus | None = None


class Details:
    """The details of what is in one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._histories = Histories(runtime)
        self._views = Views(runtime, self._histories)
        self._logs = Logs(runtime)
        self._runs = Runs(runtime)

    def run(self, run_id: str, *, payloads: bool = True, steps: bool = True) -> RunDetails:
        """A run, without its input and output where no `payloads` are wanted, and without its steps likewise.

        Raises RunNotFoundError, InvalidIdError.
        """
        story = self._submitted(run_id)
        wanted = [event for event in story.events if isinstance(event, RunSubmitted | WorkflowCompleted)]
        told = list(self._told(story, wanted)) if payloads else []
        known = {each.event.timestamp_us: each.event for each in told}
        events = [known.get(event.timestamp_us, event) for event in story.events]
        outside = {name: address for each in told for name, address in each.outside.items()}
        state = linked(project_run_state(events, story.run.workflow_slug), story.run)
        told_of, undo = self._steps(story) if steps else None, self._undo_status(state)
        return RunDetails(state, story.run.version_id, told_of, _end(events), payloads, outside, undo)

    def steps(self, run_id: str) -> tuple[StepDetails, ...]:
        """A run's steps, in declared order. Raises RunNotFoundError, InvalidIdError."""
        return self._steps(self._submitted(run_id))

    def step(self, run_id: str, step_id: str, *, payloads: bool = True) -> StepFiles:
        """A step; without input and output where no `payloads` are wanted.

        Raises RunNotFoundError, StepNotFoundError, InvalidIdError.
        """
        story = self._submitted(run_id)
        events = by_step(story.events)
        if step_id not in story.steps:
            _none_of(story, check_step_id(step_id))
        mine = events.get(step_id, [])
        step = _step(story, story.steps[step_id], mine)
        handed = self._handed(story, [step_id, *step.definition.dependencies]) if payloads else {}
        given = {name: handed[name] for name in step.definition.dependencies if name in handed}
        return StepFiles(step, tuple(attempts_in(mine)), handed.get(_INPUT), given, handed.get(step_id))

    def runs(
        self, workflow_slug: str | None, wanted: Filter, *, limit: int, after: Place = START, offset: int = 0
    ) -> RunPart:
        """The next runs behind a place, newest first. Raises WorkflowNotFoundError, ArgumentInvalidError."""
        return self._runs.part(workflow_slug, wanted, limit=limit, after=after, offset=offset)

    def counted(
        self, workflow_slug: str | None, wanted: Filter, *, total: bool, by_status: bool
    ) -> tuple[Count | None, Tally | None]:
        """How many runs there are, in all and by status, as far as that is wanted and anybody counts."""
        count = self._runs.count(workflow_slug, wanted) if total else None
        return count, self._runs.tally(workflow_slug, wanted) if by_status else None

    def brief(self, run_id: str) -> LinkedRun:
        """A run's state without its input, from its own item. Raises RunNotFoundError, InvalidIdError."""
        return outline_of(self._runtime.submitted(run_id))

    def events(
        self,
        run_id: str,
        *,
        step_id: str | None = None,
        types: Sequence[str] | None = None,
        after_us: int = 0,
        payloads: bool = True,
    ) -> Iterator[EventDetails]:
        """A run's later events that pass the filter, in order; their texts, if wanted, are read as somebody iterates.

        Raises RunNotFoundError, StepNotFoundError.
        """
        story = self._outline(run_id)
        found = self._views.among(story, step_id=step_id, types=types) or _none_of(story, step_id)
        later = [event for event in found if event.timestamp_us > after_us]
        return (
            self._told(story, later) if payloads else (EventDetails(event, {}, has_payloads=False) for event in later)
        )

    def logs(self, run_id: str, *, step_id: str | None, attempt: int | None) -> list[StepLine]:
        """A run's log lines, in order; raises RunNotFoundError, StepNotFoundError."""
        story = self._outline(run_id)
        return self._logs.of(story, step_id, attempt) or _none_of(story, step_id)

    def workflows(self) -> list[Entry]:
        """The workflows that can be run, by slug: one query."""
        return self._runtime.registry.runnable()

    def workflow(self, slug: str) -> WorkflowDetails:
        """Raises WorkflowNotFoundError, naming what there is."""
        entry = self._runtime.registry.current(slug)
        versions, notes = list_noted(self._runtime.ledger.table, slug)
        return WorkflowDetails(entry, tuple(versions), notes)

    def version(self, slug: str, version_id: str) -> VersionDetails:
        """Raises WorkflowNotFoundError, VersionNotFoundError."""
        workflow = self.workflow(slug)
        found = workflow.version(version_id)
        if found is None:
            known = ", ".join(version.version_id for version in workflow.versions)
            raise VersionNotFoundError(f"workflow {slug!r} has no version {version_id!r}; it has {known}")
        return found

    def _undo_status(self, run: LinkedRun) -> RunStatus | None:
        return None if run.undone_by is None else self.brief(run.undone_by).status

    def _steps(self, story: RunHistory) -> tuple[StepDetails, ...]:
        """With what limited steps wait for: that is read for these alone."""
        steps = _steps(story)
        waiting = [each for each in story.branches.values() if each.status == "scheduled" and each.limit is not None]
        if not waiting or story.run.status in ENDED:
            return steps
        from cascade_flow.operations.limit_views import LimitViews  # noqa: PLC0415  (most workflows have no limit)

        told = LimitViews(self._runtime).waits(story.run.run_id, waiting)
        by_step = {branch.step: told.get(branch.name) for branch in waiting}
        return tuple(replace(step, waiting=by_step.get(step.definition.id)) for step in steps)

    def _outline(self, run_id: str) -> RunHistory:
        story = self._histories.outline(run_id)
        if story is None:
            raise no_run(run_id)
        return story

    def _submitted(self, run_id: str) -> RunHistory:
        story = self._outline(run_id)
        if story.run.status == "reserved":
            raise no_run(run_id)
        return story

    def _handed(self, story: RunHistory, steps: Sequence[str]) -> dict[str, Handed]:
        """The run's input, and what these steps have given, by step."""
        wanted: dict[str, Event] = {}
        for event in story.events:
            if isinstance(event, RunSubmitted):
                wanted[_INPUT] = event
            elif isinstance(event, StepCompleted | StepSkipped) and event.step_id in steps:
                wanted[event.step_id] = event
        told = self._told(story, list(wanted.values()))
        return {name: _handed(each) for name, each in zip(wanted, told, strict=True)}

    def _told(self, story: RunHistory, events: Sequence[Event]) -> Iterator[EventDetails]:
        for start in range(0, len(events), _AT_ONCE):
            for event in self._histories.whole(story, events[start : start + _AT_ONCE], bucket=False):
                places = story.aside.get(event.timestamp_us, {})
                keys = {name: key_in_bucket(place) for name, place in places.items()}
                addresses = {name: self._runtime.payloads.address(key) for name, key in keys.items() if key}
                yield EventDetails(event, addresses)


def _handed(told: EventDetails) -> Handed:
    event = told.event
    text = event.input if isinstance(event, RunSubmitted) else getattr(event, "output", None)
    address = next(iter(told.outside.values()), None)
    return Handed(address=address) if address else Handed(text)


def _none_of(story: RunHistory, step_id: str | None) -> list[Any]:
    """Nothing, of a step that is there. Raises StepNotFoundError."""
    if step_id is not None and step_id not in story.steps:
        known = ", ".join(story.steps)
        raise StepNotFoundError(f"run {story.run.run_id!r} has no step {step_id!r}; its steps are {known}")
    return []


def _steps(story: RunHistory) -> tuple[StepDetails, ...]:
    events = by_step(story.events)
    return tuple(_step(story, step, events.get(step.id, [])) for step in story.steps.values())


def _step(story: RunHistory, step: StepDefinition, mine: Sequence[StepEvent]) -> StepDetails:
    skips = [event for event in mine if isinstance(event, StepSkipped)]
    state = project_step_state(mine, story.run.workflow_slug) if mine else _pending(story, step)
    skipped = skips[-1] if skips and state.status == "skipped" else None
    laters = None if step.children else _postponed(state, mine)  # whoever waits for children was ready
    return StepDetails(step, state, skipped, _outside(story, step), _family(story, step), laters)


def _family(story: RunHistory, step: StepDefinition) -> FamilyDetails | None:
    if step.children is None:
        return None
    branch = next((each for each in story.branches.values() if each.step == step.id), None)
    if branch is None or branch.status == "ended" or (family := branch.family) is None:
        return FamilyDetails(step.children)
    out = sum(last - first + 1 for first, last in family.out)
    ended = min(family.made, max(family.made - out, branch.arrived))
    return FamilyDetails(step.children, family.items, family.children, family.made, ended, family.lost)


def _outside(story: RunHistory, step: StepDefinition) -> OutsideDetails | None:
    if step.event is None:
        return None
    run, branch = story.run, story.branches.get(step.id)
    begun = run.status == "running" and run.stop is None and (branch is None or branch.status == "open")
    waits = begun and all(_is_over(story, dependency) for dependency in step.dependencies)
    patience = None if branch is None else branch.patience
    noted = patience is not None and patience.run_attempt == run.run_attempt
    until_us = patience.until_us if patience and noted else run.deadline_us
    sent_us = branch.signal.at_us if branch and branch.signal else None
    return OutsideDetails(step.event, waits, until_us if waits else None, sent_us)


def _is_over(story: RunHistory, step_id: str) -> bool:
    """Whether a step has completed or was skipped, so far as the events that were read tell."""
    return any(isinstance(event, StepCompleted | StepSkipped) and event.step_id == step_id for event in story.events)


def _postponed(state: StepState, mine: Sequence[StepEvent]) -> tuple[int, str | None] | None:
    attempts = attempts_in(mine)
    laters = sum(attempt.status == "postponed" for attempt in attempts)
    return (laters, attempts[-1].reason if state.status == "scheduled" else None) if laters else None


def _pending(story: RunHistory, step: StepDefinition) -> StepState:
    return StepState(
        step_id=step.id,
        run_id=story.run.run_id,
        workflow_slug=story.run.workflow_slug,
        status="pending",
        attempt_number=1,
        dependencies=step.dependencies,
        state_changes=[],
    )


def _end(events: Iterable[Event]) -> End | None:
    """How the run's newest attempt ended."""
    end: End | None = None
    for event in events:
        if isinstance(event, WorkflowRetryStarted):
            end = None
        elif isinstance(event, End):
            end = event
    return end
