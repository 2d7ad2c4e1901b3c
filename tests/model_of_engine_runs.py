"""Runs that the engine drives, told again in the plainest way: what the stateful test expects of the product.

No storage, no branches, no fences: a run is a graph, the state of each step, and the types of the events that must be
in its history. Time is whole seconds, since the test lets it pass in whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

LEASE_S = 10
RETRY_S = 2
TIMEOUT_S = 3_600
OVER = ("completed", "skipped")
ENDED = ("completed", "failed", "cancelled")
_ENDS_OF_ATTEMPTS = ("StepCompleted", "StepFailed", "StepReclaimed", "StepSkipped")

Told = tuple[str, int]
"""An event of a step: its type and the attempt that it is about."""


@dataclass(frozen=True)
class Part:
    """A step as declared: what it waits for, how often it is tried, whether it gives way to a skip."""

    waits_for: tuple[str, ...] = ()
    tries: int = 1
    gives_way: bool = True


Graph = Mapping[str, Part]


@dataclass
class StepNow:
    """A step of a run. `halted`: the run's end, or its stop, has taken it out of everybody's hands."""

    status: str = "pending"
    attempt: int = 0
    tries_before: int = 0
    worker: str | None = None
    free_s: int = 0
    lease_s: int = 0
    seen_s: int = 0
    halted: bool = False
    told: list[Told] = field(default_factory=list)
    copied: int = 0
    starts: dict[int, str] = field(default_factory=dict)

    @property
    def own(self) -> list[Told]:
        """What happened to it in its own run."""
        return self.told[self.copied :]

    def is_held(self, attempt: int, worker: str | None = None) -> bool:
        """Whether a report of this attempt must be taken."""
        held = self.status == "running" and not self.halted and self.attempt == attempt
        return held and worker in (None, self.worker)

    def tell(self, *types: str) -> None:
        self.told += [(type, self.attempt) for type in types]

    def over(self, attempt: int) -> bool:
        return any((type, attempt) in self.told for type in _ENDS_OF_ATTEMPTS)


@dataclass
class ModelRun:
    """A run: everything that it is expected to say of itself."""

    run_id: str
    slug: str
    graph: Graph
    priority: int = 0
    tags: tuple[str, ...] = ()
    timeout_s: int = TIMEOUT_S
    starts_s: int = 0
    status: str = "pending"
    attempt: int = 1
    deadline_s: int = 0
    stop: Literal["failed", "timeout", "cancelled"] | None = None
    told: list[str] = field(default_factory=lambda: ["RunSubmitted"])
    steps: dict[str, StepNow] = field(default_factory=dict)
    lines: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.deadline_s = self.starts_s + self.timeout_s
        self.steps = {name: StepNow() for name in self.graph}

    # -- how it goes on -------------------------------------------------------------------------------------------

    def start(self, now_s: int) -> None:
        self.status = "running"
        self.told += ["WorkflowInputValidation", "WorkflowStarted"]
        self.begin_all(now_s)

    def begin_all(self, now_s: int) -> None:
        """Schedule what has nothing left to wait for; what waits for a skipped step gives way to it."""
        for name, part in self.graph.items():
            step, awaited = self.steps[name], [self.steps[other] for other in part.waits_for]
            if step.status != "pending" or not all(other.status in OVER for other in awaited):
                continue
            step.attempt = 1
            if part.gives_way and any(other.status == "skipped" for other in awaited):
                step.status = "skipped"
                step.tell("StepSkipped")
                self.begin_all(now_s)
            else:
                self._schedule(step, now_s)
        if self.status == "running" and all(step.status in OVER for step in self.steps.values()):
            self._end("completed", "WorkflowCompleted")

    def claim(self, name: str, worker: str, now_s: int) -> int | None:
        """The attempt that the worker gets; None where there is nothing to be had."""
        step = self.steps[name]
        if not self.is_claimable(name, now_s):
            return None
        step.status, step.worker, step.lease_s, step.seen_s = "running", worker, now_s + LEASE_S, now_s
        step.starts[step.attempt] = worker
        step.tell("StepStarted")
        return step.attempt

    def is_claimable(self, name: str, now_s: int) -> bool:
        step = self.steps[name]
        return step.status == "scheduled" and not step.halted and step.free_s <= now_s

    def beat(self, name: str, now_s: int) -> None:
        """Of heartbeats with nothing between them the latest is kept."""
        step = self.steps[name]
        step.lease_s, step.seen_s = now_s + LEASE_S, now_s
        if step.told[-1] != ("StepHeartbeat", step.attempt):
            step.tell("StepHeartbeat")

    def keep(self, name: str, type: str, now_s: int) -> None:
        """A checkpoint, or one that failed."""
        self.steps[name].seen_s = now_s
        self.steps[name].tell(type)

    def get_over(self, name: str, how: Literal["completed", "skipped"], now_s: int) -> None:
        step = self.steps[name]
        step.status = how
        step.tell("StepCompleted" if how == "completed" else "StepSkipped")
        self._follow(now_s)

    def fail(self, name: str, now_s: int, *, terminal: bool) -> None:
        step = self.steps[name]
        step.tell("StepFailed")
        if terminal or self.stop or not self._may_retry(name):
            self._fail_for_good(step, now_s)
        else:
            step.tell("StepRetrying")
            self._try_again(step, now_s + RETRY_S)

    def reclaim(self, name: str, now_s: int) -> None:
        """A silent worker loses its attempt; the next one is scheduled where the policy allows one."""
        step = self.steps[name]
        step.tell("StepReclaimed")
        if self._may_retry(name):
            self._try_again(step, now_s)
        else:
            step.tell("StepFailed")
            self._fail_for_good(step, now_s)

    def cancel(self, now_s: int) -> None:
        self.stop = "cancelled"
        self.carry_on(now_s)

    def time_out(self, now_s: int) -> None:
        self.stop = "timeout"
        self.carry_on(now_s)

    def carry_on(self, now_s: int) -> None:
        """Carry out a stop: wait for those who may finish, halt all others, and end when nobody is waited for."""
        awaited = False
        for step in self.steps.values():
            may_finish = self.stop == "failed" and step.lease_s > now_s and now_s < self.deadline_s
            if step.status == "running" and not step.halted and may_finish:
                awaited = True
            elif step.status in ("scheduled", "running"):
                step.halted = True
        if not awaited:
            cancelled = self.stop == "cancelled"
            self._end("cancelled" if cancelled else "failed", "WorkflowCancelled" if cancelled else "WorkflowFailed")

    def retry(self, now_s: int) -> None:
        """The run's next attempt: what failed or ran is scheduled anew, what was scheduled still is."""
        self.status, self.attempt = "running", self.attempt + 1
        self.deadline_s = now_s + self.timeout_s
        self.told += ["WorkflowRetryStarted", "WorkflowStarted"]
        for step in self.steps.values():
            if step.status in ("failed", "running"):
                step.tries_before = step.attempt
                self._try_again(step, now_s)
            step.halted = False
        self.begin_all(now_s)

    def silent(self, threshold_s: int, now_s: int) -> Iterator[str]:
        """The steps that may be taken from their workers."""
        if self.status == "running" and self.stop is None:
            for name, step in self.steps.items():
                if step.status == "running" and now_s - step.seen_s >= threshold_s:
                    yield name

    def lapsed(self, now_s: int) -> Iterator[str]:
        """The steps whose lease is over."""
        if self.status == "running" and self.stop is None:
            for name, step in self.steps.items():
                if step.status == "running" and step.lease_s <= now_s:
                    yield name

    def crashes(self, name: str) -> bool:
        """Whether taking the step from its worker fails the run."""
        return not self._may_retry(name)

    # -- a new run out of it --------------------------------------------------------------------------------------

    def kept(self, again: str | None = None) -> set[str]:
        """The steps that a run which goes on from this one need not do."""
        found: set[str] = set()
        for name, part in self.graph.items():
            if name != again and self.steps[name].status in OVER and found.issuperset(part.waits_for):
                found.add(name)
        return found

    def heir(self, run_id: str, link: str, kept: set[str], now_s: int) -> ModelRun:
        """The run that goes on from this one."""
        told = ["RunSubmitted", link]
        same = {"priority": self.priority, "tags": self.tags, "timeout_s": self.timeout_s}
        run = ModelRun(run_id, self.slug, self.graph, starts_s=now_s, told=told, **same)  # type: ignore[arg-type]
        for name in kept:
            old = self.steps[name]
            run.steps[name] = replace(old, told=list(old.told), copied=len(old.told), starts={})
        run.start(now_s)
        return run

    # -- logs -----------------------------------------------------------------------------------------------------

    def log(self, name: str, attempt: int, message: str) -> None:
        """Lines of an attempt that was taken from its holder are a zombie's, and dropped."""
        if ("StepReclaimed", attempt) not in self.steps[name].told:
            self.lines.append((name, attempt, message))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _may_retry(self, name: str) -> bool:
        step = self.steps[name]
        return step.attempt - step.tries_before < self.graph[name].tries

    def _schedule(self, step: StepNow, free_s: int) -> None:
        step.status, step.worker, step.free_s, step.halted = "scheduled", None, free_s, False
        step.tell("StepScheduled")

    def _try_again(self, step: StepNow, free_s: int) -> None:
        step.attempt += 1
        self._schedule(step, free_s)

    def _fail_for_good(self, step: StepNow, now_s: int) -> None:
        step.status = "failed"
        self.stop = self.stop or "failed"
        self.carry_on(now_s)

    def _follow(self, now_s: int) -> None:
        if self.stop:
            self.carry_on(now_s)
        else:
            self.begin_all(now_s)

    def _end(self, status: str, event: str) -> None:
        self.status, self.stop = status, None
        self.told.append(event)


def ranked(runs: Sequence[ModelRun], now_s: int) -> list[tuple[str, str, int, int]]:
    """What is due: run, step, attempt and priority, in no order among equals."""
    return [
        (run.run_id, name, run.steps[name].attempt, run.priority)
        for run in runs
        if run.status == "running" and run.stop is None
        for name in run.graph
        if run.is_claimable(name, now_s)
    ]
