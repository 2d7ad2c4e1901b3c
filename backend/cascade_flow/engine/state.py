"""What is known of a run and of its branches (protocol.md §1, §2), and what a decision hands on to be written.

Data only. The stored form is `dynamodb/items`; the rules are `engine/decide` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from cascade_flow.engine.undoing import Undoing
from cascade_flow.graph import Graph
from cascade_flow.model.events import Event, ResourceSnapshot, StepError, WorkflowCompleted
from cascade_flow.records import dataclass, replace

BranchStatus = Literal["open", "scheduled", "running", "skipping", "waiting", "parked", "failed", "ended"]
Halt = Literal["park", "stop"]
StopKind = Literal["failed", "timeout", "cancelled"]
RunStatus = Literal["pending", "running", "completed", "failed", "cancelled", "reserved", "copying"]
"""Only on caller-driven runs: `reserved`, the id is taken, no RunSubmitted yet; `copying`, not there for anybody."""
Driver = Literal["engine", "caller"]

LATEST_US = 10**16 - 1
"""The last time that a sort key can hold, in the year 2286."""
LONGEST_DELAY_US = 900_000_000
"""How long a message can wait in the queue by itself: SQS's quarter of an hour."""
LIVE: frozenset[BranchStatus] = frozenset({"scheduled", "running", "skipping", "waiting"})
ENDED: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled"})


def is_urgent(priority: int | None) -> bool:
    """Whether workers of Lambda's are kept for runs of this priority; a pool's order is by the number itself."""
    return priority is not None and priority > 0


def within_time(time_us: int) -> int:
    """The nearest time that an index can hold, whose numbers have 38 digits at most."""
    return max(-LATEST_US, min(time_us, LATEST_US))


@dataclass(frozen=True)
class Timing:
    """How long things may take, in microseconds.

    A lease is what a worker holds without a heartbeat; grace is what a wake-up may take before the sweep sends
    another; retention is how long a run is kept beyond its deadline.
    """

    lease_us: int = 60_000_000
    grace_us: int = 30_000_000
    timeout_us: int = 7 * 86_400_000_000
    retention_us: int = 90 * 86_400_000_000

    @property
    def silence_us(self) -> int:
        """How long after a claim nobody need look whether the worker lives."""
        return max(self.lease_us, self.grace_us)

    @property
    def horizon_us(self) -> int:
        """How far ahead the due index may have a branch that somebody could work on now: lists look so far."""
        return 10 * self.silence_us


@dataclass(frozen=True)
class Owed:
    """Branches that a commit promised and could not put at once: the forks of these steps, less those made."""

    steps: tuple[str, ...]
    made: int = 0


@dataclass(frozen=True)
class Limit:
    """What a step needs before it may start: one of so many places or, with `per_us`, of so many turns in that time.

    `id` tells it from all others: its name and, where it is kept by key, the key's value.
    """

    id: str
    at_most: int
    per_us: int | None = None


@dataclass(frozen=True)
class Signal:
    """What the outside has said to an event: the first counts. `mark` tells whether somebody says the same again.

    `text` is the payload; `place` says where it lies, if it was put aside. Both go once the event is over.
    """

    mark: str
    at_us: int
    via: str
    text: str | None = None
    place: str | None = None

    @property
    def spent(self) -> Signal:
        """What is left of it when the event is over."""
        return replace(self, text=None, place=None)


@dataclass(frozen=True)
class Patience:
    """Until when an event waits for the outside, as noted in this attempt of the run: it counts in no other."""

    until_us: int
    run_attempt: int


@dataclass(frozen=True)
class Up:
    """Whose work a run does: of a step of its parent's, on a branch of that, which of its children it is; and whether
    what it does is the map's body, or another workflow's graph.
    """

    run_id: str
    branch: str
    step: str
    number: int
    is_item: bool


