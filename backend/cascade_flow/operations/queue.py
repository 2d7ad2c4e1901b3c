"""What is due and what is silent: lists whose cost grows with what is live, never with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from cascade_flow import clock
from cascade_flow.dynamodb import due
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


class _Live(NamedTuple):
    """A branch on which somebody works or may work; `ref` is what is told of it."""

    run: Run
    branch: Branch
    ref: StepRef


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
        """The scheduled steps that are due: higher priority first, then the longest waiting."""
        until_us = clock.now_us() if available_before_us is None else available_before_us
        found = [live.ref for live in self._live(until_us, partial(_is_due, until_us=until_us))]
        found += self._callers.due(until_us) if self._callers else []
        mine = [ref for ref in found if workflow_slug in (None, ref.workflow_slug)]
        return sorted(mine, key=_rank)[:limit]

    def reclaim(self, stale_threshold_us: int, reclaimed_by: str) -> list[StepRef]:
        """Take running steps away from workers that were silent for longer; each once, however many reapers run."""
        now_us = clock.now_us()
        silent = list(self._live(now_us, partial(_is_silent, since_us=now_us - stale_threshold_us)))
        command = Reclaim(reclaimed_by, stale_threshold_us)
        taken = [ref for live in silent for ref in readable(partial(self._taken, command), [live], what="reclaiming")]
        return taken + (self._callers.reclaim(stale_threshold_us, reclaimed_by) if self._callers else [])

    def _taken(self, command: Reclaim, silent: Iterable[_Live]) -> Iterator[StepRef]:
        for run, branch, ref in silent:
            with suppress(StaleAttemptError):
                self._steps.report(HeldAttempt(self._runtime.facts(run), run, branch), command)
                yield ref

    def _live(self, until_us: int, wanted: Callable[[Branch], bool]) -> Iterator[_Live]:
        """Those live branches, of runs that go on, that are wanted: the index says where, the items say what."""
        horizon_us = max(until_us, clock.now_us()) + self._runtime.timing.horizon_us
        places: dict[str, list[str]] = {}
        for entry in due.entries(self._runtime.ledger.table, until_us=horizon_us):
            if entry.branch:
                places.setdefault(entry.run_id, []).append(entry.branch)
        for run in readable(self._runtime.ledger.runs, list(places)):
            if run.status not in ENDED and run.stop is None:
                read = partial(self._live_among, run, wanted)
                yield from readable(read, places[run.run_id], what=f"run {run.run_id}, branch")

    def _live_among(self, run: Run, wanted: Callable[[Branch], bool], names: Iterable[str]) -> Iterator[_Live]:
        for branch in self._runtime.ledger.some_branches(run.run_id, names).values():
            if branch.live and branch.halt is None and wanted(branch):
                yield _Live(run, branch, _reference(run, branch))


def _is_due(branch: Branch, *, until_us: int) -> bool:
    return branch.status == "scheduled" and (branch.available_at_us or 0) <= until_us


def _is_silent(branch: Branch, *, since_us: int) -> bool:
    return branch.status == "running" and last_seen_us(branch) < since_us


def _reference(run: Run, branch: Branch) -> StepRef:
    return StepRef(
        workflow_slug=run.workflow_slug,
        run_id=run.run_id,
        step_id=branch.step,
        attempt_number=branch.attempt,
        available_at_us=branch.available_at_us,
        priority=branch.priority,
    )


def _rank(ref: StepRef) -> tuple[float, float]:
    priority = float("-inf") if ref.priority is None else ref.priority
    return -priority, ref.available_at_us or 0
