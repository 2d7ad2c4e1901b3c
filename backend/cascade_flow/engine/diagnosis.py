"""Why a run stands where it stands: `(case, world, now) → findings`. Pure.

Every run that goes on gets a finding, also where all is well. What a sweep mends is late; where no sweep comes, or none
can help, it is stuck, and the finding says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from cascade_flow.engine.children_findings import waits_for_children
from cascade_flow.engine.decide import last_seen_us
from cascade_flow.engine.findings import ORDER, Finding, Sweeps, ended, instant, listed, nth, span
from cascade_flow.engine.joins import all_arrived, beyond, steps_over, waits_outside
from cascade_flow.engine.limit_findings import run_waits, step_waits, waited_for
from cascade_flow.engine.limits import Waiting
from cascade_flow.engine.state import ENDED, Branch, Run, Timing, is_urgent
from cascade_flow.graph import END, Graph
from cascade_flow.records import dataclass, replace

_WORKER_LOG = "see the worker function's log and the dead letters (`cascade dead-letters list`)"
_REAPER_LOG = "see whether the schedule calls the reaper function, and its log"


@dataclass(frozen=True)
class Case:
    """A run and its branches as stored; the steps that the deployed code has of its workflow; what limited steps wait
    for, by branch, and those of the runs that do their work which may not be over.

    `graph` is None where the run's version is gone, `deployed` where no deployment has the workflow any more.
    """

    run: Run
    branches: Mapping[str, Branch]
    graph: Graph | None
    deployed: frozenset[str] | None
    waits: Mapping[str, Waiting] = field(default_factory=dict)
    children: Mapping[str, Sequence[Case]] = field(default_factory=dict)


@dataclass(frozen=True)
class Room:
    """How many steps the worker function runs, and may run, where that is known: of urgent runs, or of the others."""

    running: int = 0
    concurrency: int | None = None
    urgent: bool = False

    @property
    def is_used_up(self) -> bool:
        return self.concurrency is not None and self.running >= self.concurrency

    @property
    def steps(self) -> str:
        return "urgent steps" if self.urgent else "steps"

    @property
    def cure(self) -> str:
        return f"wait, or raise {'UrgentConcurrency' if self.urgent else 'WorkerConcurrency'}"


@dataclass(frozen=True)
class World:
    """What is around the runs: the sweeps (None: nobody knows of one), and how many steps run where.

    `urgent` is None where urgent runs have no room of their own; `pools` are those that workers of a pool run.
    """

    timing: Timing
    sweeps: Sweeps | None = None
    usual: Room = Room()
    urgent: Room | None = None
    pools: Mapping[str, int] = field(default_factory=dict)

    def room(self, branch: Branch) -> Room:
        """Where a branch finds its worker."""
        return self.urgent if self.urgent is not None and is_urgent(branch.priority) else self.usual


def diagnosed(case: Case, world: World, now_us: int) -> tuple[Finding, ...]:
    """What is to be said of a run, the worst first; at least one thing."""
    found = [*_of_run(case, world, now_us)]
    return tuple(sorted(found, key=lambda finding: ORDER.index(finding.severity)))


def diagnosed_engine(world: World, now_us: int) -> tuple[Finding, ...]:
    """What keeps all runs waiting; nothing where the engine is well."""
    rooms = [room for room in (world.usual, world.urgent) if room is not None]
    found = [_reaper(world.sweeps, now_us), *map(_used_up, rooms)]
    return tuple(finding for finding in found if finding is not None)


def remaining_steps(case: Case, now_us: int) -> tuple[str, ...]:
    """The steps that a run has still to begin; what a live worker holds is its worker's, with the code that it has."""
    graph = case.graph
    if graph is None or case.run.status in ENDED or case.run.stop is not None:
        return ()
    known = [branch for branch in case.branches.values() if branch.name != END]
    over = {step for branch in known for step in graph.chain(branch.name)[: steps_over(graph, branch)]}
    held = {branch.step for branch in known if _is_held(branch, now_us)}
    return tuple(step for step in graph.steps if step not in over | held)


def _of_run(case: Case, world: World, now_us: int) -> Iterator[Finding]:
    run = case.run
    if run.status in ENDED:
        yield ended(run)
    elif run.driver == "caller":
        yield Finding("driven-by-caller", "waits", "the run goes on when its caller says so: the engine does nothing")
    elif case.graph is None:
        said = f"version {run.version_id} of workflow {run.workflow_slug!r} is no longer stored"
        yield Finding("version-gone", "stuck", said, "register that version again, or cancel the run")
    elif run.stop is not None:
        yield _stopping(case, world, now_us)
    elif run.deadline_us <= now_us:
        yield _swept("past-deadline", "the run's time is over", "ends it", world, run.due_us, now_us)
    elif run.status == "pending":
        waiting = case.waits.get("")
        yield run_waits(run, waiting) if waiting else _pending(run, world, now_us)
        yield from _gone(case, now_us)
    else:
        yield from _going_on(case, case.graph, world, now_us)


