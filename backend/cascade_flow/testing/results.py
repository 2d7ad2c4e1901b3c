"""What a test reads of a run: its status, its output, its steps with their attempts, its logs and events.

A result is a view: it shows the run as it is when it is asked, so one that was submitted earlier shows what has become
of it. All of it is folded from the run's events, wherever they come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from cascade_flow.authoring import Step, Workflow
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.payloads import Payload
from cascade_flow.errors import DefinitionError
from cascade_flow.model.events import (
    Event,
    RunSubmitted,
    StepCheckpoint,
    StepCheckpointFailed,
    StepCompleted,
    StepEvent,
    StepScheduled,
    StepSkipped,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetryStarted,
)
from cascade_flow.model.parts import StepError
from cascade_flow.model.states import RunStatus, StepStatus
from cascade_flow.projection import project_run_state, project_step_state
from cascade_flow.testing.attempts import Attempt, attempts_of
from cascade_flow.testing.inside import Workflows, known_by
from cascade_flow.testing.places import Place, Story
from cascade_flow.testing.stage import Raised


class UnexpectedEnd(AssertionError):
    """A run or a step has not come to what the test asks for; the message says why, with the step's traceback."""


@dataclass(frozen=True)
class Inside:
    """The way to the runs that do a run's steps."""

    place: Place
    run_id: str
    known: Workflows

    def children(self, step_id: str) -> list[str]:
        return self.place.children(self.run_id, step_id)

    def result(self, slug: str, run_id: str) -> Result:
        return Result(self.place, known_by(self.known, slug), run_id, self.known)


