"""Somebody else's engine: drives runs of its own by the contract's operations, without a registered workflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cascade_flow import Backend, StepError, StepStarted, clock
from contract.outside import ERROR, FLOW, USAGE, Outside

VERSION = "sha256:1"


@dataclass(frozen=True)
class Called(Outside):
    """A caller's hand on one of its runs."""

    @classmethod
    def new(cls, backend: Backend, run_id: str = "run-1", **submission: Any) -> Called:
        """At a run that it has submitted and started."""
        run = cls(backend, run_id)
        run.submit(**submission)
        run.start()
        return run

    @classmethod
    def with_step(cls, backend: Backend, step_id: str = "a", run_id: str = "run-1") -> Called:
        """At a run of which one step is scheduled."""
        run = cls.new(backend, run_id)
        run.schedule(step_id)
        return run

    def submit(self, **submission: Any) -> None:
        told: dict[str, Any] = {"version_id": VERSION, "priority": 0, "has_input_schema": False, **submission}
        self.backend.save_run_submitted(self.slug, self.run_id, **{"available_at_us": clock.now_us(), **told})

    def start(self) -> None:
        self.backend.save_workflow_start(
            self.slug,
            self.run_id,
            version_id=VERSION,
            workflow_attempt_number=1,
            has_input_schema=False,
            has_input=False,
        )

    def schedule(self, step_id: str, attempt: int = 1, **options: Any) -> None:
        told: dict[str, Any] = {"available_at_us": clock.now_us(), "reason": "initial", **options}
        self.backend.save_step_scheduled(self.slug, self.run_id, step_id, attempt_number=attempt, **told)

    def begin(self, step_id: str, **options: Any) -> int:
        """Start a step without a claim: the attempt."""
        self.backend.save_step_start(self.slug, self.run_id, step_id, self.name, dependencies=[], **options)
        started = [event for event in self.events("StepStarted") if event.step_id == step_id]
        assert isinstance(started[-1], StepStarted)
        return started[-1].attempt_number

    def retry(
        self, step_id: str, attempt: int = 1, *, delay_us: int = 0, error: StepError = ERROR, **options: Any
    ) -> None:
        due_us = clock.now_us() + delay_us
        told: dict[str, Any] = {"failure_reason": "execution-error", "resource_usage": USAGE, **options}
        self.backend.save_step_failed_and_schedule_retry(
            self.slug,
            self.run_id,
            step_id,
            error,
            duration_us=1_000,
            attempt_number=attempt,
            next_retry_at_us=due_us,
            available_at_us=due_us,
            next_attempt_number=attempt + 1,
            retry_delay_ms=delay_us // 1_000,
            **told,
        )

    def finish(self, output: Any = None) -> None:
        self.backend.save_workflow_complete(
            self.slug, self.run_id, output, workflow_attempt_number=1, duration_us=1_000, total_steps=1
        )

    def reclaim(self, step_id: str, attempt: int = 1) -> None:
        self.backend.save_step_reclaimed(
            self.slug,
            self.run_id,
            step_id,
            original_worker_id=self.name,
            reclaimed_by="reaper",
            last_heartbeat_us=1,
            stale_threshold_us=2,
            stale_duration_us=3,
            attempt_number=attempt,
        )

    def give_up(self) -> None:
        self.backend.save_workflow_failed(
            self.slug,
            self.run_id,
            ERROR,
            workflow_attempt_number=1,
            duration_us=1_000,
            completed_steps=0,
            failure_reason="step-failed",
            failed_step="a",
        )

    def try_again(self) -> None:
        self.backend.save_workflow_retry_started(
            self.slug, self.run_id, workflow_attempt_number=2, previous_attempt_number=1, retried_steps=["a"]
        )

    def due(self, **options: Any) -> list[tuple[str, str]]:
        """What the backend lists as due: runs and steps."""
        return [(ref.run_id, ref.step_id) for ref in self.backend.list_scheduled_steps(**options)]


__all__ = ["ERROR", "FLOW", "USAGE", "VERSION", "Called"]
