"""What a step is whose work children do: it hands its items out and waits, again in each attempt of its run. Pure.

What becomes of it when somebody looks is `engine/children`.
"""

from __future__ import annotations

from typing import Any

from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Branch, Commit, Facts, Family
from cascade_flow.model.events import StepScheduled, StepStarted
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.records import dataclass, replace

_TELLING = "children"
"""Whose attempt it is that a retry of the run begins: no worker's."""


@dataclass(frozen=True)
class Expand:
    """The step knows its items, and waits for those who do them."""

    family: Family

    def judged(self, facts: Facts, branch: Branch, writer: EventWriter) -> Commit:
        """Waiting, and to be looked at soon."""
        writer.take_in(branch)
        return Commit(branch, _waiting(facts, branch, self.family, writer), tuple(writer.events))


def revived(facts: Facts, branch: Branch, writer: EventWriter) -> Branch:
    """A step that waits for its children again, in the run's next attempt: whoever releases them revives them."""
    again = replace(family_of(branch), made=0, lost=0, out=())
    if branch.status == "failed":
        branch = _begun_again(facts, branch, writer)
    return _waiting(facts, branch, again, writer)


def family_of(step: Branch) -> Family:
    """The children that do a step's work."""
    assert step.family is not None, f"{step.step} has handed nothing out"
    return step.family


def definition_of(facts: Facts, step: Branch) -> ChildrenDefinition:
    """Who does the step's work."""
    definition = facts.graph.step(step.step).children
    assert definition is not None, f"{step.step} has no children"
    return definition


def _waiting(facts: Facts, branch: Branch, family: Family, writer: EventWriter) -> Branch:
    free = branch.released(last_us=writer.last_us)
    return replace(free, status="waiting", family=family, arrived=0, due_us=writer.now_us + facts.timing.grace_us)


def _begun_again(facts: Facts, branch: Branch, writer: EventWriter) -> Branch:
    """What has failed is told as failed: what it does now is another attempt."""
    attempt = branch.attempt + 1
    told: dict[str, Any] = {"step_id": branch.step, "attempt_number": attempt}
    writer.write(StepScheduled, available_at_us=writer.now_us, reason="retry", priority=branch.priority, **told)
    writer.write(StepStarted, worker_id=_TELLING, dependencies=[*facts.graph.step(branch.step).dependencies], **told)
    return replace(branch, attempt=attempt, attempts_before=branch.attempt)
