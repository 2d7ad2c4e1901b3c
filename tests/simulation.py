"""A small world of workers, messages and sweeps around one backend, without sockets and without waiting.

User code is replaced by a script (what each step does at which attempt); everything else is the product. Time is a
clock that moves a little with every reading and a lot when nothing is left to do now.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from cascade_flow import (
    DynamoDBBackend,
    EventClosedError,
    LogEntry,
    ResourceUsage,
    RunSubmission,
    StaleAttemptError,
    StepCompleted,
    StepDefinition,
    StepError,
    StepFailed,
    StepSkipped,
    WorkflowRegistration,
    clock as time,
)
from cascade_flow.dynamodb import due, keys
from cascade_flow.engine.commands import Command, Complete, Fail, KeepCheckpoint, Postpone, SkipStep
from cascade_flow.engine.state import ENDED, LATEST_US, Claimant, Timing
from cascade_flow.errors import CascadeFlowError
from cascade_flow.offload import Bucket
from cascade_flow.operations.item_inputs import declared_of
from cascade_flow.operations.partial_results import ITEM
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.steps import HeldAttempt, Slot, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.worker_protocol import WorkerProtocol
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.wake import Wake
from cascade_flow.worker.children import Parent
from checker import Checked, check_run
from family_checker import check_families
from oracle import Mark, Oracle, Said, Sent
from simulated_queue import Mailbox
from testbed.faults import Crash
from testbed.servers import Store

TIMING = Timing(lease_us=10_000_000, grace_us=3_000_000, timeout_us=3_600_000_000)
BEGIN_US = 1_800_000_000_000_000
SKEW_US = 3_000_000
LATER_US = 20_000_000
"""After how long a step comes again that isn't ready: longer than its lease, so that a sweep meets it."""
LOOK_US = 1_000_000
"""How soon a worker of a pool that got nothing looks again."""
USAGE = ResourceUsage(
    peak_memory_bytes=84_123_648,
    cpu_time_user_us=123_456,
    cpu_time_system_us=45_678,
    cpu_time_total_us=169_134,
    voluntary_context_switches=12,
    involuntary_context_switches=3,
)
OUTPUT = {"order": "A-1029", "total": 1029.55, "items": ["tea", "cup", "pot"], "paid": True, "note": "gift wrap"}


class TickingClock:
    """Every reading is a little later than the one before."""

    def __init__(self, start_us: int = BEGIN_US, tick_us: int = 37) -> None:
        self._now_us = start_us
        self._tick_us = tick_us

    def now_us(self) -> int:
        self._now_us += self._tick_us
        return self._now_us

    def pause_us(self, us: int) -> None:
        self._now_us += us


class SkewedClock(TickingClock):
    """Every reading is that of another machine: up to three seconds ahead or behind."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = random.Random(seed)

    def now_us(self) -> int:
        return super().now_us() + self._dice.randint(-SKEW_US, SKEW_US)


def step(id: str, *dependencies: str, **options: Any) -> StepDefinition:
    """A step that waits for these."""
    return StepDefinition(id=id, name=id, dependencies=list(dependencies), **options)


Script = Mapping[str, Sequence[str]]
"""What a step does at attempts 1, 2, …: `ok`, `3 items`, `large`, `vast` (for a bucket), `fail`, `fatal`, `skip`,
`later`, `die`.

