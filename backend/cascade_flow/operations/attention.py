"""What is done about one item past due (protocol.md §8): what somebody should have done, or its entry is moved on.

An item is believed as it was read, consistently, a moment or half a sweep ago: every write asks for that state, and an
entry is moved only while its branch is as it was read. Wake-ups are kept, to be sent together.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple, Protocol

from cascade_flow import clock
from cascade_flow.dynamodb import due, keys
from cascade_flow.engine import waits
from cascade_flow.engine.commands import Reclaim
from cascade_flow.engine.joins import is_full, waits_outside
from cascade_flow.engine.state import ENDED, Branch, Facts, Run
from cascade_flow.errors import TransientError
from cascade_flow.operations.after_commit import AfterCommit, wake_for
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.tally import Tally
from cascade_flow.records import replace
from cascade_flow.wake import Wake

_TIMES_AS_LONG = 15
"""For how many times its run's age nobody looks at a join that isn't full: five looks in a month."""
_UNSEEN = 0
"""The time of an entry that nobody has seen in the index: such a one is not moved."""


class Reads(Protocol):
    """What knows runs and branches: the ledger, or what was read of it in one request."""

    def run(self, run_id: str) -> Run | None: ...

    def branch(self, run_id: str, name: str) -> Branch | None: ...


class Unanswered:
    """What could not be read, and says why to whoever asks for some of it."""

    def __init__(self, error: TransientError) -> None:
        self._error = error

    def run(self, run_id: str) -> Run | None:
        raise self._error

    def branch(self, run_id: str, name: str) -> Branch | None:
        raise self._error


class Call(NamedTuple):
    """A wake-up to be sent, since when the step waits, and the entry that is moved after it."""

    entry: due.Entry
    wake: Wake
    branch: Branch
    placed_us: int = 0

    @property
    def since_us(self) -> int:
        """Of a limited step, that which it has waited for its place counts for nothing."""
        return max(self.branch.ready_us, self.placed_us)

    @property
    def rank(self) -> tuple[int, due.Entry]:
        """Its place among those that are sent together: higher priority first, then the longest due."""
        return -(self.branch.priority or 0), self.entry


class Attention:
    """Looks at what is past due; `calls` are the wake-ups that are still to be sent."""

    def __init__(self, runtime: Runtime, tally: Tally, *, name: str) -> None:
        self._runtime = runtime
        self._tally = tally
        self._name = name
        self._runs = Runs(runtime)
        self._steps = Steps(runtime)
        self._after_commit = AfterCommit(runtime)
        self._stops = self._after_commit.stops
        self._retries = Retries(runtime)
        self.calls: list[Call] = []

    def attend(self, entry: due.Entry, reads: Reads) -> None:
        """Do what an item calls for. Raises whatever the engine raises."""
        if entry.is_schedule:
            self._attend_schedule(entry)
        elif entry.branch:
            self._attend_branch(entry, reads)
        else:
            self._attend_run(entry, reads)

    def taken_calls(self) -> list[Call]:
        """The wake-ups to be sent, which from now on are the caller's."""
        calls, self.calls = self.calls, []
        return calls

    def put_off(self, entry: due.Entry) -> None:
        """Look ever more rarely at an item that no sweep can deal with until something is mended."""
        timing = self._runtime.timing
        with suppress(TransientError):
            due.put_off(self._runtime.ledger.table, entry, least_us=timing.grace_us, most_us=timing.horizon_us)

    def send(self, calls: list[Call]) -> None:
        """Wake those who wait; then move each entry: the longer its step waits (a long queue, a dead one), the farther.

        Who dies in between has woken twice. Who is awake already has moved on, and its entry stays for the next look.
        """
        self._runtime.queue.send([call.wake for call in calls])
        for call in calls:
            now_us = clock.now_us()
            what = "wake-ups repeated" if call.since_us <= now_us else "waits handed over"
            self._tally.note(what, call.entry.run_id, call.entry.branch)
            self._tally.waited(now_us - call.since_us)
            pause_us = self._pause_of_us(call)
            self._look_later(call.entry, max(now_us, call.since_us) + pause_us, call.branch)

    def _pause_of_us(self, call: Call) -> int:
        """How long a step that waits is left alone."""
        timing, waited_us = self._runtime.timing, clock.now_us() - call.since_us
        return min(max(timing.grace_us, waited_us), timing.horizon_us)

    def _attend_schedule(self, entry: due.Entry) -> None:
        from cascade_flow.operations.ticks import Ticks  # noqa: PLC0415  (who wakes a run needs no calendar)

        Ticks(self._runs, self._tally).attend(self._runtime.ledger.table, entry)

    def _attend_run(self, entry: due.Entry, reads: Reads) -> None:
        run = reads.run(entry.run_id)
        if run is None:
            self._look_no_more(entry)
            return
        if run.status in ENDED or _is_moved(entry, run.due_us):
            return
        run = self._move_run(run)
        if run.status not in ENDED:
            self._look_later(entry, self._next_look_us(run))

    def _move_run(self, run: Run) -> Run:
        now_us = clock.now_us()
        if run.stop is not None:
            self._tally.note("stops resumed", run.run_id)
            return self._stops.carry_on(run.run_id)
        if run.reviving:
            self._tally.note("retries resumed", run.run_id)
            return self._retries.revive(run)
        if run.deadline_us <= now_us and run.up is None:  # a child's time is its parent's
            self._tally.note("runs timed out", run.run_id)
            self._runs.time_out(run)
            return self._runtime.run(run.run_id)
        if run.status == "pending" and run.available_at_us <= now_us:
            return self._start(run, now_us)
        return self._runs.make_owed_roots(run) if run.owed is not None else run

    def _start(self, run: Run, now_us: int) -> Run:
        """Start a run whose time has come; one that waits for others' ends waits on."""
        now = self._runs.start(run)
        if now.status != "pending":
            self._tally.note("runs started", run.run_id)
        self._tally.waited(now_us - run.available_at_us if run.limit is None else 0)
        return now

    def _next_look_us(self, run: Run) -> int:
        """A stop that was just carried on only waits for steps that run: who ends one goes on with it, and the index
        has the lease of each.
        """
        now_us, timing = clock.now_us(), self._runtime.timing
        soon_us = now_us + timing.grace_us
        if run.stop is not None:
            return now_us + timing.lease_us
        if run.owed is not None or run.reviving:
            return soon_us
        if run.limit is not None and run.status == "pending" and run.available_at_us <= now_us:
            return now_us + min(max(timing.grace_us, now_us - run.available_at_us), timing.horizon_us)
        return max(run.available_at_us, soon_us) if run.status == "pending" else max(run.deadline_us, soon_us)

    def _attend_branch(self, entry: due.Entry, reads: Reads) -> None:
        branch = reads.branch(entry.run_id, entry.branch)
        if branch is not None and _is_moved(entry, branch.due_us):
            return
        if branch is None or branch.stopped or (not branch.live and branch.status != "open"):
            self._look_no_more(entry)
            return
        run = reads.run(entry.run_id)
        if run is None or run.status in ENDED:
            self._look_no_more(entry)
            return
        self._move_branch(self._runtime.facts(run), run, branch, entry)

    def _move_branch(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        if branch.owed is not None and not _is_at_work(branch):
            self._tally.note("debts paid", run.run_id, branch.name)
            branch = self._after_commit.make_owed(facts, branch)
        moves = {"open": self._join, "scheduled": self._wake, "running": self._reclaim, "skipping": self._cascade}
        if branch.status == "waiting":
            self._children(run, branch, entry)
        if (move := moves.get(branch.status)) is not None:
            move(facts, run, branch, entry)

    def _join(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        if waits_outside(facts.graph, branch):
            self._event(facts, run, branch, entry)
            return
        if is_full(facts.graph, branch) and self._after_commit.open_join(facts, branch):
            self._tally.note("joins opened", run.run_id, branch.name)
            return
        self._look_later(entry, clock.now_us() + self._pause_us(facts, branch), branch)

    def _event(self, facts: Facts, run: Run, event: Branch, entry: due.Entry) -> None:
        from cascade_flow.engine.outside import next_look_us  # noqa: PLC0415  (most workflows have no events)

        goes_on = run.status == "running" and run.stop is None
        if goes_on and self._after_commit.open_join(facts, event):
            self._tally.note("events moved", run.run_id, event.name)
            return
        soon_us = clock.now_us() + self._runtime.timing.grace_us
        look_us = next_look_us(run, event, is_full=is_full(facts.graph, event))
        self._look_later(entry, max(soon_us, look_us), event)

    def _pause_us(self, facts: Facts, join: Branch) -> int:
        """How long a join is left alone: one that is full not long, since somebody may stand between raise and commit;
        another ever longer while its run lasts, up to its deadline, since whoever fills it brings the look forward.
        """
        now_us, grace_us = clock.now_us(), self._runtime.timing.grace_us
        pause_us = 0 if is_full(facts.graph, join) else _TIMES_AS_LONG * (now_us - facts.started_at_us)
        return max(grace_us, min(pause_us, facts.deadline_us - now_us))

    def _wake(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        available_us = branch.available_at_us or 0
        if branch.halt is not None:
            self._stops.carry_on(run.run_id)
            return
        if branch.pool is not None:  # it lies with its pool, whose workers look for themselves
            return
        if available_us > clock.now_us() and (waits.is_carried(branch) or waits.is_far(branch, clock.now_us())):
            self._look_later(entry, waits.look_us(branch, self._runtime.timing), branch)
        elif branch.ready_us > max(available_us, clock.now_us()):
            self._look_later(entry, branch.ready_us, branch)
        elif branch.limit is not None and branch.limit.per_us is None and available_us <= clock.now_us():
            self._wake_for_place(Call(entry, wake_for(run.run_id, branch), replace(branch, tail=())))
        else:
            self.calls.append(Call(entry, wake_for(run.run_id, branch), replace(branch, tail=())))

    def _wake_for_place(self, call: Call) -> None:
        """Call a limited step out if it has a place; another waits on, and is called out by whoever gives it one."""
        limits, run_id = self._after_commit.limits, call.entry.run_id
        if limits.admit(run_id, call.branch):
            self.calls.append(call._replace(placed_us=limits.placed_us(run_id, call.branch)))
            return
        usual_us = clock.now_us() + self._pause_of_us(call)
        due_us = limits.next_look_us(run_id, call.branch, usual_us=usual_us)
        self._look_later(call.entry, due_us, call.branch)

    def _reclaim(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        silent_us = clock.now_us() - (branch.lease_us or 0)
        if silent_us < 0:
            self._look_later(entry, branch.lease_us or 0, branch)
        elif branch.halt is not None:
            self._stops.carry_on(run.run_id)
        else:
            self._tally.note("steps reclaimed", run.run_id, branch.name)
            self._tally.waited(silent_us)
            command = Reclaim(reclaimed_by=self._name, threshold_us=self._runtime.timing.lease_us)
            self._steps.report(HeldAttempt(facts, run, branch), command)

    def _children(self, run: Run, step: Branch, entry: due.Entry) -> None:
        if self._after_commit.children.look(run.run_id, step.name, puts_off=True):
            self._tally.note("children looked after", run.run_id, step.name)
        else:
            self._look_later(entry, clock.now_us() + self._runtime.timing.grace_us, step)

    def _cascade(self, facts: Facts, run: Run, branch: Branch, entry: due.Entry) -> None:
        self._tally.note("skips carried on", run.run_id, branch.name)
        self._steps.cascade(facts, run, branch)

    def _look_later(self, entry: due.Entry, due_us: int, branch: Branch | None = None) -> None:
        if entry.due_us != _UNSEEN:
            due.look_later(self._runtime.ledger.table, entry, due_us, branch)

    def _look_no_more(self, entry: due.Entry) -> None:
        if entry.due_us != _UNSEEN:
            due.look_no_more(self._runtime.ledger.table, entry)


def unseen(run_id: str, branch: str) -> due.Entry:
    """An item that a message speaks of, whatever the index says."""
    return due.Entry(_UNSEEN, keys.branch(run_id, branch))


def _is_moved(entry: due.Entry, due_us: int | None) -> bool:
    """Whether the index shows an entry that the item no longer has: somebody else has dealt with it."""
    return entry.due_us not in (_UNSEEN, due_us)


def _is_at_work(branch: Branch) -> bool:
    """Whether a worker holds the branch that may still be alive: it makes what the branch owes itself."""
    return branch.status == "running" and (branch.lease_us or 0) > clock.now_us()
