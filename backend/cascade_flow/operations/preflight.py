"""What a deployment would do to the runs under way: to none of them anything, or other code, or a step that is gone.

A run goes on by the graph that it began with, and each of its steps with the code that is deployed when it begins. A
version's id covers the code of all its steps, so under the same id nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cascade_flow import clock
from cascade_flow.engine.diagnosis import Case, remaining_steps
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.operations.live_pieces import START_US, piece
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.unreadable import readable
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class Planned:
    """A workflow as it is to be deployed."""

    version_id: str
    steps: frozenset[str]


@dataclass(frozen=True)
class Broken:
    """A run and those of its steps, not begun yet, that the new code has no more."""

    run_id: str
    workflow_slug: str
    steps: Sequence[str]


@dataclass(frozen=True)
class Effect:
    """How many runs stay as they are, how many get other code, which would fail; behind which time there are more."""

    unaffected: int
    changed: int
    broken: Sequence[Broken]
    more_us: int | None


class Preflight:
    """Looks at the runs under way of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def part(self, planned: Mapping[str, Planned], *, limit: int, after_us: int = START_US) -> Effect:
        """The effect on the next runs behind a time of the index."""
        table, ledger = self._runtime.ledger.table, self._runtime.ledger
        found = piece(table, after_us=after_us, most_runs=limit, wanted=lambda entry: not entry.branch)
        known = readable(ledger.runs, [entry.run_id for entry in found.entries])
        live = [run for run in known if run.status not in ENDED]
        other = [run for run in live if not _is_same(run, planned)]
        left = {run.run_id: steps for run, steps in readable(self._left, other) if steps}
        broken = [_broken(run, left[run.run_id], planned) for run in other if run.run_id in left]
        gone = [each for each in broken if each.steps]
        return Effect(len(live) - len(left), len(left) - len(gone), gone, found.more_us)

    def _left(self, runs: Sequence[Run]) -> Iterator[tuple[Run, Sequence[str]]]:
        """The steps that each run has still to begin."""
        for run in runs:
            branches = self._runtime.ledger.branches(run.run_id) if run.status == "running" else {}
            graph = self._runtime.graph_of(run)
            yield run, remaining_steps(Case(run, branches, graph, None), clock.now_us())


def _broken(run: Run, left: Sequence[str], planned: Mapping[str, Planned]) -> Broken:
    has = planned[run.workflow_slug].steps if run.workflow_slug in planned else frozenset()
    return Broken(run.run_id, run.workflow_slug, [step for step in left if step not in has])


def _is_same(run: Run, planned: Mapping[str, Planned]) -> bool:
    new = planned.get(run.workflow_slug)
    return new is not None and new.version_id == run.version_id
