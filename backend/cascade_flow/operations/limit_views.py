"""What people see of limits: who has a place, who waits for one, and what a step waits for. Read only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from cascade_flow import clock
from cascade_flow.dynamodb.places import Places
from cascade_flow.dynamodb.turns import next_free_us
from cascade_flow.engine.limits import Holder, Place, Standing, Waiter, Waiting
from cascade_flow.engine.state import Branch, Run
from cascade_flow.errors import LimitNotFoundError
from cascade_flow.graph import each_with_undo
from cascade_flow.model.ids import check_limit
from cascade_flow.model.workflows import StepLimit
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass

MOST_SHOWN = 200
"""Those who wait that are read: who is further behind is told that these are before it, at least."""


@dataclass
class Declared:
    """A limit as the current versions of workflows declare it, and the steps that do: of each workflow, by its slug."""

    limit: StepLimit
    steps: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class LimitDetails:
    """A limit at this moment: the places that are taken, those who wait, and of turns, when the next one is free."""

    declared: Declared
    key: str | None
    places: Mapping[int, Place]
    line: Sequence[Waiter]
    next_free_us: int | None


class LimitViews:
    """The limits of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places = Places(runtime.ledger.table)

    def all(self) -> list[Declared]:
        """The limits that the workflows name that can be run, by name."""
        found: dict[str, Declared] = {}
        for slug, step_id, limit in self._named():
            declared = found.setdefault(limit.name, Declared(limit))
            declared.steps.setdefault(slug, []).append(step_id)
        return [found[name] for name in sorted(found)]

    def one(self, name: str, key: str | None) -> LimitDetails:
        """A limit; of one that is kept by key, that of this value. Raises LimitNotFoundError, InvalidIdError."""
        declared = next((each for each in self.all() if each.limit.name == check_limit(name)), None)
        if declared is None:
            known = ", ".join(each.limit.name for each in self.all()) or "none"
            raise LimitNotFoundError(f"no workflow names a limit {name!r}; there are: {known}")
        id = name if declared.limit.key is None else f"{name}#{key or ''}"
        if declared.limit.per_ms is not None:
            return LimitDetails(declared, key, {}, (), next_free_us(self._runtime.ledger.table, id))
        standing, now_us = self._standing(id, declared.limit.at_most), clock.now_us()
        taken = {number: place for number, place in standing.places.items() if not place.is_free(now_us)}
        return LimitDetails(declared, key, taken, standing.line, None)

    def waits(self, run_id: str, branches: Iterable[Branch]) -> Mapping[str, Waiting]:
        """What the limited steps among these branches wait for, by branch."""
        limited = [each for each in branches if each.limit is not None and _is_due(each)]
        told = {branch.name: self._waiting(run_id, branch) for branch in limited}
        return {name: waiting for name, waiting in told.items() if waiting is not None}

    def run_waits(self, run: Run) -> Mapping[str, Waiting]:
        """What a run waits for that is to start, where only so many of its workflow go on at once."""
        limit, now_us = run.limit, clock.now_us()
        if limit is None or run.status != "pending" or run.available_at_us > now_us:
            return {}
        standing, holder = self._standing(limit.id, limit.at_most), Holder.of_run(run.run_id, run.run_attempt)
        waiting = Waiting.for_place(limit, standing, holder, now_us)
        return {} if waiting is None else {"": waiting}

    def _waiting(self, run_id: str, branch: Branch) -> Waiting | None:
        limit, now_us = branch.limit, clock.now_us()
        assert limit is not None, "only what is limited waits for a place"
        if limit.per_us is not None:
            ahead = branch.turn_us is not None and branch.turn_us > now_us
            return Waiting(limit, turn_us=branch.turn_us) if ahead else None
        standing = self._standing(limit.id, limit.at_most)
        return Waiting.for_place(limit, standing, Holder.of(run_id, branch), now_us)

    def _standing(self, id: str, at_most: int) -> Standing:
        return self._places.standing(id, at_most=at_most, first=MOST_SHOWN)

    def _named(self) -> Iterator[tuple[str, str, StepLimit]]:
        for entry in self._runtime.registry.runnable():
            slug = entry.metadata.slug
            graph = self._runtime.registry.graph(slug, entry.version_id)
            for step in each_with_undo(graph.declared.values()):
                if step.limit is not None:
                    yield slug, step.id, step.limit


def _is_due(branch: Branch) -> bool:
    due = (branch.available_at_us or 0) <= clock.now_us()
    return branch.status == "scheduled" and not branch.stopped and due