The last one goes on for ever.
"""


@dataclass
class World:
    """One backend and those who work with it; the observer's requests meet no faults."""

    store: Store
    script: Script = field(default_factory=dict)
    chained: bool = True
    mailbox: Mailbox = field(default_factory=Mailbox)
    clock: TickingClock = field(default_factory=TickingClock)
    ran: list[tuple[str, int]] = field(default_factory=list)
    pools: set[str] = field(default_factory=set)
    """Those for which steps were registered."""
    swept: Counter[str] = field(default_factory=Counter)
    """What all sweeps together have done."""
    reborn: Callable[[], None] = lambda: None
    """Called when a process has died and another takes its place."""
    busy: Callable[[Steps, HeldAttempt], HeldAttempt] = lambda steps, held: held
    """What a worker does with an attempt before it ends it, such as a heartbeat."""
    answers_lost: Callable[[], int] = lambda: 0
    """How many answers have not reached their askers."""
    oracle: Oracle = field(default_factory=Oracle)
    sweep_every_us: int = 1
    """Sweeps come at multiples of this, of those times at which they can find something."""

    outside: Mapping[str, Any] = field(default_factory=dict)
    """What is sent to each event, in the end, where nobody has done so."""
    sends_early: bool = False
    """Whether that is sent before the first step is carried out."""
    heard: set[tuple[str, str]] = field(default_factory=set)
    """The events, by run, that need no further word."""

    families: dict[str, list[Checked]] = field(default_factory=dict)
    """The children of each run, and theirs, as they were checked last."""

    bucket: BucketClient | None = None
    """Where large payloads lie: as `backend` asks for them; every other process has a client of its own."""

    def __post_init__(self) -> None:
        self.mailbox.observe(self.store)
        self.backend = self._backend(self.store.client, self.bucket)
        self.observer = self.another(self.store.another_client())

    @property
    def clients(self) -> list[Any]:
        """All that `backend` asks with: what a process dies with."""
        return [self.store.client, self.mailbox.client, *([self.bucket] if self.bucket else [])]

    def another(self, client: Any = None) -> DynamoDBBackend:
        """A backend of another process, on a client of its own."""
        return self._backend(client or self.store.client, self.bucket and self.bucket.twin())

    def _backend(self, client: Any, bucket: BucketClient | None) -> DynamoDBBackend:
        opened = None if bucket is None else Bucket("bucket", client=bucket)
        return DynamoDBBackend(self.store.table, client=client, bucket=opened, queue=self.mailbox, timing=TIMING)

    def register(self, steps: Sequence[StepDefinition], slug: str = "flow", **options: Any) -> None:
        self.backend.register_workflow(WorkflowRegistration(slug=slug, name="Flow", steps=list(steps), **options))
        self.pools |= {each.executor for each in steps if each.executor is not None}

    def submit(self, **options: Any) -> str:
        return self.backend.submit_run(RunSubmission(workflow_slug="flow", **options)).run_id

    def deliver(self, wake: Wake, backend: DynamoDBBackend | None = None, *, worker: str = "worker-1") -> None:
        """What a worker does with one message."""
        backend = backend or self.backend
        if not wake.step:
            Sweep(backend.runtime, name=worker).attend(wake.run_id, wake.branch)
            return
        held = Steps(backend.runtime).claim(wake, worker)
        self._carry_out(backend.runtime, held, worker, pool=None)

    def serve(self, pool: str, backend: DynamoDBBackend | None = None, *, worker: str = "machine-1") -> None:
        """What a worker of a pool does when it looks."""
        runtime = (backend or self.backend).runtime
        held = WorkerProtocol(runtime).claim_next(worker, slot=Slot(), pool=pool)
        self._carry_out(runtime, held, worker, pool=pool)

    def _carry_out(self, runtime: Runtime, held: HeldAttempt | None, worker: str, *, pool: str | None) -> None:
        steps = Steps(runtime)
        while held is not None and held.running:
            assert held.facts.graph.step(held.branch.step).executor == pool, f"{held.branch} is not for {pool}"
            self.oracle.holds(mark_of(held), worker, steps.inputs(held).outputs)
            held = self._keeps(steps, self.busy(steps, held), worker)
            held = self.report(steps, held, self.act(held, worker, runtime))

    def report(self, steps: Steps, held: HeldAttempt, command: Command) -> HeldAttempt:
        """Say what came of an attempt, and note what was answered; where an answer was lost, a refusal may be wrong."""
        said, lost = said_by(held, command), self.answers_lost()
        try:
            after = steps.report(held, command)
        except StaleAttemptError:
            self.oracle.refused += said * (lost == self.answers_lost())
            raise
        self.oracle.accepted += said
        return after

    def act(self, held: HeldAttempt, worker: str, runtime: Runtime | None = None) -> Command:
        """What the script makes of a held attempt; an output is signed by who gives it, which `checker` compares."""
        name, attempt = held.branch.step, held.branch.attempt
        self.ran.append((name, attempt))
        if held.facts.graph.step(name).children is not None:
            return self._as_parent(held, runtime or self.backend.runtime)
        up = held.facts.up
        acts = self.script.get(name, ["ok"]) if up is None else self._of_child(name, up.number)
        lease_us = time.now_us() + TIMING.lease_us
        claimant = Claimant(worker, lease_us, pool=held.branch.pool) if self.chained else None
        signed: Any = {"by": [name, attempt, worker]}
        if (items := self._batch_of(held)) is not None:
            return self._as_batch(held, items, worker)
        match acts[min(attempt, len(acts)) - 1]:
            case "ok":
                return Complete(json.dumps({**OUTPUT, **signed}), 123_456, USAGE, claimant)
            case act if act.endswith(" items"):
                return Complete(json.dumps(items_of(act)), 1_000, USAGE, claimant)
            case "skip":
                return SkipStep(f"nothing to do, says {worker}", 1_000, {"why": "test"}, claimant)
            case "later":
                return Postpone("not ready", 1_000, delay_us=LATER_US)
            case "die":
                raise Crash(f"{name}, attempt {attempt}")
            case "large":
                lines = [f"{name}-{n}" for n in range(3_000)]
                return Complete(json.dumps({"lines": lines, **signed}), 123_456, USAGE, claimant)
            case "vast":
                lines = [random.Random(str(signed)).randbytes(33_000).hex()]
                return Complete(json.dumps({"lines": lines, **signed}), 123_456, USAGE, claimant)
            case act:
                error = StepError(name="ValueError", message=f"{name} can't", stack=f"in {worker}")
                return Fail(error, "execution-error", 1_000, retryable=act == "fail")

    def _of_child(self, name: str, number: int) -> Sequence[str]:
        """What the script says of one child, as `pack~2`, or of all."""
        return self.script.get(f"{name}~{number}", self.script.get(name, ["ok"]))

    def _batch_of(self, held: HeldAttempt) -> range | None:
        """Which items a map's child does, where these are a batch."""
        if held.facts.up is None or not held.facts.up.is_item:
            return None
        batch = declared_of(self.observer.runtime, held.run).batch
        first = held.facts.up.number * batch
        return None if batch == 1 else range(first, first + len(json.loads(held.run.tail[0]["input"])))

    def _keeps(self, steps: Steps, held: HeldAttempt, worker: str) -> HeldAttempt:
        """What a worker does with a batch: each item's result is stored, if it has none yet and comes to one."""
        for place, item in enumerate(self._batch_of(held) or ()):
            acts = self._of_child(held.branch.step, item)
            if place not in self._kept(held) and acts[min(held.branch.attempt, len(acts)) - 1] == "ok":
                data = json.dumps([item, held.branch.attempt, worker])
                held = steps.report(held, KeepCheckpoint(ITEM, place, data))
        return held

    def _kept(self, held: HeldAttempt) -> Mapping[int, str]:
        """What is stored of a batch, by the item's place in it."""
        history = self.observer.runtime.ledger.history(held.run.run_id)
        told = [r for r in history.records if r["type"] == "StepCheckpoint"] if history else []
        return {r["sequenceNumber"]: r["data"] for r in told if r["name"] == ITEM}

    def _as_batch(self, held: HeldAttempt, items: range, worker: str) -> Command:
        kept = self._kept(held)
        if len(kept) < len(items):
            error = StepError(name="ItemsFailed", message=f"{held.branch.step} can't", stack=f"in {worker}")
            return Fail(error, "execution-error", 1_000, retryable=True)
        return Complete(f"[{','.join(text for _, text in sorted(kept.items()))}]", 1_000)

    def _as_parent(self, held: HeldAttempt, runtime: Runtime) -> Command:
        """What a worker does for a step whose work children do."""
        definition = held.facts.graph.step(held.branch.step).children
        assert definition is not None, f"{held.branch.step} has no children"
        given = Complete(Steps(runtime).inputs(held).input or "null", 1_000)
        command = Parent(runtime, held, definition).command(None, lambda: given)
        assert command is not None, f"nothing is to be reported of {held.branch}"
        return command

    def send(self, run_id: str, event: str, data: Any, backend: DynamoDBBackend | None = None) -> None:
        """Send an event, and note what was answered; who is told that it is closed has nothing more to say."""
        try:
            (backend or self.backend).send_event(run_id, event, data)
        except EventClosedError:
            self.heard.add((run_id, event))
            raise
        self.heard.add((run_id, event))
        self.oracle.sent.append(Sent(run_id, event, json.dumps(data)))

    def sweep(self, backend: DynamoDBBackend | None = None) -> Mapping[str, int]:
        done = Sweep((backend or self.backend).runtime, name="reaper").sweep(until_us=time.now_us() + 10**12).done
        self.swept.update(done)
        return done

    def settle(self, *run_ids: str, rounds: int = 200) -> None:
        """Deliver, sweep and let time pass until these runs have ended; with faults, deaths are survived."""
        for _ in range(rounds):
            self.mailbox.must_have_been_true()
            if all(self._ended(run_id) for run_id in run_ids):
                return
            if self.sends_early and self._send_due(run_ids):
                continue
            if not self._deliver_due() and not self._serve_due() and not self._send_due(run_ids) and self._wait():
                self.outlive(self.sweep)
        raise AssertionError(f"not ended after {rounds} rounds: {run_ids}; {self.mailbox.wakes}")

    def _deliver_due(self) -> bool:
        ready = [wake for wake in self.mailbox.wakes if wake.available_at_us <= time.now_us()]
        for wake in ready[:1]:
            self.mailbox.wakes.remove(wake)
            self.outlive(partial(self.deliver, wake))
        return bool(ready)

    def _send_due(self, run_ids: Sequence[str]) -> bool:
        """Send one event that nobody has sent; whether there was one."""
        unheard = [(run_id, event) for run_id in run_ids for event in self.outside if not self._ended(run_id)]
        for run_id, event in [each for each in unheard if each not in self.heard][:1]:
            self.outlive(partial(self.send, run_id, event, self.outside[event]))
            return True
        return False

    def _serve_due(self) -> bool:
        """Let a worker look for whom something waits; answers whether it did anything, or died."""
        waiting = [pool for pool in sorted(self.pools) if self._available_us(pool, before_us=time.now_us())]
        ran, died = len(self.ran), False
        for pool in waiting:
            died = died or self.outlive(partial(self.serve, pool)) is not None
        return died or len(self.ran) > ran

    def _available_us(self, pool: str, *, before_us: int) -> list[int]:
        """From when on each step may be claimed that waits for a pool, of those that may be by then."""
        found = due.waiting(self.observer.runtime.ledger.table, pool, until_us=before_us)
        return [keys.available_us_of(entry.due_us) for entry in found]

    def _wait(self) -> bool:
        """Let time pass until something is due: in the queue, for a pool or a sweep; whether it is the sweep's turn."""
        table = self.observer.runtime.ledger.table
        swept_us = [self._next_sweep_us(entry.due_us) for entry in islice(due.entries(table, until_us=2**62), 1)]
        available_us = [at_us for pool in self.pools for at_us in self._available_us(pool, before_us=LATEST_US)]
        served_us = [max(at_us, time.now_us() + LOOK_US) for at_us in available_us]
        next_us = min([wake.available_at_us for wake in self.mailbox.wakes] + swept_us + served_us, default=0)
        self.clock.pause_us(max(1_000, next_us - time.now_us()))
        return next_us in (0, *swept_us)

    def _next_sweep_us(self, due_us: int) -> int:
        """The first time for a sweep, from now on, that finds what is due then."""
        return -(-max(due_us, time.now_us()) // self.sweep_every_us) * self.sweep_every_us

    def check(self, run_id: str) -> Checked:
        """Assert that the run keeps every promise, and has become what everybody was told; and that no sweep has met
        what it did not foresee, which it would only have put off.
        """
        skew_us = SKEW_US if isinstance(self.clock, SkewedClock) else 0
        checked = check_run(self.observer, run_id, skew_us=skew_us)
        has_children = any(each.children is not None for each in checked.facts.graph.steps.values())
        children = check_families(self.observer, checked, self.stored(), skew_us=skew_us) if has_children else []
        self.families[run_id] = children
        for each in (checked, *children):
            self.oracle.check(each, clocks_agree=not skew_us)
        assert not self.swept["failed"], "a sweep has failed: its log says at what"
        return checked

    def stored(self) -> set[str]:
        """The ids of all runs of which anything is there."""
        pages = self.store.server.keeper.get_paginator("scan").paginate(TableName=self.store.table)
        partitions = {item["pk"]["S"] for page in pages for item in page["Items"]}
        return {partition.removeprefix("R#") for partition in partitions}

    def outlive(self, act: Callable[[], object]) -> BaseException | None:
        """Let a process do something; where it dies, another takes its place."""
        error = survive(act)
        self.reborn()
        return error

    def _ended(self, run_id: str) -> bool:
        run = self.observer.runtime.ledger.run(run_id)
        return run is not None and run.status in ENDED


def items_of(act: str) -> list[str]:
    """What a step gives whose script says `3 items`."""
    return [f"item {n}" for n in range(int(act.split(maxsplit=1)[0]))]


def mark_of(held: HeldAttempt) -> Mark:
    """Which attempt this is."""
    return Mark(held.run.run_id, held.branch.step, held.branch.attempt)


def said_by(held: HeldAttempt, command: Command) -> list[Said]:
    """What a report says of an attempt; one that hands its items out says nothing yet."""
    match command:
        case Complete(output=output):
            return [Said(mark_of(held), StepCompleted, output)]
        case SkipStep(reason=reason):
            return [Said(mark_of(held), StepSkipped, reason)]
        case Fail(error=error):
            return [Said(mark_of(held), StepFailed, error.stack)]
        case Postpone():
            return [Said(mark_of(held), LogEntry, None)]
        case _:
            return []


def survive(act: Callable[[], object]) -> BaseException | None:
    """Let a process do something, and outlive its death or its failure."""
    try:
        act()
    except (Crash, CascadeFlowError) as error:
        return error
    return None
