"""What is due and what is silent: lists whose cost grows with what is live, never with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.engine.commands import Reclaim
from cascade_flow.engine.decide import last_seen_us
from cascade_flow.engine.state import ENDED, Branch, Run
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.states import StepRef
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.unreadable import readable

if TYPE_CHECKING:
    from cascade_flow.operations.caller_steps import CallerSteps

_AT_ONCE = 8
"""Steps of a pool that are read together: whoever claims takes the first of them, unless others are faster."""
_OF_EACH_END = 25
"""Of what waits for no pool: these are one batch, each with its run."""
_MOST_LOOKED_AT = 1_000
"""Steps in one look: who wants those of one workflow only might read all that wait, and not be answered."""


class Live(NamedTuple):
    """A branch on which somebody works or may work; `ref` is what is told of it."""

    run: Run
    branch: Branch

    @property
    def ref(self) -> StepRef:
        return StepRef(
            workflow_slug=self.run.workflow_slug,
            run_id=self.run.run_id,
            step_id=self.branch.step,
            attempt_number=self.branch.attempt,
            available_at_us=self.branch.available_at_us,
            priority=self.branch.priority,
        )


class Queue:
    """The live branches of the runs that the engine drives; with `callers` also the live steps of all others.

    What nobody can deal with is passed over, and named in the log.
    """

    def __init__(self, runtime: Runtime, callers: CallerSteps | None = None) -> None:
        self._runtime = runtime
        self._steps = Steps(runtime)
        self._callers = callers

    def scheduled(
        self, *, available_before_us: int | None, workflow_slug: str | None, limit: int | None
    ) -> list[StepRef]:
        """The scheduled steps that are due, of all pools and none: higher priority first, then the longest waiting."""
        until_us = clock.now_us() if available_before_us is None else available_before_us
        waiting = due.waiting_anywhere(self._runtime.ledger.table, until_us=until_us)
        entries = chain(self._entries(until_us), waiting)
        found = [live.ref for live in self._live(entries, partial(_is_due, until_us=until_us))]
        found += self._callers.due(until_us) if self._callers else []
        mine = [ref for ref in found if workflow_slug in (None, ref.workflow_slug)]
        return sorted(mine, key=_rank)[:limit]

    def claimable(self, pool: str | None, *, workflow_slug: str | None) -> Iterable[Live]:
        """What a worker may claim now, in the order in which it should: of a pool; or of what waits for none, where
        more than fifty do, in the order of those fifty.
        """
        until_us = clock.now_us()
        found = self._of_no_pool(until_us) if pool is None else self._of_pool(pool, until_us)
        return (live for live in found if workflow_slug in (None, live.run.workflow_slug))

    def reclaim(self, stale_threshold_us: int, reclaimed_by: str) -> list[StepRef]:
        """Take running steps away from workers that were silent for longer; each once, however many reapers run."""
        now_us = clock.now_us()
        wanted = partial(_is_silent, since_us=now_us - stale_threshold_us)
        silent = list(self._live(self._entries(now_us), wanted))
        command = Reclaim(reclaimed_by, stale_threshold_us)
        taken = [ref for live in silent for ref in readable(partial(self._taken, command), [live], what="reclaiming")]
        return taken + (self._callers.reclaim(stale_threshold_us, reclaimed_by) if self._callers else [])

    def _taken(self, command: Reclaim, silent: Iterable[Live]) -> Iterator[StepRef]:
        for live in silent:
            with suppress(StaleAttemptError):
                held = HeldAttempt(self._runtime.facts(live.run), live.run, live.branch)
                self._steps.report(held, command)
                yield live.ref

    def _of_no_pool(self, until_us: int) -> Iterator[Live]:
        """Fifty at a time, as far as anybody asks, each fifty in their order."""
        read = partial(self._wanted_among, partial(_is_due, until_us=until_us))
        for group in islice(self._from_both_ends(until_us), _MOST_LOOKED_AT // (2 * _OF_EACH_END)):
            found = readable(read, group, what="entry")
            yield from sorted((live for live in found if live.branch.pool is None), key=lambda live: _rank(live.ref))

    def _from_both_ends(self, until_us: int) -> Iterator[list[due.Entry]]:
        """Those that the index has first, and last: who has waited long is among these, since each sweep looks farther
        ahead the longer a step waits, or among those, where no sweep comes.
        """
        ends = (self._entries(until_us, at_once=_OF_EACH_END, backwards=backwards) for backwards in (False, True))
        first, last = (filter(attrgetter("branch"), entries) for entries in ends)
        seen: set[keys.Key] = set()
        while group := list(islice(first, _OF_EACH_END)):
            further = list(islice(last, _OF_EACH_END if len(group) == _OF_EACH_END else 0))
            found = {entry.key: entry for entry in group + further if entry.key not in seen}
            seen |= found.keys()
            yield list(found.values())

    def _of_pool(self, pool: str, until_us: int) -> Iterator[Live]:
        """Read a few at a time, as far as anybody asks: the index has them in their order. It is late at times, and
        what it has stands at another step by now, which may be no pool's.
        """
        waiting = due.waiting(self._runtime.ledger.table, pool, until_us=until_us, at_once=2 * _AT_ONCE)
        entries = islice(waiting, _MOST_LOOKED_AT)
        read = partial(self._wanted_among, partial(_is_due, until_us=until_us))
        while group := list(islice(entries, _AT_ONCE)):
            yield from (live for live in readable(read, group, what="entry") if live.branch.pool == pool)

    def _wanted_among(self, wanted: Callable[[Branch], bool], group: Sequence[due.Entry]) -> Iterator[Live]:
        known = self._runtime.ledger.snapshot((entry.run_id, entry.branch) for entry in group)
        for entry in group:
            run, branch = known.run(entry.run_id), known.branch(entry.run_id, entry.branch)
            if run is not None and branch is not None and _goes_on(run) and _may_be_worked_on(branch, wanted):
                yield Live(run, branch)

    def _entries(self, until_us: int, *, at_once: int | None = None, backwards: bool = False) -> Iterator[due.Entry]:
        """Where somebody works, or should by then, on what waits for no pool."""
        horizon_us = max(until_us, clock.now_us()) + self._runtime.timing.horizon_us
        return due.entries(self._runtime.ledger.table, until_us=horizon_us, at_once=at_once, backwards=backwards)

    def _live(self, entries: Iterable[due.Entry], wanted: Callable[[Branch], bool]) -> Iterable[Live]:
        """Those live branches, of runs that go on, that are wanted: the index says where, the items say what."""
        read = partial(self._wanted_among, wanted)
        return readable(read, [entry for entry in entries if entry.branch], what="entry")


def _goes_on(run: Run) -> bool:
    return run.status not in ENDED and run.stop is None


def _may_be_worked_on(branch: Branch, wanted: Callable[[Branch], bool]) -> bool:
    return branch.live and branch.halt is None and wanted(branch)


def _is_due(branch: Branch, *, until_us: int) -> bool:
    return branch.status == "scheduled" and (branch.available_at_us or 0) <= until_us


def _is_silent(branch: Branch, *, since_us: int) -> bool:
    return branch.status == "running" and last_seen_us(branch) < since_us


def _rank(ref: StepRef) -> tuple[float, float]:
    priority = float("-inf") if ref.priority is None else ref.priority
    return -priority, ref.available_at_us or 0
