"""A step's way from claim to report, on runs that the engine drives.

A worker holds a `HeldAttempt`: the attempt as it knows it, whose fence every report needs. A worker that is no part of
the engine names step and attempt instead; what it holds is then read first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.engine.commands import (
    Cascade,
    Command,
    Complete,
    Fail,
    KeepCheckpoint,
    Postpone,
    Reclaim,
    Revive,
    SkipStep,
)
from cascade_flow.engine.decide import decide
from cascade_flow.engine.joins import reached
from cascade_flow.engine.limits import unpack_limit
from cascade_flow.engine.state import ENDED, Branch, Commit, Facts, Run
from cascade_flow.errors import ConflictError, PayloadTooLargeError, StaleAttemptError, TransientError
from cascade_flow.model.events import ResourceSnapshot
from cascade_flow.model.workflows import StepDefinition
from cascade_flow.operations.after_commit import AfterCommit, wake_for
from cascade_flow.operations.claims import Claims, Taker, waits
from cascade_flow.operations.outputs import Inputs, inputs_of, knows_enough, with_end
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.stale import not_yet, stale
from cascade_flow.operations.told import Told, heard
from cascade_flow.records import dataclass, replace
from cascade_flow.wake import Wake

_ROUNDS = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldAttempt:
    """An attempt in the hands of its worker.

    `known` are outputs that the worker has in memory. `lost`: what was reported stands, but another goes on with it.
    `told_us` is the time of the newest log line: what is reported is later, whatever the clock says then.
    """

    facts: Facts
    run: Run
    branch: Branch
    records: tuple[Mapping[str, object], ...] = ()
    known: Mapping[str, str | None] = field(default_factory=dict)
    lost: bool = False
    told_us: int = 0

    @property
    def started_us(self) -> int:
        """When the attempt began, at the latest: its StepStarted is no later, whatever the clocks said."""
        return max(self.branch.started_at_us or 0, self.branch.last_us) + self.facts.graph.modulus

    @property
    def first_run_id(self) -> str:
        """The run that the step's effects are known by."""
        return self.run.first_run_of(self.branch.step)

    @property
    def running(self) -> bool:
        """Whether the worker has a step to carry on with."""
        return self.branch.status == "running" and not self.lost and not self.branch.stopped


@dataclass(frozen=True)
class Slot:
    """Where in a worker a step runs: which of how many places."""

    index: int | None = None
    concurrency: int | None = None