@dataclass(frozen=True)
class Family:
    """The runs that do a step's work: so many children for so many items, which lie aside in chunks of `chunk`, under
    names that hold the `attempt`; `at_once` of them may be out. Of another workflow, its `version`.

    `made` is how far this attempt of the run has come. `out` are ranges of those made that may not be over (first and
    last number of each), `lost` the items that those have failed at which are over: a look reads what is in the ranges,
    and no more.
    """

    items: int
    children: int
    chunk: int
    attempt: int
    at_once: int
    version: str | None = None
    made: int = 0
    lost: int = 0
    out: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Branch:
    """One branch as stored. `tail` is its newest events, as records that only the storage reads.

    `attempts_before` do not count for the retry policy: of earlier attempts of the run, postponed by their code, or
    given back by their workers. `laters` is how often the step has just said that it isn't ready, `later_since_us` when
    it was due that said so first. `seq` and `heartbeat_us` are the fence: they say which state a writer has seen.
    `origin_us` names the commit that holds the completion of the step's dependency where that is not in the tail.
    `pool` is that of the step, where only its workers take it; `limit` what it must get first, `place` what its holder
    has got, `turn_us` when it is its turn. `looks`: who arrives at a join from here is to look at it, since whoever
    filled it has found this branch on its way. `signal` and `patience` are those of the event that it begins with.
    `family` are the children that do the step's work; `arrived` counts their ends, as it counts arrivals at a join.
    """

    name: str
    status: BranchStatus
    step: str
    attempt: int = 1
    attempts_before: int | None = None
    laters: int | None = None
    later_since_us: int | None = None
    run_attempt: int = 1
    seq: int = 1
    available_at_us: int | None = None
    started_at_us: int | None = None
    worker: str | None = None
    lease_us: int | None = None
    heartbeat_us: int | None = None
    snapshot: ResourceSnapshot | None = None
    slot_index: int | None = None
    worker_concurrency: int | None = None
    priority: int | None = None
    pool: str | None = None
    limit: Limit | None = None
    place: int | None = None
    turn_us: int | None = None
    halt: Halt | None = None
    owed: Owed | None = None
    arrived: int = 0
    looks: bool = False
    signal: Signal | None = None
    patience: Patience | None = None
    family: Family | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    last_us: int = 0
    origin_us: int | None = None
    due_us: int | None = None
    tail: tuple[Mapping[str, Any], ...] = ()

    @property
    def live(self) -> bool:
        """Whether somebody works on it, or should."""
        return not self.stopped and (self.status in LIVE or self.owed is not None)

    @property
    def awaited_pool(self) -> str | None:
        """The pool whose workers alone can move it on, and find it there: nobody else need look at it."""
        return self.pool if self.status == "scheduled" and self.owed is None else None

    @property
    def ready_us(self) -> int:
        """From when on what is scheduled may be claimed: it is available, and it is its turn."""
        return max(self.available_at_us or 0, self.turn_us or 0)

    @property
    def stopped(self) -> bool:
        """Whether nothing of it counts any more, until the run is tried again."""
        return self.halt == "stop"

    @property
    def tried(self) -> int:
        """The attempt's number as the retry policy counts it."""
        return self.attempt - (self.attempts_before or 0)

    @property
    def untried(self) -> Branch:
        """This branch, with an attempt that the retry policy does not count."""
        return replace(self, attempts_before=(self.attempts_before or 0) + 1)

    def released(self, *, last_us: int) -> Branch:
        """This branch with no worker on it and nothing scheduled, its log grown to `last_us`."""
        return replace(
            self,
            available_at_us=None,
            started_at_us=None,
            worker=None,
            lease_us=None,
            heartbeat_us=None,
            snapshot=None,
            slot_index=None,
            worker_concurrency=None,
            place=None,
            turn_us=None,
            last_us=last_us,
        )