def _going_on(case: Case, graph: Graph, world: World, now_us: int) -> Iterator[Finding]:
    run, found = case.run, [*_gone(case, now_us)]
    if run.reviving:
        said = "the run is being tried again"
        found.append(_in_hand("retry-unfinished", said, "goes on with it", world, run.due_us, now_us))
    if run.owed is not None:
        said = "some of the first steps are still to be put under way"
        found.append(_in_hand("roots-owed", said, "does so", world, run.due_us, now_us))
    for branch in case.branches.values():
        found += _of_branch(case, graph, branch, world, now_us)
    yield from found
    if all(finding.code in _ABOUT_THE_CODE for finding in found):
        said = "nothing of the run is under way, and nobody is to look at it: this should not be"
        yield Finding("stalled", "stuck", said, f"cancel the run, and resume it: `cascade resume {run.run_id}`")


_ABOUT_THE_CODE = ("workflow-gone", "step-gone")


def _of_branch(case: Case, graph: Graph, branch: Branch, world: World, now_us: int) -> Iterator[Finding]:
    if branch.stopped:
        return
    if branch.owed is not None and not _is_held(branch, now_us):
        said = f"what follows `{branch.step}` is still to be put under way"
        yield _in_hand("branches-owed", said, "does so", world, branch.due_us, now_us, step=branch.step)
    if waits_outside(graph, branch) and all_arrived(graph, branch.name, case.branches):
        yield _event(case, branch, world, now_us)
    elif branch.status == "open":
        yield _join(case, graph, branch, world, now_us)
    elif branch.status == "running":
        yield _running(branch, world, now_us)
    elif branch.status == "scheduled":
        waiting = case.waits.get(branch.name)
        yield step_waits(branch, waiting, now_us) if waiting else _scheduled(graph, branch, world, now_us)
    elif branch.status == "waiting":
        yield _waiting(case, branch, world, now_us)
    elif branch.status == "skipping":
        said = f"`{branch.step}` is to be skipped"
        yield _in_hand("skip-unfinished", said, "does so", world, branch.due_us, now_us, step=branch.step)


def _waiting(case: Case, branch: Branch, world: World, now_us: int) -> Finding:
    """Whoever ends the last child looks at the step; where nobody has, a sweep does."""
    if branch.due_us is not None and branch.due_us <= now_us - world.timing.grace_us:
        said = f"`{branch.step}` waits for runs of its own, and nobody has looked how they are"
        return _swept("children-unlooked", said, "does so", world, branch.due_us, now_us, step=branch.step)
    known = [(child.run, diagnosed(child, world, now_us)[0]) for child in case.children.get(branch.name, ())]
    return waits_for_children(branch, known)


def _pending(run: Run, world: World, now_us: int) -> Finding:
    if run.available_at_us > now_us:
        said = f"the run is delayed until {_until(run.available_at_us, now_us)}"
        return Finding("delayed", "waits", said, until_us=run.available_at_us)
    said = f"the run should have started {span(now_us - run.available_at_us)} ago: its wake-up is late or lost"
    return _swept("start-overdue", said, "starts it", world, run.due_us, now_us)


def _stopping(case: Case, world: World, now_us: int) -> Finding:
    """A run that fails lets running steps finish, as long as they live."""
    run, stop = case.run, case.run.stop
    assert stop is not None
    word = {"failed": "is failing", "timeout": "has run out of time", "cancelled": "is being cancelled"}[stop.kind]
    because = f", since `{stop.step}` failed" if stop.step else ""
    held = [branch for branch in case.branches.values() if _is_held(branch, now_us)]
    if held and stop.kind == "failed":
        said = f"the run {word}{because}, and ends when {listed([branch.step for branch in held])} is done"
        return Finding("stopping", "waits", said, step_id=held[0].step)
    return _in_hand("stop-unfinished", f"the run {word}{because}", "ends it", world, run.due_us, now_us)


def _gone(case: Case, now_us: int) -> Iterator[Finding]:
    """Steps that no worker has: the next one that is begun fails the run."""
    left = remaining_steps(case, now_us)
    slug = case.run.workflow_slug
    if case.deployed is None and left:
        said = f"workflow {slug!r} is no longer deployed: {listed([*left])} would fail with `step-removed`"
        yield Finding("workflow-gone", "stuck", said, "deploy code that declares the workflow, or cancel the run")
    elif gone := [step for step in left if case.deployed is not None and step not in case.deployed]:
        said = f"the deployed code has no {listed(gone)} any more: the run would fail there with `step-removed`"
        cure = "deploy code that has the step, or cancel the run and submit another"
        yield Finding("step-gone", "stuck", said, cure, step_id=gone[0])


