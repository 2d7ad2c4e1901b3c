"""The steps of caller-driven runs: what is said of them, who holds them, which are due and which are silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.dynamodb.caller_items import to_caller_step
from cascade_flow.dynamodb.ledger import Snapshot
from cascade_flow.engine.caller import CallerStep, Draft, Known, draft, must_go_on, must_hold, must_hold_or_await
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.errors import GoneError
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import (
    Event,
    StepError,
    StepFailed,
    StepReclaimed,
    StepRetrying,
    StepScheduled,
    StepStarted,
)
from cascade_flow.model.states import Claim, StepRef
from cascade_flow.operations.caller import Caller, Fence, Subject
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.unreadable import readable

_SCHEDULES = "it schedules a step itself when the steps that it depends on are over"
_STARTS = "there a step is started by a claim (claim_scheduled_step)"
_RETRIES = "report the failure with save_step_failed, and the step's retry policy decides what follows"
_RECLAIMS = "its sweep and reclaim_stale_steps take steps away from workers that fell silent"


Told = Mapping[str, Any]
"""Fields of an event."""


class CallerSteps:
    """The steps of the caller-driven runs of one table."""

    def __init__(self, runtime: Runtime, caller: Caller) -> None:
        self._runtime = runtime
        self._caller = caller

    # -- said by an engine ----------------------------------------------------------------------------------------

    def scheduled(self, slug: str, run_id: str, step_id: str, **told: Any) -> None:
        """An attempt may be claimed. Raises EngineDrivenError; StaleAttemptError where the run has ended."""
        place = Subject(slug, run_id, step_id, _SCHEDULES, makes=True, live=True)
        self._caller.say(place, [draft(StepScheduled, step_id=step_id, **told)], must_go_on)

    def started(self, slug: str, run_id: str, step_id: str, **told: Any) -> None:
        """A worker has begun; the attempt is the number of earlier starts + 1. Raises as `scheduled`."""

        def judge(known_run: Known) -> Sequence[Draft]:
            must_go_on(known_run)
            attempt = 1 + (0 if known_run.step is None else known_run.step.starts)
            return [draft(StepStarted, step_id=step_id, attempt_number=attempt, **told)]

        self._caller.tell(Subject(slug, run_id, step_id, _STARTS, makes=True, live=True), judge)

    def reclaimed(self, slug: str, run_id: str, step_id: str, *, attempt_number: int, **told: Any) -> None:
        """An attempt is taken from its worker; scheduling another is the caller's. Raises StaleAttemptError."""
        said = draft(StepReclaimed, step_id=step_id, attempt_number=attempt_number, **told)
        self._caller.say(Subject(slug, run_id, step_id, _RECLAIMS, live=True), [said], _holds(attempt_number))

    def failed_and_retried(
        self,
        where: tuple[str, str, str],
        error: StepError,
        *,
        failed: Told,
        scheduled: Told,
        limits: Told,
        policy: Told,
    ) -> None:
        """StepFailed, StepRetrying and StepScheduled: all three or none. Raises StaleAttemptError."""
        slug, run_id, step_id = where
        attempt, following = failed["attempt_number"], scheduled["attempt_number"]
        fingerprints = compute_error_fingerprints(error)
        retrying = {"attempt_number": attempt, "next_attempt": following, "policy_index": policy["policy_index"]}
        drafts = [
            draft(StepFailed, step_id=step_id, error=error, error_fingerprints=fingerprints, terminal=False, **failed),
            draft(StepRetrying, step_id=step_id, error=error, **retrying, **limits),
            draft(StepScheduled, step_id=step_id, reason="retry", **scheduled, **policy),
        ]
        place = Subject(slug, run_id, step_id, _RETRIES, live=True)
        self._caller.say(place, drafts, _holds(attempt))

    # -- said by a worker -----------------------------------------------------------------------------------------

    def must_take(self, run: Run, step_id: str, said: Draft, *, without_work: bool) -> None:
        """Raises StaleAttemptError where a report would come too late now."""
        known_run = self._caller.known_run(Subject(run.workflow_slug, run.run_id, step_id))
        self._caller.must_pass(known_run, [said], _holds(said.fields["attempt_number"], without_work=without_work))

    def report(self, run: Run, step_id: str, said: Draft, *, without_work: bool = False) -> None:
        """What came of an attempt that is held, or (`without_work`) that nobody has begun; raises StaleAttemptError."""
        place = Subject(run.workflow_slug, run.run_id, step_id, live=True)
        self._caller.say(place, [said], _holds(said.fields["attempt_number"], without_work=without_work))

    def heartbeat(self, run: Run, step_id: str, said: Draft) -> None:
        """The worker still holds the attempt; raises StaleAttemptError."""
        attempt, worker = said.fields["attempt_number"], said.fields["worker_id"]
        place = Subject(run.workflow_slug, run.run_id, step_id, live=True)
        self._caller.say(place, [said], _holds(attempt, worker=worker))

    def claim(self, run: Run, step_id: str, **told: Any) -> Claim | None:
        """Take the scheduled attempt; None for all but one who try."""

        def judge(known_run: Known) -> Sequence[Draft]:
            if known_run.step is None or not is_due(known_run, known_run.step):
                return []
            attempt = known_run.step.state.attempt_number
            return [draft(StepStarted, step_id=step_id, attempt_number=attempt, **told)]

        events = self._caller.tell(Subject(run.workflow_slug, run.run_id, step_id, live=True), judge)
        return _claim_of(events)

    def speak(self, run: Run) -> None:
        """Lines are about to be stored of a run that is only reserved: its id is no copy's to take from now on."""
        self._caller.reserve(Subject(run.workflow_slug, run.run_id), spoken=True)

    def claimable(self, run: Run, step_id: str) -> bool:
        """Whether a step is scheduled and due; a step of which nothing has happened isn't."""
        known_run = self._caller.known_run(Subject(run.workflow_slug, run.run_id, step_id))
        return known_run.step is not None and is_due(known_run, known_run.step)

    # -- the queue ------------------------------------------------------------------------------------------------

    def due(self, until_us: int) -> list[StepRef]:
        """The scheduled steps that are due by then, in no order."""
        return [
            _reference(run, step)
            for run, step in self._live(until_us)
            if step.state.status == "scheduled" and _available_us(step) <= until_us
        ]

    def reclaim(self, stale_threshold_us: int, reclaimed_by: str) -> list[StepRef]:
        """Take running steps away from workers that were silent for longer, and schedule the next attempt of each."""
        found = list(self._live(clock.now_us() - stale_threshold_us))
        silent = [(run, step) for run, step in found if _stale_us(step, stale_threshold_us)]
        take = partial(self._taken, stale_threshold_us, reclaimed_by)
        return [ref for each in silent for ref in readable(take, [each], what="reclaiming")]

    def _taken(self, threshold_us: int, reclaimed_by: str, silent: Iterable[tuple[Run, CallerStep]]) -> list[StepRef]:
        return [_reference(run, step) for run, step in silent if self._reclaim(run, step, threshold_us, reclaimed_by)]

    def _reclaim(self, run: Run, known: CallerStep, threshold_us: int, reclaimed_by: str) -> bool:
        def judge(known_run: Known) -> Sequence[Draft]:
            same = known_run.step is not None and known_run.step.state.attempt_number == known.state.attempt_number
            if known_run.step is None or not same or known_run.run is None or known_run.run.status in ENDED:
                return []
            stale_us = _stale_us(known_run.step, threshold_us)
            return _taken_away(known_run.step, stale_us, threshold_us, reclaimed_by) if stale_us else []

        with suppress(GoneError):
            place = Subject(run.workflow_slug, run.run_id, known.state.step_id, live=True)
            return bool(self._caller.tell(place, judge))
        return False

    def _live(self, until_us: int) -> Iterator[tuple[Run, CallerStep]]:
        """Live steps of runs that go on: the index says where, the items say what."""
        places: dict[str, list[str]] = {}
        for entry in due.called(self._runtime.ledger.table, until_us=until_us):
            places.setdefault(entry.run_id, []).extend([entry.branch] if entry.branch else [])
        wanted = ((run_id, name) for run_id, names in places.items() for name in ("", *names))
        known = self._runtime.ledger.snapshot(wanted)
        for run in readable(partial(_runs_in, known), list(places)):
            live = readable(partial(self._live_among, known, run), places[run.run_id], what=f"run {run.run_id}, step")
            yield from ((run, step) for step in live)

    def _live_among(self, known: Snapshot, run: Run, step_ids: Sequence[str]) -> list[CallerStep]:
        """The live ones of a run's listed steps. What has ended falls out here, and what goes on again comes back."""
        if run.status in ENDED:
            for step_id in step_ids:
                self._caller.ledger.list_no_more(run.run_id, step_id)
            return []
        if run.reviving:
            return self._caller.list_again(run)
        found = (known.items.get(keys.branch(run.run_id, step_id)) for step_id in step_ids)
        return [step for step in map(to_caller_step, filter(None, found)) if step.live]


