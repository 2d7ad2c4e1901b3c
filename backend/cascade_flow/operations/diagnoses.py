"""Reads what a diagnosis judges upon: a run with its branches, or a piece of all that go on, and what is around them.

A bounded number of requests: for each run one query, and for what runs at this moment a few batch reads, where somebody
waits for a worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.dynamodb.ledger import Snapshot
from cascade_flow.dynamodb.pulse import Signs, get_signs, get_sweeps
from cascade_flow.dynamodb.registry import Entry, get_workflow
from cascade_flow.engine.diagnosis import Case, Room, World, diagnosed, diagnosed_engine, pool_of
from cascade_flow.engine.findings import Finding, Sweeps
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import ENDED, Branch, Run
from cascade_flow.errors import VersionNotFoundError
from cascade_flow.graph import Graph, each_with_undo
from cascade_flow.model.ids import child_id
from cascade_flow.operations.live_pieces import START_US, piece
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.unreadable import readable
from cascade_flow.records import dataclass, replace

_MOST_AT_WORK = 1_000
_MOST_CHILDREN = 100
"""Of one step those that are looked at for what holds it up."""
_MOST_NOTED = 1_000
_UNREADABLE = Finding(
    "unreadable",
    "stuck",
    "an item of the run can't be read, so no sweep can deal with it",
    "the reaper's log names the item and what is wrong with it; a newer release may be able to read it",
)


@dataclass(frozen=True)
class Diagnosis:
    """What is to be said of a run; without `run` nobody could read it."""

    run_id: str
    run: Run | None
    findings: Sequence[Finding]

    @property
    def is_well(self) -> bool:
        """Whether nothing is late, and nothing waits for a person."""
        return all(finding.severity in ("well", "waits") for finding in self.findings)


@dataclass(frozen=True)
class DiagnosisPart:
    """Of so many runs those that are late or stuck; what is wrong with the engine; behind which time there are more."""

    diagnoses: Sequence[Diagnosis]
    engine: Sequence[Finding]
    looked_at: int
    more_us: int | None


class Diagnoses:
    """Why runs of one table stand where they stand.

    `concurrency` is how many steps the worker function may run, `urgent_concurrency` how many of urgent runs beside
    them: 0 where those have no queue of their own.
    """

    def __init__(self, runtime: Runtime, *, concurrency: int | None = None, urgent_concurrency: int = 0) -> None:
        self._runtime = runtime
        self._usual = Room(concurrency=concurrency)
        self._urgent = Room(concurrency=urgent_concurrency, urgent=True) if urgent_concurrency else None
        self._entries: dict[str, Entry | None] = {}

    def run(self, run_id: str) -> tuple[Diagnosis, Sequence[Finding]]:
        """What is to be said of a run, and of the engine. Raises RunNotFoundError, InvalidIdError."""
        run = self._runtime.submitted(run_id)
        case = self._failed_undo(run) or next(iter(readable(self._cases_with_children, [run])), None)
        sweeps = get_sweeps(self._runtime.ledger.table)
        world, now_us = self._world([case] if case else [], sweeps), clock.now_us()
        engine = () if run.status in ENDED else diagnosed_engine(world, now_us)
        told = _diagnosis(run_id, case, world, now_us)
        return replace(told, run=told.run and run), engine

    def part(self, *, limit: int, after_us: int = START_US) -> DiagnosisPart:
        """The next runs behind a time of the index, those first that are late; with the first also those that have
        failed to undo others.
        """
        found = piece(self._runtime.ledger.table, after_us=after_us, most_runs=limit)
        first: dict[str, int] = {}
        for entry in found.entries:
            first.setdefault(entry.run_id, entry.due_us)
        known = {run_id: self._read(run_id) for run_id in first}
        mine = {id: case for id, case in known.items() if case is None or _first_due_us(case) == first[id]}
        signs = self._signs(after_us)
        mine |= {case.run.run_id: case for case in self._failed_undos(signs.failed_undos, limit)}
        world, now_us = self._world((case for case in mine.values() if case), signs.sweeps), clock.now_us()
        told = [_diagnosis(run_id, case, world, now_us) for run_id, case in mine.items()]
        late = [diagnosis for diagnosis in told if not diagnosis.is_well]
        return DiagnosisPart(late, diagnosed_engine(world, now_us), len(told), found.more_us)

    def _signs(self, after_us: int) -> Signs:
        """What the engine has noted; with further pieces nobody need be told again which runs failed to undo others."""
        table = self._runtime.ledger.table
        return get_signs(table) if after_us == START_US else Signs(get_sweeps(table), [])

    def _failed_undos(self, noted: Sequence[str], most: int) -> list[Case]:
        """Some of those that have failed to undo others, and were not tried again since."""
        failed = (run for run in readable(self._runtime.ledger.runs, noted[:_MOST_NOTED]) if run.status == "failed")
        return [Case(run, {}, None, None) for run in islice(failed, most)]

    def _failed_undo(self, run: Run) -> Case | None:
        """The run that was to undo this one, where that has failed: then nothing else is to be said of it."""
        undo = None if run.undone_by is None else self._runtime.ledger.run(run.undone_by)
        return Case(undo, {}, None, None) if undo is not None and undo.status == "failed" else None

    def _read(self, run_id: str) -> Case | None:
        """None where somebody must mend it first; a run that is gone or over meanwhile has nothing due."""
        return next(iter(readable(self._read_all, [run_id])), None)

    def _read_all(self, run_ids: Iterable[str]) -> Iterator[Case]:
        for run_id in run_ids:
            run = self._runtime.ledger.run(run_id)
            yield _GONE if run is None else self._case(run)

    def _cases_with_children(self, runs: Iterable[Run]) -> Iterator[Case]:
        for run in runs:
            case = self._case(run)
            waiting = [branch for branch in case.branches.values() if branch.status == "waiting"]
            yield replace(case, children={branch.name: self._children(run, branch) for branch in waiting})

    def _children(self, run: Run, branch: Branch) -> Sequence[Case]:
        """The runs that do a step's work and may not be over, with what holds these up in turn."""
        from cascade_flow.engine.children import numbers_in  # noqa: PLC0415  (most workflows don't grow)

        out = () if branch.family is None else branch.family.out
        ids = [child_id(run.run_id, branch.step, number) for number in numbers_in(out)[:_MOST_CHILDREN]]
        found = self._runtime.ledger.snapshot([(id, branch.step) for id in ids])
        children = [child for id in ids if (child := found.run(id)) is not None and child.status not in ENDED]
        if any(child.up is not None and not child.up.is_item for child in children):
            return [*self._cases_with_children(children)]
        return [self._of_item(child, found.branch(child.run_id, branch.step)) for child in children]

    def _of_item(self, run: Run, branch: Branch | None) -> Case:
        branches = {} if branch is None else {branch.name: branch}
        return Case(
            run, branches, self._graph_of(run), self._deployed(run.workflow_slug), self._waits(run, branches.values())
        )

    def _case(self, run: Run) -> Case:
        if run.driver == "caller":
            return Case(run, {}, None, None)
        branches = self._runtime.ledger.branches(run.run_id) if run.status == "running" else {}
        graph = self._graph_of(run)
        return Case(run, branches, graph, self._deployed(run.workflow_slug), self._waits(run, branches.values()))

    def _waits(self, run: Run, branches: Iterable[Branch]) -> Mapping[str, Waiting]:
        """What limited steps wait for, or the run itself (by no branch's name): a request for each of them."""
        limited = [branch for branch in branches if branch.limit is not None]
        if not limited and run.limit is None:
            return {}
        from cascade_flow.operations.limit_views import LimitViews  # noqa: PLC0415  (most workflows have no limit)

        views = LimitViews(self._runtime)
        return {**views.waits(run.run_id, limited), **views.run_waits(run)}

    def _graph_of(self, run: Run) -> Graph | None:
        try:
            return self._runtime.graph_of(run)
        except VersionNotFoundError:
            return None

    def _deployed(self, slug: str) -> frozenset[str] | None:
        if slug not in self._entries:
            self._entries[slug] = get_workflow(self._runtime.ledger.table, slug)
        entry = self._entries[slug]
        if entry is None or entry.retired_us is not None:
            return None
        with suppress(VersionNotFoundError):
            graph = self._runtime.registry.graph(slug, entry.version_id)
            return frozenset(each.id for each in each_with_undo(graph.steps.values()))
        return None

    def _world(self, cases: Iterable[Case], sweeps: Sweeps | None) -> World:
        timing = self._runtime.timing
        world = World(timing, sweeps, self._usual, self._urgent)
        now_us = clock.now_us()
        if not any(_waits(branch, now_us) for case in cases for branch in _branches(case)):
            return world
        at_work = Counter(self._at_work(world, now_us))
        usual = replace(world.usual, running=at_work[world.usual])
        urgent = world.urgent and replace(world.urgent, running=at_work[world.urgent])
        pools = {pool: n for pool, n in at_work.items() if isinstance(pool, str)}
        return replace(world, usual=usual, urgent=urgent, pools=pools)

    def _at_work(self, world: World, now_us: int) -> Iterator[str | Room]:
        """For each step that runs, its pool, or the room that it takes: all that run are in the index for the next
        lease's length.
        """
        until_us = now_us + self._runtime.timing.silence_us
        entries = islice(due.entries(self._runtime.ledger.table, until_us=until_us), _MOST_AT_WORK)
        places = [(entry.run_id, entry.branch) for entry in entries if entry.branch]
        found = self._runtime.ledger.snapshot(places)
        for run, branch in readable(partial(_those_in, found), places):
            if branch.status == "running" and (branch.lease_us or 0) > now_us:
                graph = self._graph_of(run)
                yield (graph and pool_of(graph, branch.step)) or world.room(branch)


