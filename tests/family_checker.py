"""What is promised of parents and children (protocol.md §14): judged on what is stored, as `checker` judges a run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cascade_flow import (
    ChildrenDefinition,
    StepCompleted,
    StepDefinition,
    StepFailed,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)
from cascade_flow.backend import Backend
from cascade_flow.engine.state import ENDED, Branch, Family, Run
from cascade_flow.model.ids import child_id
from cascade_flow.operations.failed_items import FAILED
from checker import Checked, check_run

_ENDS = (WorkflowCompleted, WorkflowFailed, WorkflowCancelled)
_SPREAD_US = 1_000
"""By how much times of two runs may differ that follow each other: an event's is a little later than the clock's."""


@dataclass(frozen=True)
class Kin:
    """A step of a run, and those who do its work; `family` is what its branch knows of them, until it goes on."""

    parent: Checked
    step: StepDefinition
    branch: Branch | None
    children: Mapping[int, Checked]

    @property
    def family(self) -> Family | None:
        return self.branch.family if self.branch is not None and self.branch.step == self.step.id else None

    @property
    def runs(self) -> Mapping[int, Run]:
        return {number: child.story.run for number, child in self.children.items()}

    @property
    def definition(self) -> ChildrenDefinition:
        assert self.step.children is not None
        return self.step.children

    @property
    def output(self) -> StepCompleted | None:
        """What the step has given, if it has."""
        return next((event for event in self.ends if isinstance(event, StepCompleted)), None)

    @property
    def ends(self) -> list[StepCompleted | StepSkipped | StepFailed]:
        """How the step's attempts have ended; of one that collects, whoever is no worker of ours may have said so."""
        ends = [e for e in self.parent.story.events if isinstance(e, StepCompleted | StepSkipped | StepFailed)]
        return [event for event in ends if event.step_id == self.step.id]


def check_families(backend: Backend, parent: Checked, stored: Collection[str], *, skew_us: int = 0) -> list[Checked]:
    """Assert what is promised of a run's children, and of theirs, of all runs that are stored; answers all of them."""
    kin = list(_kin(backend, parent, stored, skew_us))
    for each in kin:
        _check(each, clocks_agree=not skew_us)
    found = [child for each in kin for child in each.children.values()]
    orphans = {each for each in stored if each.startswith(f"{parent.story.run.run_id}~")}
    orphans -= {child.story.run.run_id for child in found}
    assert not orphans, f"nobody knows {orphans}"
    return found


def _kin(backend: Backend, parent: Checked, stored: Collection[str], skew_us: int) -> Iterator[Kin]:
    """The run's steps with children, and those of these."""
    run_id, graph = parent.story.run.run_id, parent.facts.graph
    for step in graph.steps.values():
        if step.children is not None:
            at = {number: id for id in stored if (number := _number(id, run_id, step.id)) is not None}
            children = {number: check_run(backend, id, skew_us=skew_us) for number, id in sorted(at.items())}
            yield Kin(parent, step, parent.story.branches.get(graph.branch_of(step.id)), children)
            for child in children.values():
                yield from _kin(backend, child, stored, skew_us)


def _number(run_id: str, parent: str, step: str) -> int | None:
    """Which child of this step that is, if it is one."""
    last = run_id.rpartition("~")[2]
    return int(last) if last.isdecimal() and run_id == child_id(parent, step, int(last)) else None


def _check(kin: Kin, *, clocks_agree: bool) -> None:
    for number, run in kin.runs.items():
        _belongs(kin, number, run)
    if kin.family is not None:
        _is_known(kin, kin.family)
    elif kin.children:
        assert kin.ends, f"the children of {kin.step.id}, which has handed nothing out: {kin.runs}"
    if clocks_agree:
        _never_too_many(kin)
    if kin.parent.status in ENDED:
        _ended_before_it(kin, clocks_agree=clocks_agree)
    if kin.output is not None and kin.output.timestamp_us >= kin.parent.story.run.created_us:
        _collected(kin, json.loads(kin.output.output or "null"))


