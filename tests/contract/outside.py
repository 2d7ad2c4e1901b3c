"""A worker that is no part of the engine: all that it does goes through the contract's operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cascade_flow import (
    Backend,
    Claim,
    Event,
    ResourceUsage,
    RunSubmission,
    StepDefinition,
    StepError,
    WorkflowRegistration,
    clock,
)
from cascade_flow.operations.sweep import Sweep

FLOW = "orders"
ERROR = StepError(name="ValueError", message="no such order", stack="Traceback …")
USAGE = ResourceUsage(
    peak_memory_bytes=84_123_648,
    cpu_time_user_us=123_456,
    cpu_time_system_us=45_678,
    cpu_time_total_us=169_134,
    voluntary_context_switches=12,
    involuntary_context_switches=3,
)


def step(id: str, *dependencies: str, **options: Any) -> StepDefinition:
    """A step that waits for these."""
    return StepDefinition(id=id, name=id, dependencies=list(dependencies), **options)


def register(backend: Backend, *steps: StepDefinition, slug: str = FLOW, **options: Any) -> None:
    """Make a workflow known."""
    registration = WorkflowRegistration(slug=slug, name=slug.title(), steps=list(steps or [step("a")]), **options)
    backend.register_workflow(registration)


def submit(backend: Backend, slug: str = FLOW, **options: Any) -> str:
    """A new run's id."""
    return backend.submit_run(RunSubmission(workflow_slug=slug, **options)).run_id


def sweep(backend: Backend) -> None:
    """What the engine does by itself every minute: here also in place of a queue."""
    Sweep(backend.runtime, name="sweep").sweep(until_us=clock.now_us() + 10**12)


@dataclass(frozen=True)
class Outside:
    """One worker's hand on one run."""

    backend: Backend
    run_id: str
    slug: str = FLOW
    name: str = "worker-1"

    @classmethod
    def at(cls, backend: Backend, *steps: StepDefinition, **submission: Any) -> Outside:
        """At a new run of a workflow with these steps."""
        register(backend, *steps)
        return cls(backend, submit(backend, **submission))

    @property
    def status(self) -> str:
        """The run's."""
        run = self.backend.get_run(self.run_id)
        assert run is not None
        return run.status

    def events(self, *types: str) -> list[Any]:
        """The run's events, of these types only where any are named."""
        return list[Any](self.backend.load_events(self.slug, self.run_id, types=types or None))

    def kinds(self, step_id: str | None = None) -> list[str]:
        """The types of the run's events, or of one step's, in order."""
        events: list[Event] = self.backend.load_events(self.slug, self.run_id, step_id=step_id)
        return [event.type for event in events]

    def claim(self, step_id: str, **options: Any) -> Claim | None:
        return self.backend.claim_scheduled_step(self.slug, self.run_id, step_id, self.name, **options)

    def take(self, step_id: str) -> int:
        """Claim what is there to be claimed: the attempt."""
        claim = self.claim(step_id)
        assert claim is not None, f"{step_id} can't be claimed"
        return claim.attempt_number

    def beat(self, step_id: str, attempt: int = 1, **options: Any) -> None:
        self.backend.save_step_heartbeat(self.slug, self.run_id, step_id, self.name, attempt, **options)

    def complete(self, step_id: str, attempt: int = 1, output: Any = None, **options: Any) -> None:
        self.backend.save_step_complete(
            self.slug, self.run_id, step_id, output, duration_us=1_000, attempt_number=attempt, **options
        )

    def fail(
        self, step_id: str, attempt: int = 1, *, terminal: bool = False, error: StepError = ERROR, **options: Any
    ) -> None:
        told: dict[str, Any] = {"failure_reason": "execution-error", "resource_usage": USAGE, **options}
        self.backend.save_step_failed(
            self.slug, self.run_id, step_id, error, duration_us=1_000, attempt_number=attempt, terminal=terminal, **told
        )

    def skip(self, step_id: str, attempt: int = 1, **options: Any) -> None:
        self.backend.save_step_skipped(
            self.slug,
            self.run_id,
            step_id,
            skip_type="primary",
            reason="nothing to do",
            duration_us=1_000,
            attempt_number=attempt,
            **options,
        )

    def do(self, *step_ids: str) -> None:
        """Claim and complete these steps, one after the other; each gives its own name."""
        for step_id in step_ids:
            self.complete(step_id, self.take(step_id), step_id)