class StepResult:
    """What has become of one step."""

    def __init__(self, workflow: Workflow, story: Story, step_id: str, inside: Inside) -> None:
        self.step_id = step_id
        self._workflow = workflow
        self._inside = inside
        self._story = story
        self._events = [e for e in story.events if isinstance(e, StepEvent) and e.step_id == step_id]

    @property
    def status(self) -> StepStatus:
        return project_step_state(self._events, self._workflow.slug).status if self._events else "pending"

    @property
    def output(self) -> Any:
        """What the step returned, as its type; raises UnexpectedEnd where it has not completed."""
        __tracebackhide__ = True
        completed = self._last(StepCompleted)
        if self.status != "completed" or completed is None:
            raise unexpected(f"step {self.step_id!r} is {self.status}, and so has no output", [self])
        return self._payload.load(completed.output, f"step {self.step_id!r}")

    @property
    def items(self) -> Sequence[ItemResult]:
        """Of a map: what has become of each of its items, in order, so far as they have begun."""
        children = self._workflow.definition().steps[self.step_id].definition.children
        if children is None or children.kind != "map":
            raise DefinitionError(f"step {self.step_id!r} is no map: it has no items")
        return items(self._workflow, self.step_id, self._inside)

    @property
    def run(self) -> Result:
        """Of a sub-workflow: its run. Raises UnexpectedEnd where that has not begun."""
        children = self._workflow.definition().steps[self.step_id].definition.children
        if children is None or children.workflow is None:
            raise DefinitionError(f"step {self.step_id!r} is no sub-workflow: it has no run of its own")
        if not (begun := self._inside.children(self.step_id)):
            raise unexpected(f"step {self.step_id!r} is {self.status}, and its run has not begun", [self])
        return self._inside.result(children.workflow, begun[0])

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Those that were begun, in order; of a step that was kept from another run, those of that run."""
        lines = [line for line in self._story.lines if line.step_id == self.step_id]
        return attempts_of(self._events, lines)

    @property
    def error(self) -> StepError | None:
        """Why its last attempt failed: `name`, `message`, `stack`; None where it did not."""
        return self.attempts[-1].error if self.attempts else None

    @property
    def skipped(self) -> str | None:
        """Why it was skipped; None where it was not."""
        skipped = self._last(StepSkipped)
        return skipped.reason if skipped is not None and self.status == "skipped" else None

    @property
    def raised(self) -> Raised | None:
        """What the code of its last attempt raised, itself: known in the process that ran it."""
        known = self._story.raised or {}
        return known.get((self.step_id, self.attempts[-1].number)) if self.attempts else None

    @property
    def stack(self) -> str | None:
        """Where in its own code its last attempt failed; None where that is not known, or was not there."""
        in_its_code = self._story.raised is None or self.raised is not None
        return self.error.stack if self.error is not None and in_its_code else None

    def __repr__(self) -> str:
        tried = f", {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        return f"<step {self.step_id!r}: {self.status}{tried}{self._why()}>"

    @property
    def _payload(self) -> Payload:
        return self._workflow.definition().codes[self.step_id].gives

    def _why(self) -> str:
        if self.skipped is not None:
            return f", {self.skipped}"
        return f", {told(self.error)}" if self.error is not None else ""

    def _last(self, kind: type[Any]) -> Any:
        return next((each for each in reversed(self._events) if isinstance(each, kind)), None)


class ItemResult(StepResult):
    """What has become of one item of a map; `run_id` is the run that does it."""

    def __init__(self, workflow: Workflow, run_id: str, step_id: str, inside: Inside) -> None:
        super().__init__(workflow, inside.place.story(run_id), step_id, inside)
        self.run_id = run_id

    def logs(self, attempt: int | None = None) -> str:
        """What was written and logged for it, one line each."""
        return "\n".join(line.message for line in self._story.lines if attempt in (None, line.attempt))

    @property
    def _payload(self) -> Payload:
        return self._workflow.definition().steps[self.step_id].output


class BatchedItem(ItemResult):
    """One of several that a worker does in a row: they have their attempts and their logs in common."""

    def __init__(self, workflow: Workflow, run_id: str, step_id: str, inside: Inside, place: int) -> None:
        super().__init__(workflow, run_id, step_id, inside)
        self._place = place

    @property
    def status(self) -> StepStatus:
        return "completed" if self._kept is not None else super().status

    @property
    def output(self) -> Any:
        """What the step returned for it, as its type; raises UnexpectedEnd where it has not completed."""
        __tracebackhide__ = True
        if (kept := self._kept) is None:
            raise unexpected(f"an item of step {self.step_id!r} is {self.status}, and so has no output", [self])
        return self._payload.load(kept.data, f"an item of step {self.step_id!r}")

    @property
    def error(self) -> StepError | None:
        """Why its last attempt failed: `name`, `message`, `stack`; None where it did not."""
        failed = [each for each in self._events if isinstance(each, StepCheckpointFailed) and self._is_mine(each)]
        return failed[-1].error if failed and self._kept is None else None

    @property
    def _kept(self) -> StepCheckpoint | None:
        kept = [each for each in self._events if isinstance(each, StepCheckpoint) and self._is_mine(each)]
        return kept[-1] if kept else None

    def _is_mine(self, event: StepCheckpoint | StepCheckpointFailed) -> bool:
        is_items = event.parent_checkpoint is None and event.name == "item"
        return is_items and event.sequence_number == self._place


def items(workflow: Workflow, step_id: str, inside: Inside) -> list[ItemResult]:
    """Those of a map, in order."""
    return [item for run_id in inside.children(step_id) for item in _items_of(workflow, run_id, step_id, inside)]


def _items_of(workflow: Workflow, run_id: str, step_id: str, inside: Inside) -> Iterator[ItemResult]:
    children = workflow.definition().steps[step_id].definition.children
    assert children is not None, f"{step_id} is no map"
    if children.batch == 1:
        yield ItemResult(workflow, run_id, step_id, inside)
    else:
        for place in range(_size(inside.place.story(run_id))):
            yield BatchedItem(workflow, run_id, step_id, inside, place)


def _size(story: Story) -> int:
    """How many items are in a batch."""
    submitted = next(event for event in story.events if isinstance(event, RunSubmitted))
    return len(json.loads(submitted.input or "[]"))


class Steps(Mapping[str, StepResult]):
    """The steps of a run, in declared order, by id or by their names as parameters; of one that undoes another the
    undos, as they come.
    """

    def __init__(self, workflow: Workflow, story: Story, inside: Inside, *, undoes: bool = False) -> None:
        known = _undos(workflow, story) if undoes else workflow.definition().steps
        self._found = {step_id: StepResult(workflow, story, step_id, inside) for step_id in known}
        self._names = Names({step_id: step.function for step_id, step in known.items()})

    def __getitem__(self, reference: str) -> StepResult:
        try:
            return self._found[self._names.meant(reference)]
        except DefinitionError as error:
            raise KeyError(str(error)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(list(self._found.values()))


def _undos(workflow: Workflow, story: Story) -> Mapping[str, Step]:
    """What undoes the workflow's steps: first those that were reached, in their order."""
    undos = {step.undo.id: step.undo for step in workflow.definition().steps.values() if step.undo is not None}
    reached = dict.fromkeys(event.step_id for event in story.events if isinstance(event, StepScheduled))
    return {step_id: undos[step_id] for step_id in dict.fromkeys([*reached, *undos])}