def _running(branch: Branch, world: World, now_us: int) -> Finding:
    silent_us, lease_us = now_us - last_seen_us(branch), branch.lease_us or 0
    worker = f"worker {branch.worker}"
    if lease_us <= now_us:
        said = f"{worker} fell silent {span(silent_us)} ago while it ran `{branch.step}`: its lease is over"
        due_us = branch.due_us or lease_us
        return _swept("lease-over", said, "gives the step to another", world, due_us, now_us, step=branch.step)
    if 2 * silent_us > world.timing.lease_us:
        said = f"{worker} of `{branch.step}` has been silent for {span(silent_us)}, and may be dead"
        then = f"its lease ends in {span(lease_us - now_us)}, and then another gets the step"
        return Finding("worker-silent", "late", f"{said}: {then}", step_id=branch.step, until_us=lease_us)
    return Finding("running", "well", f"`{branch.step}` {_doing(branch, now_us)}", step_id=branch.step)


def _scheduled(graph: Graph, branch: Branch, world: World, now_us: int) -> Finding:
    step, waited_us = branch.step, now_us - branch.ready_us
    if waited_us < 0:
        said = f"`{step}` {_doing(branch, now_us)}{_delay_of(graph, branch)}"
        code = "not-ready" if branch.laters else "retrying" if branch.tried > 1 else "step-delayed"
        return Finding(code, "waits", said, step_id=step, until_us=branch.ready_us)
    if waited_us <= world.timing.grace_us:
        return Finding("queued", "well", f"`{step}` {_doing(branch, now_us)}", step_id=step)
    pool = pool_of(graph, step)
    return _untaken(branch, world, waited_us, now_us) if pool is None else _in_pool(step, pool, world, waited_us)


def pool_of(graph: Graph, step: str) -> str | None:
    """The pool whose workers alone may take a step; None where the worker function does."""
    return graph.step(step).executor


def _in_pool(step: str, pool: str, world: World, waited_us: int) -> Finding:
    said = f"`{step}` has waited for a worker of pool {pool!r} for {span(waited_us)}"
    cure = f"start one: `cascade worker --pool {pool}`"
    if at_work := world.pools.get(pool, 0):
        busy = f"{said}: those there run {at_work} step{'' if at_work == 1 else 's'} already"
        return Finding("pool-busy", "late", busy, f"wait, or start another: `cascade worker --pool {pool}`", step)
    return Finding("no-worker-of-pool", "stuck", f"{said}, and none is at work", cure, step)


def _untaken(branch: Branch, world: World, waited_us: int, now_us: int) -> Finding:
    said = f"`{branch.step}` has waited for a worker for {span(waited_us)}"
    room = world.room(branch)
    if room.is_used_up:
        used = f"{said}: all {room.concurrency} {room.steps} that may run at once do"
        return Finding("concurrency-used-up", "late", used, room.cure, branch.step)
    due_us = branch.due_us or 0
    again = due_us >= branch.ready_us + 2 * world.timing.grace_us
    if again and not _silent_us(world, now_us):
        called = f"{said}, was called out again, and nobody took it"
        return Finding("nobody-takes-it", "stuck", called, _WORKER_LOG, branch.step, max(due_us, now_us))
    lost = f"{said}: its wake-up is lost"
    return _swept("wake-up-lost", lost, "sends another", world, due_us, now_us, step=branch.step)


def _event(case: Case, event: Branch, world: World, now_us: int) -> Finding:
    """An event from outside that nothing else is in the way of."""
    run, patience = case.run, event.patience
    if event.signal is not None:
        said = f"`{event.name}` was sent"
        return _in_hand("event-unfinished", said, "goes on with it", world, event.due_us, now_us, step=event.name)
    noted = patience is not None and patience.run_attempt == run.run_attempt
    until_us = patience.until_us if patience and noted else run.deadline_us
    said = f"the run waits for `{event.name}` from outside until {_until(until_us, now_us)}"
    if until_us <= now_us:
        return _swept("event-timed-out", said, "ends that", world, event.due_us, now_us, step=event.name)
    cure = f"send it: `cascade send {run.run_id} {event.name} --data …`"
    return Finding("waits-for-event", "waits", said, cure, step_id=event.name, until_us=until_us)


