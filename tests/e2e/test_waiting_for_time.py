"""Steps that wait on the deployed stack: a delay, what isn't ready in Lambda and elsewhere, and async steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade_flow import StepCompleted, StepFailed, StepStarted
from e2e.stack import Stack, of_kind
from e2e.waiting import until
from e2e.workers import cascade_worker
from e2e.workflows.trials.patience import BENCH, DELAY

WORKFLOWS = Path(__file__).parent / "workflows"
DELAY_US = int(DELAY.total_seconds() * 1_000_000)


@pytest.fixture
def reports_are_answered(stack: Stack) -> None:
    """A lease of this stack is short: the function that prolongs it has begun before the first is held."""
    until(lambda: stack.call("POST", "/runs/none/steps/none/heartbeat", {}).status_code == 400)


def sentences(stack: Stack, run_id: str) -> str:
    """What a diagnosis says of the run now."""
    return " ".join(finding["sentence"] for finding in stack.client.diagnosis(run_id)["findings"])


@pytest.mark.usefixtures("reports_are_answered")
def test_a_run_waits_and_comes_to_its_end(stack: Stack, tmp_path: Path) -> None:
    run_id = stack.submit("patience")
    with cascade_worker(stack.local, WORKFLOWS, tmp_path / "bench.log", "--pool", BENCH) as bench:
        run = stack.finished(run_id)
        assert bench.end() == 0

    assert stack.client.run(run_id)["output"] == {"close": "asked in attempt 1, answered in 3"}
    [quoted], [reminded] = of_kind(run, StepCompleted, "quote"), of_kind(run, StepStarted, "remind")
    assert DELAY_US <= reminded.timestamp_us - quoted.timestamp_us < DELAY_US + 3_000_000
    assert not of_kind(run, StepFailed), "nothing has failed"
    for step, reasons in {"answer": ["no answer yet"] * 2, "inspect": ["the inspector is late"]}.items():
        assert [line["message"] for line in stack.client.logs(run_id, step_id=step)] == [f"later: {x}" for x in reasons]
        attempts = stack.client.step(run_id, step)["attempts"]
        assert [each.get("laterReason") for each in attempts] == [*reasons, None]
        assert [each["status"] for each in attempts] == [*["postponed"] * len(reasons), "completed"]


def test_a_run_that_waits_for_long_says_until_when(stack: Stack) -> None:
    run_id = stack.submit("someday")
    until(lambda: stack.events(run_id, StepCompleted, "now"), otherwise=lambda: stack.told(run_id))
    assert "`then` starts at " in sentences(stack, run_id)
    assert ", 60 min after `now`" in sentences(stack, run_id)
    stack.client.cancel(run_id)
    stack.finished(run_id, "cancelled")


def test_an_async_step_that_takes_too_long_is_cancelled_and_cleans_up(stack: Stack) -> None:
    run_id = stack.submit("hasty")
    [failed] = of_kind(stack.finished(run_id, "failed"), StepFailed)
    assert (failed.failure_reason, failed.error.name) == ("timeout", "TimeoutError")
    assert [line["message"] for line in stack.client.logs(run_id, step_id="hang")] == ["cleaned up"]