class Status(str):
    """A run's status, which knows what to say where a test expects another."""

    told_to_pytest: Callable[[], str]

    def __new__(cls, status: str, told_to_pytest: Callable[[], str]) -> Self:
        made = super().__new__(cls, status)
        made.told_to_pytest = told_to_pytest
        return made


class Result:
    """A run, as a test looks at it."""

    def __init__(
        self,
        place: Place,
        workflow: Workflow,
        run_id: str,
        known: Workflows | None = None,
        *,
        undoes: bool = False,
    ) -> None:
        self.run_id = run_id
        self.workflow = workflow
        self._place = place
        self._known = known or {}
        self._undoes = undoes

    @property
    def status(self) -> Status:
        """pending, running, completed, failed or cancelled."""
        return Status(project_run_state(self.events, self.workflow.slug).status, lambda: str(self._told()))

    @property
    def output(self) -> dict[str, Any]:
        """What the exported steps returned, each as its type, by step; raises UnexpectedEnd where the run failed."""
        __tracebackhide__ = True
        self.check("completed")
        completed = next(each for each in reversed(self.events) if isinstance(each, WorkflowCompleted))
        return {step_id: self.steps[step_id].output for step_id in json.loads(completed.output or "{}")}

    @property
    def error(self) -> StepError | None:
        """Why the run failed: `name`, `message`, `stack`; None where it did not."""
        failed = self._failure()
        return None if failed is None else failed.error

    @property
    def steps(self) -> Steps:
        inside = Inside(self._place, self.run_id, self._known)
        return Steps(self.workflow, self._story(), inside, undoes=self._undoes)

    @property
    def undone(self) -> Result | None:
        """The run that undoes what this one has done, since it failed or was cancelled, when it has ended; None where
        this one did nothing that can be undone. Its steps are the undos, in the order in which they are called.
        """
        if (run_id := self._story().undone_by) is None:
            return None
        self._place.settle([run_id])
        return Result(self._place, self.workflow, run_id, self._known, undoes=True)

    @property
    def events(self) -> list[Event]:
        """All that happened, in order, but log lines."""
        return list(self._story().events)

    def logs(self, step: str | None = None, *, attempt: int | None = None) -> str:
        """What was written and logged, one line each: of the run, of a step, or of an attempt of it."""
        step_id = None if step is None else self.steps[step].step_id
        lines = [each for each in self._story().lines if step_id in (None, each.step_id)]
        return "\n".join(line.message for line in lines if attempt in (None, line.attempt))

    def check(self, expected: RunStatus) -> None:
        """Raises UnexpectedEnd, with the failed step's traceback, where the run has another status."""
        __tracebackhide__ = True
        if self.status != expected:
            raise self._told(f" is {self.status}, not {expected}")

    def __repr__(self) -> str:
        failed = self._failure()
        why = f": {_step_of(failed)}{told(failed.error)}" if failed is not None else ""
        steps = ", ".join(f"{step_id} {step.status}" for step_id, step in self.steps.items())
        return f"<run of {self.workflow.slug} {self.status}{why} | {steps}>"

    def _told(self, what: str = "") -> UnexpectedEnd:
        return unexpected(f"{self!r}{what}", [step for step in self.steps.values() if step.error is not None])

    def _failure(self) -> WorkflowFailed | None:
        """Why the run's newest attempt failed, if it did."""
        for event in reversed(self.events):
            if isinstance(event, WorkflowFailed | WorkflowRetryStarted | WorkflowCompleted):
                return event if isinstance(event, WorkflowFailed) else None
        return None

    def _story(self) -> Story:
        """What has happened until now."""
        return self._place.story(self.run_id)


def unexpected(what: str, failed: list[StepResult]) -> UnexpectedEnd:
    """The error, with what is known of these steps' failures: their tracebacks, and what was raised as its cause."""
    steps = [f"{step!r}\n{step.stack or ''}".rstrip() for step in failed if step.error is not None]
    error = UnexpectedEnd("\n\n".join([what, *steps]))
    for raised in [step.raised for step in failed if step.raised is not None]:
        error.__cause__ = raised.error.with_traceback(raised.traceback)
    return error


def told(error: StepError | None) -> str:
    """An error on one line."""
    return "" if error is None else f"{error.name}: {error.message}".replace("\n", " ")


def _step_of(failed: WorkflowFailed) -> str:
    return f"step {failed.failed_step!r}: " if failed.failed_step else ""
