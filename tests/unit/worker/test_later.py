"""What comes of a step that says that it isn't ready, in the worker: an outcome of its own, and no failure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend, Later, Poll, Retry, RunSubmission, StepContext, Workflow
from cascade_flow.authoring import StepInputs
from cascade_flow.engine.commands import Postpone
from cascade_flow.worker.interrupt import Interrupt
from cascade_flow.worker.loop import Worker
from cascade_flow.worker.runner import Failed, Outcome, Postponed, run_attempt
from cascade_flow.worker.verdicts import command_of
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store


def outcome_of(raised: BaseException, *, attempt: int = 1, tried: int | None = None, **options: Any) -> Outcome:
    flow = Workflow("f")

    @flow.step(**options)
    def work() -> None:
        raise raised

    given = StepInputs(input_json=None, outputs={}, context=StepContext(attempt=attempt), tried=tried)
    return run_attempt(flow.definition().steps["work"], given, timeout_ms=None, interrupt=Interrupt())


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (Later(5, "no invoice"), ("no invoice", None, 5_000)),
        (Later(5, ConnectionError("busy")), ("busy", None, 5_000)),
        (Later(5, None), ("not ready", None, 5_000)),
        (Later(at=datetime(1970, 1, 1, tzinfo=UTC)), ("not ready", 0, None)),
        (Later(at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)), ("not ready", 1_000_000, None)),
    ],
)
def test_it_says_when_and_why(later: Later, told: tuple[str, int | None, int | None]) -> None:
    outcome = outcome_of(later)
    assert isinstance(outcome, Postponed)
    assert (outcome.reason, outcome.at_us, outcome.delay_ms) == told


def test_without_a_time_it_comes_as_its_poll_says() -> None:
    outcome = outcome_of(Later(), poll=Poll(every=30))
    assert isinstance(outcome, Postponed)
    assert (outcome.at_us, outcome.delay_ms) == (None, None)


def test_without_a_time_and_a_poll_it_is_a_mistake_that_no_retry_mends() -> None:
    outcome = outcome_of(Later())
    assert isinstance(outcome, Failed)
    assert (outcome.retryable, outcome.error.name) == (False, "DefinitionError")
    assert outcome.error.message == (
        "step 'work' raised Later without a time: say when, as in Later(timedelta(minutes=5)), or declare the step "
        "with poll=Poll(every=...)"
    )


def test_it_is_reported_whole() -> None:
    outcome = Postponed(reason="why", at_us=7, delay_ms=8, duration_us=5)
    assert command_of(outcome, chance=0.25) == Postpone("why", 5, 7, 8_000)
    assert command_of(Postponed(reason="why"), chance=0.25) == Postpone("why", 0, None, None)


def test_a_policy_is_asked_for_the_attempt_as_it_counts() -> None:
    """The seventh attempt is the second that counts: it belongs to the first policy."""
    retry = [Retry(max_attempts=2, retry_on=ValueError), Retry(retry_on=OSError)]
    outcomes = [outcome_of(ValueError("no"), attempt=7, tried=tried, retry=retry) for tried in (2, 3, None)]
    assert [isinstance(each, Failed) and each.retryable for each in outcomes] == [True, False, False]


def test_a_worker_lets_no_policy_count_what_was_not_ready(dynamodb: Store, time: TickingClock) -> None:
    flow, mailbox, attempts = Workflow("flow"), Mailbox(dynamodb), list[int]()

    @flow.step(retry=[Retry(max_attempts=2, delay=0, retry_on=ValueError), Retry(retry_on=OSError)])
    def work(ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        raise Later(1) if ctx.attempt == 1 else ValueError("no")

    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, queue=mailbox, timing=TIMING)
    backend.register_workflow(flow.registration())
    backend.submit_run(RunSubmission(workflow_slug="flow"))
    worker = Worker(backend.runtime, {"flow": flow}, worker_id="worker")
    while mailbox.wakes:
        time.pause_us(1_000_000)
        worker.work(mailbox.wakes.pop(0), remaining_ms=lambda: 60_000)
    assert attempts == [1, 2, 3, 4], "two by the first policy, one by the second, which knows no such error"