def _belongs(kin: Kin, number: int, child: Run) -> None:
    """A child knows whose it is, and has what its parent has: attempt, retention."""
    up, parent = child.up, kin.parent.story.run
    assert up is not None, f"{child} is nobody's"
    assert (up.run_id, up.step, up.number) == (parent.run_id, kin.step.id, number), up
    assert child.expires_s == parent.expires_s, f"{child.run_id} expires at another time than its parent"
    assert child.run_attempt <= parent.run_attempt, f"{child.run_id} is ahead of its parent"
    if child.status not in ENDED:
        assert child.run_attempt == parent.run_attempt, f"{child.run_id} goes on in an attempt that is over"
        assert kin.output is None, f"{child.run_id} goes on, and {kin.step.id} is over"


def _is_known(kin: Kin, family: Family) -> None:
    """All that were made are there, and whatever may go on is among those at which a look looks."""
    assert 0 <= family.made <= family.children, f"{family.made} of {family.children} are made"
    made = set(range(family.made))
    assert made <= kin.children.keys(), f"made, and not there: {made - kin.children.keys()}"
    assert kin.children.keys() <= set(range(family.children)), f"more than there are items for: {kin.children.keys()}"
    if kin.parent.story.run.run_attempt == 1:
        assert kin.children.keys() == made, f"there, and not made: {kin.children.keys() - made}"
    going_on = {number for number, run in kin.runs.items() if run.status not in ENDED}
    seen = {number for first, last in family.out for number in range(first, last + 1)}
    assert going_on <= seen, f"nobody looks at {going_on - seen}"


def _never_too_many(kin: Kin) -> None:
    """Nowhere in time more of them go on than may."""
    at_once = kin.definition.concurrency if kin.definition.kind == "map" else 1
    out = 0
    for at_us, change in sorted(move for child in kin.children.values() for move in _moves(child)):
        out += change
        assert out <= at_once, f"{out} are out at {at_us}, and {at_once} may be"


def _moves(child: Checked) -> Iterator[tuple[int, int]]:
    """When a child begins to go on (1), and when it stops (-1)."""
    for event in child.story.events:
        if isinstance(event, WorkflowStarted):
            yield event.timestamp_us, 1
        elif isinstance(event, _ENDS):
            yield event.timestamp_us, -1


def _ended_before_it(kin: Kin, *, clocks_agree: bool) -> None:
    """The parent's end comes after the last child's."""
    parent = kin.parent.story.run
    for run in kin.runs.values():
        assert run.status in ENDED, f"{run.run_id} goes on, and its parent has {parent.status}"
        if clocks_agree and run.run_attempt == parent.run_attempt:
            ended_us, parent_us = int(run.completed_at_us or 0), int(parent.completed_at_us or 0)
            assert ended_us <= parent_us + _SPREAD_US, f"{run.run_id} ended {ended_us - parent_us} µs after its parent"


def _collected(kin: Kin, told: Any) -> None:
    """The step has given what those of its children's attempts gave that won, in order; not too many have failed."""
    assert all(run.status in ENDED for run in kin.runs.values()), f"{kin.step.id} is over, and some go on"
    if kin.definition.kind == "workflow":
        assert told == _given_by(kin.children[0]), f"{kin.step.id} gave {told}"
        return
    batch = kin.definition.batch
    assert [*kin.children] == [*range(-(-len(told) // batch))], f"{len(told)} items are told, of {[*kin.children]}"
    for number, child in kin.children.items():
        _is_told(child, told[number * batch : (number + 1) * batch], batch)
    failed = sum(_has_failed(each) for each in told)
    assert failed <= kin.definition.tolerate * len(told) + 1e-9, f"{failed} of {len(told)} items failed: too many"


def _is_told(child: Checked, mine: list[Any], batch: int) -> None:
    if child.status != "completed":
        assert any(map(_has_failed, mine)), f"{child.story.run.run_id} has {child.status}, and gave {mine}"
        return
    given = _given_by(child)
    skipped = [None for _ in mine]
    assert mine == ((given or skipped) if batch > 1 else [given]), (
        f"{child.story.run.run_id} gave {given}, and {mine} is told"
    )


def _has_failed(value: Any) -> bool:
    return isinstance(value, dict) and FAILED in value


def _given_by(child: Checked) -> Any:
    """What a child gives its parent: a map's what its one step gave, a workflow's its output."""
    up = child.story.run.up
    if up is not None and up.is_item:
        [won] = [event for event in child.story.events if isinstance(event, StepCompleted | StepSkipped)]
        return json.loads(won.output or "null") if isinstance(won, StepCompleted) else None
    [end] = [event for event in child.story.events if isinstance(event, WorkflowCompleted)]
    return json.loads(end.output)
