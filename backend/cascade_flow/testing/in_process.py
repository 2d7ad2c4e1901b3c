"""The world of a test in its own process: tables, queue and bucket in memory, one worker, one reaper, and time skipped.

Everything that decides is the engine's own. One thing happens at a time: what is due is done in the order of its time,
and where nothing is, the clock skips to what comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from cascade_flow import clock
from cascade_flow.authoring import Workflow
from cascade_flow.backend import Backend
from cascade_flow.calendars import calendar_of, first_after
from cascade_flow.dynamodb import due, schema
from cascade_flow.dynamodb.schedules import Schedule
from cascade_flow.engine.state import ENDED
from cascade_flow.errors import ScheduleNotFoundError
from cascade_flow.model.workflows import RunSubmission, ScheduleDefinition, StepDefinition, WorkflowRegistration
from cascade_flow.offload import Bucket
from cascade_flow.operations.history import Histories
from cascade_flow.operations.logs import Logs
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.sweep import Sweep
from cascade_flow.operations.ticks import submit_tick
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.testing.memory.queue_client import QueueClient
from cascade_flow.testing.memory.table_client import MemoryClient
from cascade_flow.testing.memory.tables import Memory
from cascade_flow.testing.places import Line, Story, Wish
from cascade_flow.testing.skipping import SkippingClock
from cascade_flow.testing.stage import Plan, Stage
from cascade_flow.wake import SqsQueue, Wake
from cascade_flow.worker.loop import Worker

_TABLE = "cascade-flow"
_SHIFT_MS = 900_000
"""What a worker has for a message: as long as a function of Lambda may last."""
_SWEEP_US = 60_000_000
_FOREVER_US = 2**62
_MIDDLE = 0.5
"""The chance of a retry's jitter that leaves its delay as declared."""


class InProcess:
    """All of the engine in this process."""

    def __init__(self, passing: Sequence[type[BaseException]] = ()) -> None:
        self._clock = SkippingClock()
        self._stage = Stage(passing)
        self._wakes: list[Wake] = []
        self._workflows: dict[str, Workflow] = {}
        self._stories: dict[str, Story] = {}
        self._deaths = 0
        with clock.use(self._clock):
            self._runtime = replace(_opened(self._arrive), chance=lambda: _MIDDLE)
        self._backend = Backend(self._runtime)
        self._logs = Logs(self._runtime)

    def close(self) -> None:
        """Nothing is open."""

    def may_plan(self, what: str) -> None:
        """All can be planned here."""

    def know(self, workflow: Workflow) -> None:
        with clock.use(self._clock):
            self._register(workflow)

    def children(self, run_id: str, step_id: str) -> list[str]:
        from cascade_flow.operations.family_views import FamilyViews  # noqa: PLC0415  (most workflows don't grow)

        views, found, last = FamilyViews(self._runtime), list[str](), -1
        with clock.use(self._clock):
            while True:
                page = views.page(run_id, step_id, after=last)
                found += [child.run_id for child in page.children]
                if page.more is None:
                    return found
                last = page.more

    def submit(self, wish: Wish, plan: Plan) -> str:
        with clock.use(self._clock):
            self._register(wish.workflow)
            run_id = self._backend.submit_run(_submission(wish)).run_id
        return self._planned(run_id, plan)

    def retry(self, run_id: str, plan: Plan, reason: str | None) -> None:
        with clock.use(self._clock):
            self._backend.retry_run(run_id, reason)
        self._planned(run_id, plan)

    def resume(self, run_id: str, workflow: Workflow, plan: Plan) -> str:
        with clock.use(self._clock):
            self._register(workflow)
            return self._planned(self._backend.resume_run(run_id).run_id, plan)

    def rerun(self, run_id: str, workflow: Workflow, plan: Plan, *, from_step: str, input: Any) -> str:
        with clock.use(self._clock):
            self._register(workflow)
            new = self._backend.rerun_from(parent_run_id=run_id, from_step_id=from_step, input=input)
        return self._planned(new.run_id, plan)

    def send(self, run_id: str, event: str, data: Any, key: str | None) -> None:
        self._stories.clear()
        with clock.use(self._clock):
            self._backend.send_event(run_id, event, data, key=key)

    def cancel(self, run_id: str, reason: str | None) -> None:
        self._stories.clear()
        with clock.use(self._clock):
            self._backend.cancel_run(run_id, reason)

    def tick(self, workflow: Workflow, schedule: str, plan: Plan) -> str:
        with clock.use(self._clock):
            self._register(workflow)
            declared = _schedule(workflow, schedule)
            tick_us = first_after(calendar_of(declared), clock.now_us())
            self.advance_us(tick_us - clock.now_us())
            found = Schedule(workflow.slug, declared, tick_us)
            return self._planned(submit_tick(Runs(self._runtime), found, tick_us).run_id, plan)

    def settle(self, run_ids: Collection[str]) -> None:
        with clock.use(self._clock):
            left = set(run_ids)
            while left := {run_id for run_id in left if not self._is_over(run_id)}:
                assert self._go_on(_FOREVER_US), f"nothing is due any more, and these runs have not ended: {left}"

    def advance_us(self, us: int) -> None:
        with clock.use(self._clock):
            until_us = clock.now_us() + us
            while self._go_on(until_us):
                continue
            self._clock.skip_to(until_us)

    def now_us(self) -> int:
        return self._clock.now_us()

    def story(self, run_id: str) -> Story:
        if run_id not in self._stories:
            with clock.use(self._clock):
                self._stories[run_id] = self._read(run_id)
        return self._stories[run_id]

    def _read(self, run_id: str) -> Story:
        told = Histories(self._runtime).story(run_id)
        assert told is not None
        lines = [Line(each.step_id, each.attempt_number, each.message) for each in self._logs.of(told, None, None)]
        raised = {(step, number): error for (run, step, number), error in self._stage.raised.items() if run == run_id}
        return Story(told.events, lines, raised, told.run.undone_by)

    def _register(self, workflow: Workflow) -> None:
        if self._workflows.get(workflow.slug) is not workflow:
            self._backend.register_workflow(_registration(workflow))
            self._workflows[workflow.slug] = workflow

    def _planned(self, run_id: str, plan: Plan) -> str:
        self._stories.clear()
        self._stage.plans[run_id] = plan
        return run_id

    def _arrive(self, body: str, delay_s: int) -> None:
        self._wakes.append(replace(Wake.from_message(body), available_at_us=clock.now_us() + delay_s * 1_000_000))

    def _is_over(self, run_id: str) -> bool:
        run = self._runtime.ledger.run(run_id)
        return run is None or run.status in ENDED

    def _go_on(self, until_us: int) -> bool:
        """Do the next thing that is due by then, or now, since what is done takes time; whether there was one."""
        due_us, act = self._next()
        if due_us > max(until_us, clock.now_us()):
            return False
        self._clock.skip_to(due_us)
        self._stories.clear()
        act()
        return True

    def _next(self) -> tuple[int, Callable[[], object]]:
        """A wake-up, or a sweep where something is due before all of them."""
        wake = min(self._wakes, key=partial(_turn, now_us=clock.now_us()), default=None)
        entry = next(iter(due.entries(self._runtime.ledger.table, until_us=_FOREVER_US)), None)
        if wake is not None and (entry is None or wake.available_at_us <= max(entry.due_us, clock.now_us())):
            return wake.available_at_us, lambda: self._deliver(wake)
        return (_FOREVER_US + 1 if entry is None else entry.due_us), self._sweep

    def _deliver(self, wake: Wake) -> None:
        self._wakes.remove(wake)
        name = f"worker-{self._deaths + 1}"
        worker = Worker(self._runtime, self._workflows, worker_id=name, means=self._stage)
        worker.work(wake, remaining_ms=lambda: _SHIFT_MS)
        self._deaths += self._stage.is_dead
        if (escaped := self._stage.escaped) is not None:
            self._stage.escaped = None
            raise escaped

    def _sweep(self) -> None:
        failures = Sweep(self._runtime, name="reaper").sweep(until_us=clock.now_us() + _SWEEP_US).failures
        assert not failures, f"the reaper can't deal with {failures}"


