"""Steps that run on machines of one's own: workers that die, drain, and are another language's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade_flow import StepCheckpoint, StepFailed, StepReclaimed
from e2e.stack import Stack, of_kind
from e2e.waiting import until
from e2e.workers import Started, cascade_worker, installed, node_worker
from e2e.workflows.trials.meeting import Meeting
from e2e.workflows.trials.workshop import POOL

WORKFLOWS = Path(__file__).parent / "workflows"


@pytest.fixture(autouse=True)
def reports_are_answered(stack: Stack) -> None:
    """A lease of this stack is short: the function that prolongs it has begun before the first is held."""
    until(lambda: stack.call("POST", "/runs/none/steps/none/heartbeat", {}).status_code == 400)


@pytest.fixture
def first(stack: Stack, tmp_path: Path) -> Iterator[Started]:
    with cascade_worker(stack.local, WORKFLOWS, tmp_path / "first.log", "--pool", POOL) as worker:
        yield worker


def test_a_worker_is_killed_and_another_finishes_the_run(
    stack: Stack, meeting: Meeting, first: Started, tmp_path: Path
) -> None:
    run_id = stack.submit("workshop", input=meeting.model_dump(mode="json"))
    until(lambda: meeting.visits("glue"), otherwise=lambda: (stack.told(run_id), first.told))
    first.kill()
    with cascade_worker(stack.local, WORKFLOWS, tmp_path / "second.log", "--pool", POOL) as second:
        run = stack.finished(run_id)
        assert second.end() == 0

    assert stack.client.run(run_id)["output"] == {"deliver": ["cut", "clamped in attempt 1", "painted", "delivered"]}
    assert [visit.attempt for visit in meeting.visits("glue")] == [1, 2]
    assert [event.attempt_number for event in of_kind(run, StepReclaimed, "glue")] == [1]
    [failed] = of_kind(run, StepFailed)
    assert (failed.step_id, failed.error.name, failed.terminal) == ("paint", "ConnectionError", False)
    assert len(of_kind(run, StepCheckpoint)) == 1
    assert [line["message"] for line in stack.client.logs(run_id, step_id="cut")] == ["sawdust everywhere"]
    assert second.has_told("ended", "paint")


def test_a_worker_in_another_language_is_killed_and_another_finishes(
    stack: Stack, meeting: Meeting, tmp_path: Path
) -> None:
    folder = installed(tmp_path)
    run_id = stack.submit("parts", input=meeting.model_dump(mode="json"))
    with node_worker(stack.local, folder, tmp_path / "first.log") as first:
        until(lambda: meeting.visits("pack"), otherwise=lambda: (stack.told(run_id), first.told))
        first.kill()
    with node_worker(stack.local, folder, tmp_path / "second.log") as second:
        run = stack.finished(run_id)
        assert second.end() == 0

    assert stack.client.run(run_id)["output"] == {"send": [3, "box of attempt 1"]}
    assert [visit.attempt for visit in meeting.visits("pack")] == [1, 2, 3]
    assert len(meeting.visits("order")) == 1
    [failed] = of_kind(run, StepFailed)
    assert (failed.attempt_number, failed.error.message) == (2, "no tape (ENOTAPE)")
    assert [line["message"] for line in stack.client.logs(run_id, step_id="order")] == ["later: no paper", "ordering"]
