"""A run of the workflow `smoke`, told step by step: what the table, its indexes and the bucket really do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from cascade_flow import clock
from cascade_flow.backend import DynamoDBBackend
from cascade_flow.errors import StaleAttemptError
from cascade_flow.smoke.point import Wrong
from cascade_flow.smoke.stack import Stack

SLUG = "smoke"
_CLAIMERS = 8
_PATIENCE_US = 20_000_000
_GLANCE_US = 100_000
_LARGE = 1_000_000


@dataclass(frozen=True)
class Trial:
    """A run that this process drives, and its step."""

    backend: DynamoDBBackend
    run_id: str
    step_id: str = "step"

    @classmethod
    def begin(cls, backend: DynamoDBBackend) -> Trial:
        trial = cls(backend, f"smoke-{secrets.token_hex(8)}")
        now_us, place = clock.now_us(), (SLUG, trial.run_id)
        backend.save_run_submitted(*place, version_id=SLUG, priority=0, available_at_us=now_us, has_input_schema=False)
        backend.save_workflow_start(
            *place, version_id=SLUG, workflow_attempt_number=1, has_input_schema=False, has_input=False
        )
        backend.save_step_scheduled(*place, trial.step_id, attempt_number=1, available_at_us=now_us, reason="initial")
        return trial

    @classmethod
    @contextmanager
    def of(cls, stack: Stack) -> Iterator[Trial]:
        """One that leaves nothing for which somebody would look, however it ends."""
        trial = cls.begin(stack.backend)
        try:
            yield trial
        finally:
            trial.backend.cancel_run(trial.run_id, "the trial is over")

    def claim(self, worker: str) -> bool:
        return self.backend.claim_scheduled_step(SLUG, self.run_id, self.step_id, worker) is not None

    def complete(self, output: object) -> None:
        self.backend.save_step_complete(SLUG, self.run_id, self.step_id, output, duration_us=1, attempt_number=1)


def one_claim_wins(stack: Stack) -> str:
    """Of claims at the same time exactly one is answered with the step."""
    with Trial.of(stack) as trial, ThreadPoolExecutor(_CLAIMERS) as workers:
        won = sum(workers.map(trial.claim, [f"worker-{number}" for number in range(_CLAIMERS)]))
    if won != 1:
        raise Wrong(f"{won} of {_CLAIMERS} claims of one attempt were answered with the step")
    return f"1 of {_CLAIMERS}"


def late_reports_are_refused(stack: Stack) -> str:
    """A report counts once, and never of an attempt that is over."""
    with Trial.of(stack) as trial:
        trial.claim("worker")
        trial.complete("first")
        try:
            trial.complete("second")
        except StaleAttemptError:
            return "refused"
    raise Wrong("a second report of one attempt was taken")


def the_index_follows(stack: Stack) -> str:
    """What is due is found, a little later than it is written, and what was claimed is found no more."""
    with Trial.of(stack) as trial:
        begun_us = clock.now_us()
        _until(lambda: _is_listed(trial), "a scheduled step is not found by the due index")
        found_us = clock.now_us()
        trial.claim("worker")
        _until(lambda: not _is_listed(trial), "a claimed step is still listed as scheduled")
    return f"after {(found_us - begun_us) // 1_000} ms"


def large_payloads_come_back(stack: Stack) -> str:
    """What is too large for the table goes to the bucket, and comes back byte for byte."""
    output = secrets.token_hex(_LARGE // 2)
    with Trial.of(stack) as trial:
        trial.claim("worker")
        trial.complete(output)
        told = stack.backend.load_events(SLUG, trial.run_id, types=["StepCompleted"])
    if [getattr(over, "output", None) for over in told] != [f'"{output}"']:
        raise Wrong("a large output came back as another")
    return f"{_LARGE:,} bytes"


def _is_listed(trial: Trial) -> bool:
    return any(each.run_id == trial.run_id for each in trial.backend.list_scheduled_steps(workflow_slug=SLUG))


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline_us = clock.now_us() + _PATIENCE_US
    while not holds():
        if clock.now_us() > deadline_us:
            raise Wrong(f"{otherwise} after {_PATIENCE_US // 1_000_000} s")
        clock.pause_us(_GLANCE_US)
