"""What is to be reported of an attempt: of how it ended, and of what went wrong outside of the step's own code."""

from __future__ import annotations

from cascade_flow.engine.commands import Command, Complete, Fail, Postpone, SkipStep
from cascade_flow.engine.state import Claimant
from cascade_flow.errors import CascadeFlowError, GoneError, RequestError
from cascade_flow.worker.runner import Completed, Failed, Lost, Outcome, Postponed, Skipped
from cascade_flow.worker.tracebacks import step_error


def command_of(outcome: Outcome, *, chance: float, claimant: Claimant | None = None) -> Command | None:
    """What is reported of an outcome: nothing, where the attempt is another worker's. The claimant goes on after it."""
    match outcome:
        case Completed():
            return Complete(outcome.output, outcome.duration_us, outcome.resource_usage, claimant)
        case Skipped():
            return SkipStep(outcome.reason, outcome.duration_us, outcome.metadata, claimant)
        case Postponed():
            delay_us = None if outcome.delay_ms is None else outcome.delay_ms * 1_000
            return Postpone(outcome.reason, outcome.duration_us, outcome.at_us, delay_us)
        case Failed():
            return Fail(
                outcome.error,
                outcome.failure_reason,
                outcome.duration_us,
                outcome.retryable,
                chance,
                outcome.resource_usage,
            )
        case Lost():
            return None


def removed(step_id: str, workflow_slug: str) -> Fail:
    """The failure of a step that is no longer there."""
    error = CascadeFlowError(
        f"this worker's code has no step {step_id!r} of workflow {workflow_slug!r}: it was removed "
        "or renamed since the run began; deploy code that has it, or run the workflow anew"
    )
    return Fail(step_error(error), "step-removed", 0, retryable=False)


def unforeseen(error: BaseException, duration_us: int) -> Fail:
    """A failure outside of the step's own code, which no policy speaks of: what can be over in a while is retried."""
    retryable = not issubclass(type(error), RequestError | GoneError)
    return Fail(step_error(error), "execution-error", max(0, duration_us), retryable)
