"""What is due and what is silent: lists whose cost grows with what is live, never with what is stored."""

from __future__ import annotations

from collections.abc import Iterator

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.engine.commands import Reclaim
from cascade_flow.engine.decide import last_seen_us
from cascade_flow.engine.state import ENDED, Branch, Run
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.states import StepRef
from cascade_flow.operations.caller_steps import CallerSteps
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps


class Queue:
    """The live branches of the runs that the engine drives; with `callers` also the live steps of all others."""

    def __init__(self, runtime: Runtime, callers: CallerSteps | None = None) -> None:
        self._runtime = runtime
        self._steps = Steps(runtime)
        self._callers = callers

    def scheduled(
        self, *, available_before_us: int | None, workflow_slug: str | None, limit: int | None
    ) -> list[StepRef]:
        """The scheduled steps that are due: higher priority first, then the longest waiting."""
        until_us = clock.now_us() if available_before_us is None else available_before_us
        found = [
            _reference(run, branch)
            for run, branch in self._live(until_us)
            if branch.status == "scheduled" and (branch.available_at_us or 0) <= until_us
        ]
        found += self._callers.due(until_us) if self._callers else []
        mine = [ref for ref in found if workflow_slug in (None, ref.workflow_slug)]
        return sorted(mine, key=_rank)[:limit]

    def reclaim(self, stale_threshold_us: int, reclaimed_by: str) -> list[StepRef]:
        """Take running steps away from workers that were silent for longer; each once, however many reapers run."""
        now_us = clock.now_us()
        silent = [
            (run, branch)
            for run, branch in self._live(now_us)
            if branch.status == "running" and now_us - last_seen_us(branch) > stale_threshold_us
        ]
        command = Reclaim(reclaimed_by, stale_threshold_us)
        taken = [_reference(run, branch) for run, branch in silent if self._reclaim(run, branch, command)]
        return taken + (self._callers.reclaim(stale_threshold_us, reclaimed_by) if self._callers else [])

    def _reclaim(self, run: Run, branch: Branch, command: Reclaim) -> bool:
        try:
            self._steps.report(HeldAttempt(self._runtime.facts(run), run, branch), command)
        except StaleAttemptError:
            return False
        return True

    def _live(self, until_us: int) -> Iterator[tuple[Run, Branch]]:
        """Live branches of runs that go on: the index says where, the items say what."""
        horizon_us = max(until_us, clock.now_us()) + self._runtime.timing.horizon_us
        entries = due.entries(self._runtime.ledger.table, until_us=horizon_us)
        places: dict[str, list[str]] = {}
        for entry in entries:
            if entry.branch:
                places.setdefault(entry.run_id, []).append(entry.branch)
        runs = {run.run_id: run for run in self._runtime.ledger.runs(places)}
        for run_id, run in runs.items():
            if run.status not in ENDED and run.stop is None:
                branches = self._runtime.ledger.some_branches(run_id, places[run_id])
                yield from ((run, branch) for branch in branches.values() if branch.live and branch.halt is None)


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