@dataclass(frozen=True)
class Stop:
    """The intention to stop a run, and for which of the run's attempts it was meant."""

    kind: StopKind
    run_attempt: int
    step: str | None = None
    error: StepError | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Run:
    """One run as stored. `tail` begins with its RunSubmitted; then come the events of its start.

    `parent` is the run that it goes on from, `origin_run_id` the first of them all; None where it is the first itself.
    `limit` says how many runs may go on at once, of which this is one; it has its `place` from its start to its end.
    `undone_by` is the run that undoes this one, which has ended for good; `undoing` what this one undoes itself.
    `renewed` are steps that an earlier run had done and that were undone since, each with the run that did it anew.
    `up` says whose child it is; then `result` is its output, or `result_place` where that lies, also that of a batch
    which failed, and `lost` how many of its items have failed.
    """

    run_id: str
    workflow_slug: str
    version_id: str
    status: RunStatus
    created_us: int
    available_at_us: int
    deadline_us: int
    expires_s: int
    driver: Driver = "engine"
    run_attempt: int = 1
    seq: int = 1
    started_at_us: int | None = None
    completed_at_us: int | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    stop: Stop | None = None
    reviving: bool = False
    parent: str | None = None
    origin_run_id: str | None = None
    owed: int | None = None
    limit_keys: Mapping[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    place: int | None = None
    undone_by: str | None = None
    undoing: Undoing | None = None
    renewed: Mapping[str, str] = field(default_factory=dict)
    up: Up | None = None
    result: str | None = None
    result_place: str | None = None
    lost: int | None = None
    last_us: int = 0
    due_us: int | None = None
    tail: tuple[Mapping[str, Any], ...] = ()

    @property
    def first_run_id(self) -> str:
        """The run that all this began with: what effects are known by."""
        return self.origin_run_id or self.run_id

    def first_run_of(self, step: str) -> str:
        """The same of one step: an effect that was undone is another when it is brought about again."""
        return self.renewed.get(step, self.first_run_id)


@dataclass(frozen=True)
class Facts:
    """What does not change while a run's attempt lasts: all that a decision about one of its branches may ask.

    `stopping`: the run is known to be stopping, so nothing goes on. `limit_keys` are the values of those fields of the
    input by which limits are kept. `limit` is the run's own, and `place` what it has got of it. `undoes`: the run is
    there to undo another.
    """

    run_id: str
    workflow_slug: str
    graph: Graph
    expires_s: int
    timing: Timing
    priority: int | None = None
    run_attempt: int = 1
    started_at_us: int = 0
    deadline_us: int = LATEST_US
    stopping: bool = False
    limit_keys: Mapping[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    place: int | None = None
    undoes: bool = False
    up: Up | None = None


@dataclass(frozen=True)
class Claimant:
    """The worker that goes on along the branch, and where its lease ends; `pool` is the one that it works for, `place`
    what it has got for the next step, where that is limited.
    """

    worker: str
    lease_us: int
    slot_index: int | None = None
    worker_concurrency: int | None = None
    pool: str | None = None
    place: int | None = None


@dataclass(frozen=True)
class Birth:
    """A branch to put under "not there yet", with the events that begin it.

    `origin_us` names the commit that holds the dependency's completion, where that is not the commit it is put with.
    """

    branch: Branch
    events: tuple[Event, ...] = ()
    origin_us: int | None = None


@dataclass(frozen=True)
class Commit:
    """What a decision about a branch wants written, all of it or nothing.

    `before` is the state it was decided on; `events` are appended to the branch's log. A commit that is not `logged`
    may ride in the tail. `raises` are the joins to be counted up first, once for each step that arrives, `fills` those
    of them that were full then; `checks_run` asks that the run still runs with no intention to stop; `stop` and `end`
    are what the run must take over in the same transaction; with a stop, of a batch, what its items gave (`partial`),
    and how many were `lost`. `counted` is the step of a child's parent, as the count of the child's end has seen it.
    """

    before: Branch
    after: Branch
    events: tuple[Event, ...] = ()
    logged: bool = False
    births: tuple[Birth, ...] = ()
    raises: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    checks_run: bool = False
    stop: Stop | None = None
    end: WorkflowCompleted | None = None
    partial: str | None = None
    lost: int | None = None
    counted: Branch | None = None

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The joins to be looked at after it: of who was at work, those that it has filled, unless it was asked to look
        at all. Nobody else can be asked.
        """
        may_pass = self.before.status == "running" and not self.before.looks
        return tuple(dict.fromkeys(self.fills if may_pass else self.raises))

    @property
    def said(self) -> tuple[Event, ...]:
        """What happened by this commit: on its branch, and to the run."""
        return self.events if self.end is None else (*self.events, self.end)
