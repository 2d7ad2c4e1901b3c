"""Runs are looked up, listed and cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import (
    DynamoDBBackend,
    InvalidIdError,
    RunNotCancellableError,
    RunNotFoundError,
    StaleAttemptError,
    clock,
)
from contract.outside import FLOW, Outside, register, step, submit, sweep
from simulation import TickingClock

pytestmark = pytest.mark.servers("all")


@pytest.fixture
def five(backend: DynamoDBBackend) -> dict[str, str]:
    """Five runs of two workflows: oldest first, name → run id."""
    register(backend, step("a"), slug="bill")
    register(backend, step("a"))
    runs = {
        "completed": submit(backend, tags=["x"]),
        "failed": submit(backend, tags=["x", "y"]),
        "running": submit(backend, tags=["y"]),
        "pending": submit(backend, available_at=clock.now_us() + 10**9),
        "bill": submit(backend, "bill", tags=["x", "y", "z"]),
    }
    Outside(backend, runs["completed"]).do("a")
    failed = Outside(backend, runs["failed"])
    failed.fail("a", failed.take("a"), terminal=True)
    return runs


def names(five: dict[str, str], ids: list[str]) -> list[str]:
    by_id = {run_id: name for name, run_id in five.items()}
    return [by_id[run_id] for run_id in ids]


def test_an_unknown_run_is_none(backend: DynamoDBBackend) -> None:
    assert backend.get_run("unknown") is None
    assert not backend.run_exists(FLOW, "unknown")


def test_a_bad_id_is_refused(backend: DynamoDBBackend) -> None:
    for id in ("", "a b", "a#b", "R#x"):
        with pytest.raises(InvalidIdError):
            backend.get_run(id)
        with pytest.raises(InvalidIdError):
            backend.cancel_run(id)
        with pytest.raises(InvalidIdError):
            backend.run_exists(FLOW, id)
        with pytest.raises(InvalidIdError):
            backend.list_run_ids(id)
        with pytest.raises(InvalidIdError):
            backend.list_runs(workflow_slug=id)


def test_a_run_belongs_to_its_workflow(backend: DynamoDBBackend, five: dict[str, str]) -> None:
    assert backend.run_exists("bill", five["bill"])
    assert not backend.run_exists(FLOW, five["bill"])
    assert names(five, backend.list_run_ids("bill")) == ["bill"]
    assert names(five, backend.list_run_ids(FLOW)) == ["pending", "running", "failed", "completed"]
    assert backend.list_run_ids("unknown") == []


def test_runs_are_listed_newest_first(backend: DynamoDBBackend, five: dict[str, str]) -> None:
    page = backend.list_runs()
    assert names(five, [run.run_id for run in page.runs]) == ["bill", "pending", "running", "failed", "completed"]
    assert page.total == 5
    assert page.runs == [backend.get_run(run.run_id) for run in page.runs]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"workflow_slug": "bill"}, ["bill"]),
    ({"workflow_slug": "unknown"}, []),
    ({"status": ["running"]}, ["bill", "running"]),
    ({"status": ["failed", "completed", "cancelled"]}, ["failed", "completed"]),
    ({"tags": ["x"]}, ["bill", "failed", "completed"]),
    ({"tags": ["x", "y"]}, ["bill", "failed"]),
    ({"tags": ["y", "x"], "status": ["failed"], "workflow_slug": FLOW}, ["failed"]),
    ({"tags": ["nothing"]}, []),
]


def test_runs_are_filtered(backend: DynamoDBBackend, five: dict[str, str]) -> None:
    for filters, expected in FILTERS:
        page = backend.list_runs(**filters)
        assert names(five, [run.run_id for run in page.runs]) == expected, filters
        assert page.total == len(expected), filters


def test_runs_are_listed_by_pages(backend: DynamoDBBackend, five: dict[str, str]) -> None:
    pages = [backend.list_runs(limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [names(five, [run.run_id for run in page.runs]) for page in pages] == [
        ["bill", "pending"],
        ["running", "failed"],
        ["completed"],
        [],
    ]
    assert {page.total for page in pages} == {5}
    assert backend.list_runs(limit=0).runs == []
    assert backend.list_runs(status=["failed"], limit=1).total == 1


def test_a_pending_run_is_cancelled(backend: DynamoDBBackend, time: TickingClock) -> None:
    register(backend)
    run = Outside(backend, submit(backend, available_at=clock.now_us() + 1_000_000))
    backend.cancel_run(run.run_id, "not wanted")
    time.pause_us(2_000_000)
    sweep(backend)
    assert run.status == "cancelled"
    assert run.kinds() == ["RunSubmitted", "WorkflowCancelled"]
    [cancelled] = run.events("WorkflowCancelled")
    assert (cancelled.reason, cancelled.completed_steps) == ("not wanted", 0)


def test_a_running_run_is_cancelled(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b", "a"), step("c", "a"), step("d", "c"))
    run.do("a")
    run.take("b")
    backend.cancel_run(run.run_id)
    assert run.status == "cancelled"
    assert run.claim("c") is None
    assert not backend.is_step_claimable(FLOW, run.run_id, "c")
    assert backend.list_scheduled_steps() == []
    for report in (Outside.complete, Outside.fail, Outside.beat, Outside.skip):
        with pytest.raises(StaleAttemptError):
            report(run, "b")
    time.pause_us(10**12)
    sweep(backend)
    assert backend.reclaim_stale_steps(1, "reaper") == []
    [cancelled] = run.events("WorkflowCancelled")
    assert (cancelled.reason, cancelled.completed_steps) == (None, 1)
    assert run.kinds()[-1] == "WorkflowCancelled"


def test_many_live_branches_are_cancelled(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend, *(step(f"r{number}") for number in range(30)))
    run.take("r7")
    backend.cancel_run(run.run_id)
    assert run.status == "cancelled"
    assert [run.claim(f"r{number}") for number in range(30)] == [None] * 30


def test_a_run_that_has_ended_is_not_cancelled(backend: DynamoDBBackend, five: dict[str, str]) -> None:
    backend.cancel_run(five["running"])
    for end, name in {"completed": "completed", "failed": "failed", "cancelled": "running"}.items():
        before = backend.load_events(FLOW, five[name])
        with pytest.raises(RunNotCancellableError, match=end):
            backend.cancel_run(five[name])
        assert backend.load_events(FLOW, five[name]) == before


def test_an_unknown_run_is_not_cancelled(backend: DynamoDBBackend) -> None:
    with pytest.raises(RunNotFoundError):
        backend.cancel_run("unknown")


def test_a_run_fails_at_its_deadline(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), step("b"), timeout=5_000_000)
    run.take("a")
    time.pause_us(5_000_000)
    sweep(backend)
    [failed] = run.events("WorkflowFailed")
    assert (failed.failure_reason, failed.failed_step) == ("timeout", None)
    with pytest.raises(StaleAttemptError):
        run.complete("a")


def test_no_deadline_is_met_too_early(backend: DynamoDBBackend, time: TickingClock) -> None:
    run = Outside.at(backend, step("a"), timeout=5_000_000)
    time.pause_us(4_000_000)
    sweep(backend)
    assert run.status == "running"
