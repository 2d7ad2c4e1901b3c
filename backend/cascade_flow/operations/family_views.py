"""The runs that do a step's work, as people look at them: which are over, have failed, go on, are tried again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import cast

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import to_run
from cascade_flow.engine.state import Branch, Run
from cascade_flow.errors import StepNotFoundError
from cascade_flow.model.events import StepError
from cascade_flow.model.ids import check_step_id, child_id
from cascade_flow.model.states import RunStatus
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.failed_items import error_of
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass

_AT_ONCE = 100
_MOST_READ = 1_000
"""Children that one page is looked for among."""


@dataclass(frozen=True)
class ChildState:
    """A child as it stands. Of a map: the `first_item` that it does; which attempt of that is under way, and whether it
    waits to be tried again; how many items of a batch have failed.
    """

    number: int
    run_id: str
    status: RunStatus
    first_item: int | None
    error: StepError | None
    failed_items: int | None = None
    attempt: int | None = None
    is_retrying: bool = False


@dataclass(frozen=True)
class ChildPage:
    """Some children, by number; `more`: behind this number there may be others."""

    children: tuple[ChildState, ...]
    more: int | None


class FamilyViews:
    """The children in one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def page(
        self, run_id: str, step_id: str, *, status: Collection[RunStatus] = (), after: int = -1, limit: int = _AT_ONCE
    ) -> ChildPage:
        """The children behind a number that are in one of these states, or in any. Raises RunNotFoundError,
        InvalidIdError, and StepNotFoundError where there is no such step, or it does its work itself.
        """
        definition, found, last = self._definition(run_id, step_id), list[tuple[int, Run]](), after
        for number, child in self._children(run_id, step_id, after):
            if len(found) == limit or number - after > _MOST_READ:
                return ChildPage(self._told(definition, step_id, found), last)
            last = number
            if not status or child.status in status:
                found.append((number, child))
        return ChildPage(self._told(definition, step_id, found), None)

    def _definition(self, run_id: str, step_id: str) -> ChildrenDefinition:
        graph = self._runtime.facts(self._runtime.submitted(run_id)).graph
        step = graph.declared.get(check_step_id(step_id))
        if step is None or step.children is None:
            grown = ", ".join(id for id, each in graph.declared.items() if each.children is not None) or "none"
            raise StepNotFoundError(f"run {run_id!r} has no step {step_id!r} that runs of their own do; it has {grown}")
        return step.children

    def _children(self, run_id: str, step_id: str, after: int) -> Iterator[tuple[int, Run]]:
        """In order of their numbers, until there are no more: none is made before those before it."""
        for first in count(after + 1, _AT_ONCE):
            wanted = {keys.run(child_id(run_id, step_id, number)): number for number in range(first, first + _AT_ONCE)}
            runs = {run.run_id: run for run in map(to_run, self._runtime.ledger.table.batch_get(wanted))}
            for number in wanted.values():
                if (child := runs.get(child_id(run_id, step_id, number))) is None:
                    return
                yield number, child

    def _told(
        self, definition: ChildrenDefinition, step_id: str, found: Sequence[tuple[int, Run]]
    ) -> tuple[ChildState, ...]:
        under_way = [run.run_id for _, run in found if run.status == "running" and definition.kind == "map"]
        items = self._runtime.ledger.snapshot((run_id, step_id) for run_id in under_way)
        return tuple(_state(definition, number, run, items.branch(run.run_id, step_id)) for number, run in found)


def _state(definition: ChildrenDefinition, number: int, run: Run, branch: Branch | None) -> ChildState:
    return ChildState(
        number,
        run.run_id,
        cast(RunStatus, run.status),
        number * definition.batch if definition.kind == "map" else None,
        error_of(run) if run.status == "failed" else None,
        run.lost,
        None if branch is None else branch.attempt,
        branch is not None and branch.status == "scheduled" and branch.attempt > 1,
    )
