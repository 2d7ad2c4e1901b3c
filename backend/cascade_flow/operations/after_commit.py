"""What follows a commit: branches still owed, joins that may be full, a stop to carry on, workers to wake.

Nothing here is needed for a promise to hold: whoever dies before it leaves a note in the due index, and the sweep does
the same again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.dynamodb.join_ledger import JoinLedger
from cascade_flow.engine import joins, runs
from cascade_flow.engine.advance import BIRTHS_AT_ONCE, births_owed, owed_after
from cascade_flow.engine.limits import pack_limit
from cascade_flow.engine.state import Birth, Branch, Commit, Facts, Run, is_urgent
from cascade_flow.errors import CascadeFlowError, PayloadTooLargeError
from cascade_flow.graph import END
from cascade_flow.operations.history_copier import HistoryCopier
from cascade_flow.operations.outputs import exported, with_end
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.stops import Stops
from cascade_flow.operations.told import Told, tell
from cascade_flow.records import replace
from cascade_flow.wake import Wake

if TYPE_CHECKING:
    from cascade_flow.operations.children import Children
    from cascade_flow.operations.limits import Limits


EARLY_US = 999_999
"""How much earlier than its turn a step is called out: the queue counts in whole seconds, who comes waits the rest."""

_log = logging.getLogger(__name__)


class AfterCommit:
    """Does what a commit leaves to be done, and what must be done before it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._joins = JoinLedger(runtime.ledger.table)
        self.stops = Stops(runtime, self)

    @cached_property
    def limits(self) -> Limits:
        """Where limited steps get their places: most workflows have none."""
        from cascade_flow.operations.limits import Limits  # noqa: PLC0415

        return Limits(self._runtime)

    @cached_property
    def children(self) -> Children:
        """Those who do steps' work: most workflows have none."""
        from cascade_flow.operations.children import Children  # noqa: PLC0415

        return Children(self._runtime, self)

    def raise_joins(self, facts: Facts, commit: Commit) -> Commit:
        """Count the arrivals that a commit brings about: before it, since whoever dies after it has counted nothing."""
        raised = {
            join: self._joins.raise_join(facts, join, arrivals=arrivals, now_us=clock.now_us())
            for join, arrivals in Counter(commit.raises).items()
        }
        return replace(commit, fills=tuple(join for join, is_full in raised.items() if is_full))

    def count_end(self, facts: Facts, commit: Commit) -> Commit:
        """Count the end of a child, where a commit brings it about: before it, for the same reason."""
        if facts.up is None or commit.end is None:
            return commit
        return replace(commit, counted=self.children.count_end(facts))

    def after(self, facts: Facts, commit: Commit, branch: Branch, told: Told | None = None) -> Branch:
        """Follow a commit up; answers the branch as it is then. `told` is what those need who are woken."""
        if commit.end is not None:
            self._leave_run(facts)
        if leaves_place(commit):
            self.limits.give_back(facts.run_id, commit.before, commit.before.place or 0)
        self._wake(facts, [birth.branch for birth in commit.births], told)
        branch = self.make_owed(facts, branch, told)
        for join in commit.looked_at:
            self.look_at_join(facts, join)
        if commit.stop is not None or _awaits_stop(branch):
            self.stops.carry_on(facts.run_id)
        if branch.status == "waiting":
            self.children.look(facts.run_id, branch.name)
        if commit.counted is not None:
            self.children.look_up(facts, commit.counted, failed=False)
        self._wake(facts, [branch], told)
        return branch

    def make_owed(self, facts: Facts, branch: Branch, told: Told | None = None) -> Branch:
        """Make the branches that this one owes; raises BranchRefused where it has moved meanwhile."""
        while branch.owed is not None:
            now_us = clock.now_us()
            births = tuple(islice(births_owed(facts, branch, now_us=now_us), BIRTHS_AT_ONCE))
            after = owed_after(facts.graph, branch, len(births))
            branch = self._runtime.ledger.make_owed(facts, branch, after, births)
            self._wake(facts, [birth.branch for birth in births], told)
        return branch

    def make_owed_roots(self, facts: Facts, run: Run) -> Run:
        """Make the branches that a run begins with and still owes; raises RunRefused where it has moved meanwhile."""
        owed = [] if run.owed is None else self._beginnings(facts, run)
        while run.owed is not None:
            births = owed[run.owed : run.owed + runs.ROOTS_AT_ONCE]
            made = run.owed + len(births)
            paid = made >= len(owed)
            after = replace(run, owed=None if paid else made, due_us=run.deadline_us if paid else run.due_us)
            self._raise_events(facts, births)
            put = [birth for birth in births if not joins.waits_outside(facts.graph, birth.branch)]
            run = self._runtime.run_ledger.make_roots(facts, run, after, put)
            self.begin(facts, births, run)
        return run

    def _raise_events(self, facts: Facts, births: Iterable[Birth]) -> None:
        """An event may be there already, or over: then it would keep what is put together with it from being put."""
        for birth in births:
            if joins.waits_outside(facts.graph, birth.branch):
                name, arrivals = birth.branch.name, birth.branch.arrived
                self._joins.raise_join(facts, name, arrivals=arrivals, now_us=clock.now_us())

    def _beginnings(self, facts: Facts, run: Run) -> list[Birth]:
        if run.parent is not None:
            return HistoryCopier(self._runtime).branches(facts, run)
        return list(runs.roots(facts, run, now_us=clock.now_us()))

    def begin(self, facts: Facts, births: Iterable[Birth], run: Run | None = None) -> None:
        """Wake whom it concerns, and look at the joins that are filled already: a copy's, and events that depend on
        nothing.
        """
        self.begin_all([(facts, births, None if run is None else Told(run, {}))])

    def begin_all(self, begun: Sequence[tuple[Facts, Iterable[Birth], Told | None]]) -> None:
        """The same of several runs, whose workers are called out together."""
        branches = [(facts, birth.branch, told) for facts, births, told in begun for birth in births]
        self._call_out(branches)
        for facts, branch, _ in branches:
            if joins.waits_outside(facts.graph, branch):
                self.look_if_possible(facts, branch.name)
            elif joins.is_full(facts.graph, branch):
                self.open_join(facts, branch)

    def begin_if_possible(self, facts: Facts, births: Iterable[Birth]) -> None:
        """The same where what led here stands whatever comes of it, which a sweep does too."""
        try:
            self.begin(facts, births)
        except CascadeFlowError as error:
            _log.warning("run %s: to begin it is left to the sweep: %s", facts.run_id, error)

    def look_if_possible(self, facts: Facts, event: str) -> None:
        """Look at an event: what led here stands whatever comes of the look, which a sweep takes too."""
        try:
            self.look_at_join(facts, event)
        except CascadeFlowError as error:
            _log.warning("run %s: a look at %s is left to the sweep: %s", facts.run_id, event, error)

    def look_at_join(self, facts: Facts, name: str) -> None:
        """Open a join whose counter is full, if the branches say so too."""
        join = self._runtime.ledger.branch(facts.run_id, name)
        if join is not None and joins.is_full(facts.graph, join):
            self.open_join(facts, join)

    def open_join(self, facts: Facts, join: Branch) -> bool:
        """Open a join if all that it waits for is over, or let an event go on, or note until when it waits.

        Whoever comes second is refused, and that is well.
        """
        branches = self._awaited(facts, join)
        commit = self._opening(facts, join, branches)
        if commit is None:
            return False
        commit = self.count_end(facts, commit)
        try:
            commit = self.raise_joins(facts, commit)
            opened = self._runtime.ledger.write(facts, commit, self._references(facts, commit))
            self._runtime.tell(facts, commit.said)
            self.after(facts, commit, opened)
        except (BranchRefused, RunRefused):
            return False
        except PayloadTooLargeError as error:
            self.stops.give_up(facts, error)
        return True

    def _awaited(self, facts: Facts, join: Branch) -> Mapping[str, Branch]:
        """The branches that a join waits for. Where it is full and some are still on their way, one of them is asked to
        look when it arrives; if that has moved meanwhile, all are read again.
        """
        names = joins.awaited_branches(facts.graph, join.name)
        while True:
            branches = self._runtime.ledger.some_branches(facts.run_id, names)
            late = joins.one_to_ask(facts.graph, join, branches)
            if late is None:
                return branches
            with suppress(BranchRefused):
                self._joins.ask_to_look(facts.run_id, late)
                return branches

    def _leave_run(self, facts: Facts) -> None:
        """Let another run of the workflow start, where only so many may go on at once."""
        if facts.place is not None:
            from cascade_flow.operations.run_places import RunPlaces  # noqa: PLC0415  (few workflows have such a limit)

            RunPlaces(self._runtime).leave_by(facts)

    def _opening(self, facts: Facts, join: Branch, branches: Mapping[str, Branch]) -> Commit | None:
        if join.name != END:
            commit = joins.open_join(facts, join, branches, now_us=clock.now_us())
            return commit and with_end(self._runtime, facts, commit, self._known(facts, commit))
        if not joins.all_arrived(facts.graph, END, branches):
            return None
        last_us = max(branch.last_us for branch in branches.values())
        end = runs.completed(facts, exported(self._runtime, facts, {}), now_us=clock.now_us(), after_us=last_us)
        return Commit(join, replace(join, status="ended", due_us=None), logged=True, end=end)

    def _references(self, facts: Facts, commit: Commit) -> Mapping[str, str]:
        signal = commit.before.signal
        aside = {} if signal is None or signal.place is None else {signal.place: signal.place}
        if commit.end is None:
            return aside
        return aside | self._runtime.payloads.put_run_output(facts.run_id, commit.end, expires_s=facts.expires_s)

    def _known(self, facts: Facts, commit: Commit) -> Mapping[str, str | None]:
        """What an event gives that ends its run: no history tells of it yet."""
        signal, skipped = commit.before.signal, dict.fromkeys(commit.after.skipped)
        if signal is None or commit.before.name not in facts.graph.exports:
            return skipped
        places = {signal.place} if signal.place else set()
        text = self._runtime.payloads.texts(facts.run_id, places)[signal.place] if signal.place else signal.text
        return {commit.before.name: text, **skipped}

    def _wake(self, facts: Facts, branches: Iterable[Branch], told: Told | None = None) -> None:
        self._call_out([(facts, branch, told) for branch in branches])

    def _call_out(self, branches: Iterable[tuple[Facts, Branch, Told | None]]) -> None:
        woken = [each for each in branches if is_woken(each[1]) and self._may_start(each[0], each[1])]
        if woken:
            self._runtime.queue.send([self._wake_up(facts, branch, told) for facts, branch, told in woken])

    def _wake_up(self, facts: Facts, branch: Branch, told: Told | None) -> Wake:
        wake = wake_for(facts.run_id, branch)
        return wake if told is None else replace(wake, told=tell(self._runtime, facts, told, branch))

    def _may_start(self, facts: Facts, branch: Branch) -> bool:
        """Whether somebody is to be woken, now or later; what waits for a place is called out when it has one."""
        needs_place = branch.limit is not None and branch.limit.per_us is None
        if not needs_place or branch.status != "scheduled" or branch.ready_us > clock.now_us():
            return True
        return self.limits.admit(facts.run_id, branch)