def _join(case: Case, graph: Graph, join: Branch, world: World, now_us: int) -> Finding:
    name = "the run's end" if join.name == END else f"`{join.name}`"
    step = None if join.name == END else join.name
    if all_arrived(graph, join.name, case.branches):
        said = f"all that {name} waits for is there"
        return _in_hand("join-unopened", said, "goes on with it", world, join.due_us, now_us, step=step)
    missing = [s for s in graph.awaited(join.name) if not beyond(graph, case.branches.get(graph.branch_of(s)), s)]
    said = f"{name} waits for {listed(missing)}"
    blocker = _blocker(case, graph, missing[0])
    if blocker is None:
        return Finding("waits-for", "waits", said, step_id=step)
    which = "which" if [blocker.step] == missing else f"of which `{blocker.step}`"
    if blocker.step not in missing:
        which = f"and so for `{blocker.step}`, which"
    until_us = blocker.ready_us if blocker.ready_us > now_us else None
    waiting = case.waits.get(blocker.name)
    doing = f"waits for {waited_for(waiting, now_us)}" if waiting else _doing(blocker, now_us)
    return Finding("waits-for", "waits", f"{said}, {which} {doing}", step_id=step, until_us=until_us)


def _blocker(case: Case, graph: Graph, step: str) -> Branch | None:
    """The branch on which somebody works, or should, before this step can be over; None where nobody has begun it."""
    head = graph.branch_of(step)
    before = [s for s in graph.awaited(head) if not beyond(graph, case.branches.get(graph.branch_of(s)), s)]
    return _blocker(case, graph, before[0]) if before else case.branches.get(head)


def _doing(branch: Branch, now_us: int) -> str:
    """What a branch is about at its step, after the step's name."""
    ready_us = branch.ready_us
    if branch.status == "running":
        return f"has been running for {span(now_us - (branch.started_at_us or now_us))} (attempt {branch.attempt})"
    if branch.status == "scheduled" and ready_us > now_us:
        times = f", for the {nth(branch.laters + 1)} time" if branch.laters else ""
        return f"{_wait_of(branch)} {_until(ready_us, now_us)}{times}"
    if branch.status == "scheduled":
        return f"is due, and waits for a worker for {span(now_us - ready_us)}"
    return {"open": "waits itself", "skipping": "is to be skipped"}.get(branch.status, f"stands {branch.status}")


def _wait_of(branch: Branch) -> str:
    if branch.laters:
        return "is not ready, and asks again at"
    return f"is in retry {branch.tried - 1} until" if branch.tried > 1 else "starts at"


def _delay_of(graph: Graph, branch: Branch) -> str:
    """How long after what a delayed step starts."""
    step = graph.step(branch.step)
    if branch.attempt > 1 or not step.delay_ms:
        return ""
    causes = listed(step.dependencies) if step.dependencies else "the run's start"
    return f", {span(step.delay_ms * 1_000)} after {causes}"


def _until(us: int, now_us: int) -> str:
    return f"{instant(us, now_us)} (in {span(us - now_us)})"


def _swept(
    code: str, said: str, does: str, world: World, due_us: int | None, now_us: int, *, step: str | None = None
) -> Finding:
    """What the next sweep mends; nobody does where none comes."""
    finding = Finding(code, "late", f"{said}; the next sweep {does}", step_id=step)
    if world.sweeps is None:
        return finding
    if silent_us := _silent_us(world, now_us):
        told = f"{said}; a sweep {does}, but the reaper has been silent for {span(silent_us)}"
        return replace(finding, severity="stuck", sentence=told, cure=_REAPER_LOG)
    at_us = world.sweeps.first_after(due_us or now_us, now_us)
    return replace(finding, sentence=f"{said}; the sweep in {span(at_us - now_us)} {does}", until_us=at_us)


def _in_hand(
    code: str, said: str, does: str, world: World, due_us: int | None, now_us: int, *, step: str | None = None
) -> Finding:
    """What somebody does at this moment, or has died over: then a sweep does it."""
    if due_us is not None and 0 < due_us - now_us <= world.timing.grace_us:
        return Finding(code, "well", f"{said}: somebody is about it", step_id=step)
    return _swept(
        code, f"{said}, and whoever was about it did not come to the end", does, world, due_us, now_us, step=step
    )


def _silent_us(world: World, now_us: int) -> int:
    return 0 if world.sweeps is None else world.sweeps.silent_us(now_us)


def _reaper(sweeps: Sweeps | None, now_us: int) -> Finding | None:
    if sweeps is None:
        said = "the reaper has not told of any sweep yet: it does so each minute"
        return Finding("reaper-unknown", "waits", said, _REAPER_LOG)
    if silent_us := sweeps.silent_us(now_us):
        said = f"the reaper has been silent for {span(silent_us)}: nothing that is lost or late is mended"
        return Finding("reaper-silent", "stuck", said, _REAPER_LOG)
    return None


def _used_up(room: Room) -> Finding | None:
    if not room.is_used_up:
        return None
    said = f"all {room.concurrency} {room.steps} that may run at once do: what is due waits for one of them"
    return Finding("concurrency-used-up", "late", said, room.cure)


def _is_held(branch: Branch, now_us: int) -> bool:
    """Whether a worker holds the branch that may still be alive."""
    return branch.status == "running" and (branch.lease_us or 0) > now_us
