"""Runs of every kind, submitted together and left alone: what they come to, and what each of them tells."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from cascade_flow import (
    RunSubmitted,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepScheduled,
    StepSkipped,
    StepStarted,
    WorkflowFailed,
    WorkflowStarted,
)
from e2e.stack import Stack, of_kind
from e2e.workflows.trials.graphs import WIDTH, text_of

DELAY_S = 3
BULK = 300_000
SUBMISSIONS: dict[str, dict[str, Any]] = {
    "delayed": {"workflow_slug": "linear", "input": {"number": 3}, "delay_s": DELAY_S},
    "stubborn": {},
    "oversleeping": {},
    "flaky": {},
    "doomed": {},
    "linear": {"input": {"number": 4}},
    "diamond": {"input": {"number": 5}},
    "skipping": {},
    "bulky": {"input": {"characters": BULK}},
    "too bulky": {"workflow_slug": "bulky", "input": {"characters": 50_000_000}},
    "wide": {"input": {"number": 6}},
}


@pytest.fixture(scope="module")
def runs(stack: Stack) -> dict[str, str]:
    """The ids of the runs, by name."""
    return {name: stack.submit(**{"workflow_slug": name, **wishes}) for name, wishes in SUBMISSIONS.items()}


def test_linear(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["linear"])
    assert stack.client.run(runs["linear"])["output"] == {"third": {"number": 50}}
    assert [event.step_id for event in of_kind(run, StepCompleted)] == ["first", "second", "third"]
    assert run.count(StepStarted) == 3


def test_linear_stays_with_one_worker(stack: Stack, runs: dict[str, str]) -> None:
    started = of_kind(stack.finished(runs["linear"]), StepStarted)
    assert len({event.worker_id for event in started}) == 1


def test_diamond(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["diamond"])
    assert stack.client.run(runs["diamond"])["output"] == {"top": 5, "bottom": [6, 7]}
    assert run.count(StepStarted) == 4


def test_wide(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["wide"])
    assert stack.client.run(runs["wide"])["output"] == {"total": 14}
    assert run.count(StepCompleted) == WIDTH + 2
    assert run.count(StepFailed) == 0


def test_retry_then_success(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["flaky"])
    assert stack.client.run(runs["flaky"])["output"] == {"unreliable": "attempt 3"}
    assert [event.terminal for event in of_kind(run, StepFailed)] == [False, False]
    assert [event.next_attempt for event in of_kind(run, StepRetrying)] == [2, 3]
    assert [event.retry_delay_ms for event in of_kind(run, StepScheduled)] == [None, 500, 1_000]


def test_no_attempt_begins_before_it_is_due(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["flaky"])
    pairs = zip(of_kind(run, StepScheduled), of_kind(run, StepStarted), strict=True)
    assert all(started.timestamp_us >= scheduled.available_at_us for scheduled, started in pairs)


def test_exhausted_retries(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["doomed"], "failed")
    failures = of_kind(run, StepFailed, "draw")
    assert [event.terminal for event in failures] == [False, False, True]
    assert [(event.policy_index, event.attempt_in_policy) for event in failures] == [(0, 1), (0, 2), (1, 1)]
    [end] = of_kind(run, WorkflowFailed)
    assert (end.failed_step, end.failure_reason, end.completed_steps) == ("draw", "step-failed", 1)
    assert (end.error.name, end.error.message) == ("ValueError", "the well is dry")
    assert run.count(StepScheduled, "drink") == 0


def test_what_a_failed_run_tells(stack: Stack, runs: dict[str, str]) -> None:
    stack.finished(runs["doomed"], "failed")
    told = stack.client.run(runs["doomed"])
    assert (told["error"]["failedStep"], told["error"]["message"]) == ("draw", "the well is dry")
    assert told["output"] is None
    assert {step["stepId"]: step["status"] for step in told["steps"]} == {
        "well": "completed",
        "draw": "failed",
        "drink": "pending",
    }


def test_a_step_that_takes_too_long(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["oversleeping"])
    [failed] = of_kind(run, StepFailed)
    assert failed.failure_reason == "timeout"
    assert 1_000_000 <= failed.duration_us < 10_000_000
    assert stack.client.run(runs["oversleeping"])["output"] == {"sleeper": "attempt 2"}


def test_a_step_that_takes_too_long_and_swallows_every_exception(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["stubborn"], "failed")
    [failed] = of_kind(run, StepFailed)
    assert (failed.failure_reason, failed.terminal) == ("timeout", True)
    [end] = of_kind(run, WorkflowFailed)
    assert end.failed_step == "deaf"
    assert "timeout of 1 s" in end.error.message


def test_skip_with_cascade(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["skipping"])
    skipped = {event.step_id: event for event in of_kind(run, StepSkipped)}
    assert {step: event.skip_type for step, event in skipped.items()} == {
        "voucher": "primary",
        "discount": "cascade",
        "thanks": "cascade",
    }
    assert (skipped["voucher"].reason, skipped["voucher"].metadata) == ("no voucher was given", {"asked": 1})
    assert [skipped[step].cascaded_from for step in ("discount", "thanks")] == ["voucher", "voucher"]
    assert stack.client.run(runs["skipping"])["output"] == {"bill": "discount: None"}


def test_delayed_start(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["delayed"])
    [submitted], [started] = of_kind(run, RunSubmitted), of_kind(run, WorkflowStarted)
    assert submitted.available_at_us >= submitted.timestamp_us + (DELAY_S - 1) * 1_000_000
    assert started.timestamp_us >= submitted.available_at_us
    assert all(event.available_at_us >= submitted.available_at_us for event in of_kind(run, StepScheduled))


def test_a_large_output_comes_whole_to_the_next_step_and_to_the_caller(stack: Stack, runs: dict[str, str]) -> None:
    stack.finished(runs["bulky"])
    written = text_of(BULK)
    expected = {"write": written, "read": sha256(written.encode()).hexdigest()}
    assert stack.client.run(runs["bulky"])["output"] == expected


def test_an_output_that_is_too_large_fails_its_step_at_once(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["too bulky"], "failed")
    assert Counter(event.terminal for event in of_kind(run, StepFailed)) == {True: 1}
    [end] = of_kind(run, WorkflowFailed)
    assert (end.failed_step, end.error.name) == ("write", "PayloadTooLargeError")