def leaves_place(commit: Commit) -> bool:
    """Whether a commit ends what a place was taken for. What was stopped may still be at work: its worker gives the
    place back, or its time is over.
    """
    before, after = commit.before, commit.after
    at_work = (after.status, after.step, after.attempt) == ("running", before.step, before.attempt)
    return before.place is not None and not at_work and not before.stopped


def _awaits_stop(branch: Branch) -> bool:
    """Whether a branch has come to rest because its run is being stopped, which has waited for it."""
    return branch.status == "parked" or (branch.status == "scheduled" and branch.halt is not None)


def is_woken(branch: Branch) -> bool:
    """Whether a worker of Lambda's is to look at a branch; what waits for a pool is found by that pool's workers."""
    if branch.halt is not None:
        return False
    return branch.status == "skipping" or (branch.status == "scheduled" and branch.pool is None)


def wake_for(run_id: str, branch: Branch) -> Wake:
    """The wake-up for what is scheduled on a branch, or for a skip that is to run along it."""
    urgent = is_urgent(branch.priority)
    if branch.status != "scheduled":
        return Wake(run_id, branch.name, urgent=urgent)
    limit = "" if branch.limit is None else pack_limit(branch.limit)
    due_us = branch.ready_us if branch.turn_us is None else branch.ready_us - EARLY_US
    return Wake(run_id, branch.name, branch.step, branch.attempt, due_us, urgent=urgent, limit=limit)