class Steps:
    """Claims, heartbeats and reports."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._claims = Claims(runtime)
        self._after_commit = AfterCommit(runtime)
        self._stops = self._after_commit.stops

    def claim(self, wake: Wake, worker_id: str, *, slot: Slot | None = None) -> HeldAttempt | None:
        """Take the attempt that a wake-up names; None where another has it, it is over, or not due yet.

        A wake-up that came too early (by this machine's clock) is sent again, for when the step is due. What waits for
        a pool is left to its workers.
        """
        return self.held_by(wake.run_id, self.take(wake, worker_id, slot), wake)

    def take(self, wake: Wake, worker_id: str, slot: Slot | None = None) -> Branch | None:
        """The first half of a claim: the branch as it is then."""
        limit = unpack_limit(wake.limit) if wake.limit else None
        wanted = Branch(wake.branch, "scheduled", wake.step, attempt=wake.attempt, limit=limit)
        branch = self.take_branch(wake.run_id, wanted, worker_id, slot or Slot())
        if branch is not None and branch.status == "scheduled":
            self._runtime.queue.send([replace(wake_for(wake.run_id, branch), told=wake.told)])
        return branch

    def claim_step(self, run: Run, step_id: str, worker_id: str, *, slot: Slot | None = None) -> HeldAttempt | None:
        """Take whatever attempt of a step is scheduled; raises StepNotFoundError."""
        return self.held_by(run.run_id, self.take_step(run, step_id, worker_id, slot or Slot()))

    def take_step(self, run: Run, step_id: str, worker_id: str, slot: Slot) -> Branch | None:
        """The first half of that claim."""
        branch = self._runtime.ledger.branch(run.run_id, self._runtime.facts(run).graph.branch_of(step_id))
        if branch is None or branch.status != "scheduled" or branch.step != step_id:
            return None
        return self.take_branch(run.run_id, branch, worker_id, slot)

    def inputs(self, held: HeldAttempt) -> Inputs:
        """What the held step is given; what the worker knows already is not read."""
        if held.facts.up is not None and held.facts.up.is_item:
            from cascade_flow.operations.item_inputs import inputs_of_item  # noqa: PLC0415  (most steps are no map's)

            return inputs_of_item(self._runtime, held.run, self._input(held))
        wanted = held.facts.graph.step(held.branch.step).dependencies
        input = self._input(held)
        if (undoing := held.run.undoing) is not None:
            from cascade_flow.operations.undone import outputs_undone  # noqa: PLC0415  (few runs undo another)

            return Inputs(input, outputs_undone(self._runtime, held.run, undoing, held.branch.step))
        if all(step in held.known for step in wanted):
            return Inputs(input, {step: held.known[step] for step in wanted})
        return Inputs(input, inputs_of(self._runtime, held.facts, held.branch, held.records))

    def heartbeat(self, held: HeldAttempt, *, snapshot: ResourceSnapshot | None = None) -> HeldAttempt:
        """Prolong the lease; raises StaleAttemptError where the attempt is held no more."""
        now_us = clock.now_us()
        lease_us = now_us + self._runtime.timing.lease_us
        run_id = held.facts.run_id
        if held.branch.place is not None:
            self._after_commit.limits.prolong(run_id, held.branch, lease_us=lease_us)
        try:
            beaten = self._runtime.ledger.beat(run_id, held.branch, now_us=now_us, lease_us=lease_us, snapshot=snapshot)
        except BranchRefused as refused:
            raise stale(held.branch, refused.now) from None
        return replace(held, branch=beaten)

    def report(self, held: HeldAttempt, command: Command, references: Mapping[str, str] | None = None) -> HeldAttempt:
        """Commit what came of an attempt, with everything that follows from it; raises StaleAttemptError.

        `references` are what `put_aside` has answered, where it was asked before.
        """
        try:
            return self._commit(held, command, references)
        except StaleAttemptError:
            if isinstance(command, Complete | Fail | SkipStep | Postpone):
                self._runtime.observer.overtaken(held.facts)
            raise

    def _commit(self, held: HeldAttempt, command: Command, references: Mapping[str, str] | None) -> HeldAttempt:
        """Where the branch's next step is limited, its worker goes on with it if it gets a place before the commit."""
        if not isinstance(command, Complete) or command.claimant is None:
            return self._committed(held, command, references)
        following = _next_limited(held.facts, held.branch.step)
        if following is None:
            return self._committed(held, command, references)
        limits = self._after_commit.limits
        ahead = limits.place_ahead(held.facts, held.branch, following)
        going_on = replace(command, claimant=replace(command.claimant, place=ahead.number))
        try:
            after = self._committed(held, going_on, references)
        except StaleAttemptError:
            limits.went_on(ahead, None)
            raise
        limits.went_on(ahead, after.branch)
        return after

    def let_place_go(self, held: HeldAttempt) -> None:
        """Let others have the place of an attempt that was lost, now that its code is no longer at work."""
        if held.branch.place is not None:
            with suppress(TransientError):
                self._after_commit.limits.give_back(held.facts.run_id, held.branch, held.branch.place)

    def _committed(self, held: HeldAttempt, command: Command, references: Mapping[str, str] | None) -> HeldAttempt:
        held = self._in_its_attempt(held)
        facts, branch = held.facts, self._ready(held, command)
        references = self.put_aside(held, command) if references is None else references
        for _ in range(_ROUNDS):
            commit = self._after_commit.count_end(facts, self._decide(facts, branch, command, held))
            commit = self._after_commit.raise_joins(facts, commit)
            try:
                after = self._write(facts, commit, references)
            except BranchRefused as refused:
                if isinstance(command, Reclaim | Revive):
                    raise stale(branch, refused.now) from None
                branch = _still_held(branch, refused.now)
                continue
            except RunRefused:
                facts = replace(facts, stopping=True)
                continue
            return self._after(facts, commit, replace(held, branch=after, known=_known(held, command, commit)))
        raise ConflictError(run_id=facts.run_id, step_id=branch.step)

    def _in_its_attempt(self, held: HeldAttempt) -> HeldAttempt:
        """With the facts of the run's attempt in which the branch goes on: who read the run before its retry, and the
        branch after it, knows those of the attempt before.
        """
        if held.branch.run_attempt <= held.facts.run_attempt:
            return held
        run = self._runtime.run(held.run.run_id)
        return replace(held, run=run, facts=self._runtime.facts(run))

    def revive(self, facts: Facts, run: Run, branch: Branch) -> None:
        """Let a branch of a run that is tried again go on."""
        self.report(HeldAttempt(facts, run, branch), Revive())

    def cascade(self, facts: Facts, run: Run, branch: Branch) -> None:
        """Carry a skip on along a branch."""
        try:
            self.report(HeldAttempt(facts, run, branch), Cascade())
        except PayloadTooLargeError as error:
            self._stops.give_up(facts, error)

    def holding(self, run: Run, step_id: str, worker_id: str | None, attempt_number: int) -> HeldAttempt:
        """What a worker holds that names step and attempt; raises StaleAttemptError, StepNotFoundError."""
        facts = self._runtime.facts(run)
        return _held(facts, run, self._branch(facts, step_id), step_id, worker_id, attempt_number)

    def report_without_work(self, run: Run, step_id: str, attempt_number: int, command: Command) -> None:
        """Commit what is said of an attempt that is scheduled, or held by whomever.

        Raises StaleAttemptError, StepNotFoundError. Where a claim comes between, it is said of what the claimer holds.
        """
        facts = self._runtime.facts(run)
        branch = self._branch(facts, step_id)
        asked = Branch(facts.graph.branch_of(step_id), "scheduled", step_id, attempt=attempt_number)
        if branch is not None and waits(asked, branch):
            with suppress(StaleAttemptError):
                self.report(HeldAttempt(facts, run, branch), command)
                return
            branch = self._branch(facts, step_id)
        self.report(_held(facts, run, branch, step_id, None, attempt_number), command)

    def _branch(self, facts: Facts, step_id: str) -> Branch | None:
        return self._runtime.ledger.branch(facts.run_id, facts.graph.branch_of(step_id))

    def take_branch(
        self, run_id: str, wanted: Branch, worker_id: str, slot: Slot, *, lines_up: bool = True
    ) -> Branch | None:
        """The branch, claimed; or as it is where that is too early. None where the attempt is gone, or its limit has no
        place for it: then it waits in line, where the claimer wants that.
        """
        taker = Taker(worker_id, slot.index, slot.concurrency)
        return self._claims.take(run_id, wanted, taker, lines_up=lines_up)

    def held_by(self, run_id: str, branch: Branch | None, wake: Wake | None = None) -> HeldAttempt | None:
        """The second half of a claim: what is to be known of a branch that was taken, if the wake-up hasn't told it
        all. Nothing changes by it.
        """
        if branch is None or branch.status != "running" or branch.stopped:
            return None
        held = self._told(branch, wake) or self._read(run_id, branch)
        if held is None:
            return None
        self._runtime.observer.claimed(held.facts, branch)
        try:
            return replace(held, branch=self._after_commit.make_owed(held.facts, branch))
        except BranchRefused:
            return None

    def _told(self, branch: Branch, wake: Wake | None) -> HeldAttempt | None:
        """What is held, as the wake-up has told it; None where something must be read."""
        told = None if wake is None else heard(self._runtime, wake, branch)
        if told is None:
            return None
        held = HeldAttempt(self._runtime.facts(told.run), told.run, branch, known=told.known)
        return held if knows_enough(held.facts, branch, told.known) else None

    def _read(self, run_id: str, branch: Branch) -> HeldAttempt | None:
        run, records = self._runtime.ledger.run_and_origin(run_id, branch.origin_us)
        return None if run is None else HeldAttempt(self._runtime.facts(run), run, branch, records)

    def _decide(self, facts: Facts, branch: Branch, command: Command, held: HeldAttempt) -> Commit:
        commit = decide(facts, branch, command, now_us=clock.now_us(), told_us=held.told_us)
        if commit.stop is not None and facts.up is not None and facts.up.is_item:
            from cascade_flow.operations.partial_results import with_partial  # noqa: PLC0415  (few runs are a map's)

            return with_partial(self._runtime, facts, held.run, commit)
        return with_end(self._runtime, facts, commit, _known(held, command, commit))

    def _ready(self, held: HeldAttempt, command: Command) -> Branch:
        """The branch with nothing owed: what a commit promised must be there before another commit comes.

        A lost answer is known again by what was written, and tells of a stop that came after it: then it was the last.
        """
        if held.branch.stopped and isinstance(command, Revive):
            return held.branch
        try:
            branch = self._after_commit.make_owed(held.facts, held.branch)
        except BranchRefused as refused:
            raise stale(held.branch, refused.now) from None
        if branch.stopped:
            raise stale(held.branch, branch)
        return branch

    def _write(self, facts: Facts, commit: Commit, references: Mapping[str, str]) -> Branch:
        if commit.end is not None and commit.end.output not in references:
            aside = self._runtime.payloads.put_run_output(facts.run_id, commit.end, expires_s=facts.expires_s)
            references = {**references, **aside}
        if commit.partial is not None:
            aside = self._runtime.payloads.put_result(facts.run_id, commit.partial, expires_s=facts.expires_s)
            references = {**references, **aside}
        try:
            return self._runtime.ledger.write(facts, commit, references)
        except RunRefused:
            if commit.stop is None:
                raise
            return self._runtime.ledger.write(facts, replace(commit, stop=None), references)

    def _after(self, facts: Facts, commit: Commit, held: HeldAttempt) -> HeldAttempt:
        """What follows a commit, which stands whatever comes of that: what isn't done here the sweep does."""
        self._runtime.tell(facts, commit.said)
        try:
            told = Told(held.run, held.known)
            return replace(held, branch=self._after_commit.after(facts, commit, held.branch, told))
        except BranchRefused:
            return replace(held, lost=True)
        except TransientError as error:
            _log.warning("run %s: what follows a commit is left to the sweep: %s", facts.run_id, error)
            return held

    def put_aside(self, held: HeldAttempt, command: Command) -> Mapping[str, str]:
        """Store the text of a report where it is too long to ride, and say where it is."""
        text = command.output if isinstance(command, Complete) else getattr(command, "data", None)
        if text is None:
            return {}
        place = (held.facts.run_id, held.branch.step, held.branch.attempt)
        return self._runtime.payloads.put_output(*place, text, expires_s=held.facts.expires_s)

    def _input(self, held: HeldAttempt) -> str | None:
        submitted = self._runtime.payloads.whole(held.facts.run_id, held.run.tail[:1])
        return submitted[0].get("input")


def _held(
    facts: Facts, run: Run, branch: Branch | None, step_id: str, worker_id: str | None, attempt_number: int
) -> HeldAttempt:
    """Raises StaleAttemptError where this attempt is not, or by somebody else, held."""
    asked = Branch(facts.graph.branch_of(step_id), "running", step_id, attempt=attempt_number, worker=worker_id)
    if run.status not in ENDED and not reached(facts.graph, branch, step_id):
        raise not_yet(step_id)
    if branch is None or not _is_held(branch, asked):
        raise stale(asked, branch)
    return HeldAttempt(facts, run, branch)


def _next_limited(facts: Facts, step: str) -> StepDefinition | None:
    """The step after this one in its branch, if it has a limit and may start at once."""
    following = facts.graph.next_in_branch(step)
    definition = None if following is None else facts.graph.step(following)
    return None if definition is None or definition.limit is None or definition.delay_ms else definition


def _is_held(branch: Branch, asked: Branch) -> bool:
    """Whether a branch is what a worker says that it holds; one that doesn't name itself is believed."""
    same = (branch.status, branch.step, branch.attempt) == ("running", asked.step, asked.attempt)
    return same and not branch.stopped and asked.worker in (None, branch.worker)


def _still_held(known: Branch, now: Branch | None) -> Branch:
    """The branch as it is now, where only a heartbeat or a halt that lets it finish came between."""
    if now is None or now.seq != known.seq or now.stopped:
        raise stale(known, now)
    return now


def _known(held: HeldAttempt, command: Command, commit: Commit) -> Mapping[str, str | None]:
    """The outputs that are still to be asked for: the next step's only dependency's, and those that the run exports.

    None is the output of a step that was skipped. One that nobody has told here is absent: who asks for it reads it.
    """
    if isinstance(command, KeepCheckpoint):
        return held.known
    exports = {step: output for step, output in held.known.items() if step in held.facts.graph.exports}
    return {**exports, **dict.fromkeys(commit.after.skipped), **_told(commit.before, command)}


def _told(branch: Branch, command: Command) -> Mapping[str, str]:
    return {branch.step: command.output} if isinstance(command, Complete) else {}
