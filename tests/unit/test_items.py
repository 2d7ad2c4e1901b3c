"""Where a step of a caller's lies in the due index, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import caller_step_item
from cascade_flow.engine.caller import CallerStep, reserved
from cascade_flow.model.states import StepState

RUN = replace(reserved("flow", "run", now_us=1_000, longest_us=10, retention_us=10), status="running")


def lying(run: Any = RUN, *, last_us: int = 7, **state: Any) -> Any:
    whole = {"status": "scheduled", "attempt_number": 1, "dependencies": [], "state_changes": [], **state}
    step = StepState(step_id="s", run_id="run", workflow_slug="flow", **whole)
    return caller_step_item(run, CallerStep(step, last_us=last_us)).get(keys.DUE_TIME)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_no_step_of_an_ended_run_is_listed(status: Any) -> None:
    assert lying(available_at=5) == 5
    assert lying(replace(RUN, status=status), available_at=5) is None


def test_no_step_is_listed_that_is_over() -> None:
    assert lying(status="completed", available_at=5) is None


@pytest.mark.parametrize(
    ("state", "due_us"),
    [
        ({"available_at": 5.5}, 6),
        ({"status": "running", "available_at": 5, "start_time": 3}, 3),
        ({"status": "running", "available_at": 3, "start_time": 5}, 3),
        ({"status": "running", "start_time": 5}, 5),
        ({"available_at": 5, "start_time": 3}, 5),
        ({}, 7),
    ],
)
def test_a_step_is_listed_from_when_somebody_may_take_it_or_has(state: Any, due_us: int) -> None:
    assert lying(**state) == due_us