def _runs_in(known: Snapshot, ids: Iterable[str]) -> list[Run]:
    return [run for run in map(known.run, ids) if run is not None]


def is_due(known_run: Known, step: CallerStep) -> bool:
    """Whether a step can be claimed now."""
    goes_on = known_run.run is not None and known_run.run.status not in ENDED
    return goes_on and step.state.status == "scheduled" and _available_us(step) <= clock.now_us()


def _holds(attempt: int, *, worker: str | None = None, without_work: bool = False) -> Fence:
    def fence(known_run: Known) -> None:
        if without_work:
            must_hold_or_await(known_run, attempt)
        else:
            must_hold(known_run, attempt, worker=worker)

    return fence


def _taken_away(step: CallerStep, stale_us: int, threshold_us: int, reclaimed_by: str) -> Sequence[Draft]:
    state = step.state
    reclaimed = draft(
        StepReclaimed,
        step_id=state.step_id,
        original_worker_id=state.claimed_by or "unknown",
        reclaimed_by=reclaimed_by,
        last_heartbeat_us=step.last_seen_us,
        stale_threshold_us=threshold_us,
        stale_duration_us=stale_us,
        attempt_number=state.attempt_number,
    )
    again = draft(
        StepScheduled,
        step_id=state.step_id,
        available_at_us=clock.now_us(),
        reason="retry",
        attempt_number=state.attempt_number + 1,
        priority=state.priority,
    )
    return [reclaimed, again]


def _stale_us(step: CallerStep, threshold_us: int) -> int:
    """For how long the worker of a running step was silent, where that is longer than the threshold; else 0."""
    silent_us = clock.now_us() - step.last_seen_us
    return silent_us if step.state.status == "running" and silent_us > threshold_us else 0


def _available_us(step: CallerStep) -> int:
    return ceil(step.state.available_at or 0)


def _claim_of(events: Sequence[Event]) -> Claim | None:
    started = [event for event in events if isinstance(event, StepStarted)]
    return Claim(attempt_number=started[0].attempt_number) if started else None


def _reference(run: Run, step: CallerStep) -> StepRef:
    return StepRef(
        workflow_slug=run.workflow_slug,
        run_id=run.run_id,
        step_id=step.state.step_id,
        attempt_number=step.state.attempt_number,
        available_at_us=step.state.available_at,
        priority=step.state.priority,
    )
