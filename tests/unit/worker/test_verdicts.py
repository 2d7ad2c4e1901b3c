"""What is reported of an attempt, by how it ended: all of it, and what is of no use is not tried again."""

from __future__ import annotations

import pytest

from cascade_flow.engine.commands import Command, Complete, Fail, Postpone, SkipStep
from cascade_flow.engine.state import Claimant
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    PayloadLostError,
    PayloadTooLargeError,
    RunNotFoundError,
)
from cascade_flow.model.parts import ResourceUsage, StepError
from cascade_flow.worker.runner import Completed, Failed, Lost, Outcome, Postponed, Skipped
from cascade_flow.worker.verdicts import command_of, removed, unforeseen

ERROR = StepError(name="ValueError", message="no")
NEXT = Claimant("w", 7)
USAGE = ResourceUsage(
    peak_memory_bytes=1,
    cpu_time_user_us=2,
    cpu_time_system_us=3,
    cpu_time_total_us=5,
    voluntary_context_switches=4,
    involuntary_context_switches=6,
)


@pytest.mark.parametrize(
    ("outcome", "command"),
    [
        (Completed(output="1", duration_us=5, resource_usage=USAGE), Complete("1", 5, USAGE, NEXT)),
        (
            Skipped(reason="why", metadata={"a": 1}, duration_us=5, resource_usage=USAGE),
            SkipStep("why", 5, {"a": 1}, NEXT),
        ),
        (
            Failed(error=ERROR, failure_reason="timeout", retryable=False, duration_us=5, resource_usage=USAGE),
            Fail(ERROR, "timeout", 5, retryable=False, chance=0.25, resource_usage=USAGE),
        ),
        (Postponed(reason="why", duration_us=5, delay_ms=0), Postpone("why", 5, delay_us=0)),
        (Postponed(reason="why", duration_us=5, delay_ms=3), Postpone("why", 5, delay_us=3_000)),
        (Postponed(reason="why", duration_us=5, at_us=7), Postpone("why", 5, at_us=7)),
        (Lost(duration_us=5), None),
    ],
)
def test_an_outcome_is_reported_whole(outcome: Outcome, command: Command | None) -> None:
    assert command_of(outcome, chance=0.25, claimant=NEXT) == command


def test_what_the_code_has_no_more_it_will_not_have_in_a_second() -> None:
    told = removed("a", "flow")
    assert (told.reason, told.retryable, told.duration_us) == ("step-removed", False, 0)
    assert "no step 'a' of workflow 'flow'" in told.error.message


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (PayloadTooLargeError(), False),
        (PayloadLostError(), False),
        (RunNotFoundError(), False),
        (BackendUnavailableError(), True),
        (CascadeFlowError(), True),
        (RuntimeError(), True),
    ],
)
def test_what_can_be_over_in_a_while_is_tried_again(error: Exception, retryable: bool) -> None:
    told = unforeseen(error, -3)
    assert (told.reason, told.retryable, told.duration_us) == ("execution-error", retryable, 0)
    assert (unforeseen(error, 4).duration_us, told.error.name) == (4, type(error).__name__)
