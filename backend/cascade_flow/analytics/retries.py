"""What retries lead to. A step counts once it has retried; how it got there counts no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cascade_flow.analytics.percentiles import percentage
from cascade_flow.model.events import StepCompleted, StepEvent, StepFailed, StepRetrying
from cascade_flow.model.reports import RetryAnalysis
from cascade_flow.records import dataclass


@dataclass
class _Step:
    """One step of one run, as its events show it so far."""

    retries: int = 0
    highest_attempt: int = 0
    succeeded: bool = False
    failed: bool = False

    def see(self, event: StepEvent) -> None:
        if isinstance(event, StepRetrying):
            self.retries += 1
        elif isinstance(event, StepCompleted):
            self.highest_attempt = max(self.highest_attempt, event.attempt_number)
            self.succeeded |= self.retries > 0 and event.attempt_number > 1
        elif isinstance(event, StepFailed):
            self.highest_attempt = max(self.highest_attempt, event.attempt_number)
            self.failed |= self.retries > 0 and event.terminal


def compute_retry_analysis(step_events: Iterable[StepEvent]) -> RetryAnalysis:
    """Of the steps that retried: how many succeeded, how many failed for good, at which attempt. Events in order."""
    steps: dict[tuple[str, str], _Step] = {}
    for event in step_events:
        steps.setdefault((event.run_id, event.step_id), _Step()).see(event)
    succeeded = [step.highest_attempt for step in steps.values() if step.succeeded]
    failed = [step.highest_attempt for step in steps.values() if step.failed and not step.succeeded]
    return RetryAnalysis(
        total_retries=sum(step.retries for step in steps.values()),
        retries_succeeded=len(succeeded),
        retries_failed=len(failed),
        average_attempts_before_success=_average(succeeded),
        average_attempts_before_failure=_average(failed),
        retry_effectiveness_rate=percentage(len(succeeded), len(succeeded) + len(failed)),
    )


def _average(attempts: Sequence[int]) -> float:
    return sum(attempts) / len(attempts) if attempts else 0