_GONE = Case(Run("", "", "", "completed", 0, 0, 0, 0), {}, None, None)


def _those_in(found: Snapshot, places: Iterable[tuple[str, str]]) -> Iterator[tuple[Run, Branch]]:
    for run_id, name in places:
        run, branch = found.run(run_id), found.branch(run_id, name)
        if run is not None and branch is not None:
            yield run, branch


def _diagnosis(run_id: str, case: Case | None, world: World, now_us: int) -> Diagnosis:
    if case is None:
        return Diagnosis(run_id, None, [_UNREADABLE])
    return Diagnosis(run_id, case.run, diagnosed(case, world, now_us))


def _first_due_us(case: Case) -> int | None:
    """The earliest time at which the index has something of the run: there it is told, once. What waits for a pool lies
    elsewhere.
    """
    timed = (branch for branch in case.branches.values() if branch.awaited_pool is None)
    known = [case.run.due_us, *(branch.due_us for branch in timed)]
    return None if case.run.status in ENDED else min((due_us for due_us in known if due_us is not None), default=None)


def _branches(case: Case) -> Iterator[Branch]:
    """Those of a run, and of the runs that do its steps."""
    yield from case.branches.values()
    for children in case.children.values():
        for child in children:
            yield from _branches(child)


def _waits(branch: Branch, now_us: int) -> bool:
    return branch.status == "scheduled" and (branch.available_at_us or 0) <= now_us