def _turn(wake: Wake, *, now_us: int) -> tuple[int, bool, int]:
    """When a wake-up is delivered: of those that are due the urgent first, then who has waited longest."""
    return max(wake.available_at_us, now_us), not wake.urgent, wake.available_at_us


def _opened(arrive: Callable[[str, int], None]) -> Runtime:
    client = MemoryClient(Memory())
    schema.create_table(client, _TABLE)
    bucket = Bucket("payloads", client=BucketClient())
    queue = SqsQueue("wake-ups", client=QueueClient(arrive))
    runtime = Runtime.open(_TABLE, client=client, bucket=bucket, queue=queue)
    return replace(runtime, callbacks_url="https://callbacks.invalid")


def _schedule(workflow: Workflow, name: str) -> ScheduleDefinition:
    declared = workflow.registration().schedules or []
    found = next((each for each in declared if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in declared) or "none"
        raise ScheduleNotFoundError(f"workflow {workflow.slug!r} declares no schedule {name!r}; there are: {known}")
    return found


@lru_cache(maxsize=64)
def _registration(workflow: Workflow) -> WorkflowRegistration:
    """The workflow as it is registered; steps of all pools are its one worker's. Its schedules wait to be asked for: no
    test expects runs of its own accord.
    """
    registered = workflow.registration()
    steps = [_for_anybody(step) for step in registered.steps]
    return registered.model_copy(update={"steps": steps, "schedules": None})


def _for_anybody(step: StepDefinition) -> StepDefinition:
    """The step, and what undoes it, for workers of no pool; as it is where it names none."""
    undo = step.undo
    if undo is not None and undo.executor is not None:
        undo = undo.model_copy(update={"executor": None})
    if step.executor is None and undo is step.undo:
        return step
    return step.model_copy(update={"executor": None, "undo": undo})


def _submission(wish: Wish) -> RunSubmission:
    return RunSubmission(
        workflow_slug=wish.workflow.slug,
        input=wish.input,
        available_at=clock.now_us() + wish.delay_us,
        priority=wish.priority,
        timeout=wish.timeout_us,
        idempotency_key=wish.idempotency_key,
        metadata=wish.metadata,
        tags=wish.tags,
    )
